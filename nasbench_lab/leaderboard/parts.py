"""What a leaderboard is made of: what its columns mean, settings, entries, sections of rows, and the board itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray
from nasbench_lab.errors import queries
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.space import Space
from nasbench_lab.stats import standings
from nasbench_lab.stats.fronts import Target
from nasbench_lab.stats.measures import SIGNIFICANT, Measure
from nasbench_lab.stats.repeated import Noise
from nasbench_lab.study.store import Runs

Row = dict[str, Any]
_DIFFERENCE = SIGNIFICANT + 2  # digits of a difference, at most
KNOWN = 0.95  # the probability from which on a best cell of a noisy table is called the optimum

COLUMNS = MappingProxyType(
    {
        "table": "table searched",
        "score": "table whose test accuracy scores the incumbent",
        "kind": "measured, synthetic (made up) or predicted (by a fitted surrogate): what the searched table holds",
        "search": "schedule searched on (last epoch), or oracle: the search saw mean test accuracy",
        "budget": "queries or simulated seconds allowed",
        "policy": "what departs from the defaults: trials, noise, repeats, simulated workers",
        "strategy": "name and parameters",
        "rank": "order by mean test accuracy within table, score and budget; equal means share a rank",
        **standings.COLUMNS,
        "runs": "seeds",
        "queries": "mean number of queries answered",
        "seconds": "mean simulated seconds used",
        "test_mean": "mean over seeds of the incumbent's test accuracy, percent",
        "test_lo": "lower end of its 95% interval, by studentised bootstrap, where nearly all seeds agree with room for misses "
        "that none of them met; no further than the best cell",
        "test_hi": "upper end",
        "test_median": "median over seeds",
        "test_median_lo": "lower end of its 95% interval, by order statistics",
        "test_median_hi": "upper end",
        "test_iqm": "interquartile mean over seeds",
        "test_iqm_lo": "lower end of its 95% interval, by percentile bootstrap",
        "test_iqm_hi": "upper end",
        "test_sd": "standard deviation over seeds",
        "regret_mean": "best test accuracy of the table minus the incumbent's, mean, points",
        "regret_lo": "lower end of its 95% interval",
        "regret_hi": "upper end",
        "val_regret_mean": "best score the search could have seen minus the incumbent's (noise-free), mean, points",
        "val_regret_lo": "lower end of its 95% interval",
        "val_regret_hi": "upper end",
        "regret_area": "anytime regret: mean regret over the logarithm of queries, from the first to the last",
        "unanswered": "runs that ended without anything to recommend; means are then left out",
        "rank_mean": "mean over seeds of the rank among the strategies compared (1 = best, ties share)",
        "queries_to_optimum_mean": "mean queries until the incumbent was a best cell; runs that never were count with "
        "their length, so it is a lower bound unless reached_optimum is 1",
        "queries_per_optimum": "expected running time: queries of all runs until a best cell or the end, per run that met one",
        "queries_to_optimum_median": "median of the same; empty if half of the runs or more never were",
        "reached_optimum": "share of runs whose incumbent was a best cell at some time",
        "decision_seconds_per_query": "real seconds the strategy spent deciding, per query; the one measured column",
    }
)
MARK_COLUMNS = MappingProxyType(
    {  # of boards with strategies that are not of this package
        "mark": "what is to be known of a strategy of somebody else: its runs were not repeated where no table can be opened, or "
        "were others there, or its trials were made elsewhere; empty where they were the same",
    }
)
MEASURE_COLUMNS = MappingProxyType(
    {  # of boards with tables whose scores are not test accuracies in percent
        "unit": "unit of the scores; percent where it is empty",
        "digits": "significant digits of scores, where four tell them not apart",
        "better": "lower, where lower scores are better; columns of scores are in the table's direction, regrets are larger "
        "the worse either way",
        "val_unit": "unit of val regrets, where the searched table has another one than the scored table",
        "scored": "what stands for the test score where the table has none",
    }
)
FRONT_COLUMNS = MappingProxyType(
    {  # of boards that have a setting with several objectives; their rows are ranked by the first
        "hypervolume_mean": "several objectives: normalised hypervolume of the cells queried, on test error and the other "
        "objectives, as a share of what the exact front has; mean over seeds at the end",
        "hypervolume_lo": "lower end of its 95% interval",
        "hypervolume_hi": "upper end",
    }
)


def _in_any_unit(meaning: str) -> str:
    """What a column means where scores are not accuracies in percent."""
    said = (("accuracy, percent", "score, in the table's unit"), ("accuracy", "score"), (", points", ", in its unit"))
    for percent, other in said:
        meaning = meaning.replace(percent, other)
    return meaning


def difference(value: float, measure: Measure) -> str:
    """A difference of two scores as people read it: it needs no digits for what is the same in both."""
    return measure.text(value, min(measure.digits, _DIFFERENCE))


@dataclass(frozen=True)
class Setting:
    """What the rows of one (task, score) share.

    Attributes:
        table, score: names of the table searched and the table scored on.
        kind: "measured", "synthetic" or "predicted"; anything but measured is said wherever the table shows.
        search: schedule searched on.
        max_queries, max_seconds: the budget, inf where there is none.
        policy: policies that are not the defaults, in words; "" if all are.
        seen: (N,) what the search sees without noise, at the highest fidelity; larger is better.
        truth: (N,) mean test score on the scored table; larger is better.
        front: with several objectives, the exact front that archives are scored against.
        full: then, the epochs at which a query counts.
        space: of the cells.
        unit: of the scored table's scores.
        sign: what `truth` and `seen` are multiplied by where people read them: -1 where lower scores are better.
        scored: what stands for a test score where there is none, in words; "" where there is one.
        seen_as: how `seen` is read, where the searched table is not the scored one.
        scores: of runs that are scored on other trainings than they searched, seed and cells -> what its runs are scored
            with, in the cells' shape; `truth` is then what each cell's score is likely to be. None where `truth` scores all.
        shares: then, seed and a row of the noise -> (T,) what each training counts in the score of its cells.
        held_out: then, (N',) all scores that a run can have.
        noise: what the scored table's repeated trainings say of its own noise; None where it has none.
    """

    table: str
    score: str
    kind: str
    search: str
    max_queries: float
    max_seconds: float
    policy: str
    seen: FloatArray
    truth: FloatArray
    front: Target | None = None
    full: int = 0
    space: Space = cell.SPACE
    unit: str = "%"
    sign: int = 1
    scored: str = ""
    seen_as: Measure | None = None
    scores: Callable[[int, NDArray[np.int64]], FloatArray] | None = None
    shares: Callable[[int, int], FloatArray] | None = None
    held_out: FloatArray | None = None
    noise: Noise | None = None

    def test_of(self, seeds: NDArray[np.int64], cells: NDArray[Any]) -> FloatArray:
        """Scores of cells that runs ended with: (R,) seeds, (R, ...) cells -> (R, ...); nan where there is no cell (nan, -1)."""
        chosen = np.where(np.isnan(cells), -1, cells).astype(np.int64)
        found = np.empty(chosen.shape)
        if self.scores is None:
            found[...] = self.truth[chosen]
        else:
            for row, seed in enumerate(seeds.tolist()):
                found[row] = self.scores(seed, chosen[row])
        return np.where(chosen >= 0, found, np.nan)

    @property
    def possible(self) -> FloatArray:
        """(N',) all scores that a run can have."""
        return self.truth if self.held_out is None else self.held_out

    @cached_property
    def chance(self) -> float:
        """The probability that the best cell is the best, by the table's repeated trainings; nan where nothing is known."""
        return math.nan if self.noise is None else float(self.noise.repeated.chances[self.noise.row[self.best]])

    @property
    def best(self) -> int:
        """The cell with the best truth; the first of several."""
        return int(np.argmax(self.truth))

    @property
    def has_optimum(self) -> bool:
        """Whether it makes sense to ask when an optimum was found: by the table's own numbers, or as it is known beyond noise."""
        return self.scores is None or self.chance >= KNOWN

    @cached_property
    def read_as(self) -> Measure:
        """How its scores are read; `truth` and `seen` are these times `sign`."""
        direction = "higher" if self.sign > 0 else "lower"
        return Measure(self.unit, direction, tested=not self.scored).for_scores(self.read(self.truth))

    @property
    def seen_read_as(self) -> Measure:
        """How the searched table's scores are read."""
        return self.seen_as or self.read_as

    @cached_property
    def seen_scale(self) -> float:
        """What one point of `seen` is: as of the scored table's scores where they have one unit."""
        return self.scale if self.seen_read_as.unit == self.unit else Measure(self.seen_read_as.unit).scale(self.seen)

    @cached_property
    def scale(self) -> float:
        """What one point of its scores is, see `Measure.scale`; a power of two."""
        return self.read_as.scale(self.read(self.truth))

    @property
    def measure(self) -> Row:
        """What departs from test accuracy in percent, as columns of its rows."""
        found: Row = {} if self.unit == "%" else {"unit": self.unit}
        found |= {} if self.sign > 0 else {"better": "lower"}
        found |= {} if self.read_as.digits == SIGNIFICANT else {"digits": self.read_as.digits}
        found |= {} if self.seen_read_as.unit == self.unit else {"val_unit": self.seen_read_as.unit}
        return found | ({"scored": self.scored} if self.scored else {})

    def read(self, scores: FloatArray) -> FloatArray:
        """Scores as people read them: in the table's direction."""
        return scores if self.sign > 0 else 0.0 - scores  # not -0.0

    @property
    def budget(self) -> str:
        """The budget in words."""
        parts = [queries(f"{self.max_queries:g}")] if math.isfinite(self.max_queries) else []
        parts += [f"{self.max_seconds:g} s"] if math.isfinite(self.max_seconds) else []
        return ", ".join(parts)

    @property
    def random_is_exact(self) -> bool:
        """Whether the closed form holds: one noise-free answer per cell, one worker."""
        return not self.policy or self.policy in ("repeats=free", "repeats=free-class")

    @property
    def optimal(self) -> NDArray[np.bool_]:
        """(N,) the cells that share the best test accuracy."""
        return np.asarray(self.truth == self.truth.max())


@dataclass(frozen=True)
class Entry:
    """One strategy under one setting; `mark`: what its rows say beside its name."""

    setting: Setting
    strategy: str
    runs: Runs
    mark: str = ""


@dataclass(frozen=True)
class Section:
    """The rows of one setting, best first, what is known exactly about it, and the tests of all pairs of rows."""

    rows: list[Row]
    reference: Row
    tests: Row


@dataclass(frozen=True)
class Leaderboard:
    """Sections and curves, ready to be written; of several sections how well rankings agree, and aggregates over all.

    `across` is what `stats.across` says of boards that search three tables or more, each once; empty for others.
    `notes` say where the study gives strategies nothing of what they are for (`study.notes`), and why there is no `across`
    where one would be looked for.
    """

    title: str
    sections: list[Section]
    curves: pd.DataFrame
    agreements: list[Row] = field(default_factory=list)
    overall: list[Row] = field(default_factory=list)
    notes: tuple[str, ...] = ()
    across: Row = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """The rows of all sections."""
        return [row for section in self.sections for row in section.rows]

    @property
    def columns(self) -> dict[str, str]:
        """Names and meanings of the columns."""
        fronts = FRONT_COLUMNS if any("hypervolume_mean" in row for row in self.rows) else {}
        marks = MARK_COLUMNS if any("mark" in row for row in self.rows) else {}
        measures = {name: said for name, said in MEASURE_COLUMNS.items() if any(name in row for row in self.rows)}
        columns = COLUMNS if self.in_percent else {name: _in_any_unit(said) for name, said in COLUMNS.items()}
        return {**columns, **measures, **fronts, **marks}

    @property
    def in_percent(self) -> bool:
        """Whether all scores are accuracies in percent."""
        return not any(name in row for row in self.rows for name in ("unit", "better", "val_unit"))

    def frame(self) -> pd.DataFrame:
        """The rows as a frame, columns as in `columns`."""
        return pd.DataFrame(self.rows, columns=list(self.columns))
