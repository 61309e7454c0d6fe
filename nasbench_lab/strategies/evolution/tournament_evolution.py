"""Tournament evolution: of two random individuals the worse dies, the better has a mutated child (Real et al., ICML 2017).

The population is filled with uniform cells, then every step draws a pair; unlike in ageing evolution a good cell lives
for as long as it wins. A child equal to an earlier cell is evaluated again.

Deviations: the paper's population is 1000 and starts from trivial models with its own set of mutations; here cells are
uniform and a mutation changes one decision, the default population suits a few hundred queries (chosen on the table
`digits`). Children inherit no weights. With several workers the loser dies when the child is asked for, the child is
born when its result is known; while fewer than two live, uniform cells are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.core import Query, Result, Strategy


@dataclass
class TournamentEvolution(Strategy):
    """Pairwise tournaments at the highest fidelity.

    Attributes:
        population: cells alive, at least 2; also the size of the uniform initial design.
    """

    population: int = 10

    paper = "Real et al. 2017, arXiv:1703.01041"

    def __post_init__(self) -> None:
        if self.population < 2:
            raise ValueError(f"population must be at least 2, got {self.population}")

    def setup(self) -> None:
        self._alive: list[tuple[float, int]] = []
        self._asked = 0

    def propose(self) -> Query | None:
        if self._asked and self.task.space.size == 1:
            return None
        self._asked += 1
        if self._asked <= self.population or len(self._alive) < 2:
            return Query(self.design(), self.task.full)
        return Query(self.task.space.mutate(self._fight(), self.rng), self.task.full)

    def observe(self, result: Result) -> None:
        self._alive.append((result.score, result.query.arch))

    def _fight(self) -> int:
        """Draw a pair of individuals, remove the worse (the second of equals), return the better's cell."""
        first = int(self.rng.integers(len(self._alive)))
        second = int(self.rng.integers(len(self._alive) - 1))
        second += second >= first
        if self._alive[second][0] > self._alive[first][0]:
            first, second = second, first
        winner = self._alive[first][1]
        del self._alive[second]
        return winner
