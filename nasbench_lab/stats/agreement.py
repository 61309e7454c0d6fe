"""Do new measurements agree with a table, and rankings with each other? Noise, regression to the mean, z-scores, ranks.

Arrays in, arrays out. Shapes: N classes of the table, T trials, K candidates, S new seeds. Scores in percent; nan = not
measured.

A table's best are best partly by luck, so new measurements of them come out lower. What to expect instead is the
posterior mean of a cell's true score given its table mean. The prior, the distribution of true scores over the space,
is estimated from the table's first trial by maximum likelihood on a grid (Kiefer & Wolfowitz 1956; Jiang & Zhang 2009),
which selection cannot bias: every class has that trial. The estimate is spiky, so posterior standard deviations are
somewhat small: read the z-scores of random cells, which nothing selected, against the table's means.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]
FEWEST = 20  # seeds below which no bootstrap interval is shown, as in `stats`
_EQUAL = 1e-9  # points: means that differ by less differ by rounding
NEIGHBOURS = 100  # classes with several trials that a local standard deviation is pooled over


class Noise(NamedTuple):
    """Trial-to-trial variance by level: M classes with several trials, sorted by `level` (their mean)."""

    level: FloatArray
    variance: FloatArray
    freedom: FloatArray

    def sd(self, at: FloatArray) -> FloatArray:
        """(K,) standard deviation of one trial near each level, pooled over the nearest classes."""
        span = min(NEIGHBOURS, len(self.level))
        middle = np.searchsorted(self.level, at) - span // 2
        first = np.clip(middle, 0, len(self.level) - span).astype(int)
        ends = np.concatenate([[0.0], np.cumsum(self.variance * self.freedom)])
        frees = np.concatenate([[0.0], np.cumsum(self.freedom)])
        pooled = (ends[first + span] - ends[first]) / (frees[first + span] - frees[first])
        return np.asarray(np.sqrt(np.maximum(pooled, 1e-12)))


def trial_noise(trials: FloatArray) -> Noise | None:
    """The noise of (N, T) trials; None where fewer than 10 classes have two."""
    known = ~np.isnan(trials)
    several = known.sum(axis=1) > 1
    if several.sum() < 10:
        return None
    rows, count = trials[several], known[several].sum(axis=1)
    level, variance = np.nanmean(rows, axis=1), np.nanvar(rows, axis=1, ddof=1)
    order = np.argsort(level, kind="stable")
    return Noise(level[order], variance[order], (count - 1.0)[order])


def common_share(*families: FloatArray) -> float:
    """Share of the trial variance that a seed does to all cells alike (they see the same training images), in [0, 1].

    Args:
        families: (K, S) trials of K cells with the same S seeds each; rows with nan are left out. Their differences
            between seeds are pooled; with few seeds this is a rough number, and without two of them 0.
    """
    common = noise = freedom = 0.0
    for trials in families:
        rows = trials[~np.isnan(trials).any(axis=1)]
        if min(rows.shape) < 2:
            continue
        within = float(rows.var(axis=1, ddof=1).mean())
        between = rows.shape[1] - 1
        common += between * (float(rows.mean(axis=0).var(ddof=1)) - within / len(rows))
        noise += between * within
        freedom += between
    return min(max(common / noise, 0.0), 1.0) if freedom and noise else 0.0


def correlation(val: FloatArray, test: FloatArray) -> float:
    """Correlation of validation and test noise within cells, (N, T) each: how far luck in one is luck in the other."""
    several = (~np.isnan(val + test)).sum(axis=1) > 1
    if several.sum() < 10:
        return 0.0
    a, b = (x[several] - np.nanmean(x[several], axis=1, keepdims=True) for x in (val, test))
    known = ~np.isnan(a + b)
    return float(np.corrcoef(a[known], b[known])[0, 1])


class Prior(NamedTuple):
    """A distribution of true scores on a grid: `grid` (G,), `weight` (G,) summing to 1."""

    grid: FloatArray
    weight: FloatArray

    def posterior(self, mean: FloatArray, error: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(K,) observed means and their standard errors -> (K,) posterior means and standard deviations."""
        density = np.exp(-0.5 * ((mean[:, None] - self.grid) / error[:, None]) ** 2) * self.weight
        density /= density.sum(axis=1, keepdims=True) + 1e-300
        centre = density @ self.grid
        spread = np.sqrt(np.maximum(density @ self.grid**2 - centre**2, 0.0))
        return centre, spread


