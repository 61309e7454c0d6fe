"""Q-learning over the sequence of decisions, with experience replay and falling epsilon (MetaQNN, Baker et al. 2017).

A cell is built decision by decision; state = (which decision, the last `memory` options taken), the reward comes with
the last decision, the discount is 1. Every answer goes into the replay memory; then `replay` remembered cells are drawn
with replacement and gone over from the last decision to the first:

    Q(s, a) += learning_rate * (r + max Q(s', .) - Q(s, a))

Q starts at 0.5 (rewards are accuracies in 0..1; of scores that are not percent, where they lie between the least and the
largest reward so far). Epsilon is 1 for the first `uniform` of the budget, queries or seconds
(`_budget.py`), then falls from 0.9 to 0.1 in MetaQNN's proportions (100 cells each down to 0.7, then 150 each).
MetaQNN's state is the last layer and its depth; memory = 1 is its counterpart, and a memory of all decisions makes the
state the whole partial cell. MetaQNN itself, made for 2700 cells, is learning_rate=0.01,uniform=0.5556,shaped=false;
the defaults suit a few hundred (chosen on the table `digits`).

BlockQNN's (Zhong et al. 2018, arXiv:1708.05552) two shapings: `shaped` gives every decision an equal part of the reward
instead of all to the last; `cost`, off by default, takes cost_weight * log(cost) off the accuracy in percent (it used
FLOPs with weight 1; its term for the block's density is left out).

Deviations: replayed cells are drawn whole and the newest is not gone over first; ties of Q are broken at random. A
failed result is not learned from. The recommended cell is the best by validation, whatever the cost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nasbench_lab.core import LabError, Query, Result, Strategy
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.strategies._budget import Budget

# MetaQNN's schedule after the uniform phase: epsilon and the cells trained with it.
_FALLING = ((0.9, 100), (0.8, 100), (0.7, 100), (0.6, 150), (0.5, 150), (0.4, 150), (0.3, 150), (0.2, 150), (0.1, 150))
_EPSILONS = frozen(np.array([epsilon for epsilon, _ in _FALLING]))
_ENDS = frozen(np.cumsum([cells for _, cells in _FALLING]) / 1200)  # shares of that phase, each ends an epsilon
_START = 0.5  # of all Q values

State = tuple[int, ...]  # the decision, then the last options taken


@dataclass
class QLearning(Strategy):
    """Tabular Q-learning.

    Attributes:
        learning_rate: step of an update, in (0, 1].
        replay: remembered cells gone over after every answer.
        memory: how many of the last options belong to the state.
        uniform: share of the budget with epsilon 1, in [0, 1).
        cost: name of a known cost of the cells ("flops_m", "params_m") that is taken off the reward; "" for none.
        cost_weight: points of the score that a cost e times as large is worth.
        shaped: every decision gets its part of the reward.
    """

    learning_rate: float = 0.2
    replay: int = 100
    memory: int = 1
    uniform: float = 0.1
    cost: str = ""
    cost_weight: float = 1.0
    shaped: bool = True

    paper = "Baker et al. 2017, arXiv:1611.02167"

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate <= 1 or self.replay < 1 or self.memory < 0:
            got = f"{self.learning_rate}, {self.replay}, {self.memory}"
            raise ValueError(f"need 0 < learning_rate <= 1, replay >= 1, memory >= 0, got {got}")
        if not 0 <= self.uniform < 1 or not math.isfinite(self.cost_weight):
            raise ValueError(f"need 0 <= uniform < 1 and a finite cost_weight, got {self.uniform}, {self.cost_weight}")

    def setup(self) -> None:
        if self.cost and self.cost not in self.task.known:
            known = ", ".join(self.task.known) or "none"
            raise LabError(f"q_learning: cost must be known of all cells; known are: {known}; got {self.cost!r}")
        self._values: dict[State, list[float]] = {}
        self._memory: list[tuple[int, float]] = []  # cell, reward
        self._seen = (math.inf, -math.inf)  # the least and the largest reward
        self._budget = Budget(self.task)

    def propose(self) -> Query:
        self._budget.asked()
        epsilon, row = self.epsilon, []
        for decision, count in enumerate(self.task.space.options):
            if self.rng.random() < epsilon:
                row.append(int(self.rng.integers(count)))
            else:
                row.append(self._greedy(self.values(self._state(decision, tuple(row)))))
        return Query(self.task.space.closest(row, self.rng), self.task.full)

    def observe(self, result: Result) -> None:
        self._budget.told(result)
        reward = self._reward(result)
        if math.isfinite(reward):
            self._memory.append((result.query.arch, reward))
            self._seen = min(reward, self._seen[0]), max(reward, self._seen[1])
        if self._memory:
            for i in self.rng.integers(len(self._memory), size=self.replay).tolist():
                arch, reward = self._memory[i]
                self._update(arch, self._scaled(reward))

    @property
    def epsilon(self) -> float:
        """How often a decision is uniform, at this point of the budget."""
        falling = (self._budget.fraction - self.uniform) / (1 - self.uniform)
        if falling < 0:
            return 1.0
        return float(_EPSILONS[np.searchsorted(_ENDS[:-1], falling, side="right")])

    def values(self, state: State) -> list[float]:
        """Q of every option in a state."""
        if state not in self._values:
            self._values[state] = [_START] * self.task.space.options[state[0]]
        return self._values[state]

    def _state(self, decision: int, row: tuple[int, ...]) -> State:
        return (decision, *row[max(0, decision - self.memory) : decision])

    def _greedy(self, values: list[float]) -> int:
        best = max(values)
        equal = [option for option, value in enumerate(values) if value == best]
        return equal[int(self.rng.integers(len(equal)))] if len(equal) > 1 else equal[0]

    def _reward(self, result: Result) -> float:
        reward = result.val
        if self.cost:
            cost = float(self.task.known[self.cost][result.query.arch])
            reward -= self.cost_weight * (math.log(cost) if cost > 0 else math.nan)
        return reward

    def _scaled(self, reward: float) -> float:
        """As Q holds it."""
        if self.task.unit == "%":
            return reward / 100
        low, high = self._seen
        return (reward - low) / (high - low) if high > low else _START

    def _update(self, arch: int, reward: float) -> None:
        row = self.task.space.row(arch)
        part = reward / len(row) if self.shaped else 0.0
        ahead = part if self.shaped else reward  # r + max Q(s', .), where s' is the end
        for decision in range(len(row) - 1, -1, -1):
            values = self.values(self._state(decision, row))
            values[row[decision]] += self.learning_rate * (ahead - values[row[decision]])
            ahead = part + max(values)
