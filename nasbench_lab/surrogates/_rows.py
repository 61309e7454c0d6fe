"""Models of transformed scores on the distinct feature rows of a space: what they share.

A subclass is a dataclass with the fields `features` and `targets`. It learns targets of about zero mean and unit spread
at rows (`_learn`), and says what is normal about the target of any row (`_moments`); units, repeated cells and cells
that share a row are dealt with here.
"""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import cell, encodings
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.surrogates._base import Parameters, checked, generator
from nasbench_lab.surrogates._scale import Scale

NINE_TENTHS = 1.6448536269514722**2  # the square of a standard normal number is below this nine times in ten
LEAST_NOISE = 1e-3  # variance of targets, which have unit spread
_WITHHELD = 0.86  # share of the withheld that the 90% interval of an ensemble covers: one member alone errs more
_POOL_SAMPLE = 512


class RowModel(Parameters):
    """See the module's docstring. After `fit`: `inputs_` (R, d), `row_of_` (N,), `scale_`."""

    features: str
    targets: str

    def fit(
        self,
        archs: NDArray[np.int64],
        y: FloatArray,
        rng: np.random.Generator | None = None,
        *,
        space: Space = cell.SPACE,
    ) -> Self:
        """See `Parameters.fit`."""
        archs, y = checked(archs, y)
        rows = self._rows(space)
        self.inputs_ = rows.values
        self.row_of_: IntArray = rows.row_of
        self.scale_ = Scale(self.targets, y)
        self._learn(self.row_of_[archs], self.scale_.targets, generator(rng))
        return self

    def _rows(self, space: Space) -> encodings.Rows:
        return encodings.rows(self.features, space)

    def _learn(self, rows: IntArray, targets: FloatArray, rng: np.random.Generator) -> None:
        """Learn from targets (n,) at rows (n,) of `inputs_`; rows may repeat."""
        raise NotImplementedError

    def _moments(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Mean and predictive standard deviation, (m,) each, of the targets at distinct rows."""
        raise NotImplementedError

    def _asked(self, archs: NDArray[np.int64]) -> tuple[IntArray, IntArray]:
        """The distinct rows of some cells, ascending, and for every cell its place among them."""
        rows, back = np.unique(self.row_of_[np.asarray(archs, dtype=np.int64)], return_inverse=True)
        return rows, back

    def predict(self, archs: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Median and spread about it, (m,) each, in units of y; see `_scale`."""
        rows, back = self._asked(archs)
        middle, spread = self.scale_.moments(*self._moments(rows))
        return middle[back], spread[back]

    def quantiles(self, archs: NDArray[np.int64], probabilities: tuple[float, ...]) -> tuple[FloatArray, ...]:
        """See `Parameters.quantiles`; exact for normal targets."""
        rows, back = self._asked(archs)
        return tuple(values[back] for values in self.scale_.quantiles(*self._moments(rows), probabilities))


def added_noise(squares: FloatArray, sample: FloatArray) -> float:
    """Variance to add to the disagreement of an ensemble whose members were each fitted without a fold.

    A member's squared error is the ensemble's plus the disagreement (Krogh & Vedelsby 1995), which is part of the spread
    already: it is taken off twice.

    Args:
        squares: (n,) squared errors of members on what was withheld from them, over `NINE_TENTHS`.
        sample: (M, r) what the members say of a sample of rows, `spaced`.
    """
    disagreement = float(np.median(sample.var(axis=0)))
    return max(float(np.quantile(squares, _WITHHELD)) - 2.0 * disagreement, LEAST_NOISE)


def spaced(rows: int) -> slice:
    """About 512 of so many rows, evenly: where the members' typical disagreement is found."""
    return slice(None, None, max(rows // _POOL_SAMPLE, 1))


def folds(rows: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """(n,) fold of every observation, 0 to count - 1, at random; the same for all observations of a row."""
    distinct, group = np.unique(rows, return_inverse=True)
    dealt: IntArray = (rng.permutation(len(distinct)) % count)[group]
    return dealt
