"""One-Shot, then evolution: aging evolution on the accuracies of a supernet trained with path dropout.

The supernet is Bender et al.'s (ICML 2018; see `one_shot_random`), the search on it regularized evolution (Real et al.,
AAAI 2019): a tournament with replacement, one edge mutated, the oldest dies.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from nasbench_lab.strategies.one_shot._ranked import PathDropout


@dataclass
class OneShotEvolution(PathDropout):
    """Evolution on a trained supernet.

    Attributes:
        population: cells alive; also the size of the uniform start.
        sample: tournament size.
    """

    population: int = 50
    sample: int = 10

    paper = "Bender et al. 2018, PMLR 80; Real et al. 2019, arXiv:1802.01548"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.sample <= self.population:
            raise ValueError(f"need 1 <= sample <= population, got {self.sample} and {self.population}")

    def begin(self) -> None:
        super().begin()
        self._kept["alive"] = []

    def search(self, count: int) -> None:
        alive = deque(self._kept["alive"], maxlen=self.population)
        for _ in range(count):
            arch = self._child(alive)
            self.score(arch)
            alive.append(arch)
        self._kept["alive"] = list(alive)

    def _child(self, alive: deque[int]) -> int:
        if len(alive) < self.population:
            return self.task.space.sample(self.rng)
        drawn = [alive[i] for i in self.rng.integers(len(alive), size=self.sample).tolist()]
        return self.task.space.mutate(max(drawn, key=self.score), self.rng)
