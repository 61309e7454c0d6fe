"""Estimation of distribution by the cross-entropy method: sample, keep the elite, move the distribution to it, smoothed.

One independent categorical per decision, uniform at first. After `batch` answers the best share `elite` of them is
counted and

    p <- (1 - smoothing) * p + smoothing * frequencies among the elite

(De Boer et al. 2005, algorithm 2.2 with the smoothing of its section 2.1; with independent decisions this is also the
univariate marginal distribution algorithm, UMDA, and with smoothing < 1 population-based incremental learning, PBIL).

Deviations: every probability is kept above `floor` / options, so that no option is lost for good; a cell that was asked
for before is drawn anew, `_REDRAWS` times at most. With several workers a batch is what was answered, whichever
distribution it was drawn from. Failed results rank last, and are never elite. Defaults chosen on the table `digits`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nasbench_lab.core import FloatArray, Query, Result, Strategy

_REDRAWS = 20


@dataclass
class EstimationOfDistribution(Strategy):
    """Cross-entropy method over independent categoricals.

    Attributes:
        batch: answers per update.
        elite: share of a batch that the distribution moves to, in (0, 1]; at least one cell.
        smoothing: how far it moves, in (0, 1].
        floor: share of the uniform distribution that always stays mixed in, in [0, 1).
    """

    batch: int = 10
    elite: float = 0.2
    smoothing: float = 0.7
    floor: float = 0.05

    paper = "De Boer et al. 2005, doi:10.1007/s10479-005-5724-z"

    def __post_init__(self) -> None:
        if self.batch < 1 or not 0 < self.elite <= 1:
            raise ValueError(f"need batch >= 1 and 0 < elite <= 1, got {self.batch} and {self.elite}")
        if not 0 < self.smoothing <= 1 or not 0 <= self.floor < 1:
            raise ValueError(f"need 0 < smoothing <= 1 and 0 <= floor < 1, got {self.smoothing} and {self.floor}")

    def setup(self) -> None:
        options = np.array(self.task.space.options)
        present = np.arange(options.max()) < options[:, None]
        self._uniform: FloatArray = present / options[:, None]
        self._probabilities = self._uniform
        self._batch: list[tuple[float, int]] = []
        self._asked: set[int] = set()
        self._updates = 0

    def propose(self) -> Query:
        arch = self._draw()
        for _ in range(_REDRAWS):
            if arch not in self._asked:
                break
            arch = self._draw()
        self._asked.add(arch)
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        self._batch.append((result.score, result.query.arch))
        if len(self._batch) == self.batch:
            self._update()
            self._batch = []

    @property
    def probabilities(self) -> FloatArray:
        """(decisions, options) what cells are drawn from."""
        mixed: FloatArray = self.floor * self._uniform + (1 - self.floor) * self._probabilities
        return mixed

    def _draw(self) -> int:
        if not self._updates:
            return self.design()
        cumulative = self.probabilities.cumsum(axis=1)[:, :-1]
        draws = self.rng.random(len(cumulative))
        return self.task.space.closest((cumulative <= draws[:, None]).sum(axis=1).tolist(), self.rng)

    def _update(self) -> None:
        ranked = sorted(self._batch, key=lambda member: -member[0])
        elite = [arch for score, arch in ranked[: max(1, round(self.elite * self.batch))] if score > -math.inf]
        if not elite:
            return
        rows = self.task.space.choices[elite]
        frequencies = (rows[:, :, None] == np.arange(self._uniform.shape[1])).mean(axis=0)
        self._probabilities = (1 - self.smoothing) * self._probabilities + self.smoothing * frequencies
        self._updates += 1
