"""Bayesian linear regression on path features: closed form, variances by maximum evidence (MacKay 1992).

Weights have the prior N(0, 1 / alpha), targets the noise 1 / beta; alpha and beta maximise the evidence by MacKay's
fixed point, in the eigenbasis of the d x d moment matrix, so an iteration costs O(d). The intercept has a flat prior.

    covariance of the weights  S = (alpha I + beta X'X)^-1     mean  m = beta S X't     gamma = d - alpha tr S
    alpha = gamma / m'm        beta = (n - gamma) / |t - X m|^2

The predictive variance is exact under this model, which is wrong in one respect: what is not linear is not independent
noise. It is multiplied such that 90% intervals cover the leave-one-out errors, which are known in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import encodings
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.surrogates._rows import LEAST_NOISE, NINE_TENTHS, RowModel
from nasbench_lab.surrogates._scale import check_targets

_LARGEST = 1e6  # of alpha
_PRIOR = 8.0  # leave-one-out errors that the factor 1 counts as
_CONVERGED = 1e-4  # relative change of both


@dataclass
class BayesLinear(RowModel):
    """Bayesian ridge regression.

    Attributes:
        features: the rows it learns from, a name of `spaces.encodings.FEATURES` (structure_paths, path, one_hot, ...).
        targets: transform of the scores, a name of `_targets.TRANSFORMS` (blended, rank_gauss, standardised, ...), or none.
        iterations: of the fixed point, at most.
    """

    features: str = "structure_paths"
    targets: str = "blended"
    iterations: int = 100

    def __post_init__(self) -> None:
        encodings.check(self.features)
        check_targets(self.targets)
        if self.iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {self.iterations}")

    def _learn(self, rows: IntArray, targets: FloatArray, rng: np.random.Generator) -> None:
        """No randomness: `rng` is not needed."""
        seen = self.inputs_[rows]
        self.middle_, self.offset_, self.count_ = seen.mean(axis=0), float(targets.mean()), len(rows)
        centred, residual = seen - self.middle_, targets - self.offset_
        values, self.basis_ = np.linalg.eigh(centred.T @ centred)
        values = np.maximum(values, 0.0)
        projected = self.basis_.T @ (centred.T @ residual)
        self.alpha_, self.beta_ = self._evidence(values, projected, float(residual @ residual))
        self.variances_: FloatArray = 1.0 / (self.alpha_ + self.beta_ * values)
        self.weights_: FloatArray = self.basis_ @ (self.beta_ * self.variances_ * projected)
        self.factor_ = self._factor(centred, residual)

    def _evidence(self, values: FloatArray, projected: FloatArray, total: float) -> tuple[float, float]:
        """The variances; `projected` is X't in the eigenbasis of X'X, `total` is t't."""
        alpha, beta = 1.0, 1.0 / max(total / self.count_, LEAST_NOISE)
        for _ in range(self.iterations):
            before = alpha, beta
            shrunk = 1.0 / (alpha + beta * values)
            mean = beta * shrunk * projected
            gamma = float((beta * values * shrunk).sum())
            error = max(total - 2.0 * float(mean @ projected) + float(values @ mean**2), 0.0)
            alpha = min(gamma / max(float(mean @ mean), 1.0 / _LARGEST), _LARGEST) or 1.0 / _LARGEST
            beta = min(max(self.count_ - gamma, 1e-3) / max(error, 1.0 / _LARGEST), 1.0 / LEAST_NOISE)
            if np.allclose((alpha, beta), before, rtol=_CONVERGED, atol=0.0):
                break
        return alpha, beta

    def _factor(self, centred: FloatArray, residual: FloatArray) -> float:
        """What the variance is multiplied by: squared standardised leave-one-out errors against a normal's; 1 for few.

        Hyper-parameters are kept. With h the leverage, the error is r / (1 - h), its predicted variance 1 / (beta (1 - h)).
        """
        leverage = self.beta_ * ((centred @ self.basis_) ** 2 @ self.variances_) + 1.0 / self.count_
        errors = residual - centred @ self.weights_
        squares = self.beta_ * errors**2 / np.maximum(1.0 - leverage, 1e-3)
        found = float(np.quantile(squares, 0.9)) / NINE_TENTHS
        return (self.count_ * found + _PRIOR) / (self.count_ + _PRIOR)

    def _moments(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        centred = self.inputs_[rows] - self.middle_
        variance = (centred @ self.basis_) ** 2 @ self.variances_ + (1.0 + 1.0 / self.count_) / self.beta_
        return self.offset_ + centred @ self.weights_, np.sqrt(self.factor_ * variance)

    def sample(self, archs: NDArray[np.int64], rng: np.random.Generator) -> FloatArray:
        """(m,) scores under one draw of the weights for all cells: linear Thompson sampling (Agrawal & Goyal 2013)."""
        rows, back = self._asked(archs)
        # by the symmetric root of their covariance: the basis itself, signs and all, is a processor's own
        normal = self.basis_.T @ rng.standard_normal(len(self.variances_))
        drawn = self.basis_ @ (np.sqrt(self.factor_ * self.variances_) * normal)
        level = self.offset_ + np.sqrt(self.factor_ / (self.beta_ * self.count_)) * rng.standard_normal()
        return self.scale_.back(level + (self.inputs_[rows] - self.middle_) @ (self.weights_ + drawn))[back]
