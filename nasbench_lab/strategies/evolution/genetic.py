"""Genetic algorithm: crossover of two parents and mutation, the best survive (Holland 1975; Xie & Yuille, ICCV 2017, for NAS).

Steady state: the population is the `population` best results so far. A child has two parents, each the better of
`sample` random members; with probability `crossover_rate` they are crossed, else the first is copied; then every
decision is changed with probability `mutation_rate`. A child that was asked for before is mutated, one decision at a
time, until it is new.

Deviations from Genetic CNN (Xie & Yuille): it replaces whole generations and selects by a roulette wheel; it crosses
and mutates separate pairs. Defaults chosen on the table `digits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nasbench_lab.core import Query, Result, Strategy
from nasbench_lab.strategies._unseen import unseen


@dataclass
class Genetic(Strategy):
    """Crossover and mutation at the highest fidelity.

    Attributes:
        population: the best cells that may have children; also the size of the uniform initial design.
        sample: tournament size, with replacement.
        crossover: "uniform" takes every decision from either parent; "one-point" the first ones from one parent, the
            rest from the other.
        crossover_rate: probability that a child has two parents.
        mutation_rate: probability that a decision changes; 0 leaves it to the search for a new cell.
    """

    population: int = 20
    sample: int = 2
    crossover: Literal["uniform", "one-point"] = "uniform"
    crossover_rate: float = 0.5
    mutation_rate: float = 0.1

    paper = "Xie & Yuille 2017, arXiv:1703.01513"

    def __post_init__(self) -> None:
        if not 1 <= self.sample <= self.population:
            raise ValueError(f"need 1 <= sample <= population, got {self.sample} and {self.population}")
        if self.crossover not in ("uniform", "one-point"):
            raise ValueError(f"crossover must be uniform or one-point, got {self.crossover!r}")
        if not (0 <= self.crossover_rate <= 1 and 0 <= self.mutation_rate <= 1):
            raise ValueError(f"rates lie in 0..1, got {self.crossover_rate} and {self.mutation_rate}")

    def setup(self) -> None:
        self._alive: list[tuple[float, int]] = []
        self._seen: set[int] = set()  # cells asked for

    def propose(self) -> Query | None:
        if len(self._seen) == self.task.space.size:
            return None
        growing = len(self._seen) < self.population or not self._alive
        arch = unseen(self, self._seen) if growing else self._new(self._child())
        if arch is None:
            return None
        self._seen.add(arch)
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        self._alive.append((result.score, result.query.arch))
        if len(self._alive) > self.population:
            self._alive.remove(min(self._alive, key=lambda member: member[0]))  # the oldest of equals

    def _winner(self) -> tuple[int, ...]:
        """The options of the best of `sample` draws with replacement."""
        draws = self.rng.integers(len(self._alive), size=self.sample).tolist()
        return self.task.space.row(max((self._alive[i] for i in draws), key=lambda member: member[0])[1])

    def _child(self) -> int:
        child = self._winner()
        if self.rng.random() < self.crossover_rate:
            child = self._cross(child, self._winner())
        return self.task.space.closest(self._mutated(child), self.rng)

    def _cross(self, first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
        if self.crossover == "one-point":
            point = int(self.rng.integers(1, len(first))) if len(first) > 1 else 1
            return first[:point] + second[point:]
        take = self.rng.random(len(first)) < 0.5
        return tuple(a if mine else b for a, b, mine in zip(first, second, take.tolist(), strict=True))

    def _mutated(self, row: tuple[int, ...]) -> list[int]:
        """Every decision gets another of its options with probability `mutation_rate`."""
        child = list(row)
        for decision, drawn in enumerate(self.rng.random(len(row)).tolist()):
            count = self.task.space.options[decision]
            if drawn < self.mutation_rate and count > 1:
                child[decision] = (child[decision] + 1 + int(self.rng.integers(count - 1))) % count
        return child

    def _new(self, arch: int) -> int:
        """A random walk from a cell to the first one not asked for; ends, as some are left and every step is possible."""
        while arch in self._seen:
            arch = self.task.space.mutate(arch, self.rng)
        return arch
