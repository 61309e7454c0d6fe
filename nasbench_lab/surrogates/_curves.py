"""What the beginning of a learning curve says of its end: (n, k) validation scores after k ascending epochs -> (n,) numbers.

    last        the last score there is: what successive halving ranks by
    best        the highest so far
    mean        over the epochs so far: the counterpart, in scores, of the sum of training losses (SoTL, Ru et al., NeurIPS 2021,
                arXiv:2006.04492); tables keep scores, not losses
    power       y(t) = c - a t^(-b) with a >= 0 through the curve by least squares, read at the end: the family "pow3" of
                Domhan et al., IJCAI 2015 (their eleven families and MCMC are not done)
    regression  ridge regression of the end on the scores so far and their differences, as learned from curves that are
                known to the end (after Baker et al. 2017, arXiv:1705.10823, who use a nu-SVR); penalty by cross-validation

`power` is used from three points on, as two determine no exponent.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.spaces.frozen import frozen

FloatArray = NDArray[np.float64]
POINTS = 3  # of a curve, before a power law is fitted
_EXPONENTS = frozen(np.geomspace(0.05, 5.0, 60))  # candidates for b
_PENALTIES = frozen(np.geomspace(1e-4, 1e3, 15))  # per curve, of standardised columns
_FOLDS = 10


def power(epochs: FloatArray, curves: FloatArray, at: float) -> FloatArray:
    """The least-squares power law through every curve, k >= 2, at epoch `at`."""
    basis = -(epochs ** -_EXPONENTS[:, None])  # (exponents, k), rising
    centred, deviation = basis - basis.mean(axis=1, keepdims=True), curves - curves.mean(axis=1, keepdims=True)
    rise = np.maximum(deviation @ centred.T / (centred**2).sum(axis=1), 0.0)  # (n, exponents)
    errors = ((deviation[:, None, :] - rise[:, :, None] * centred) ** 2).sum(axis=2)
    best = np.argmin(errors, axis=1)
    gain = -(at**-_EXPONENTS) - basis.mean(axis=1)
    return np.asarray(curves.mean(axis=1) + rise[np.arange(len(curves)), best] * gain[best])


def regression(curves: FloatArray, known: FloatArray, ends: FloatArray) -> FloatArray:
    """The end of every curve, as (m, k) others with ends (m,) have taught it; m >= 2."""
    x, new = (np.concatenate([part, np.diff(part, axis=1)], axis=1) for part in (known, curves))
    centre, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    x, new = (x - centre) / spread, (new - centre) / spread
    fold = np.arange(len(x)) % min(_FOLDS, len(x))
    losses = np.zeros(len(_PENALTIES))
    for held in range(int(fold.max()) + 1):
        own = fold != held
        losses += [
            float(((_ridge(x[own], ends[own], each, x[~own]) - ends[~own]) ** 2).sum()) for each in _PENALTIES.tolist()
        ]
    return _ridge(x, ends, float(_PENALTIES[int(np.argmin(losses))]), new)


def _ridge(x: FloatArray, y: FloatArray, penalty: float, new: FloatArray) -> FloatArray:
    centre = x.mean(axis=0)
    square = (x - centre).T @ (x - centre) + penalty * len(x) * np.eye(x.shape[1])
    weights = np.linalg.solve(square, (x - centre).T @ (y - y.mean()))
    return np.asarray(y.mean() + (new - centre) @ weights)
