"""Covariance functions over a finite pool, with analytic gradients: sums of radial kernels on given features.

    k(x, x') = sum_p v_p * profile_p(q_p),   q_p = sum_j (x_j - x'_j)^2 * s_j / l_j^2

A part p has features (M, d), a variance v, and one length scale l per column (`ard`) or one for all. The fixed factors
s scale distances so that E[q] = 2 for two random pool rows at l = 1, whatever the features' number and units are; one
prior on length scales therefore serves all parts. Notation: M pool rows, n observed rows, d columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces.frozen import ReadOnly, frozen
from nasbench_lab.spaces.space import IntArray

Distances = FloatArray | NDArray[np.intp]
_TABLE = 10_000  # longest look-up table
_FEW = 8  # rows of a kind, on average, from which on it is worth while to compute with one of each
_EVERY = slice(None)
Profile = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


def matern52(q: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Matern-5/2 and its derivative in the squared scaled distance (Rasmussen & Williams 2006, eq. 4.17)."""
    s = np.sqrt(5.0 * q)
    decay = np.exp(-s)
    return (1.0 + s + s * s / 3.0) * decay, (-5.0 / 6.0) * (1.0 + s) * decay


def exponential(q: FloatArray) -> tuple[FloatArray, FloatArray]:
    """exp(-q) and its derivative; on one-hot rows q is a Hamming distance, and this botorch's `CategoricalKernel`."""
    value = np.exp(-q)
    return value, -value


