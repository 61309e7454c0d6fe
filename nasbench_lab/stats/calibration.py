"""How good predictions of a score are: their order, their errors, and whether their stated spread is true.

Arrays in, numbers out. Notation: m held-out cells, L probabilities; `truth`, `mean` and `std`
are (m,) in one unit, larger is better; `quantiles` (L, m) are predicted quantiles at the probabilities `LEVELS`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nasbench_lab.stats import gains

FloatArray = NDArray[np.float64]
LEVELS: tuple[float, ...] = tuple(step / 20 for step in range(1, 20))  # 5%, 10%, ..., 95%
TOP = 0.01  # share of the held-out cells that `recall` and `ndcg` look at
FEW = 10  # cells predicted best that `best_rank` looks at
TAIL = 0.1  # share of the held-out cells, predicted best, whose intervals `cover90_top` looks at


def top_count(cells: int, share: float = TOP) -> int:
    """How many of so many cells are "the best": at least one."""
    return max(1, round(share * cells))


def measures(truth: FloatArray, mean: FloatArray, std: FloatArray, quantiles: FloatArray) -> dict[str, float]:
    """All measures of this module by name."""
    return ranking(truth, mean) | errors(truth, mean, std) | uncertainty(truth, quantiles, mean)


def ranking(truth: FloatArray, mean: FloatArray) -> dict[str, float]:
    """Whether the order is right.

    Returns:
        tau: Kendall's tau-b; 0 where all predictions (or all scores) are equal, as then there is no order.
        spearman: rank correlation; 0 likewise.
        recall: share of the truly best 1% (`top_count` cells) among the 1% predicted best, the literature's P@1%; see
            `top_recall`.
        ndcg: `gains.ndcg` of the 1% predicted best, gains as `gains.above_median`; nan where no cell is above it.
        best_rank: true rank, from 1, of the best of the 10 predicted best; see `best_rank`.
    """
    if (truth == truth[0]).all() or (mean == mean[0]).all():
        tau = spearman = 0.0
    else:
        tau = float(stats.kendalltau(truth, mean).statistic)
        spearman = float(stats.spearmanr(truth, mean).statistic)
    count = top_count(len(truth))
    return {
        "tau": tau,
        "spearman": spearman,
        "recall": top_recall(truth, mean, count),
        "ndcg": gains.ndcg(gains.above_median(truth), mean, count),
        "best_rank": best_rank(truth, mean, min(FEW, len(truth))),
    }


def top_recall(truth: FloatArray, mean: FloatArray, k: int) -> float:
    """Of the k cells with the highest scores, the share among the k with the highest predictions.

    Ties at the k-th place, as isomorphic cells have in a prediction, are broken at random: this is the expectation.
    """
    return float(_membership(truth, k) @ _membership(mean, k) / k)


def best_rank(truth: FloatArray, mean: FloatArray, k: int) -> float:
    """Of the k cells with the highest predictions, the rank of the best by score: 1 where the best of all is among them.

    The literature's N@K (Ning et al. 2020, arXiv:2004.01899; some papers give it as a share). Cells with one score share
    the better rank; ties at the k-th place are broken at random: this is the expectation.
    """
    rank = np.searchsorted(np.sort(-truth), -truth) + 1.0
    cut = np.sort(mean)[-k]
    sure = float(rank[mean > cut].min(initial=math.inf))
    tied = np.minimum(np.sort(rank[mean == cut]), sure)
    drawn = k - int((mean > cut).sum())
    # the best of `drawn` of t is the i-th, from 0, where it is among them and none better is
    among, chances, left = len(tied), [], 1.0
    for place in range(among - drawn + 1):
        chance = drawn / (among - place)
        chances.append(left * chance)
        left *= 1.0 - chance
    return float(tied[: len(chances)] @ np.array(chances))


def _membership(values: FloatArray, k: int) -> FloatArray:
    """(m,) probability of being among the k largest when ties are broken at random."""
    cut = np.sort(values)[-k]
    above, tied = values > cut, values == cut
    return np.where(above, 1.0, tied * (k - above.sum()) / tied.sum())


def errors(truth: FloatArray, mean: FloatArray, std: FloatArray) -> dict[str, float]:
    """How far off.

    Returns:
        rmse, mae: root mean square and mean absolute error, in the unit of the scores.
        r2: 1 - mean square error / variance of the scores; 0 is what predicting their mean would reach.
        nll: mean negative log density of the scores under normal(mean, std), in nats.
    """
    error = truth - mean
    square, variance = float((error**2).mean()), float(truth.var())
    return {
        "rmse": math.sqrt(square),
        "mae": float(np.abs(error).mean()),
        "r2": 1.0 - square / variance if variance > 0 else math.nan,
        "nll": -float(np.mean(stats.norm.logpdf(truth, mean, std))),
    }


def observed(truth: FloatArray, quantiles: FloatArray) -> FloatArray:
    """(L,) share of scores at or below each predicted quantile: the levels themselves if the spread is true."""
    return np.asarray(np.mean(truth <= quantiles, axis=1))


def uncertainty(truth: FloatArray, quantiles: FloatArray, mean: FloatArray) -> dict[str, float]:
    """Whether the stated spread is true, and how wide it is.

    Returns:
        cover50, cover90: share of scores within the central 50% and 90% intervals.
        cover90_top: cover90 of the tenth of the cells that is predicted best (more where predictions tie), which is where a
            search asks.
        sharpness: mean width of the 90% interval in standard deviations of the scores; a normal distribution with
            the scores' own mean and deviation, which knows nothing of any cell, has 3.29.
        ece: mean distance between the levels and what was observed at them, the calibration error of Kuleshov et al.
            2018 (arXiv:1807.00263) with absolute in place of squared distances, so that it reads as a probability.
        pinball: mean quantile loss over the levels, in the unit of the scores: a proper score of the whole
            distribution that, unlike `nll`, assumes no shape (Gneiting & Raftery 2007).
    """
    levels = np.array(LEVELS)
    low, high = quantiles[_at(0.05)], quantiles[_at(0.95)]
    half_low, half_high = quantiles[_at(0.25)], quantiles[_at(0.75)]
    spread, inside = float(truth.std()), (truth >= low) & (truth <= high)
    above = truth - quantiles
    return {
        "cover50": float(((truth >= half_low) & (truth <= half_high)).mean()),
        "cover90": float(inside.mean()),
        "cover90_top": float(inside[mean >= np.sort(mean)[-top_count(len(mean), TAIL)]].mean()),
        "sharpness": float((high - low).mean()) / spread if spread > 0 else math.nan,
        "ece": float(np.abs(observed(truth, quantiles) - levels).mean()),
        "pinball": float(np.maximum(levels[:, None] * above, (levels[:, None] - 1.0) * above).mean()),
    }


def _at(level: float) -> int:
    return LEVELS.index(level)