def prior_of(scores: FloatArray, sd: FloatArray, *, points: int = 200, rounds: int = 200) -> Prior:
    """The distribution of true scores behind (N,) single trials with standard deviations `sd`, by EM."""
    grid = np.linspace(scores.min(), scores.max(), points)
    likelihood = np.exp(-0.5 * ((scores[:, None] - grid) / sd[:, None]) ** 2) / sd[:, None]
    weight = np.full(points, 1 / points)
    for _ in range(rounds):
        weight = weight * (likelihood.T @ (1 / (likelihood @ weight + 1e-300))) / len(scores)
    return Prior(grid, weight / weight.sum())


class Comparison(NamedTuple):
    """Predicted against measured for K candidates; all (K,).

    `z` compares the table's mean with the new one, in units of the trial noise of both; `z_expected` compares with
    what is to be expected once regression to the mean is allowed for (nan where that cannot be known).
    """

    predicted: FloatArray
    measured: FloatArray
    sd: FloatArray
    z: FloatArray
    expected: FloatArray
    expected_sd: FloatArray
    z_expected: FloatArray


def compare(
    predicted: FloatArray,
    trials: NDArray[np.int64],
    new: FloatArray,
    sd: FloatArray,
    *,
    expected: FloatArray,
    expected_sd: FloatArray,
) -> Comparison:
    """z-scores of new measurements.

    Args:
        predicted: (K,) table means over `trials` (K,) trainings each.
        new: (K, S) new measurements; nan where one diverged.
        sd: (K,) standard deviation of one trial.
        expected, expected_sd: (K,) what is to be expected of the true score, and how surely.
    """
    count = np.maximum((~np.isnan(new)).sum(axis=1), 1)
    measured = np.array([np.nanmean(row) if not np.isnan(row).all() else np.nan for row in new])
    z = (measured - predicted) / (sd * np.sqrt(1 / count + 1 / np.maximum(trials, 1)))
    z_expected = (measured - expected) / np.sqrt(sd**2 / count + expected_sd**2)
    return Comparison(predicted, measured, sd, z, expected, expected_sd, z_expected)


def summary(z: FloatArray, common: float = 0.0) -> dict[str, float]:
    """Mean, standard deviation, share within 1.96 and the chi-square probability of (K,) z-scores, nan left out.

    `common` is the share of noise that all cells have together, which no number of cells averages out.
    """
    z = z[~np.isnan(z)]
    if not len(z):
        return {"count": 0}
    out = {"count": len(z), "mean": float(z.mean()), "mean_se": float(np.sqrt(1 / len(z) + common))}
    out |= {"sd": float(z.std(ddof=1)) if len(z) > 1 else float("nan"), "within": float((np.abs(z) < 1.96).mean())}
    return out | {"p": float(stats.chi2.sf((z**2).sum(), len(z)))}


def tau(a: FloatArray, b: FloatArray) -> float:
    """Kendall's tau-b of two (K,) score lists, pairs with nan left out; nan with fewer than three."""
    known = ~np.isnan(a + b)
    return float(stats.kendalltau(a[known], b[known]).statistic) if known.sum() > 2 else float("nan")


