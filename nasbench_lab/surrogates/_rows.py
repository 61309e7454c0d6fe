"""Models of transformed scores on the distinct feature rows of a space: what they share.

A subclass is a dataclass with the fields `features` and `targets`. It learns targets of about zero mean and unit spread
at rows (`_learn`), and says what is normal about the target of any row (`_moments`); units, repeated cells and cells
that share a row are dealt with here. `FeatureSurrogate` is the same for authors, in terms of the rows themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import erf

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import cell, cells, chains, encodings
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.spaces.whole import cells as indices
from nasbench_lab.surrogates._base import Surrogate, checked, generator
from nasbench_lab.surrogates._scale import Scale, check_targets

NINE_TENTHS = 1.6448536269514722**2  # the square of a standard normal number is below this nine times in ten
LEAST_NOISE = 1e-3  # variance of targets, which have unit spread
_POOL_SAMPLE = 512
_GROUP = 10  # errors that nine tenths are taken of, at least
_ANYWHERE = ("one_hot", "live")  # features that any space has


class RowModel(Surrogate):
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
        """See `Surrogate.fit`."""
        archs, y = checked(archs, y)
        rows = self._rows(space)
        self.inputs_ = rows.values
        self.row_of_: IntArray = rows.row_of
        self.scale_ = Scale(self.targets, y)
        self._learn(self.row_of_[archs], self.scale_.targets, generator(rng))
        return self

    def _rows(self, space: Space) -> encodings.Rows:
        return encodings.rows(self.features, space)

    def instead(self, space: Space) -> str:
        """See `Surrogate.instead`: other features than the default that only four-node cells have."""
        default = getattr(type(self), "features", "")
        if self.features in (default, *_ANYWHERE) or cells.is_cell(space):
            return ""
        counts = " and counts of shared labels" if chains.alike(space) else ""
        return f"features {self.features} are for four-node cells; on {space.name}, one-hot rows{counts}"

    def _learn(self, rows: IntArray, targets: FloatArray, rng: np.random.Generator) -> None:
        """Learn from targets (n,) at rows (n,) of `inputs_`; rows may repeat."""
        raise NotImplementedError

    def _moments(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Mean and predictive standard deviation, (m,) each, of the targets at distinct rows."""
        raise NotImplementedError

    def _asked(self, archs: NDArray[np.int64]) -> tuple[IntArray, IntArray]:
        """The distinct rows of some cells, ascending, and for every cell its place among them."""
        rows, back = np.unique(self.row_of_[indices(archs)], return_inverse=True)
        return rows, back

    def predict(self, archs: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Median and spread about it, (m,) each, in units of y; see `_scale`."""
        rows, back = self._asked(archs)
        middle, spread = self.scale_.moments(*self._moments(rows))
        return middle[back], spread[back]

    def quantiles(self, archs: NDArray[np.int64], probabilities: tuple[float, ...]) -> tuple[FloatArray, ...]:
        """See `Surrogate.quantiles`; exact for normal targets."""
        rows, back = self._asked(archs)
        return tuple(values[back] for values in self.scale_.quantiles(*self._moments(rows), probabilities))


@dataclass
class FeatureSurrogate(RowModel):
    """Base of surrogates that learn from rows of features: `learn` and `moments` are the author's.

    Attributes:
        features: the rows it learns from, a name of `spaces.encodings.FEATURES` (structure_paths, path, one_hot, ...).
        targets: transform of the scores, a name of `_targets.TRANSFORMS` (blended, rank_gauss, standardised, ...), or none.
    """

    features: str = "structure_paths"
    targets: str = "none"

    def __post_init__(self) -> None:
        encodings.check(self.features)
        check_targets(self.targets)

    def learn(self, inputs: FloatArray, targets: FloatArray, rng: np.random.Generator) -> None:
        """Learn from rows (n, d) and their targets (n,), of about zero mean and unit spread; `rng` is all randomness."""
        raise NotImplementedError

    def moments(self, inputs: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation, (m,) each, of the targets of new trainings at rows (m, d)."""
        raise NotImplementedError

    def _learn(self, rows: IntArray, targets: FloatArray, rng: np.random.Generator) -> None:
        self.learn(self.inputs_[rows], targets, rng)

    def _moments(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        return self.moments(self.inputs_[rows])


@dataclass(frozen=True)
class NineTenths:
    """Below what nine in ten errors lie: among cells that are predicted to be the best tenth, and among the others.

    A search asks for the cells that are predicted to be good, and errors there are others than elsewhere: calibrated in
    groups by prediction, Mondrian conformal prediction (Vovk et al. 2005, section 4.5). Of n exchangeable errors the
    next lies below the one in place 0.9 (n + 1). A group has ten errors at least: of fewer than twenty there is one group.

    Attributes:
        others: for whatever is not in the best group.
        best: for what is.
        edge: the lowest prediction in the best group; infinite where there is none.
    """

    others: float
    best: float = 1.0
    edge: float = np.inf

    @classmethod
    def of(cls, means: FloatArray, errors: FloatArray, least: float = -np.inf) -> Self:
        """From predictions (n,) of what was withheld and their errors (n,), of any sign; none is below `least`."""
        edge = float(np.sort(means)[-max(_GROUP, round(0.1 * len(means))) :][0])
        best = means >= edge
        apart = (~best).sum() >= _GROUP
        groups = (errors[best], errors[~best]) if apart else (errors, errors)
        there, elsewhere = (max(float(np.quantile(group, 0.9, method="weibull")), least) for group in groups)
        return cls(elsewhere, there, edge if apart else np.inf)

    def at(self, means: FloatArray) -> FloatArray:
        """(m,) for predictions (m,)."""
        return np.where(means >= self.edge, self.best, self.others)


def added_noise(squares: FloatArray, known: FloatArray) -> float:
    """Variance to add to the spread of an ensemble whose members were each fitted without a fold.

    A member's squared error is on average the ensemble's plus the disagreement (Krogh & Vedelsby 1995), which is part of
    the spread already. So a member errs like a normal number of variance noise + 2 disagreement, more where they disagree
    more: the noise is such that nine in ten of these numbers, over the sample, lie within what nine in ten errors do. Of n
    exchangeable errors that is the one in place 0.9 (n + 1); the usual sample quantile is smaller, the more so the fewer.

    Args:
        squares: (n,) squared errors of members on what was withheld from them.
        known: (r,) twice the disagreement of a sample of cells, and whatever variance the members state themselves.
    """
    within = float(np.quantile(squares, 0.9, method="weibull"))  # its places are p (n + 1)

    def excess(noise: float) -> float:
        return float(erf(np.sqrt(0.5 * within / (noise + known))).mean()) - 0.9

    if excess(LEAST_NOISE) <= 0.0:
        return LEAST_NOISE
    return float(brentq(excess, LEAST_NOISE, 1.001 * within / NINE_TENTHS))


def spaced(row_of: IntArray) -> IntArray:
    """Rows of about 512 of the cells, evenly spaced among all: where the members' disagreement is found."""
    places = np.linspace(0, len(row_of) - 1, min(len(row_of), _POOL_SAMPLE))  # no whole step: indices have digits
    return row_of[places.astype(np.int64)]


def folds(rows: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """(n,) fold of every observation, 0 to count - 1, at random; the same for all observations of a row."""
    distinct, group = np.unique(rows, return_inverse=True)
    dealt: IntArray = (rng.permutation(len(distinct)) % count)[group]
    return dealt
