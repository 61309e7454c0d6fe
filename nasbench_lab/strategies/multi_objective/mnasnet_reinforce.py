"""MnasNet's reward for REINFORCE: accuracy times a soft constraint on latency (Tan et al., CVPR 2019).

    reward = val * product over the other objectives of (cost / target) ** w        w = alpha up to the target, beta beyond

"soft" is the paper's alpha = beta = -0.07 (a model of twice the latency must be 5% more accurate), "hard" its alpha = 0,
beta = -1. "linear" is MONAS' mixed reward (Hsu et al. 2018, arXiv:1806.10332): share * val / 100 - (1 - share) * cost, the
cost in units of the target, the mean over several. Everything else is `reinforce`; on a task with one objective the
reward is the accuracy and the two are the same. Where less is better, an error say, the product is of the error and of
(target / cost) ** w, and the reward its negative: a model of twice the latency must have 5% less of it. The linear reward
of scores that are not percent takes them in units of the median size of the first results'.

Deviations: REINFORCE on one softmax per decision where the paper trains a recurrent controller by PPO. The paper's target
is a number somebody wants; where none is given it is the median cost of the first results, which teach nothing
until it is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from nasbench_lab.core import FloatArray, Result
from nasbench_lab.spaces.frozen import ReadOnly
from nasbench_lab.strategies.multi_objective._pareto import costs_of
from nasbench_lab.strategies.reinforcement.reinforce import Reinforce

Reward = Literal["soft", "hard", "linear"]
_EXPONENTS = ReadOnly({"soft": (-0.07, -0.07), "hard": (0.0, -1.0)})  # alpha, beta


@dataclass
class MnasnetReinforce(Reinforce):
    """Policy gradient on one number made of all objectives.

    Attributes:
        reward: "soft", "hard" or "linear".
        target: of the first objective after "val", in its unit; 0: the median of the first `warm_up` results. Other
            objectives always get their median.
        share: of accuracy in the linear reward.
        warm_up: results that make the median.
    """

    reward: Reward = "soft"
    target: float = 0.0
    share: float = 0.5
    warm_up: int = 10

    paper = "Tan et al. 2019, arXiv:1807.11626"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reward not in get_args(Reward):
            raise ValueError(f"reward must be one of {', '.join(get_args(Reward))}, got {self.reward!r}")
        if not 0 <= self.target < np.inf or not 0 <= self.share <= 1 or self.warm_up < 1:
            raise ValueError(
                "need a finite target >= 0, share in [0, 1] and warm_up >= 1, "
                f"got {self.target}, {self.share}, {self.warm_up}"
            )

    def setup(self) -> None:
        super().setup()
        self._targets: FloatArray | None = np.ones(0) if len(self.task.objectives) == 1 else None
        self._waiting: list[tuple[Result, FloatArray]] = []
        self._unit = 100.0  # of scores, in the linear reward

    def observe(self, result: Result) -> None:
        costs = costs_of(result, self.task)
        if costs is None:
            return
        self._waiting.append((result, np.maximum(costs[1:], 1e-12)))
        if self._targets is None and len(self._waiting) >= self.warm_up:
            self._targets = np.median([cost for _, cost in self._waiting], axis=0)
            self._targets[0] = self.target or self._targets[0]
            if self.task.unit != "%":
                self._unit = float(np.median([abs(held.val) for held, _ in self._waiting])) or 1.0
        if self._targets is not None:
            for held, cost in self._waiting:
                super().observe(held._replace(val=self._reward(held.val, cost / self._targets)))
            self._waiting.clear()

    def _reward(self, val: float, ratios: FloatArray) -> float:
        """One number of a score, larger is better, and (m - 1,) costs in units of their targets."""
        if not len(ratios):
            return val
        if self.reward == "linear":
            return self.share * val / self._unit - (1.0 - self.share) * float(ratios.mean())
        within, beyond = _EXPONENTS[self.reward]
        constraint = float(np.prod(ratios ** np.where(ratios <= 1.0, within, beyond)))
        return val * constraint if val >= 0 else val / constraint
