"""What scores are: their unit and direction, how people read them, and from which differences on two are told apart.

Percentages have two decimals and differ by points; anything else (a loss, an SSIM) has four significant digits, and what
is much or little of it says its scale: the distance from the median to the best of all cells.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
PERCENT = "%"
SIGNIFICANT = 4  # digits of what is no percentage, at least
_MOST = 15  # that a float has


@dataclass(frozen=True)
class Measure:
    """The unit of scores ("%", or any text) and whether "higher" or "lower" ones are better.

    `digits`: significant ones of what is no percentage, see `for_scores`. `tested`: whether what is shown are test scores; not
    where a table has none and something else stands for them.
    """

    unit: str = PERCENT
    better: str = "higher"
    digits: int = SIGNIFICANT
    tested: bool = True

    def for_scores(self, values: FloatArray) -> Measure:
        """The same with as many digits as tell scores apart: four, more where the best is large beside their scale."""
        known = self.sign * values[np.isfinite(values)]
        if self.percent or not known.size:
            return self
        beside = abs(float(known.max())) / self.scale(values)
        more = math.ceil(math.log10(beside)) if beside > 1 else 0
        return replace(self, digits=min(SIGNIFICANT + more, _MOST))

    @property
    def percent(self) -> bool:
        """Whether scores are percentages."""
        return self.unit == PERCENT

    @property
    def sign(self) -> int:
        """+1 where higher scores are better, -1 where lower ones are."""
        return 1 if self.better == "higher" else -1

    @property
    def plain(self) -> bool:
        """Whether scores are accuracies in percent."""
        return self.percent and self.sign > 0

    @property
    def name(self) -> str:
        """What a score is called."""
        return "accuracy" if self.plain else "score"

    @property
    def what(self) -> str:
        """What strategies are ranked by: "test accuracy"; "score" where there is no test."""
        return f"test {self.name}" if self.tested else self.name

    @property
    def regret(self) -> str:
        """What is left to the best of it."""
        return "test regret" if self.tested else "regret"

    @property
    def points(self) -> str:
        """The unit of differences."""
        return "points" if self.percent else self.unit

    @property
    def top(self) -> float:
        """What scores times sign are taken from to make costs of them: 100 of percentages."""
        return 100.0 if self.percent else 0.0

    def axis(self, which: str) -> str:
        """The title of an axis of "test" or "validation" scores."""
        lower = "" if self.sign > 0 else " (lower is better)"
        return f"{which} {self.name}, {self.unit}{lower}"

    def text(self, value: float, digits: int | None = None) -> str:
        """A score or a difference as people read it; empty where it is not finite."""
        if not math.isfinite(value):
            return ""
        return f"{value:.2f}" if self.percent else f"{value:.{digits or self.digits}g}"

    def rounded(self, value: float, decimals: int) -> float:
        """For files: percentages to so many decimals, anything else to four more significant digits."""
        return round(value, decimals) if self.percent else float(f"{value:.{decimals + self.digits}g}")

    def scale(self, values: FloatArray) -> float:
        """What one point is: 1 of percentages; else the power of two next to the distance from the median to the best.

        Dividing by a power of two is exact. Where more than half are best the distance to the worst counts; where all are,
        it is 1.
        """
        known = self.sign * values[np.isfinite(values)]
        if self.percent or not known.size:
            return 1.0
        apart = known.max() - np.median(known) or known.max() - known.min()
        return float(2.0 ** round(math.log2(apart))) if apart > 0 else 1.0


def of(row: Mapping[str, Any]) -> Measure:
    """What the scores of a leaderboard's row or reference are, from its columns "unit" and "better"."""
    given = (row.get("unit"), row.get("better"))
    unit, better = (value if isinstance(value, str) and value else None for value in given)
    digits, scored = row.get("digits"), row.get("scored")
    shown = int(digits) if digits and digits == digits else SIGNIFICANT
    return Measure(unit or PERCENT, better or "higher", shown, tested=not (isinstance(scored, str) and scored))
