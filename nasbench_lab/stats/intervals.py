"""Intervals over runs, of means, medians and aggregates over tasks: where the intervals of a leaderboard are computed.

Shapes: R runs (seeds), T tasks, C columns, B resamples. What compares strategies is in `significance`.

Which interval: of incumbents' accuracies, which are skewed and full of ties, the BCa bootstrap of a mean covers 89 to 95%
at 20 runs and 92 to 95% at 50; the symmetric studentised bootstrap used here holds 95%, and where nearly all runs agree,
which leaves nothing to resample, the bound on what was not seen does (`unseen`, `docs/statistics.md`).

Memory does not grow with runs times resamples: from `_MANY` runs on resamples are drawn as they are used, a part at a time.
From `_VERY_MANY` on it is drawn how often each value comes, not each run, which has the same distribution; and where a mean is of
more values than `_VALUES`, Student's t is taken, from which the symmetric studentised bootstrap then differs by the order of
1 / runs (Hall 1988).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.stats import misses

FloatArray = NDArray[np.float64]
Ends = tuple[FloatArray, FloatArray]
Aggregate = Literal["mean", "median", "iqm"]
FEWEST = 20  # runs below which no interval is shown: none covers as it says on skewed incumbents
_TRIM = 0.25  # of each tail, by the interquartile mean
_WIDEST = 3.0  # of `mean_interval`, in units of Student's interval
_CHUNK = 4_000_000  # numbers of draws turned into floats at once
_VERY_MANY = 20_000  # runs from which on values are drawn
_VALUES = 4096  # different ones of a mean, beyond which nothing is drawn at all
_MANY = 1024  # runs from which on counting draws is faster than drawing counts, and too much to keep


def mean_interval(
    values: FloatArray,
    *,
    possible: FloatArray | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    fewest: int = FEWEST,
) -> Ends:
    """Symmetric studentised bootstrap interval of the mean over runs (Hall 1988, Annals of Statistics 16:927), widened to
    what misses that were not seen allow where most runs agree (`misses.limits`).

    mean -+ k * standard error, where k is the quantile of |resampled mean - mean| / resampled standard error, and no
    less than Student's t and no more than three times that: where one or two runs in a hundred are apart, most resamples
    have next to no spread and say nothing of how wide it should be. All resamples are one matrix product.

    Args:
        values: (R, C), one column per quantity; columns share their resampled runs. Larger is better.
        possible: (N,) all values that a run can have, a table's test scores for example. If left out, nothing is known
            of misses that were not seen, and the interval does not hold its level where nearly all runs agree.
        confidence: nominal coverage.
        resamples: bootstrap samples.
        seed: of the resampling, so that the same records always give the same interval.
        fewest: runs below which there is no interval.

    Returns:
        lower and upper ends, (C,) each; both nan with fewer than `fewest` runs or a nan value; both the mean where all
        runs agree and no other value is possible or none is known.
    """
    values = np.asarray(values, dtype=np.float64)
    runs = len(values)
    if runs < max(fewest, 2):
        return np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    same = (values == values[0]).all(axis=0)  # rounding must not give these a spread
    mean = np.where(same, values[0], values.mean(axis=0))
    error = np.where(same, 0.0, values.std(axis=0, ddof=1) / np.sqrt(runs))
    with np.errstate(all="ignore"):
        unit = np.where(error > 0, (values - mean) / (error * np.sqrt(runs)), 0.0)
        found = _quantiles(unit, confidence, resamples, seed)
    student = float(stats.t.ppf(0.5 + confidence / 2, runs - 1))
    factor = np.clip(found, student, _WIDEST * student)
    low, high = mean - factor * error, mean + factor * error
    if possible is None:
        return low, high
    known = possible[np.isfinite(possible)]
    if not known.size:
        return low, high
    least, most = misses.limits(values, known, confidence=confidence)
    low, high = np.minimum(low, least), np.maximum(high, most)
    inside = (values.min(axis=0) >= known.min()) & (values.max(axis=0) <= known.max())  # a mean lies where values can
    return np.where(inside, np.maximum(low, known.min()), low), np.where(inside, np.minimum(high, known.max()), high)


def _quantiles(unit: FloatArray, confidence: float, resamples: int, seed: int) -> FloatArray:
    """(C,) quantiles of `_deviations` of (R, C) values; 0 where Student's t says as much."""
    runs = len(unit)
    if runs < _VERY_MANY:
        return np.asarray(np.quantile(_deviations(unit, runs, _draws(runs, resamples, seed)), confidence, axis=0))
    found = np.zeros(unit.shape[1])
    for column in range(unit.shape[1]):
        values, draws = _values(unit[:, column], resamples, seed)
        if len(values) <= _VALUES:
            found[column] = np.quantile(_deviations(values[:, None], runs, draws), confidence)
    return found


def _deviations(unit: FloatArray, runs: int, draws: Iterator[NDArray[Any]]) -> FloatArray:
    """(B, C) |mean| / standard error of resamples of (K, C) values with mean 0; 0 where a resample has no spread.

    `draws`: (B, K) how often each value is among the runs.
    """
    found = []
    for counts in draws:
        weights = counts / runs
        means = weights @ unit
        errors = np.sqrt(np.maximum(weights @ unit**2 - means**2, 0.0) / (runs - 1))
        found.append(np.where(errors > 1e-9, np.abs(means) / errors, 0.0))
    return np.concatenate(found)


