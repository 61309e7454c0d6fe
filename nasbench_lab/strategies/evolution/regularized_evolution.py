"""Regularized (aging) evolution: tournament selection, mutation, and the oldest dies (Real et al., AAAI 2019).

Documented settings: population 10, sample 3 (NAS-Bench-201's own runs; the default) and population 50, sample 10
(naszilla's); Real et al. used 100 and 25. As in those runs the tournament draws with replacement, a mutation changes
one of the edges to another operation, and a child equal to an earlier cell is evaluated again.

Deviation: with several workers the population is in order of finishing, and the initial design is continued until
the first result is known.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from nasbench_lab.core import Query, Result, Strategy


@dataclass
class RegularizedEvolution(Strategy):
    """Aging evolution at the highest fidelity.

    Attributes:
        population: cells alive; also the size of the uniform initial design.
        sample: tournament size.
    """

    population: int = 10
    sample: int = 3

    paper = "Real et al. 2019, arXiv:1802.01548"
    learns_from_any = True

    def __post_init__(self) -> None:
        if not 1 <= self.sample <= self.population:
            raise ValueError(f"need 1 <= sample <= population, got {self.sample} and {self.population}")

    def setup(self) -> None:
        self._alive: deque[tuple[float, int]] = deque(maxlen=self.population)
        self._asked = 0

    def propose(self) -> Query | None:
        if self._asked and self.task.space.size == 1:
            return None
        self._asked += 1
        if self._asked <= self.population or not self._alive:
            return Query(self.design(), self.task.full)
        return Query(self.task.space.mutate(self._winner(), self.rng), self.task.full)

    def observe(self, result: Result) -> None:
        self._alive.append((result.score, result.query.arch))

    def _winner(self) -> int:
        """The best of `sample` draws with replacement; the first drawn of equals."""
        draws = self.rng.integers(len(self._alive), size=self.sample).tolist()
        return max((self._alive[i] for i in draws), key=lambda member: member[0])[1]
