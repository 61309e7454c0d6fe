"""What policy-gradient strategies share: softmax policies over decisions, and Adam on their logits.

Notation: E decisions, O = the largest number of options. Logits are (E, O); an option that a decision does not have
has the logit -inf, hence probability 0 and gradient 0. Adam: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1.
"""

from __future__ import annotations

import numpy as np

from nasbench_lab.core import FloatArray

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8  # Adam's defaults


class Adam:
    """Adam's step for an array of any shape; it keeps the moments, not the array."""

    def __init__(self, shape: tuple[int, ...], learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self._first, self._second = np.zeros(shape), np.zeros(shape)
        self._steps = 0

    def step(self, gradient: FloatArray) -> FloatArray:
        """What to subtract from the array, for the gradient of a loss."""
        self._steps += 1
        self._first = _BETA1 * self._first + (1 - _BETA1) * gradient
        self._second = _BETA2 * self._second + (1 - _BETA2) * gradient**2
        first = self._first / (1 - _BETA1**self._steps)
        second = self._second / (1 - _BETA2**self._steps)
        change: FloatArray = self.learning_rate * first / (np.sqrt(second) + _EPSILON)
        return change


class Softmaxes:
    """One independent softmax per decision, trained by Adam; starts nearly uniform (logits N(0, 1e-3)).

    Attributes:
        probabilities: (E, O) the policy; replaced, never changed in place.
    """

    def __init__(self, options: tuple[int, ...], learning_rate: float, rng: np.random.Generator) -> None:
        absent = np.arange(max(options)) >= np.array(options)[:, None]
        self.edges = np.arange(len(options))
        self._logits: FloatArray = np.where(absent, -np.inf, 1e-3 * rng.standard_normal(absent.shape))
        self._adam = Adam(absent.shape, learning_rate)
        self._refresh()

    def sample(self, rng: np.random.Generator) -> list[int]:
        """An option for every decision, drawn from the policy."""
        draws = rng.random(len(self.edges))
        choices: list[int] = (self._cumulative <= draws[:, None]).sum(axis=1).tolist()
        return choices

    def descend(self, gradient: FloatArray) -> None:
        """One step of Adam against the (E, O) gradient of a loss with respect to the logits."""
        self._logits = self._logits - self._adam.step(gradient)
        self._refresh()

    def _refresh(self) -> None:
        self.probabilities = softmax(self._logits)
        self._cumulative = self.probabilities.cumsum(axis=1)[:, :-1]


def softmax(logits: FloatArray) -> FloatArray:
    """Along the last axis; -inf becomes 0."""
    weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
    probabilities: FloatArray = weights / weights.sum(axis=-1, keepdims=True)
    return probabilities
