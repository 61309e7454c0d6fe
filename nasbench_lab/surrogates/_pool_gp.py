"""A fast exact Gaussian process over a finite pool of M rows.

What makes it fast, n observations in: distances of an observed row to the pool are computed once; the Cholesky factor L
of the n x n covariance and V = L^-1 K(observed, pool) grow by one row per observation, so the posterior of the whole
pool costs O(n M) per observation; hyper-parameters are refitted on the caller's schedule from where they were, with
analytic gradients (`_likelihood`). float64 throughout.

    y = m + f(x) + noise,   f ~ GP(0, k),   k as in `_kernels`,   m constant, by generalised least squares

The posterior takes m as known, as gpytorch's `ConstantMean` does; tests hold it against gpytorch and botorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.linalg.blas import dtrsm

from nasbench_lab.core import FloatArray
from nasbench_lab.surrogates._kernels import Distances, Part, profile_value, squared_distances
from nasbench_lab.surrogates._likelihood import JITTER, Layout, Likelihood, Prior

_GROWTH = 64  # capacity grows by this many rows at least, or doubles
_TINY = 1e-12  # least variance


class PoolGP:
    """Exact posterior over a pool; see the module's docstring.

    Args:
        parts: summands of the kernel, all with M rows.
        prior: of the hyper-parameters; its medians are where the first fit starts.
        theta: (H,) hyper-parameters to start from instead, laid out as in `_likelihood`.

    Attributes:
        rows: observed pool rows, in order; a row may be there more than once.
        noise: noise variance.
        amplitude: prior variance of f.
        mean: the constant m.

    Raises:
        ValueError: no parts, or parts of unequal length.
    """

    def __init__(self, parts: Sequence[Part], *, prior: Prior | None = None, theta: FloatArray | None = None) -> None:
        if not parts or len({len(part.features) for part in parts}) != 1:
            raise ValueError(f"parts must be one or more of equal length, got {[len(p.features) for p in parts]}")
        self.parts = tuple(parts)
        self.layout = Layout(parts, prior or Prior())
        self.size = len(parts[0].features)
        self.rows: list[int] = []
        self.mean = 0.0
        self._weights: FloatArray = np.empty(0)
        self._distances: list[Distances | None] = [None for _ in parts]
        self._factor: FloatArray = np.zeros((0, 0))
        self._cross: FloatArray = np.zeros((0, self.size))
        self.theta = self.layout.median if theta is None else theta

    @property
    def theta(self) -> FloatArray:
        """(H,) the hyper-parameters, logarithms; setting them refactors."""
        return self._theta

    @theta.setter
    def theta(self, value: FloatArray) -> None:
        theta = np.array(value, dtype=np.float64)
        if theta.shape != self.layout.median.shape:
            raise ValueError(f"theta must have shape {self.layout.median.shape}, got {theta.shape}")
        self._theta = theta
        self.variances, self.noise, self.lengthscales = self.layout.split(theta)
        self.amplitude = float(self.variances.sum())
        pairs = zip(self.parts, self.lengthscales, strict=True)
        self._scaled = [_of_kinds(part, scale) if part.ard else None for part, scale in pairs]
        self._squares = [np.einsum("ij,ij->i", s, s) if s is not None else None for s in self._scaled]
        self._refactor()

    def add(self, row: int) -> None:
        """Observe a pool row, again or for the first time. Its target follows by `set_targets`."""
        n = len(self.rows)
        self._reserve(n + 1)
        for part, store in zip(self.parts, self._distances, strict=True):
            if store is not None:
                store[n] = part.distances(row)
        self.rows.append(row)
        kernel = self._covariances(row, [None if store is None else store[n] for store in self._distances])
        left = self._cross[:n, row]  # L left' = k(observed, row) is what V's column is
        pivot = np.sqrt(max(kernel[row] + self.noise + JITTER - left @ left, JITTER))
        self._factor[n, :n], self._factor[n, n] = left, pivot
        self._cross[n] = (kernel - left @ self._cross[:n]) / pivot
        self._explained += self._cross[n] ** 2

    def extend(self, rows: Sequence[int]) -> None:
        """Observe many rows at once: one factorisation instead of one row at a time."""
        self._reserve(len(self.rows) + len(rows))
        for n, row in enumerate(rows, start=len(self.rows)):
            for part, store in zip(self.parts, self._distances, strict=True):
                if store is not None:
                    store[n] = part.distances(row)
        self.rows.extend(rows)
        self._refactor()

    def _reserve(self, count: int) -> None:
        """Room for `count` rows."""
        if count <= len(self._cross):
            return
        shape = (count + max(_GROWTH, count), self.size)
        self._cross = _grown(self._cross, shape)
        self._factor = _grown(self._factor, (shape[0], shape[0]))
        for g, part in enumerate(self.parts):
            if not part.ard:
                old = self._distances[g]
                empty = np.empty((0, self.size), dtype=np.intp if part.whole else np.float64)
                self._distances[g] = _grown(empty if old is None else old, shape)

    def _covariances(self, row: int, known: Sequence[Distances | None]) -> FloatArray:
        """(M,) prior covariance of the pool with one of its rows; `known` are its distances, per part that has any."""
        total: FloatArray = np.zeros(self.size)
        for g, part in enumerate(self.parts):
            scaled, squares = self._scaled[g], self._squares[g]
            if scaled is None or squares is None:
                distances = known[g]
                distances = part.distances(row) if distances is None else distances
                total += self.variances[g] * part.correlations(distances, float(self.lengthscales[g][0]))
            elif part.compact is not None:
                value = _correlations(part.profile, scaled, squares, int(part.compact.back[row]))
                total += self.variances[g] * value.take(part.compact.back)
            else:
                total += self.variances[g] * _correlations(part.profile, scaled, squares, row)
        return total

    def _refactor(self) -> None:
        """L and V anew, for other hyper-parameters: O(n^2 M), in one BLAS call."""
        n = len(self.rows)
        self._explained: FloatArray = np.zeros(self.size)
        if n == 0:
            return
        kernel = self._cross[:n]
        for i, row in enumerate(self.rows):
            kernel[i] = self._covariances(row, [None if store is None else store[i] for store in self._distances])
        square = kernel[:, self.rows]
        square[np.diag_indices(n)] += self.noise + JITTER
        self._factor[:n, :n] = np.linalg.cholesky(square)
        # V^T (F order) solves V^T L^T = K^T in place
        dtrsm(1.0, self._factor[:n, :n], kernel.T, side=1, lower=1, trans_a=1, overwrite_b=1)
        self._explained = np.einsum("ij,ij->j", kernel, kernel)

    def set_targets(self, targets: FloatArray) -> None:
        """(n,) targets of the observed rows, in the order they were added.

        Raises:
            ValueError: not one target per observed row.
        """
        n = len(self.rows)
        if np.shape(targets) != (n,):
            raise ValueError(f"expected {n} targets, one per observed row, got shape {np.shape(targets)}")
        both = np.stack([np.ones(n), np.asarray(targets, dtype=np.float64)], axis=1)
        white: FloatArray = solve_triangular(self._factor[:n, :n], both, lower=True, check_finite=False)
        ones, values = white[:, 0], white[:, 1]
        self.mean = float(ones @ values / (ones @ ones))
        self._weights = np.asarray(values - self.mean * ones)

    def posterior(self, pending: Sequence[int] = ()) -> tuple[FloatArray, FloatArray]:
        """(M,) mean and (M,) variance of f (without noise) at every pool row.

        `pending` rows count as observed with what is expected of them: that leaves the mean as it is and takes away
        the variance they will take away (Desautels et al. 2014, "hallucinated" observations).
        """
        n = len(self._weights)
        if n != len(self.rows):
            raise ValueError(f"{len(self.rows)} rows observed, {n} targets set; call set_targets first")
        mean: FloatArray = self.mean + self._weights @ self._cross[:n]
        explained = self._explained + self._explained_by(pending) if pending else self._explained
        return mean, np.maximum(self.amplitude - explained, _TINY)

    def _explained_by(self, pending: Sequence[int]) -> FloatArray:
        """(M,) variance that observing these rows as well would take away; the factor stays as it is."""
        n, rows = len(self.rows), list(pending)
        nothing = [None] * len(self.parts)
        prior = np.stack([self._covariances(row, nothing) for row in rows])
        residual = prior - self._cross[:n, rows].T @ self._cross[:n]
        square = residual[:, rows] + (self.noise + JITTER) * np.eye(len(rows))
        white = solve_triangular(np.linalg.cholesky(square), residual, lower=True, check_finite=False)
        explained: FloatArray = np.einsum("ij,ij->j", white, white)
        return explained

    def covariance(self, rows: Sequence[int] | NDArray[np.intp]) -> FloatArray:
        """(r, r) posterior covariance of f at some pool rows."""
        chosen = list(rows)
        prior: FloatArray = np.zeros((len(chosen), len(chosen)))
        for g, part in enumerate(self.parts):
            scaled = part.scaled(self.lengthscales[g], np.array(chosen, dtype=np.int64))
            prior += self.variances[g] * profile_value(part.profile, squared_distances(scaled, scaled))
        cross = self._cross[: len(self.rows), chosen]
        covariance: FloatArray = prior - cross.T @ cross
        return covariance

    def fit(self, targets: FloatArray, *, iterations: int = 30) -> PoolGP:
        """Move `theta` to a maximum of likelihood times prior near where it is; then as `set_targets`."""
        targets = np.asarray(targets, dtype=np.float64)
        self.theta = Likelihood(self.layout, self._inner(), targets).minimise(self._theta, iterations)
        self.set_targets(targets)
        return self

    def _inner(self) -> list[Distances]:
        """What the likelihood needs of the observed rows; see `Likelihood`."""
        inner: list[Distances] = []
        for part, store in zip(self.parts, self._distances, strict=True):
            if store is None:
                inner.append(part.features[self.rows] * np.sqrt(part.scale))
            else:
                inner.append(store[: len(self.rows)][:, self.rows])
        return inner

    def loss(self, theta: FloatArray, targets: FloatArray) -> tuple[float, FloatArray]:
        """Minus log (likelihood times prior) of the observed rows, up to a constant, and its (H,) gradient."""
        return Likelihood(self.layout, self._inner(), targets)(np.asarray(theta, dtype=np.float64))


def _correlations(profile: str, scaled: FloatArray, squares: FloatArray, row: int) -> FloatArray:
    """(R,) a profile at the distances of one row to all."""
    q = squares + squares[row] - 2.0 * (scaled @ scaled[row])
    return profile_value(profile, np.maximum(q, 0.0, out=q))


def _of_kinds(part: Part, lengthscale: FloatArray) -> FloatArray:
    """(R, d) scaled features, a row of each kind."""
    return part.scaled(lengthscale) if part.compact is None else part.scaled(lengthscale, part.compact.first)


def _grown(old: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """A larger array with the old one in its first corner."""
    new = np.zeros(shape, dtype=old.dtype)
    new[tuple(slice(0, length) for length in old.shape)] = old
    return new
