"""DEHB: Hyperband whose cells come from differential evolution, one population per rung (Awad et al., IJCAI 2021).

A cell is a vector in [0, 1]^E; decision e takes option floor(C_e x_e), the paper's encoding of categories. A rung's
population is as large as the largest bracket's level there, and at least `population`. While it is not full it takes
what Hyperband would train: uniform cells at a bracket's first rung, promoted ones above. Once it is full its members
are targets in turn, of rand/1 mutation and binomial crossover (F and CR 0.5): the three vectors that are mixed come
from the best of the rung below, as many as the bracket's level has jobs, or of the rung itself where the bracket begins
there. A child replaces its target at once if it is not worse at that rung. Coordinates outside [0, 1] are drawn anew.

Deviations: where fewer than three parents are at hand, the missing ones are drawn from all populations, and from uniform
vectors if even those are too few. A child that was trained at this rung before is made again, up to `tries` times, and
then replaced by a uniform new cell: a table would answer the same again. The level after one in which everything failed
is left out. Only scores of one rung are compared; with a single fidelity this is differential evolution.

The recommendation is the best cell at the highest rung reached, as in `hyperband`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from nasbench_lab.core import FloatArray, Query, Result
from nasbench_lab.strategies.bandits._brackets import Bracket, rungs_of
from nasbench_lab.strategies.bandits.hyperband import Hyperband


class _Member:
    """A place in a population: a vector and its score, minus infinity before it is known."""

    def __init__(self, vector: FloatArray) -> None:
        self.vector, self.score = vector, -math.inf


@dataclass
class Dehb(Hyperband):
    """Differential evolution and Hyperband.

    Attributes:
        population: least size of a population; 3 is the least that rand/1 can mix.
        factor: F, what the difference of two vectors is multiplied by.
        crossover: CR, probability that a coordinate comes from the mutant.
        tries: how often a child that was trained before is made again.
    """

    population: int = 3
    factor: float = 0.5
    crossover: float = 0.5
    tries: int = 10

    paper = "Awad et al. 2021, arXiv:2105.09821"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.population < 1 or self.tries < 1:
            raise ValueError(f"population and tries must be at least 1, got {self.population}, {self.tries}")
        if self.factor <= 0 or not 0 <= self.crossover <= 1:
            raise ValueError(f"need factor > 0 and 0 <= crossover <= 1, got {self.factor}, {self.crossover}")

    def setup(self) -> None:
        super().setup()
        self._options = np.array(self.task.space.options)
        self._rungs = rungs_of(self.task.fidelities, self.eta)
        self._capacity = self._capacities()
        self._populations: dict[int, list[_Member]] = {epochs: [] for epochs in self._rungs}
        self._turn = dict.fromkeys(self._rungs, 0)
        self._trained: dict[int, set[int]] = {epochs: set() for epochs in self._rungs}
        self._children: dict[Query, deque[tuple[_Member, FloatArray]]] = {}

    def pick(self, bracket: Bracket) -> int | None:
        epochs = bracket.epochs
        population = self._populations[epochs]
        if len(population) < self._capacity[epochs]:
            arch = super().pick(bracket)
            if arch is None:
                return None
            vector = self._vector(arch)
            member = _Member(vector)
            population.append(member)
        else:
            member = population[self._turn[epochs] % len(population)]
            self._turn[epochs] += 1
            made = self._child(member, bracket)
            if made is None:
                return None
            arch, vector = made
        self._trained[epochs].add(arch)
        self._children.setdefault(Query(arch, epochs), deque()).append((member, vector))
        return arch

    def observe(self, result: Result) -> None:
        waiting = self._children.get(result.query)
        if waiting:
            member, vector = waiting.popleft()
            if not waiting:
                del self._children[result.query]
            if result.score >= member.score:
                member.vector, member.score = vector, result.score
        super().observe(result)

    def _child(self, target: _Member, bracket: Bracket) -> tuple[int, FloatArray] | None:
        """A child that was not trained at this rung, and its vector; else a uniform new cell; None if there is none."""
        parents = self._parents(bracket)
        for _ in range(self.tries):
            vector = self._crossed(target.vector, self._mutant(parents))
            arch = self._arch(vector)
            if arch not in self._trained[bracket.epochs]:
                return arch, vector
        new = self.begin()
        return None if new is None else (new, self._vector(new))

    def _parents(self, bracket: Bracket) -> list[FloatArray]:
        """At least three vectors: the best of the rung below, or of the first rung of the bracket itself."""
        source = self._populations[bracket.rungs[max(bracket.level - 1, 0)]]
        ranked = sorted(source, key=lambda member: -member.score)[: bracket.sizes[bracket.level]]
        parents = [member.vector for member in ranked]
        missing = 3 - len(parents)
        if missing > 0:
            everyone = [member.vector for population in self._populations.values() for member in population]
            parents += [everyone[i] for i in self.rng.permutation(len(everyone))[:missing].tolist()]
        while len(parents) < 3:
            parents.append(self.rng.random(len(self._options)))
        return parents

    def _mutant(self, parents: list[FloatArray]) -> FloatArray:
        first, second, third = (parents[i] for i in self.rng.choice(len(parents), size=3, replace=False).tolist())
        mutant = first + self.factor * (second - third)
        outside = (mutant < 0) | (mutant >= 1)
        return np.where(outside, self.rng.random(len(mutant)), mutant)

    def _crossed(self, target: FloatArray, mutant: FloatArray) -> FloatArray:
        taken = self.rng.random(len(target)) < self.crossover
        taken[int(self.rng.integers(len(target)))] = True
        return np.where(taken, mutant, target)

    def _vector(self, arch: int) -> FloatArray:
        """A vector that stands for a cell, uniform within it."""
        vector: FloatArray = (np.array(self.task.space.row(arch)) + self.rng.random(len(self._options))) / self._options
        return vector

    def _arch(self, vector: FloatArray) -> int:
        choices = np.minimum(
            (vector * self._options).astype(np.int64), self._options - 1
        )  # a coordinate may round to 1
        return self.task.space.closest(choices.tolist(), self.rng)

    def _capacities(self) -> dict[int, int]:
        """The largest size of every rung over the brackets."""
        brackets = [self.bracket(number) for number in range(len(self._rungs))]
        pairs = [pair for bracket in brackets for pair in zip(bracket.rungs, bracket.sizes, strict=True)]
        return {epochs: max(self.population, *(size for own, size in pairs if own == epochs)) for epochs in self._rungs}
