"""Simulated annealing: a walk over one-decision changes, worse cells accepted less and less (Kirkpatrick et al., Science 1983).

A worse neighbour is accepted with probability exp(-loss / T). T falls over the budget, queries or seconds
(`_budget.py`), from `hot` to `cold`; both are in units of the interquartile range of the initial cells' scores, so that
they mean the same on every table:

    geometric   T = hot * (cold / hot)^f        linear   T = hot + (cold - hot) * f        f = share of budget spent

The walk starts at the best of `initial` distinct uniform cells. A cell that was asked for before is not asked for again: its
known score decides. A walk whose proposals were all known for a while starts anew from a uniform cell.

Deviations: Kirkpatrick et al. cool after equilibrium at each temperature, here T falls with every answer. With several
workers every result is judged against the cell the walk stands on when it arrives. A failed cell is never moved to from
one that worked.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nasbench_lab.core import Query, Result, Strategy
from nasbench_lab.strategies._budget import Budget
from nasbench_lab.strategies._unseen import unseen

_STUCK = 4  # proposals per neighbour, all of known cells, after which a walk starts anew


@dataclass
class SimulatedAnnealing(Strategy):
    """Annealing at the highest fidelity.

    Attributes:
        initial: uniform cells before the walk, at least 2.
        hot: temperature at the start, in interquartile ranges of the initial scores.
        cold: temperature at the end of the budget.
        cooling: "geometric" or "linear".
    """

    initial: int = 10
    hot: float = 0.2
    cold: float = 0.01
    cooling: Literal["geometric", "linear"] = "geometric"

    paper = "Kirkpatrick et al. 1983, doi:10.1126/science.220.4598.671"

    def __post_init__(self) -> None:
        if self.initial < 2:
            raise ValueError(f"initial must be at least 2, got {self.initial}")
        if not 0 < self.cold <= self.hot < math.inf:
            raise ValueError(f"need 0 < cold <= hot < inf, got cold={self.cold}, hot={self.hot}")
        if self.cooling not in ("geometric", "linear"):
            raise ValueError(f"cooling must be geometric or linear, got {self.cooling!r}")

    def setup(self) -> None:
        self._budget = Budget(self.task)
        self._scores: dict[int, float] = {}
        self._asked_for: set[int] = set()
        self._first: list[float] = []  # scores of the initial cells
        self._unit = 1.0  # points of accuracy
        self._current: tuple[float, int] = (-math.inf, -1)

    def propose(self) -> Query | None:
        walking = len(self._asked_for) >= self.initial and self._current[1] >= 0
        arch = self._step() if walking else unseen(self, self._asked_for)
        if arch is None:
            return None
        self._budget.asked()
        self._asked_for.add(arch)
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        self._budget.told(result)
        arch, score = result.query.arch, result.score
        self._scores[arch] = score
        if len(self._first) < self.initial:
            self._first.append(score)
            self._unit = self._spread()
            self._current = max(self._current, (score, arch), key=lambda member: member[0])
        else:
            self._consider(score, arch)

    @property
    def temperature(self) -> float:
        """In points of accuracy, at this point of the budget."""
        spent = self._budget.fraction
        if self.cooling == "linear":
            return self._unit * (self.hot + (self.cold - self.hot) * spent)
        return float(self._unit * self.hot * (self.cold / self.hot) ** spent)

    def _spread(self) -> float:
        """Interquartile range of the initial scores that are finite; one point where there is none."""
        finite = [score for score in self._first if math.isfinite(score)]
        low, high = np.percentile(finite, (25, 75)).tolist() if finite else (0.0, 0.0)
        return high - low if high > low else 1.0

    def _step(self) -> int | None:
        """Walk over known cells until the proposal is a new one; None if all are known."""
        space = self.task.space
        for _ in range(_STUCK * sum(count - 1 for count in space.options)):
            arch = space.mutate(self._current[1], self.rng)
            if arch in self._scores:
                self._consider(self._scores[arch], arch)
            elif arch not in self._asked_for:
                return arch
        self._current = (-math.inf, self._current[1])  # whatever comes next is accepted
        return unseen(self, self._asked_for)

    def _consider(self, score: float, arch: int) -> None:
        if score >= self._current[0] or self.rng.random() < math.exp((score - self._current[0]) / self.temperature):
            self._current = (score, arch)
