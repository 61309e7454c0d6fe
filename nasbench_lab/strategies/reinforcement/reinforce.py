"""REINFORCE with one softmax per decision (Zoph & Le, ICLR 2017, as NAS-Bench-201 runs it: no recurrent controller).

Loss of a sample: -log p(cell) * (val - baseline), the baseline an exponential moving average with bias correction
that already includes the sample's own reward; Adam (Kingma & Ba 2015, algorithm 1) on the logits. Settings of
NAS-Bench-201: learning rate 0.01 (its paper; 0.5 in an old script converges far too soon), momentum 0.9.

Deviation: with several workers a late result's gradient is taken at the current policy. A failed result is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench_lab.core import FloatArray, Query, Result, Strategy
from nasbench_lab.strategies.reinforcement._policy import Softmaxes


@dataclass
class Reinforce(Strategy):
    """Policy gradient over independent categorical decisions.

    Attributes:
        learning_rate: Adam's step size on the logits.
        momentum: decay of the moving-average baseline, in [0, 1).
    """

    learning_rate: float = 0.01
    momentum: float = 0.9

    paper = "Zoph & Le 2017, arXiv:1611.01578"

    def __post_init__(self) -> None:
        if not 0 < self.learning_rate < np.inf or not 0 <= self.momentum < 1:
            raise ValueError(
                f"need a finite learning_rate > 0 and 0 <= momentum < 1, got {self.learning_rate}, {self.momentum}"
            )

    def setup(self) -> None:
        self._policy = Softmaxes(self.task.space.options, self.learning_rate, self.rng)
        self._baseline = (0.0, 0.0)  # weighted sum of rewards, sum of weights

    def propose(self) -> Query:
        return Query(self.task.space.closest(self._policy.sample(self.rng), self.rng), self.task.full)

    def observe(self, result: Result) -> None:
        if result.val != result.val:
            return
        keep, total = self.momentum, self._baseline
        self._baseline = keep * total[0] + (1 - keep) * result.val, keep * total[1] + (1 - keep)
        advantage = result.val - self._baseline[0] / self._baseline[1]
        # d(-log p)/d logits = probabilities - one_hot(choice)
        gradient = advantage * self._policy.probabilities
        gradient[self._policy.edges, self.task.space.row(result.query.arch)] -= advantage
        self._policy.descend(gradient)

    @property
    def probabilities(self) -> FloatArray:
        """(decisions, options) the policy."""
        return self._policy.probabilities.copy()