def tau_from_noise(
    predicted: FloatArray, true: FloatArray, true_sd: FloatArray, error: FloatArray, *, draws: int = 1000
) -> tuple[float, float, float]:
    """What tau would be if the table were right: mean, 2.5% and 97.5% over new measurements drawn from it.

    Args:
        predicted: (K,) table means. true, true_sd: (K,) what is known of the true scores. error: (K,) standard error
            of the new measurements.
    """
    nothing = (float("nan"),) * 3
    first, second = np.triu_indices(len(predicted), 1)
    order = np.sign(predicted[first] - predicted[second])
    if len(predicted) < 3 or not order.any():  # all predictions are equal: no order to agree with
        return nothing
    noise = np.sqrt(true_sd**2 + error**2)
    new = true + noise * np.random.default_rng(0).standard_normal((draws, len(true)))
    if np.isnan(new).any():
        return nothing
    # tau-b of each draw; draws have no ties, predictions may
    taus = np.sign(new[:, first] - new[:, second]) @ order / np.sqrt(len(order) * np.abs(order).sum())
    low, high = np.percentile(taus, [2.5, 97.5])
    return float(taus.mean()), float(low), float(high)


def paired(differences: FloatArray) -> tuple[float, float, float]:
    """Mean of paired differences and its 95% t-interval; nan ends with fewer than two."""
    known = differences[~np.isnan(differences)]
    if not len(known):
        return (float("nan"),) * 3
    mean = float(known.mean())
    if len(known) < 2:
        return mean, float("nan"), float("nan")
    half = float(stats.t.ppf(0.975, len(known) - 1) * known.std(ddof=1) / np.sqrt(len(known)))
    return mean, mean - half, mean + half


class Ranking(NamedTuple):
    """How well two rankings of the same strategies agree: Kendall's tau-b and its 95% bootstrap interval over seeds."""

    tau: float
    low: float
    high: float


def rankings(first: FloatArray, second: FloatArray, *, resamples: int = 2000, seed: int = 0) -> Ranking:
    """Agreement of the orders of mean scores in two settings.

    Seeds are resampled for all strategies and both settings together, as they were run (percentile interval, through
    `scipy.stats.bootstrap`). Resampling adds the noise of few seeds once more, so that the interval of a close
    agreement reaches down more than up.

    Args:
        first, second: (R, S) scores of the same S strategies, the same R seeds in the same order; a strategy with a nan
            is left out.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        all nan with fewer than three strategies or where a setting has no order at all; ends nan with fewer than
        `FEWEST` seeds.
    """
    whole = ~np.isnan(first + second).any(axis=0)
    first, second = first[:, whole], second[:, whole]
    nothing = float("nan")
    tau = float(_tau_b(first.mean(axis=0), second.mean(axis=0))) if whole.sum() > 2 else nothing
    if tau != tau or len(first) < FEWEST:
        return Ranking(tau, nothing, nothing)

    def resampled(rows: NDArray[np.int64], axis: int) -> FloatArray:  # (B, R) -> (B,)
        return np.nan_to_num(_tau_b(first[rows].mean(axis=axis - 1), second[rows].mean(axis=axis - 1)))

    found = stats.bootstrap(
        (np.arange(len(first)),),
        resampled,
        n_resamples=resamples,
        method="percentile",
        vectorized=True,
        batch=max(1, 2_000_000 // first.size),
        rng=np.random.default_rng(seed),
    )
    return Ranking(tau, float(found.confidence_interval.low), float(found.confidence_interval.high))


def _tau_b(a: FloatArray, b: FloatArray) -> FloatArray:
    """Kendall's tau-b over the last axis, (..., S) each -> (...); nan where either has no order."""
    i, j = np.triu_indices(a.shape[-1], 1)
    signs = [np.sign(np.where(np.abs(d) < _EQUAL, 0.0, d)) for d in (a[..., i] - a[..., j], b[..., i] - b[..., j])]
    untied = np.sqrt(np.abs(signs[0]).sum(axis=-1) * np.abs(signs[1]).sum(axis=-1))
    with np.errstate(invalid="ignore"):
        return np.asarray((signs[0] * signs[1]).sum(axis=-1) / untied)
