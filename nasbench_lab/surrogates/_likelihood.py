"""Hyper-parameters of a sum of radial kernels: their layout, priors, and the marginal likelihood with its gradient.

`theta` (H,) holds logarithms: variances (one per part), the noise variance, then length scales part by part. The fit
maximises marginal likelihood times log-normal priors (Rasmussen & Williams 2006, eq. 5.8 and 5.9), the constant mean
profiled out by generalised least squares; the gradient is then that at a fixed mean, the derivative in it being zero.

The fit walks on a grid. Every step of a quasi-Newton method starts from the last one's rounding errors and multiplies them,
so that two processors end at different `theta` (one run in 250 chose another cell for that); on a grid they are forgotten
at every step, and all processors walk the same way. It ends where it is as good as it gets on the grid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri

from nasbench_lab.core import FloatArray
from nasbench_lab.surrogates._kernels import PROFILES, Distances, Part, squared_distances

JITTER = 1e-8  # added to the noise variance, so that a factor always exists
_BOUND = 9.0  # theta stays within this many units of its prior's median
_STEP = 1 / 128  # of the grid, in units of `theta`: hyper-parameters that differ by less than 1%
_GAIN = 5e-4  # a step from which no more is to be expected is not made: of a loss of order 1 per observation
_HALVINGS = 20
_REFUSED = 1e10  # loss where the covariance has no factor


@dataclass(frozen=True)
class Prior:
    """Log-normal priors on hyper-parameters: medians, and standard deviations of the logarithm.

    Targets are of unit scale and E[q] = 2 at length scale 1 (see `_kernels`). Length scales of 3 make most rows
    correlate before anything is known, the lesson of Hvarfner et al. 2024 (arXiv:2402.02229). How the numbers were
    chosen is told in `strategies/gp_bo`.
    """

    lengthscale: float = 3.0
    lengthscale_sd: float = 0.5
    variance_sd: float = 0.7
    noise: float = 0.1
    noise_sd: float = 1.0


class Layout:
    """Where each hyper-parameter of some parts lies in `theta`, and its prior.

    Attributes:
        median: (H,) prior medians of `theta`; also where a first fit starts.
        deviation: (H,) prior standard deviations.
        scales: per part, the slice of its length scales.
    """

    def __init__(self, parts: Sequence[Part], prior: Prior) -> None:
        self.parts = tuple(parts)
        widths = [part.lengthscales for part in parts]
        starts = len(parts) + 1 + np.cumsum([0, *widths])
        self.scales = [slice(int(start), int(start) + width) for start, width in zip(starts, widths, strict=False)]
        medians: list[float] = [float(np.log(part.variance)) for part in parts] + [float(np.log(prior.noise))]
        for part in parts:  # a linear part's length scale is held at 1
            medians += [0.0 if part.profile == "linear" else float(np.log(prior.lengthscale))] * part.lengthscales
        self.median: FloatArray = np.array(medians)
        deviations = [prior.variance_sd] * len(parts) + [prior.noise_sd] + [prior.lengthscale_sd] * sum(widths)
        self.deviation: FloatArray = np.array(deviations)

    def split(self, theta: FloatArray) -> tuple[FloatArray, float, list[FloatArray]]:
        """Variances (one per part), noise variance and length scales (one array per part) of a `theta`."""
        natural = np.exp(theta)
        count = len(self.parts)
        return natural[:count], float(natural[count]), [natural[s] for s in self.scales]


class Likelihood:
    """Minus log (likelihood times prior) of some observations, as a function of `theta`, up to a constant.

    Args:
        layout: of `theta`.
        inner: per part, what it needs of the n observed rows: `ard` (n, d) features in the units of `Part.scale`,
            else (n, n) unscaled squared distances.
        targets: (n,) observations.
    """

    def __init__(self, layout: Layout, inner: Sequence[Distances], targets: FloatArray) -> None:
        self.layout, self.inner, self.targets = layout, inner, targets

    def __call__(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """The loss and its (H,) gradient."""
        layout = self.layout
        variances, noise, scales = layout.split(theta)
        terms = [self._term(g, scales[g]) for g in range(len(scales))]
        covariance = np.tensordot(variances, np.stack([value for value, _, _ in terms]), 1)
        covariance[np.diag_indices(len(covariance))] += noise + JITTER
        away = (theta - layout.median) / layout.deviation
        gradient: FloatArray = away / layout.deviation
        factor, failed = dpotrf(covariance, lower=1)
        if failed:
            return _REFUSED, gradient
        inverse = np.tril(dpotri(factor, lower=1)[0])
        inverse += np.tril(inverse, -1).T
        sums = inverse.sum(axis=1)
        residual = self.targets - (sums @ self.targets) / sums.sum()
        alpha = inverse @ residual
        loss = 0.5 * residual @ alpha + np.log(np.diag(factor)).sum() + 0.5 * away @ away
        slope = 0.5 * (inverse - np.outer(alpha, alpha))  # d loss / d covariance
        gradient[len(terms)] += noise * np.trace(slope)
        for g, (value, pull, scaled) in enumerate(terms):
            gradient[g] += variances[g] * np.vdot(slope, value)
            self._add_lengthscales(gradient, g, variances[g] * slope * pull, scaled)
        return float(loss), gradient

    def _term(self, g: int, scale: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        """(n, n) profile, (n, n) its derivative in q (`ard`) or in log q, and the (n, d) scaled features if `ard`."""
        part = self.layout.parts[g]
        if not part.ard:
            return *part.isotropic(self.inner[g], float(scale[0])), None
        scaled = self.inner[g] / (scale if part.groups is None else scale[part.groups])
        return *PROFILES[part.profile](squared_distances(scaled, scaled)), scaled

    def _add_lengthscales(self, gradient: FloatArray, g: int, weights: FloatArray, scaled: FloatArray | None) -> None:
        """Adds d loss / d log length scales; dq_j / d log l_j = -2 q_j.

        With `ard`, sum_ab w_ab (x_aj - x_bj)^2 = 2 (sum_a x_aj^2 w_a. - x_j' W x_j) spares a matrix per column.
        """
        if scaled is not None:
            squares = (scaled * scaled).T @ weights.sum(axis=1)
            pulls = 4.0 * (squares - np.einsum("aj,aj->j", scaled, weights @ scaled))
            groups = self.layout.parts[g].groups
            gradient[self.layout.scales[g]] -= pulls if groups is None else np.bincount(groups, weights=pulls)
        elif self.layout.parts[g].profile != "linear":
            gradient[self.layout.scales[g]] -= 2.0 * weights.sum()

    def minimise(self, start: FloatArray, iterations: int) -> FloatArray:
        """(H,) about a minimum near `start`: BFGS on a grid about the prior's medians (Nocedal & Wright 2006, eq. 6.17).

        The first metric is the prior's; a step is halved until the loss falls as it should (their eq. 3.4).
        """
        median, metric = self.layout.median, np.diag(self.layout.deviation**2)
        here = np.rint((start - median) / _STEP)
        loss, gradient = self(median + _STEP * here)
        for _ in range(iterations):
            direction = -(metric @ gradient)
            if -(direction @ gradient) < 2.0 * _GAIN:
                break
            found = self._step(here, loss, gradient, direction)
            if found is None:
                break
            there, loss, slope = found
            metric = _updated(metric, _STEP * (there - here), slope - gradient)
            here, gradient = there, slope
        best: FloatArray = median + _STEP * here
        return best

    def _step(
        self, here: FloatArray, loss: float, gradient: FloatArray, direction: FloatArray
    ) -> tuple[FloatArray, float, FloatArray] | None:
        """The next point of the grid, its loss and gradient; None if there is no better one that way."""
        end = _BOUND // _STEP
        for halving in range(_HALVINGS):
            there = np.clip(np.rint(here + 0.5**halving * direction / _STEP), -end, end)
            move = _STEP * (there - here)
            if not move.any():
                return None
            value, slope = self(self.layout.median + _STEP * there)
            if value <= loss + 1e-4 * min(float(gradient @ move), 0.0):
                return there, value, slope
        return None


def _updated(metric: FloatArray, move: FloatArray, change: FloatArray) -> FloatArray:
    """(H, H) the inverse Hessian that BFGS makes of `metric` after a move, by how the gradient changed."""
    curvature = float(move @ change)
    if curvature < 1e-8 * np.sqrt((move @ move) * (change @ change)):  # not convex there: nothing is learned
        return metric
    pulled = metric @ change
    across = np.outer(pulled, move)
    longer = (1.0 + float(change @ pulled) / curvature) * np.outer(move, move)
    new: FloatArray = metric + (longer - across - across.T) / curvature
    return new
