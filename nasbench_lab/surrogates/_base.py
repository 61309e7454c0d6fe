"""What surrogates share: scikit-learn's parameter protocol on dataclass fields, and what follows from `fit` and `predict`.

A surrogate is a dataclass whose fields are its parameters, so that `sklearn.base.clone` works; what `fit` learns are
attributes ending in `_`. It learns from cells of a finite space and predicts any of them:

    fit(archs (n,), y (n,), rng, *, space)     y in any unit, larger is better; the same cell may be there again
    predict(archs (m,)) -> mean, std           (m,) each, in units of y; of a new training of the cell, its noise included

Everything else has a default here that a model overrides where it knows better or faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from nasbench_lab.core import FloatArray, stream
from nasbench_lab.spaces import cell, encodings
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.spaces.whole import cells

_FIT_STREAM = 4  # of fits without a generator of their own


class Surrogate:
    """Base of all surrogates, `nasbench_lab.Surrogate`: `fit` and `predict` are the author's, all else follows from them.

    It learns from cells of a finite space, numbers in 0..space.size - 1, and predicts any of them; what is learned stands in
    attributes that end in `_`. One that learns from rows of features has less to write on `nasbench_lab.FeatureSurrogate`.
    """

    requires: ClassVar[Any] = ()  # packages it computes with beyond the core's, see `extras`
    uses_known = False  # whether `fit` takes `known`, what is known of all cells beforehand (`core.Task.known`)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name. `deep` is scikit-learn's and changes nothing: no parameter is an estimator."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.init}  # type: ignore[arg-type]

    def set_params(self, **values: Any) -> Self:
        """Set parameters.

        Raises:
            ValueError: no such parameter.
        """
        known = self.get_params()
        for name, value in values.items():
            if name not in known:
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it has: {', '.join(known)}")
            setattr(self, name, value)
        return self

    def fit(
        self,
        archs: NDArray[np.int64],
        y: FloatArray,
        rng: np.random.Generator | None = None,
        *,
        space: Space = cell.SPACE,
    ) -> Self:
        """Learn from `archs` (n,) and their scores `y` (n,); `rng` decides all randomness (a fixed stream if left out).

        Raises:
            ValueError: fewer than two scores, or one that is not finite.
        """
        raise NotImplementedError

    def predict(self, archs: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation, (m,) each, in units of y."""
        raise NotImplementedError

    def quantiles(self, archs: NDArray[np.int64], probabilities: tuple[float, ...]) -> tuple[FloatArray, ...]:
        """Quantiles, (m,) each, in units of y; of a normal distribution unless the model knows better."""
        mean, std = self.predict(archs)
        return tuple(mean + float(ndtri(p)) * std for p in probabilities)

    def sample(self, archs: NDArray[np.int64], rng: np.random.Generator) -> FloatArray:
        """(m,) a draw from what is believed, for Thompson sampling: independent cells unless the model knows better."""
        mean, std = self.predict(archs)
        return mean + std * rng.standard_normal(len(mean))

    def update(
        self,
        archs: NDArray[np.int64],
        y: FloatArray,
        rng: np.random.Generator | None = None,
        *,
        space: Space = cell.SPACE,
        refit: bool = True,
        known: Mapping[str, FloatArray] | None = None,
    ) -> Self:
        """As `fit`, to observations that go on from those fitted before; `y` may have changed throughout.

        `refit=False` allows a model to keep its hyper-parameters; the default fits anew all the same.
        """
        extra: dict[str, Any] = {"known": known} if self.uses_known else {}
        return self.fit(archs, y, rng, space=space, **extra)

    def believe(
        self,
        pending: NDArray[np.int64],
        archs: NDArray[np.int64],
        y: FloatArray,
        rng: np.random.Generator | None = None,
        *,
        space: Space = cell.SPACE,
        known: Mapping[str, FloatArray] | None = None,
    ) -> Self:
        """Count pending cells as observed with what is expected of them, until the next `update`.

        `archs` and `y` are what was observed (Ginsbourger et al. 2010, "kriging believer").
        """
        expected = self.predict(pending)[0]
        both = np.concatenate([archs, pending]), np.concatenate([y, expected])
        return self.update(*both, rng, space=space, known=known)

    def instead(self, space: Space) -> str:
        """What a space does not have of what was asked for, and what stands for it, in words; "" where it has all."""
        return ""

    def alike(self, space: Space = cell.SPACE) -> tuple[IntArray, IntArray]:
        """Cells the model cannot tell apart: one of each group (R,), and the group of every cell (N,)."""
        name = getattr(self, "features", None)
        if name is None:
            return np.arange(space.size), np.arange(space.size)
        rows = encodings.rows(name, space)
        return rows.first, rows.row_of


def checked(archs: NDArray[np.int64], y: FloatArray) -> tuple[IntArray, FloatArray]:
    """Observations as arrays.

    Raises:
        ValueError: fewer than two scores, not one per cell, one that is not finite, or cells that are none.
    """
    archs, y = cells(archs), np.asarray(y)
    if y.dtype.kind not in "fiu":
        raise ValueError(f"scores must be numbers, got {y.dtype}")
    y = y.astype(np.float64, copy=False)
    if len(y) < 2 or len(y) != len(archs) or not np.isfinite(y).all():
        raise ValueError(f"a fit needs at least 2 cells with one finite score each, got {len(archs)} and {len(y)}")
    return archs, y


def predictions(model: Any, archs: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation, (m,) each, that somebody's fitted surrogate predicts.

    Raises:
        ValueError: not a pair of m finite numbers, or a negative standard deviation.
    """
    found, name = model.predict(archs), f"{type(model).__name__}.predict"
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        raise ValueError(f"{name} returns {str(found)[:40]!r}, not a pair of means and standard deviations")
    mean, std = (np.asarray(part) for part in found)
    for what, values in (("mean", mean), ("standard deviation", std)):
        if values.shape != (len(archs),):
            raise ValueError(f"{name}: the {what} has shape {values.shape} for {len(archs)} cells")
        if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
            raise ValueError(f"{name}: the {what} is not a finite number for every cell")
    if (std < 0).any():
        raise ValueError(f"{name}: a standard deviation is negative, {std.min():.3g}")
    return mean.astype(np.float64, copy=False), std.astype(np.float64, copy=False)


def generator(rng: np.random.Generator | None) -> np.random.Generator:
    """The generator given, or a fixed stream."""
    return stream(0, _FIT_STREAM) if rng is None else rng
