"""Cells measured several times -> how noisy one measurement is, what true scores are likely to be, which is likely the best.

The model: measurement t of cell c is x_ct = theta_c + e_ct, with e_ct normal, of a standard deviation that depends on the
level of the score alone. The theta_c are draws of a density g, which is estimated from all cells together (empirical Bayes:
Efron, "Empirical Bayes deconvolution estimates", Biometrika 103, 2016: log g is a spline, its coefficients maximise the
likelihood of the cells' means less a small penalty). The best of many noisy means is too high by the luck that made it the
best; the posterior mean is not.

Shapes: C cells, each another training (one of a class where equal cells share theirs); T measurements, nan where there is none.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline
from scipy.optimize import minimize

from nasbench_lab.spaces.frozen import frozen

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

LEVELS = 10  # groups of cells of like means, in each of which the noise is one number
_GRID = 1920  # places of the density, half of them closer where cells are more frequent; with 3,840 chances move by .2%
_KNOTS = 6
_PENALTY = 1.0  # Efron's c0
_NOTHING = 1e-300  # evidence of a density that cannot have made a cell; its logarithm is finite
_ALIKE = 1e-6  # errors: means that differ by less differ by rounding
_MANY = 4_000  # groups of cells: as many rows as places are in memory a few times
_FEWEST = 30  # cells with several measurements; fewer say too little of the noise


class Repeated:
    """What repeated measurements say.

    Args:
        trials: (C, T) measurements, larger is better; every cell has one at least.

    Raises:
        ValueError: a cell without a measurement, or fewer than 30 cells with several.
    """

    def __init__(self, trials: FloatArray) -> None:
        self.trials = frozen(np.array(trials, dtype=np.float64))
        self.counts = frozen((~np.isnan(self.trials)).sum(axis=1))
        if not self.counts.all():
            raise ValueError(f"{int((self.counts == 0).sum())} cells have no measurement")
        self._several = frozen(self.counts > 1)
        if not self.enough(self._several):
            raise ValueError(f"need {_FEWEST} cells with several measurements, got {int(self._several.sum())}")
        self.means = frozen(np.nansum(self.trials, axis=1) / self.counts)

    @cached_property
    def sd(self) -> FloatArray:
        """(C,) standard deviation of one measurement: pooled within the cells of the same tenth of means."""
        edges = np.quantile(self.means, np.linspace(0, 1, LEVELS + 1)[1:-1])
        level = np.searchsorted(edges, self.means)
        squares = np.nansum((self.trials - self.means[:, None]) ** 2, axis=1)
        found = np.empty(LEVELS)
        for k in range(LEVELS):
            own = self._several & (level == k)
            own = own if own.sum() > 1 else self._several
            found[k] = np.sqrt(squares[own].sum() / (self.counts[own] - 1).sum())
        return frozen(np.asarray(found[level]))

    @property
    def errors(self) -> FloatArray:
        """(C,) standard error of the cells' means."""
        return np.asarray(self.sd / np.sqrt(self.counts))

    @cached_property
    def _posterior(self) -> tuple[FloatArray, FloatArray]:
        """(G,) places and (K, G) what is known of the true score of each group of cells, as probabilities."""
        means, errors, many = self._groups
        places = _places(self.means, float(np.median(errors)))
        with np.errstate(under="ignore"):
            distance = (means[:, None] - places) / errors[:, None]
            likelihood = np.exp(-0.5 * (distance**2 - (distance**2).min(axis=1, keepdims=True)))
            joint = likelihood * _density(places, likelihood, self.means, many)
        return frozen((places, joint / joint.sum(axis=1, keepdims=True)))

    @cached_property
    def _group(self) -> IntArray:
        """(C,) which cells are one for the posterior: those with equal errors and means, but for rounding, so that no processor's
        order of sums tells them apart; of more than `_MANY` such, those alike to a tenth of an error, a fifth, ...
        """
        for step in (_ALIKE, *(0.1 * 2.0**k for k in range(60))):
            alike = np.stack([self._widths, np.round(self.means / (step * self._widths))], axis=1)
            rows, group = np.unique(alike, axis=0, return_inverse=True)
            if len(rows) <= _MANY:
                break
        return frozen(group.reshape(-1))

    @cached_property
    def _widths(self) -> FloatArray:
        """(C,) the errors, none of them 0."""
        return frozen(np.maximum(self.errors, 1e-9 * float(np.ptp(self.means))))

    @cached_property
    def _groups(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(K,) means, errors and numbers of cells of the groups."""
        many = np.bincount(self._group).astype(np.float64)
        means, errors = (np.bincount(self._group, values) / many for values in (self.means, self._widths))
        return frozen((means, errors, many))

    @cached_property
    def posterior(self) -> FloatArray:
        """(C,) posterior means of the true scores."""
        if not np.ptp(self.means) > 0:
            return np.asarray(self.means)
        places, chances = self._posterior
        return frozen(np.asarray((chances @ places)[self._group]))

    @cached_property
    def best(self) -> int:
        """The cell with the highest posterior mean; of several the one with the best mean."""
        return int(np.lexsort((-self.means, -self.posterior))[0])

    @cached_property
    def chances(self) -> FloatArray:
        """(C,) probabilities that a cell is the best of all, if cells are independent given the density; they add up to 1.

        A cell is the best at a place if all others lie below: sum over places g of p_c(g) prod_{k != c} P(theta_k < g), of two
        at one place either with half the chance.
        """
        if not np.ptp(self.means) > 0:
            return frozen(np.full(len(self.means), 1 / len(self.means)))
        _, chances = self._posterior
        many = self._groups[2]
        with np.errstate(divide="ignore"):
            below = np.log(np.maximum(np.cumsum(chances, axis=1) - chances / 2, 0.0))
        lost = np.isneginf(below)
        finite = np.where(lost, 0.0, below)
        losers = many @ lost - lost  # of the others, those that cannot lie below
        others = np.where(losers > 0, 0.0, np.exp(many @ finite - finite))
        found = (chances * others).sum(axis=1)[self._group]
        return frozen(np.asarray(found / found.sum()))

    @staticmethod
    def enough(several: NDArray[np.bool_]) -> bool:
        """Whether there are cells enough with several measurements."""
        return int(several.sum()) >= _FEWEST


@dataclass(frozen=True)
class Noise:
    """What repeats say of A cells, some of which are one thing measured once.

    Attributes:
        repeated: of the C rows trained apart, larger is better.
        row: (A,) which of them a cell is.
    """

    repeated: Repeated
    row: NDArray[np.int64]

    @property
    def level(self) -> FloatArray:
        """(A,) posterior mean of every cell's score, larger is better."""
        return np.asarray(self.repeated.posterior[self.row])


def _places(means: FloatArray, error: float) -> FloatArray:
    """Where the density is estimated: between the quantiles of the means, and as far beyond as noise may have carried them."""
    inner = np.quantile(means, np.linspace(0, 1, _GRID // 2))
    even = np.linspace(means.min() - error, means.max() + error, _GRID // 2)
    return np.unique(np.concatenate([inner, even]))


def _density(places: FloatArray, likelihood: FloatArray, means: FloatArray, many: FloatArray) -> FloatArray:
    """(G,) probabilities of the places: exp of a cubic spline with knots at quantiles of the means, by penalised likelihood."""
    low, high = places[0], places[-1]
    inner = np.unique(np.quantile(means, np.linspace(0, 1, _KNOTS + 2)[1:-1]))
    inner = inner[(inner > low) & (inner < high)]
    knots = np.concatenate([[low] * 4, inner, [high] * 4])
    basis = BSpline.design_matrix(places, knots, 3).toarray()
    widths = np.log(np.gradient(places))

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        power = basis @ weights + widths
        density = np.exp(power - power.max())
        density /= density.sum()
        evidence = np.maximum(likelihood @ density, _NOTHING)
        size = float(np.sqrt(weights @ weights)) + 1e-9
        share = density * (many @ (likelihood / evidence[:, None]))
        gradient = basis.T @ (share - many.sum() * density)
        return -float(many @ np.log(evidence)) + _PENALTY * size, -gradient + _PENALTY * weights / size

    found = minimize(loss, np.zeros(basis.shape[1]), jac=True, method="L-BFGS-B")
    power = basis @ found.x + widths
    density = np.exp(power - power.max())
    return np.asarray(
        np.maximum(density / density.sum(), _NOTHING)
    )  # where it vanishes, what was measured stands alone
