"""Reinforced evolution: ageing evolution whose mutations are chosen by a learned policy (RENAS, Chen et al. 2018).

A mutation is a move (decision e, old option o -> new option o'). All moves of a parent compete in one softmax with the
logits theta[e, o'] - theta[e, o]: what theta has learned to think of the new option over the old. A child's reward is 1
if it is better than its parent, else 0; theta follows the policy gradient (REINFORCE, a moving-average baseline, Adam).

Deviations: RENAS's controller is a recurrent network that reads the parent, points at a place and picks what to put
there; ours is this table. The evolution around it is the ageing one of `regularized_evolution` (same defaults), so
that the two differ in the choice of mutations alone. RENAS rewards accuracy; better or not needs no scale and lets no
broken cell drown the rest. Children are evaluated from scratch, they inherit no weights. A late result's gradient is
taken at the current policy. The learning rate was chosen on the table `digits`.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from nasbench_lab.core import FloatArray, Query, Result, Strategy
from nasbench_lab.strategies.reinforcement._policy import Adam, softmax


@dataclass
class ReinforcedEvolution(Strategy):
    """Ageing evolution with a learned mutation.

    Attributes:
        population: cells alive; also the size of the uniform initial design.
        sample: tournament size.
        learning_rate: Adam's step size on theta.
        momentum: decay of the moving-average baseline, in [0, 1).
    """

    population: int = 10
    sample: int = 3
    learning_rate: float = 0.05
    momentum: float = 0.9

    paper = "Chen et al. 2018, arXiv:1808.00193"

    def __post_init__(self) -> None:
        if not 1 <= self.sample <= self.population:
            raise ValueError(f"need 1 <= sample <= population, got {self.sample} and {self.population}")
        if not 0 < self.learning_rate < math.inf or not 0 <= self.momentum < 1:
            raise ValueError(
                f"need a finite learning_rate > 0 and 0 <= momentum < 1, got {self.learning_rate}, {self.momentum}"
            )

    def setup(self) -> None:
        options = self.task.space.options
        self._moves = np.array([(e, option) for e, count in enumerate(options) for option in range(count)])
        self._theta = np.zeros((len(options), max(options)))
        self._adam = Adam(self._theta.shape, self.learning_rate)
        self._baseline = (0.0, 0.0)  # weighted sum of rewards, sum of weights
        self._alive: deque[tuple[float, int]] = deque(maxlen=self.population)
        self._parents: dict[int, list[tuple[float, int]]] = {}  # child asked for -> its parents, in order of asking
        self._asked = 0

    def propose(self) -> Query | None:
        if self._asked and self.task.space.size == 1:
            return None
        self._asked += 1
        if self._asked <= self.population or not self._alive:
            return Query(self.design(), self.task.full)
        parent = self._winner()
        if not self.task.space.neighbours_of(parent[1]):  # of a listed space: no move to learn of
            return Query(self.task.space.mutate(parent[1], self.rng), self.task.full)
        child = self._mutate(parent[1])
        self._parents.setdefault(child, []).append(parent)
        return Query(child, self.task.full)

    def observe(self, result: Result) -> None:
        arch = result.query.arch
        if self._parents.get(arch):
            score, parent = self._parents[arch].pop(0)
            self._learn(parent, arch, float(result.score > score))
        self._alive.append((result.score, arch))

    def chances(self, parent: int) -> tuple[FloatArray, FloatArray]:
        """The moves (M, 2), decision and new option, that a parent has, and their probabilities (M,)."""
        row = np.array(self.task.space.row(parent))
        moves = self._moves[self._moves[:, 1] != row[self._moves[:, 0]]]
        edges, new = moves.T
        if self.task.space.listed is not None:  # only what exists
            rows = np.repeat(row[None], len(moves), axis=0)
            rows[np.arange(len(moves)), edges] = new
            moves = moves[self.task.space.found(rows) >= 0]
            edges, new = moves.T
        return moves, softmax(self._theta[edges, new] - self._theta[edges, row[edges]])

    def _winner(self) -> tuple[float, int]:
        """The best of `sample` draws with replacement; the first drawn of equals."""
        draws = self.rng.integers(len(self._alive), size=self.sample).tolist()
        return max((self._alive[i] for i in draws), key=lambda member: member[0])

    def _mutate(self, parent: int) -> int:
        moves, chances = self.chances(parent)
        drawn = int(np.searchsorted(chances.cumsum()[:-1], self.rng.random(), side="right"))
        edge, option = moves[drawn].tolist()
        row = list(self.task.space.row(parent))
        row[edge] = option
        return self.task.space.index(row)

    def _learn(self, parent: int, child: int, reward: float) -> None:
        keep, total = self.momentum, self._baseline
        self._baseline = keep * total[0] + (1 - keep) * reward, keep * total[1] + (1 - keep)
        advantage = reward - self._baseline[0] / self._baseline[1]
        self._theta = self._theta - self._adam.step(-advantage * self._score_function(parent, child))

    def _score_function(self, parent: int, child: int) -> FloatArray:
        """(E, O) gradient of log P(parent -> child) with respect to theta."""
        old, new = np.array(self.task.space.row(parent)), np.array(self.task.space.row(child))
        moves, chances = self.chances(parent)
        edges, options = moves.T
        weights = (new[edges] == options) - chances
        gradient = np.zeros_like(self._theta)
        gradient[edges, options] = weights
        np.subtract.at(gradient, (edges, old[edges]), weights)
        return gradient
