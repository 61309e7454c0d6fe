"""What NAS-Bench-201's BOHB script does, with HpBandSter 0.7.4 and statsmodels' kernels: `bohb:protocol=nas-bench-201`.

Budgets of 22, 67 and 200 epochs are all answered with the score of the task's full training, 12 epochs in that protocol. What is
promoted is trained, and paid for, again. The answer is the best at the largest budget, whatever was better below. One draw of
four is taken, of densities that are nearly uniform.

Written down from their formulas, oddities included: a bandwidth is the normal reference rule over the *numbers* of options, so
that it follows their order and may exceed 1 (a kernel is then negative at its own centre); a kernel spreads over as many
options as the data has, and is infinite elsewhere where that is one; the bad ones are those after the good ones, not the last.

Deviations: until there is a model cells come from the common design; a failed evaluation is the worst of all.
Notation: E decisions, n centres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nasbench_lab.core import FloatArray, Result
from nasbench_lab.strategies._density import Options
from nasbench_lab.strategies.bandits._brackets import Bracket, Bracketed

BUDGETS = (22, 67, 200)  # of the script: 200 / 9, 200 / 3 and 200, as min_budget=12 comes to; all are answered alike
_ETA, _SAMPLES, _TOP, _WIDTH = 3, 4, 15, 0.3  # _TOP in percent
_LEAST = 1e-32  # of a density in a ratio


class Kernels:
    """statsmodels' KDEMultivariate of unordered variables, `bw="normal_reference"`, bandwidths clipped from below.

    Args:
        rows: (n, E) options by number.
    """

    def __init__(self, rows: Options) -> None:
        count, decisions = rows.shape
        self.rows = rows
        spread: FloatArray = 1.06 * rows.std(axis=0) * count ** (-1.0 / (4 + decisions))
        self.bandwidths = np.maximum(spread, _WIDTH)
        self._others = [len(np.unique(column)) - 1 for column in rows.T]

    def __call__(self, row: Sequence[int]) -> float:
        """The density of one configuration; may be negative or infinite."""
        kernels = np.ones(len(self.rows))
        for edge, (option, width, others) in enumerate(zip(row, self.bandwidths, self._others, strict=True)):
            elsewhere = width / others if others else math.inf
            kernels *= np.where(self.rows[:, edge] == option, 1.0 - width, elsewhere)
        values = kernels.tolist()
        exact = math.fsum if np.isfinite(kernels).all() else sum  # inf - inf is an error of the one, nan of the other
        return float(exact(values)) / len(values)

    def draw(self, counts: Sequence[int], rng: np.random.Generator) -> list[int]:
        """A centre, each option of which is replaced by a uniform one with the bandwidth's probability."""
        centre = self.rows[rng.integers(len(self.rows))]
        return [
            int(option) if rng.random() < 1.0 - width else int(rng.integers(count))
            for option, width, count in zip(centre, self.bandwidths, counts, strict=True)
        ]


class Models:
    """The good and the bad kernels per budget, rebuilt with every result that is not below the largest with a model."""

    def __init__(self) -> None:
        self._seen: dict[int, list[tuple[float, tuple[int, ...]]]] = {}
        self._kernels: dict[int, tuple[Kernels, Kernels]] = {}

    @property
    def largest(self) -> tuple[Kernels, Kernels] | None:
        """Good and bad of the largest budget that has a model."""
        return self._kernels[max(self._kernels)] if self._kernels else None

    def add(self, budget: int, score: float, row: tuple[int, ...]) -> None:
        """A result; larger scores are better."""
        if max(self._kernels, default=-1) > budget:
            return
        seen = self._seen.setdefault(budget, [])
        seen.append((score, row))
        count, decisions = len(seen), len(row)
        good = max(decisions + 1, _TOP * count // 100)
        bad = max(decisions + 1, (100 - _TOP) * count // 100)
        ranked = np.array([row for _, row in sorted(seen, key=lambda each: -each[0])])
        better, worse = ranked[:good], ranked[good : good + bad]
        if min(len(better), len(worse)) > decisions:
            self._kernels[budget] = Kernels(better), Kernels(worse)

    def proposal(self, counts: Sequence[int], rng: np.random.Generator) -> list[int] | None:
        """Of a few draws the one where bad over good is least; None without a model or a usable draw."""
        if self.largest is None:
            return None
        good, bad = self.largest
        best, chosen = math.inf, None
        for _ in range(_SAMPLES):
            row = good.draw(counts, rng)
            there = good(row)
            value = max(_LEAST, bad(row)) / max(there, _LEAST)
            if not math.isfinite(value):  # an option that the bad ones do not have: taken at once
                return row if math.isfinite(there) else chosen
            if value < best:
                best, chosen = value, row
        return chosen


class Script(Bracketed):
    """The script's search; `bohb` passes on to it."""

    def setup(self) -> None:
        super().setup()
        self._models = Models()
        self._best = (-math.inf, -1)  # score and cell, at the largest budget

    def bracket(self, number: int) -> Bracket:
        """HpBandSter's iteration: floor(K / (s + 1)) eta^s configurations begin, one in eta goes on."""
        steps = len(BUDGETS) - 1 - number % len(BUDGETS)
        first = len(BUDGETS) // (steps + 1) * _ETA**steps
        return Bracket(BUDGETS[-steps - 1 :], tuple(max(first // _ETA**level, 1) for level in range(steps + 1)))

    def trained(self, bracket: Bracket) -> int:
        """The same at every budget."""
        return self.task.full

    def begin(self) -> int | None:
        """What the model proposes, a uniform cell without one; may be one that was asked for before."""
        row = self._models.proposal(self.task.space.options, self.rng)
        return self.design() if row is None else self.task.space.closest(row, self.rng)

    def observe(self, result: Result) -> None:
        arch = result.query.arch
        budget = self._owners[result.query][0].epochs
        self._models.add(budget, result.score, self.task.space.row(arch))
        if budget == BUDGETS[-1] and result.score > self._best[0]:
            self._best = (result.score, arch)
        super().observe(result)

    def recommend(self) -> int:
        """The best at the largest budget; before there is one, of all."""
        return self._best[1] if self._best[1] >= 0 else super().recommend()
