"""ASHA: successive halving without waiting; a cell goes on once it is among the best share of its rung (Li et al. 2020).

Whoever asks gets the first that exists, from the highest rung down: a cell among the best floor(n r_i / r_(i+1)) of the
n results of rung i that was not promoted yet, its score deciding which; else a new uniform cell at the lowest rung.
On geometric rungs r_i / r_(i+1) is the paper's 1 / eta; see `_brackets` for others.

Deviations: cells are drawn without replacement, and when none is left the best cells still waiting are promoted
whatever their share. A failed result counts in n and is never promoted. With a single fidelity this is random search.

The recommendation is the best cell at the highest rung reached. Early on that was the best of few, yet never for long:
the best cell of a rung is always among its best share once there are r_(i+1) / r_i results, so it is asked for at once.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass

from nasbench_lab.core import Query, Result, Strategy
from nasbench_lab.strategies._unseen import unseen
from nasbench_lab.strategies.bandits._brackets import check_eta, rungs_of


@dataclass
class Asha(Strategy):
    """Asynchronous successive halving, the promoting kind.

    Attributes:
        eta: ratio of the epochs of two rungs, about; of as many cells one goes on. The paper's experiments use 4.
    """

    eta: int = 3

    paper = "Li et al. 2020, arXiv:1810.05934"

    def __post_init__(self) -> None:
        check_eta(self.eta)

    def setup(self) -> None:
        self._rungs = rungs_of(self.task.fidelities, self.eta)
        self._level = {epochs: level for level, epochs in enumerate(self._rungs)}
        self._ranked: list[list[tuple[float, int, int]]] = [[] for _ in self._rungs]  # (-score, order told, cell)
        self._promoted: list[set[int]] = [set() for _ in self._rungs]
        self._seen: set[int] = set()
        self._told = 0

    def propose(self) -> Query | None:
        query = self._promotion(everyone=False)
        if query is not None:
            return query
        arch = unseen(self, self._seen)
        if arch is None:
            return self._promotion(everyone=True)
        self._seen.add(arch)
        return Query(arch, self._rungs[0])

    def observe(self, result: Result) -> None:
        level = self._level.get(result.query.epochs)
        if level is None:
            return
        self._told += 1
        insort(self._ranked[level], (-result.score, self._told, result.query.arch))

    def _promotion(self, *, everyone: bool) -> Query | None:
        """The best cell that may go on, from the highest rung that has one."""
        for level in range(len(self._rungs) - 2, -1, -1):
            ranked, promoted = self._ranked[level], self._promoted[level]
            count = len(ranked) if everyone else len(ranked) * self._rungs[level] // self._rungs[level + 1]
            for lost, _, arch in ranked[:count]:
                if arch not in promoted and lost < math.inf:
                    promoted.add(arch)
                    return Query(arch, self._rungs[level + 1])
        return None
