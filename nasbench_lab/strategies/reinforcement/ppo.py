"""PPO with one softmax per decision: batches of cells, the clipped objective, an entropy bonus (as NASNet's search).

NASNet (Zoph et al. 2018) trained its controller by PPO (Schulman et al. 2017, arXiv:1707.06347, equation 7). A batch is
`batch` answered cells; it is gone over `epochs` times, each a step of Adam on

    -mean over cells and decisions of min(r A, clip(r, 1 - clip, 1 + clip) A)  -  entropy * mean entropy of a decision

with r the probability of the option taken now over that when the cell was asked for, A the cell's advantage.

Deviations: no recurrent controller, decisions are independent; A is the validation score standardised within the batch,
where NASNet subtracts a moving average; NASNet's batch is 20 and its Adam rate 0.00035 for some 20,000 cells, the
defaults here suit a few hundred (chosen on the table `digits`). A late result keeps the probabilities it was asked with.
A failed result is ignored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray, Query, Result, Strategy
from nasbench_lab.strategies.reinforcement._policy import Softmaxes


@dataclass
class PPO(Strategy):
    """Proximal policy optimisation over independent categorical decisions.

    Attributes:
        batch: answered cells per update, at least 2.
        epochs: passes over a batch.
        learning_rate: Adam's step size on the logits.
        clip: how far a probability ratio may go before its gain stops counting.
        entropy: weight of the entropy bonus; advantages have unit variance.
    """

    batch: int = 10
    epochs: int = 20
    learning_rate: float = 0.05
    clip: float = 0.2
    entropy: float = 0.01

    paper = "Zoph et al. 2018, arXiv:1707.07012; Schulman et al. 2017, arXiv:1707.06347"

    def __post_init__(self) -> None:
        if self.batch < 2 or self.epochs < 1:
            raise ValueError(f"need batch >= 2 and epochs >= 1, got {self.batch} and {self.epochs}")
        if not 0 < self.learning_rate < math.inf or not 0 < self.clip < math.inf or not 0 <= self.entropy < math.inf:
            got = f"{self.learning_rate}, {self.clip}, {self.entropy}"
            raise ValueError(f"need finite learning_rate > 0, clip > 0, entropy >= 0, got {got}")

    def setup(self) -> None:
        self._policy = Softmaxes(self.task.space.options, self.learning_rate, self.rng)
        self._asked: dict[int, list[FloatArray]] = {}  # cell -> probabilities of its options when asked for, (E,) each
        self._batch: list[tuple[int, FloatArray, float]] = []  # cell, the same probabilities, score

    def propose(self) -> Query:
        arch = self.task.space.closest(self._policy.sample(self.rng), self.rng)
        self._asked.setdefault(arch, []).append(self._chances(arch))
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        arch = result.query.arch
        waiting = self._asked.get(arch)
        before = waiting.pop(0) if waiting else self._chances(arch)
        if not waiting:
            self._asked.pop(arch, None)
        if result.val != result.val:
            return
        self._batch.append((arch, before, result.val))
        if len(self._batch) == self.batch:
            self._learn()
            self._batch = []

    @property
    def probabilities(self) -> FloatArray:
        """(decisions, options) the policy."""
        return self._policy.probabilities.copy()

    def _chances(self, arch: int) -> FloatArray:
        chances: FloatArray = self._policy.probabilities[self._policy.edges, self.task.space.row(arch)]
        return chances

    def _learn(self) -> None:
        choices = self.task.space.choices[[arch for arch, _, _ in self._batch]].astype(np.int64)
        before = np.stack([chances for _, chances, _ in self._batch])
        scores = np.array([score for _, _, score in self._batch])
        spread = scores.std()
        if not spread > 0:
            return
        advantages = (scores - scores.mean()) / spread
        for _ in range(self.epochs):
            self._policy.descend(self._gradient(choices, before, advantages))

    def _gradient(self, choices: NDArray[np.int64], before: FloatArray, advantages: FloatArray) -> FloatArray:
        """(E, O) gradient of the loss; `choices`, `before` (B, E), `advantages` (B,)."""
        p, edges = self._policy.probabilities, self._policy.edges
        ratio = p[edges, choices] / before
        gain = advantages[:, None]
        # Beyond the clip, on the side that would gain, the objective is flat.
        flat = np.where(gain > 0, ratio > 1 + self.clip, ratio < 1 - self.clip)
        pull = np.where(flat, 0.0, gain * ratio) / choices.size
        gradient: FloatArray = pull.sum(axis=0)[:, None] * p
        np.subtract.at(gradient, (np.broadcast_to(edges, choices.shape), choices), pull)
        logs = np.log(p, where=p > 0, out=np.zeros_like(p))
        surprise = (p * logs).sum(axis=1, keepdims=True)  # minus the entropy of every decision
        gradient += self.entropy / len(edges) * p * (logs - surprise)
        return gradient
