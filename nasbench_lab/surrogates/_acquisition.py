"""Acquisition functions of Gaussian predictions: (M,) mean, (M,) std, best target so far -> (M,), larger is better."""

from __future__ import annotations

import numpy as np
from scipy.special import erfcx, ndtr

from nasbench_lab.core import FloatArray

_LOG_2PI_HALF = 0.5 * np.log(2.0 * np.pi)
_LOG_PI_2_HALF = 0.5 * np.log(np.pi / 2.0)
_FAR = -1e6  # below this, 1 - |u| sqrt(pi/2) erfcx(|u|/sqrt 2) has no digits left


def expected_improvement(mean: FloatArray, std: FloatArray, best: float) -> FloatArray:
    """E max(0, f - best) (Jones et al. 1998, eq. 15)."""
    u = (mean - best) / std
    value: FloatArray = std * (u * ndtr(u) + np.exp(-0.5 * u * u - _LOG_2PI_HALF))
    return value


def log_expected_improvement(mean: FloatArray, std: FloatArray, best: float) -> FloatArray:
    """Logarithm of E max(0, f - best), accurate where EI itself underflows (Ament et al. 2023, arXiv:2310.20708, eq. 9).

    The order of candidates is that of EI wherever EI is a number.
    """
    u = (mean - best) / std
    out = np.empty_like(u)
    near = u > -1.0
    v = u[near]
    out[near] = np.log(np.exp(-0.5 * v * v - _LOG_2PI_HALF) + v * ndtr(v))
    w = np.maximum(u[~near], _FAR)
    # log(phi(u) + u Phi(u)) = log phi(u) + log(1 - sqrt(pi/2) |u| erfcx(|u| / sqrt 2))
    ratio = np.log(erfcx(-w / np.sqrt(2.0)) * -w) + _LOG_PI_2_HALF
    far = -0.5 * w * w - _LOG_2PI_HALF + np.log(-np.expm1(np.minimum(ratio, -1e-300)))
    beyond = u[~near] < _FAR
    if beyond.any():
        v = u[~near][beyond]
        far[beyond] = -0.5 * v**2 - _LOG_2PI_HALF - 2.0 * np.log(-v)
    out[~near] = far
    return out + np.log(std)


def upper_confidence_bound(mean: FloatArray, std: FloatArray, beta: float) -> FloatArray:
    """Optimism: mean + beta std (Srinivas et al. 2010, with beta for their sqrt(beta_t))."""
    return mean + beta * std
