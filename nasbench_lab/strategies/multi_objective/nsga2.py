"""NSGA-II: fronts by rank, crowding distance, crossover and mutation (Deb et al., IEEE TEC 2002).

As in the paper: binary tournaments by rank and crowding, single-point crossover with probability 0.9, every decision
mutated with probability 1/E, the best half of parents and children survives (Deb et al., section III and V).

Deviations: a population of 20 rather than 100, as budgets here are hundreds of queries and not 25,000; of the two
children of a crossover one is kept; a child that was asked for before is mutated again until it is new, since a repeated
query is charged; a failed evaluation counts as a child that did not survive. With several workers children
are made without waiting, a generation ends when as many as the population have finished, and the
initial design is continued until the first generation is complete.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench_lab.core import FloatArray, Query, Result, Strategy
from nasbench_lab.strategies.multi_objective._pareto import costs_of, crowded_order, unasked

_TRIES = 100  # mutations of a child in search of a new cell, before a uniform one is taken


@dataclass
class Nsga2(Strategy):
    """Elitist evolution towards the whole front, at the highest fidelity.

    Attributes:
        population: cells alive; also the size of the uniform initial design and of a generation.
        crossover: probability that a child has two parents.
        mutation: decisions changed per child, on average.
    """

    population: int = 20
    crossover: float = 0.9
    mutation: float = 1.0

    paper = "Deb et al. 2002, doi:10.1109/4235.996017"

    def __post_init__(self) -> None:
        if self.population < 2 or not 0 <= self.crossover <= 1 or self.mutation <= 0:
            raise ValueError(
                "need population >= 2, crossover in [0, 1] and mutation > 0, "
                f"got {self.population}, {self.crossover}, {self.mutation}"
            )

    def setup(self) -> None:
        self._asked: set[int] = set()
        self._parents: list[tuple[int, FloatArray]] = []  # best first
        self._children: list[tuple[int, FloatArray]] = []
        self._finished = 0  # of this generation, failures included

    def propose(self) -> Query | None:
        arch = self._child() if self._parents else None
        if arch is None:
            arch = unasked(self.design, self._asked, self.task.space.size)
        if arch is None:
            return None
        self._asked.add(arch)
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        costs = costs_of(result, self.task)
        if costs is not None:
            self._children.append((result.query.arch, costs))
        self._finished += 1
        if self._finished >= self.population:
            self._survive()

    def _survive(self) -> None:
        """Parents and children compete; the next generation begins."""
        everyone = self._parents + self._children
        if everyone:
            order = crowded_order(np.stack([costs for _, costs in everyone]))
            self._parents = [everyone[i] for i in order[: self.population].tolist()]
        self._children, self._finished = [], 0

    def _child(self) -> int | None:
        """A new cell; None if none was found."""
        choices = self._crossed()
        for _ in range(_TRIES):
            choices = self._mutated(choices)
            arch = self.task.space.closest(choices, self.rng)
            if arch not in self._asked:
                return arch
        return None

    def _crossed(self) -> list[int]:
        first, second = (self.task.space.row(self._winner()) for _ in range(2))
        if len(first) < 2 or self.rng.random() >= self.crossover:
            return list(first)
        cut = int(self.rng.integers(1, len(first)))
        return [*first[:cut], *second[cut:]]

    def _winner(self) -> int:
        """The better of two parents drawn; they lie in the order of the crowded comparison."""
        return self._parents[int(self.rng.integers(len(self._parents), size=2).min())][0]

    def _mutated(self, choices: list[int]) -> list[int]:
        """Every decision gets one of its other options with equal probability."""
        options = self.task.space.options
        changes = self.rng.random(len(options)) < self.mutation / len(options)
        shifts = [1 + int(self.rng.integers(count - 1)) if count > 1 else 0 for count in options]
        return [
            (choice + shift) % count if change else choice
            for choice, shift, count, change in zip(choices, shifts, options, changes.tolist(), strict=True)
        ]
