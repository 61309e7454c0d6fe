"""Transforms of scores into targets of about zero mean and unit spread, on which a Gaussian process is at home.

All are monotone, so that the best stays the best. `y` is (n,) finite scores in percent; the result is (n,).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.special import ndtri
from scipy.stats import rankdata

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces.frozen import ReadOnly

_SHARED = 9  # decimals of a logarithm or quantile that all C libraries agree on
_TAIL = 3.0  # `winsorised` cuts this many times the distance from best to median below the best


def rank_gauss(y: FloatArray) -> FloatArray:
    """Normal quantiles of the mid-ranks, Phi^-1((rank - 1/2) / n); equal scores share a rank."""
    return np.asarray(ndtri((rankdata(y) - 0.5) / len(y)), dtype=np.float64).round(_SHARED)


def known_quantiles(values: FloatArray) -> FloatArray:
    """(n,) `rank_gauss` of the finite values, 0 (the median one) where there is none."""
    out, there = np.zeros(len(values)), np.isfinite(values)
    if there.any():
        out[there] = rank_gauss(values[there])
    return out


def standardised(y: FloatArray) -> FloatArray:
    """Zero mean, unit standard deviation."""
    spread = float(np.std(y))
    return (y - np.mean(y)) / (spread if spread > 1e-12 * min(1.0, float(np.abs(y).max())) else 1.0)


def winsorised(y: FloatArray) -> FloatArray:
    """Standardised after the low tail is cut off at best - 3 (best - median)."""
    best = float(np.max(y))
    return standardised(np.maximum(y, best - _TAIL * (best - float(np.median(y)))))


def blended(y: FloatArray) -> FloatArray:
    """Standardised mean of `rank_gauss` and `winsorised`: ranks tame the tail, differences show the top."""
    return standardised(rank_gauss(y) + winsorised(y))


def _percentages(y: FloatArray) -> FloatArray:
    """Scores as percentages: those that are none (negative, above 100, none above 1) by their place from worst to best."""
    low, high = float(np.min(y)), float(np.max(y))
    if low >= 0.0 and 1.0 < high <= 100.0:
        return y
    spread = high - low
    return (y - low) * (100.0 / spread) if spread > 0 else np.full_like(y, 50.0)


def logit(y: FloatArray) -> FloatArray:
    """Standardised log odds of the accuracy."""
    share = np.clip(_percentages(y) / 100.0, 1e-3, 1 - 1e-3)
    return standardised(np.log(share / (1.0 - share)).round(_SHARED))


def log_error(y: FloatArray) -> FloatArray:
    """Minus the logarithm of the error in percent, standardised (Ru et al. 2021, NAS-BOWL)."""
    return standardised(-np.log(np.maximum(100.0 - _percentages(y), 1e-2)).round(_SHARED))


TRANSFORMS: Mapping[str, Callable[[FloatArray], FloatArray]] = ReadOnly(
    {
        "blended": blended,
        "rank_gauss": rank_gauss,
        "standardised": standardised,
        "winsorised": winsorised,
        "logit": logit,
        "log_error": log_error,
    }
)


class Inverse:
    """Targets back to scores: linear between those seen, and on at the mean slope of the outer tenth beyond them.

    Args:
        targets: (n,) what a transform made of `y`.
        y: (n,) scores in percent.
    """

    def __init__(self, targets: FloatArray, y: FloatArray) -> None:
        self._targets, first = np.unique(targets, return_index=True)
        self._y: FloatArray = np.maximum.accumulate(y[first])  # rounding may have merged neighbours
        tenth = max(len(self._y) // 10, 1)
        ends = (0, min(tenth, len(self._y) - 1)), (max(len(self._y) - 1 - tenth, 0), len(self._y) - 1)
        self._slopes = tuple(self._slope(a, b) for a, b in ends)

    def _slope(self, a: int, b: int) -> float:
        width = float(self._targets[b] - self._targets[a])
        return float(self._y[b] - self._y[a]) / width if width > 0 else 0.0

    def __call__(self, targets: FloatArray) -> FloatArray:
        """(m,) scores, kept within 0 to 100."""
        inside: FloatArray = np.interp(targets, self._targets, self._y)
        below = np.minimum(targets - self._targets[0], 0.0) * self._slopes[0]
        above = np.maximum(targets - self._targets[-1], 0.0) * self._slopes[1]
        scores: FloatArray = np.clip(inside + below + above, 0.0, 100.0)
        return scores