def _values(column: FloatArray, resamples: int, seed: int) -> tuple[FloatArray, Iterator[NDArray[np.int64]]]:
    """The (K,) different values of (R,) runs, ascending, and (B, K) how often each is in resamples, a part at a time."""
    values, counts = np.unique(column, return_counts=True)
    rng, step = np.random.default_rng(seed), max(1, _CHUNK // len(values))
    sizes = (min(step, resamples - start) for start in range(0, resamples, step))
    return values, (rng.multinomial(len(column), counts / len(column), size) for size in sizes)


def median_interval(values: FloatArray, *, confidence: float = 0.95) -> Ends:
    """Interval of the median over runs from order statistics: exact for any distribution, ties make it wider.

    Args:
        values: (R, C), one column per quantity.
        confidence: coverage, at least.

    Returns:
        lower and upper ends, (C,) each; nan with fewer than `FEWEST` runs or a nan value.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=0)  # nan comes last
    runs = len(ordered)
    if runs < FEWEST:
        return np.full(ordered.shape[1], np.nan), np.full(ordered.shape[1], np.nan)
    below = int(stats.binom.ppf((1 - confidence) / 2, runs, 0.5))  # so many order statistics are left out on each side
    nothing = np.where(np.isnan(ordered[-1]), np.nan, 0.0)
    return ordered[below - 1] + nothing, ordered[runs - below] + nothing


def interquartile_mean(values: FloatArray) -> FloatArray:
    """(R, ...) -> (...): mean of what is left when a quarter of the runs is cut off at either end."""
    return np.asarray(stats.trim_mean(np.asarray(values, dtype=np.float64), _TRIM, axis=0))


def aggregate(scores: FloatArray, kind: Aggregate) -> float:
    """One number of (R, T) scores: mean or median over tasks of task means, or interquartile mean of all scores.

    The definitions of rliable (Agarwal et al. 2021, arXiv:2108.13264).
    """
    if kind == "iqm":
        return float(stats.trim_mean(scores, _TRIM, axis=None))
    means = scores.mean(axis=0)
    return float(means.mean() if kind == "mean" else np.median(means))


def aggregate_interval(
    scores: FloatArray,
    kind: Aggregate,
    *,
    paired: bool = False,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of `aggregate`, stratified: runs are drawn anew within every task.

    Args:
        scores: (R, T).
        kind: what is aggregated.
        paired: row i is one seed on all tasks, or one search scored on several tables: rows are drawn whole. Drawing
            within tasks would take what they have in common for luck that averages out.
        confidence: nominal coverage.
        resamples: bootstrap samples.
        seed: of the resampling.

    Returns:
        lower and upper end; nan with fewer than `FEWEST` runs or a nan score.
    """
    scores = np.asarray(scores, dtype=np.float64)
    runs, tasks = scores.shape
    if runs < FEWEST or np.isnan(scores).any():
        return float("nan"), float("nan")
    draws: list[Iterator[NDArray[Any]]]
    if tasks == 1 and runs >= _VERY_MANY:
        values, drawn = _values(scores[:, 0], resamples, seed)
        scores, draws = values[:, None], [drawn]
    else:
        draws = [_draws(runs, resamples, seed if paired else seed + task) for task in range(tasks)]
    found = np.concatenate([_aggregates(scores, kind, part) for part in zip(*draws, strict=True)])
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _aggregates(scores: FloatArray, kind: Aggregate, draws: tuple[NDArray[Any], ...]) -> FloatArray:
    """`aggregate` of resamples: (R, T) scores drawn (B, R) times in each of the T tasks -> (B,)."""
    runs = int(draws[0][0].sum(dtype=np.int64))
    if kind == "iqm":
        return _trimmed(scores, np.stack(draws, axis=2), runs)
    means = np.stack([draw.astype(np.float64) @ scores[:, t] / runs for t, draw in enumerate(draws)], axis=1)
    return np.asarray(means.mean(axis=1) if kind == "mean" else np.median(means, axis=1))


def _draws(runs: int, resamples: int, seed: int) -> Iterator[NDArray[Any]]:
    """(B, R) how often each run is drawn, as many of the B at once as fit into memory as floats.

    That one is drawn 256 times does not happen: its chance is below 1e-500.
    """
    step = max(1, _CHUNK // runs)
    if runs < _MANY:
        counts = _resampled(runs, resamples, seed)
        yield from (counts[start : start + step] for start in range(0, resamples, step))
        return
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, step):
        drawn = (rng.integers(runs, size=runs) for _ in range(min(step, resamples - start)))
        yield np.stack([np.bincount(each, minlength=runs).astype(np.uint8) for each in drawn])


@lru_cache(maxsize=4)  # a leaderboard draws the same ones for all its rows
def _resampled(runs: int, resamples: int, seed: int) -> NDArray[np.uint8]:
    """All of them, of few runs."""
    counts = np.random.default_rng(seed).multinomial(runs, np.full(runs, 1 / runs), resamples)
    return frozen(counts.astype(np.uint8))


def _trimmed(scores: FloatArray, counts: NDArray[Any], runs: int) -> FloatArray:
    """Interquartile means of resamples of so many runs: (R, T) scores drawn (B, R, T) times -> (B,)."""
    order, size = np.argsort(scores, axis=None, kind="stable"), runs * scores.shape[1]
    cut = int(_TRIM * size)
    upto = np.cumsum(counts.reshape(len(counts), -1)[:, order], axis=1, dtype=np.float64)
    kept = np.diff(np.clip(upto, cut, size - cut), axis=1, prepend=cut)
    return np.asarray(kept @ scores.ravel()[order] / (size - 2 * cut))
