"""Small fully connected networks, an ensemble trained at once: batched matrix products in numpy, gradients by hand.

Notation: M members, d inputs, B rows of a batch. A member has `depth` hidden layers of `width` ReLU units and two
outputs, mean and log variance. All members see the same batches, so the first layer is one product; what makes them
differ is where they start and which rows are withheld from them. At these sizes numpy is as fast as torch, whose
overhead per operation would dominate, and nothing needs to be imported. The gradient is tested against torch's.

Optimiser: AdamW (Loshchilov & Hutter 2019), learning rate falling to 0 along a half cosine.

Training amplifies what rounding leaves, so that networks fitted on two processors would differ. What is multiplied here is
therefore rounded to so few bits that sums of products are exact (`_rounded`), in whatever order and with whatever
instructions they are taken; all else is done number by number, which IEEE 754 fixes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray

Loss = Literal["mae", "mse", "nll"]
Float32 = NDArray[np.float32]
_FIRST, _SECOND = 0.9, 0.99  # decay of Adam's moments; the second is short as there are few steps
_LOG_VARIANCE = (-8.0, 3.0)
_DIGITS = 24  # bits of a float32
_CHUNK = 1024  # rows predicted at once: what fits the cache


@dataclass(frozen=True)
class Schedule:
    """How to train: optimiser steps, rows in a batch, highest learning rate, decoupled weight decay."""

    steps: int
    batch: int
    learning_rate: float
    weight_decay: float


class Ensemble:
    """M networks with their parameters in one vector.

    Args:
        inputs: d.
        width: hidden units of a layer.
        depth: hidden layers.
        members: M.
        rng: of the first weights (He et al. 2015; small ones at the output).
    """

    def __init__(self, inputs: int, width: int, depth: int, members: int, rng: np.random.Generator) -> None:
        sizes = [inputs, *[width] * depth, 2]
        self._shapes = [(members, a, b) for a, b in pairwise(sizes)]
        self._shapes += [(members, 1, b) for b in sizes[1:]]
        self._ends = list(accumulate(math.prod(shape) for shape in self._shapes))
        self.depth = depth
        self.vector: Float32 = np.zeros(self._ends[-1], dtype=np.float32)
        weights, biases = self.views(self.vector)
        for layer, weight in enumerate(weights):
            gain = 2.0 if layer < depth else 0.1
            weight[...] = rng.standard_normal(weight.shape) * np.sqrt(gain / weight.shape[1])
        for bias in biases[:-1]:
            bias[...] = rng.uniform(-0.3, 0.3, bias.shape)

    def views(self, vector: Float32) -> tuple[list[Float32], list[Float32]]:
        """Weights (M, in, out) and biases (M, 1, out) of each layer, as views into a vector like `self.vector`."""
        parts = zip([0, *self._ends], self._ends, self._shapes, strict=False)
        found = [vector[start:end].reshape(shape) for start, end, shape in parts]
        return found[: self.depth + 1], found[self.depth + 1 :]

    def _bits(self, rows: int = 0) -> int:
        """Bits of a factor that leave room for sums of as many products as there are rows, inputs or units of a layer."""
        terms = max(rows, *(max(shape[1:]) for shape in self._shapes))
        return (_DIGITS - math.ceil(math.log2(terms))) // 2

    def _layers(self, rows: Float32, weights: list[Float32], bits: int, axes: tuple[int, ...]) -> list[Float32]:
        """What every layer puts out, the input (B, d) first, then (M, B, units); all but the last one rounded."""
        layers = [_rounded(rows, bits, axes)]
        for i, (weight, bias) in enumerate(zip(weights, self.views(self.vector)[1], strict=True)):
            out = np.matmul(layers[-1], weight)
            out += bias
            if i < self.depth:
                np.maximum(out, 0.0, out=out)
                _round(out, np.maximum.reduce(out, axis=axes, keepdims=True), bits)
            layers.append(out)
        return layers

    def predict(self, rows: Float32) -> tuple[FloatArray, FloatArray]:
        """Mean and variance, (M, R) each, of rows (R, d)."""
        bits, starts = self._bits(), range(0, max(len(rows), 1), _CHUNK)
        weights = [_rounded(weight, bits, (-2, -1)) for weight in self.views(self.vector)[0]]
        # row by row: what is predicted of one does not depend on which others are asked for
        parts = [self._layers(rows[i : i + _CHUNK], weights, bits, (-1,))[-1] for i in starts]
        out = np.concatenate(parts, axis=1).astype(np.float64)
        return out[..., 0], np.exp(np.clip(out[..., 1], *_LOG_VARIANCE))

    def gradient(self, rows: Float32, targets: Float32, weights: Float32, loss: Loss, out: Float32) -> None:
        """Write into `out` the gradient of the sum over members and rows of weights (M, B) x loss."""
        bits = self._bits(len(rows))
        kernels = [_rounded(weight, bits, (-2, -1)) for weight in self.views(self.vector)[0]]
        layers = self._layers(rows, kernels, bits, (-2, -1))
        slope = _rounded(_slope(layers[-1], targets, weights, loss), bits, (-2, -1))
        to_weights, to_biases = self.views(out)
        for i in range(self.depth, -1, -1):
            below = layers[i]
            np.matmul(below.T if i == 0 else below.swapaxes(1, 2), slope, out=to_weights[i])
            np.add.reduce(slope, axis=1, keepdims=True, out=to_biases[i])
            if i:
                slope = np.matmul(slope, kernels[i].swapaxes(1, 2))
                slope *= below > 0
                slope = _rounded(slope, bits, (-2, -1))

    def train(
        self, rows: Float32, targets: Float32, use: Float32, loss: Loss, schedule: Schedule, rng: np.random.Generator
    ) -> None:
        """Fit to rows (n, d) and targets (n,); use (M, n) is 0 where a row is withheld from a member, else 1."""
        vector, gradient, change = self.vector, np.zeros_like(self.vector), np.zeros_like(self.vector)
        first, second = np.zeros_like(vector), np.zeros_like(vector)
        weights = vector[: self._ends[self.depth]]  # they come first, and they alone decay
        for step, batch in enumerate(_batches(len(rows), schedule, rng), start=1):
            self.gradient(rows[batch], targets[batch], use[:, batch] / np.float32(len(batch)), loss, gradient)
            rate = schedule.learning_rate * 0.5 * (1.0 + math.cos(math.pi * (step - 1) / schedule.steps))
            np.subtract(gradient, first, out=change)
            change *= 1.0 - _FIRST
            first += change
            np.multiply(gradient, gradient, out=change)
            change -= second
            change *= 1.0 - _SECOND
            second += change
            weights *= np.float32(1.0) - np.float32(rate) * np.float32(schedule.weight_decay)
            divisor = np.divide(second, 1.0 - _SECOND**step, out=gradient)
            np.sqrt(divisor, out=divisor)
            divisor += 1e-8
            np.multiply(first, rate / (1.0 - _FIRST**step), out=change)
            change /= divisor
            vector -= change


def _rounded(values: Float32, bits: int, axes: tuple[int, ...]) -> Float32:
    """Numbers as whole multiples, at most 2^bits, of a power of two that those along `axes` share."""
    out = np.abs(values)
    largest = np.maximum.reduce(out, axis=axes, keepdims=True)
    out[...] = values
    _round(out, largest, bits)
    return out


def _round(values: Float32, largest: Float32, bits: int) -> None:
    """In place: what is added to a number so much larger keeps no digits below the multiple."""
    beside = largest * np.float32(2.0 ** (_DIGITS - bits))
    values += beside
    values -= beside


def _batches(n: int, schedule: Schedule, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Rows of every step: each epoch deals all n rows, shuffled, into batches of about `batch`."""
    each = max(n // schedule.batch, 1)
    found: list[NDArray[np.int64]] = []
    while len(found) < schedule.steps:
        order = rng.permutation(n)
        found += [order[i::each] for i in range(each)]
    return found[: schedule.steps]


def _slope(out: Float32, targets: Float32, weights: Float32, loss: Loss) -> Float32:
    """(M, B, 2) derivative of the weighted loss by mean and log variance (0 where the loss has none)."""
    residual = out[..., 0] - targets
    slope = np.zeros_like(out)
    if loss == "nll":
        # in float64: of a processor's float32 exponential the last digit is its own
        precision = np.exp(-np.clip(out[..., 1].astype(np.float64), *_LOG_VARIANCE)).astype(np.float32)
        slope[..., 0] = weights * residual * precision
        slope[..., 1] = weights * 0.5 * (1.0 - residual**2 * precision)
    else:
        slope[..., 0] = weights * (np.sign(residual) if loss == "mae" else residual)
    return slope