def linear(q: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The dot product x.x' of rows of unit length, 1 - |x - x'|^2 / 2, and its derivative."""
    return 1.0 - q / 2.0, np.full_like(q, -0.5)


def matern52_value(q: FloatArray) -> FloatArray:
    """`matern52` without the derivative, which takes half the time, for whole pools."""
    s = np.sqrt(5.0 * q)
    value: FloatArray = 1.0 + s
    value += s * s / 3.0
    value *= np.exp(np.negative(s, out=s), out=s)
    return value


def profile_value(name: str, q: FloatArray) -> FloatArray:
    """A profile alone."""
    return matern52_value(q) if name == "matern52" else PROFILES[name](q)[0]


PROFILES: Mapping[str, Profile] = ReadOnly({"matern52": matern52, "exponential": exponential, "linear": linear})


class Compact(NamedTuple):
    """(R,) a row of each kind and (M,) the kind of every row."""

    first: IntArray
    back: IntArray


class Pool(NamedTuple):
    """Distinct rows of features, and the cells they stand for.

    Attributes:
        parts: the kernel's summands over the M rows.
        row_of: (N,) the row of every cell.
    """

    parts: tuple[Part, ...]
    row_of: IntArray


@dataclass(frozen=True, eq=False)
class Part:
    """One summand of a kernel.

    Attributes:
        name: for reports.
        features: (M, d) rows of the pool; for "linear" of unit length.
        ard: one length scale per column rather than one for all.
        groups: (d,) for `ard`, which length scale each column has, from 0; columns of a group are scaled by their variance
            together, so that a one-hot decision counts like one column. Left out: one length scale per column.
        profile: a name of `PROFILES`; "linear" has no length scale (kept at 1).
        variance: median of the prior on v.
    """

    name: str
    features: FloatArray = field(repr=False)
    ard: bool = False
    profile: str = "matern52"
    variance: float = 1.0
    groups: IntArray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.profile not in PROFILES:
            raise ValueError(f"profile must be one of {', '.join(PROFILES)}, got {self.profile!r}")
        if self.groups is not None and (not self.ard or self.groups.shape != self.features.shape[1:]):
            raise ValueError("groups of columns are for parts with ard=True, one number per column")
        if self.ard and self.profile == "linear":
            raise ValueError("a linear part has no length scales, so ard=True means nothing")
        object.__setattr__(self, "groups", frozen(self.groups))

    @property
    def lengthscales(self) -> int:
        """How many length scales the part has."""
        if not self.ard:
            return 1
        return self.features.shape[1] if self.groups is None else int(self.groups.max()) + 1

    @cached_property
    def scale(self) -> FloatArray:
        """(d,) the fixed factors s."""
        if self.profile == "linear":
            return frozen(np.ones(self.features.shape[1]))
        spread = self.features.var(axis=0)
        if not self.ard:
            return frozen(np.full(len(spread), 1.0 / max(float(spread.sum()), 1e-12)))
        if self.groups is not None:
            spread = np.bincount(self.groups, weights=spread)
        varies = spread > 1e-12
        factors = np.where(varies, 1.0 / (np.where(varies, spread, 1.0) * max(int(varies.sum()), 1)), 0.0)
        return frozen(factors if self.groups is None else factors[self.groups])

    @cached_property
    def whole(self) -> bool:
        """Whether unscaled squared distances are small whole numbers, so that a profile is a table look-up."""
        return not self.ard and bool((self.features == np.rint(self.features)).all()) and self._largest < _TABLE

    @cached_property
    def _largest(self) -> int:
        """A bound on the unscaled squared distances."""
        return int(np.ceil(((self.features.max(axis=0) - self.features.min(axis=0)) ** 2).sum()))

    @cached_property
    def _squares(self) -> FloatArray:
        """(M,) squared lengths of the unscaled rows."""
        return frozen(np.einsum("ij,ij->i", self.features, self.features))

    def distances(self, row: int) -> Distances:
        """(M,) unscaled squared distances of one row to the pool; integers where `whole`."""
        squared: FloatArray = self._squares + self._squares[row] - 2.0 * (self.features @ self.features[row])
        return np.rint(squared).astype(np.intp) if self.whole else np.maximum(squared, 0.0)

    def scaled(self, lengthscale: FloatArray, rows: IntArray | slice = _EVERY) -> FloatArray:
        """(M, d) features in which plain squared distances are q; or those of some rows."""
        wide = lengthscale if self.groups is None else lengthscale[self.groups]
        scaled: FloatArray = self.features[rows] * (np.sqrt(self.scale) / wide)
        return scaled

    @cached_property
    def compact(self) -> Compact | None:
        """Where the part tells far fewer rows apart than there are: one of each kind, and the kind of every row."""
        _, first, back = np.unique(self.features, axis=0, return_index=True, return_inverse=True)
        return Compact(frozen(first), frozen(back.reshape(-1))) if _FEW * len(first) <= len(self.features) else None

    def isotropic(self, distances: Distances, lengthscale: float) -> tuple[FloatArray, FloatArray]:
        """Profile, and q times its derivative, at unscaled squared distances."""
        factor = float(self.scale[0]) / lengthscale**2
        if not self.whole:
            q = np.asarray(distances, dtype=np.float64) * factor
            value, slope = PROFILES[self.profile](q)
            return value, slope * q
        q = np.arange(self._largest + 1.0) * factor
        value, slope = PROFILES[self.profile](q)
        where = distances.astype(np.intp, copy=False)
        return value.take(where), (slope * q).take(where)

    def correlations(self, distances: Distances, lengthscale: float) -> FloatArray:
        """The profile alone, at unscaled squared distances."""
        factor = float(self.scale[0]) / lengthscale**2
        if not self.whole:
            return profile_value(self.profile, np.asarray(distances, dtype=np.float64) * factor)
        table = profile_value(self.profile, np.arange(self._largest + 1.0) * factor)
        return table.take(distances.astype(np.intp, copy=False))


def squared_distances(a: FloatArray, b: FloatArray) -> FloatArray:
    """(n, m) squared Euclidean distances of the rows of a (n, d) and b (m, d), never negative."""
    squared: FloatArray = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2.0 * (a @ b.T)
    return np.maximum(squared, 0.0, out=squared)
