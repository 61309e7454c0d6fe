"""Zero-shot transfer: cells in the order of their mean rank on other datasets, then refined by local moves (baseline).

The first `trust` queries follow the ranking alone. From then on the unasked neighbour of the best cell seen that ranks
best is asked for; when none is left, the ranking goes on. No model, one rule; the source tables are known in full, more
than what `transfer_gp` is given.

Without a source the ranking is the common design and neighbours come in random order: a plain local search that never
leaves its best cell before all neighbours are known, the cold start. `shuffled` is the control: the sources' scores are
dealt to other cells at random. That the ranks of architectures transfer between datasets is Dong & Yang 2020,
NAS-Bench-201, section 5; the strategy itself is no paper's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from nasbench_lab.core import FloatArray, Query, Result, Strategy
from nasbench_lab.strategies._unseen import unseen
from nasbench_lab.strategies.transfer._sources import sources_of, with_shuffled_sources


@dataclass
class ZeroShotPrior(Strategy):
    """Best of other datasets first, at the highest fidelity.

    Attributes:
        trust: queries that follow the ranking alone.
        shuffled: the control.
    """

    trust: int = 10
    shuffled: bool = False

    paper = "baseline; Dong & Yang 2020, arXiv:2001.00326, section 5"

    def __post_init__(self) -> None:
        if self.trust < 1:
            raise ValueError(f"trust must be at least 1, got {self.trust}")

    def setup(self) -> None:
        if self.shuffled:
            self.task = with_shuffled_sources(self.task, self.rng)
        sources = list(sources_of(self.task).values())
        draw = self.rng.random(self.task.space.size)  # breaks ties; all there is without sources
        self._rank = draw + (mean_rank(sources) if sources else 0.0)
        self._order = np.argsort(-self._rank).tolist()[::-1] if sources else []  # best last
        self._asked: set[int] = set()
        self._best = (-np.inf, -1)

    def propose(self) -> Query | None:
        arch = self._neighbour() if len(self._asked) >= self.trust else None
        if arch is None:
            arch = self._next()
        if arch is None:
            return None
        self._asked.add(arch)
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        if result.score > self._best[0]:
            self._best = (result.score, result.query.arch)

    def _neighbour(self) -> int | None:
        """The best ranked neighbour of the best cell seen that was not asked for."""
        if self._best[1] < 0:
            return None
        free = [arch for arch in self.task.space.neighbours_of(self._best[1]) if arch not in self._asked]
        return max(free, key=lambda arch: float(self._rank[arch]), default=None)

    def _next(self) -> int | None:
        """The next cell of the ranking, or of the common design where there is none."""
        while self._order:
            arch: int = self._order.pop()
            if arch not in self._asked:
                return arch
        return unseen(self, self._asked)


def mean_rank(sources: list[FloatArray]) -> FloatArray:
    """(N,) mean over sources of the rank of every cell, larger is better; cells without a score rank last."""
    ranks = [np.floor(rankdata(np.where(np.isnan(scores), -np.inf, scores))) for scores in sources]
    mean: FloatArray = np.mean(ranks, axis=0)
    return mean
