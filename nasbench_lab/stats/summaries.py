"""Statistics on arrays: intervals, aggregates over tasks, ranks, how soon targets are hit, what random search is expected
to reach. Imports nothing of ours.

Shapes: R runs (seeds), T tasks, S strategies, C checkpoints or columns, N cells. What compares strategies is in
`significance`.

Which interval: of incumbents' accuracies, which are skewed and full of ties, the BCa bootstrap of a mean covers 89 to 95%
at 20 runs and 92 to 95% at 50; the symmetric studentised bootstrap used here holds 95% (`docs/statistics.md`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

FloatArray = NDArray[np.float64]
Ends = tuple[FloatArray, FloatArray]
Aggregate = Literal["mean", "median", "iqm"]
FEWEST = 20  # runs below which no interval is shown: none covers as it says on skewed incumbents
_TRIM = 0.25  # of each tail, by the interquartile mean

_WIDEST = 3.0  # of `mean_interval`, in units of Student's interval


def mean_interval(values: FloatArray, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0) -> Ends:
    """Symmetric studentised bootstrap interval of the mean over runs (Hall 1988, Annals of Statistics 16:927).

    mean -+ k * standard error, where k is the quantile of |resampled mean - mean| / resampled standard error, and no
    less than Student's t and no more than three times that: where one or two runs in a hundred are apart, most resamples
    have next to no spread and say nothing of how wide it should be. All resamples are one matrix product.

    Args:
        values: (R, C), one column per quantity; columns share their resampled runs.
        confidence: nominal coverage.
        resamples: bootstrap samples.
        seed: of the resampling, so that the same records always give the same interval.

    Returns:
        lower and upper ends, (C,) each; both nan with fewer than `FEWEST` runs or a nan value, both the mean where
        all runs agree.
    """
    values = np.asarray(values, dtype=np.float64)
    runs = len(values)
    if runs < FEWEST:
        return np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    mean = values.mean(axis=0)
    mean = np.where((values == values[0]).all(axis=0), values[0], mean)
    error = values.std(axis=0, ddof=1) / np.sqrt(runs)
    weights = _resampled(runs, resamples, seed) / runs
    with np.errstate(all="ignore"):
        unit = np.where(error > 0, (values - mean) / (error * np.sqrt(runs)), 0.0)
        means = weights @ unit
        errors = np.sqrt(np.maximum(weights @ unit**2 - means**2, 0.0) / (runs - 1))
        deviations = np.where(errors > 1e-9, np.abs(means) / errors, 0.0)
    student = float(stats.t.ppf(0.5 + confidence / 2, runs - 1))
    factor = np.clip(np.quantile(deviations, confidence, axis=0), student, _WIDEST * student)
    return mean - factor * error, mean + factor * error


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
    draws = [_resampled(runs, resamples, seed if paired else seed + task) for task in range(tasks)]
    if kind == "iqm":
        found = _trimmed(scores, np.stack(draws, axis=2))
    else:
        means = np.stack([draw @ scores[:, task] / runs for task, draw in enumerate(draws)], axis=1)
        found = means.mean(axis=1) if kind == "mean" else np.median(means, axis=1)
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


@lru_cache(maxsize=4)  # a leaderboard draws the same ones for all its rows
def _resampled(runs: int, resamples: int, seed: int) -> FloatArray:
    """(B, R) how often each run is drawn."""
    counts = np.random.default_rng(seed).multinomial(runs, np.full(runs, 1 / runs), resamples).astype(np.float64)
    counts.flags.writeable = False
    return counts


def _trimmed(scores: FloatArray, counts: FloatArray) -> FloatArray:
    """Interquartile means of resamples: (R, T) scores drawn (B, R, T) times -> (B,)."""
    order = np.argsort(scores, axis=None, kind="stable")
    cut = int(_TRIM * scores.size)
    upto = np.cumsum(counts.reshape(len(counts), -1)[:, order], axis=1)
    kept = np.diff(np.clip(upto, cut, scores.size - cut), axis=1, prepend=cut)
    return np.asarray(kept @ scores.ravel()[order] / (scores.size - 2 * cut))


def mean_ranks(values: FloatArray) -> FloatArray:
    """(R, S) scores, larger is better -> (S,) mean rank over runs, 1 the best; equals share it, nan is worst."""
    known = np.where(np.isnan(values), -np.inf, values)
    return np.asarray(stats.rankdata(-known, axis=1).mean(axis=0))


def restricted_mean(times: FloatArray, limits: FloatArray) -> float:
    """Mean of first-hit times where a run that never hit counts with its length: a lower bound unless all hit."""
    return float(np.where(np.isfinite(times), times, limits).mean())


def censored_median(times: FloatArray) -> float:
    """Median of first-hit times with never as infinity; inf if half or more of the runs never hit."""
    return float(np.median(times)) if np.isfinite(times).mean() > 0.5 else np.inf


def expected_running_time(times: FloatArray, limits: FloatArray) -> float:
    """COCO's ERT: all time spent, by runs that hit and runs that did not, per hit; inf if none did.

    What a strategy that is started anew until it hits spends on average (Hansen et al. 2021, arXiv:1603.08785).

    Args:
        times: (R,) first-hit times, inf where a run never hit.
        limits: (R,) lengths of the runs.
    """
    hits = np.isfinite(times)
    return float(np.where(hits, times, limits).sum() / hits.sum()) if hits.any() else np.inf


def ecdf(times: FloatArray, budgets: FloatArray) -> FloatArray:
    """(R, targets) first-hit times -> (budgets,) share of all (run, target) pairs hit within each budget.

    COCO's runtime distribution. A pair that was never hit (inf) stays in the denominator.
    """
    ordered = np.sort(np.asarray(times, dtype=np.float64), axis=None)
    return np.asarray(np.searchsorted(ordered, budgets, side="right") / max(ordered.size, 1))


def performance_profile(scores: FloatArray, thresholds: FloatArray) -> FloatArray:
    """(R, T) scores -> (thresholds,) share of runs above each, averaged over tasks (rliable's score distribution)."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64), axis=None)  # tasks have as many runs each
    return np.asarray(1 - np.searchsorted(ordered, thresholds, side="right") / max(ordered.size, 1))


def area_under(regret: FloatArray, at: FloatArray) -> FloatArray:
    """Anytime regret: (R, C) regret at ascending `at` (C,) -> (R,) its mean over the logarithm of `at`, trapezoidal.

    In units of regret; the first half of the logarithmic axis counts as much as the last.
    """
    regret, steps = np.asarray(regret, dtype=np.float64), np.diff(np.log(np.asarray(at, dtype=np.float64)))
    if not steps.size:
        return np.asarray(regret.mean(axis=1))
    return np.asarray((regret[:, 1:] + regret[:, :-1]) @ steps / (2 * steps.sum()))


def random_search_expectation(
    selected_on: FloatArray,
    scored_on: FloatArray,
    queries: Sequence[int] | NDArray[np.int64],
    *,
    replacement: bool = False,
) -> FloatArray:
    """Exact expected score of random search's incumbent, by enumeration of the whole space.

    The incumbent after n uniform draws is the best of them by `selected_on`, the first drawn of equals. With cells
    sorted by it, P(best of n has rank > r) is C(N - r, n) / C(N, n) without and ((N - r) / N)^n with replacement;
    equals are exchangeable, so a group of them contributes its mean score.

    Args:
        selected_on: (N,) what the search sees, larger is better.
        scored_on: (N,) what the incumbent is scored on.
        queries: (C,) numbers of draws, each at least 1; without replacement at most N are made.

    Returns:
        (C,) expected scores.
    """
    _, group = np.unique(-np.asarray(selected_on, dtype=np.float64), return_inverse=True)
    sizes = np.bincount(group)
    group_score = np.bincount(group, weights=scored_on) / sizes
    above = np.concatenate([[0], np.cumsum(sizes)]).astype(np.float64)  # cells better than each group's end
    total = float(above[-1])
    out = []
    for n in np.asarray(queries, dtype=np.float64):
        worse = total - above
        if replacement:
            tail = (worse / total) ** n
        else:
            draws = min(n, total)
            possible = worse >= draws
            tail = np.zeros(len(worse))
            tail[possible] = np.exp(_log_choose(worse[possible], draws) - _log_choose(np.array(total), draws))
        out.append(float(-np.diff(tail) @ group_score))
    return np.array(out)


def random_search_queries_to(hits: int, size: int) -> float:
    """Expected draws without replacement until the first of `hits` good cells among `size`: (N + 1) / (k + 1)."""
    return (size + 1) / (hits + 1)


def _log_choose(n: FloatArray, k: float) -> FloatArray:
    return np.asarray(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))


def checkpoints(limit: float, *, per_decade: Sequence[float] = (1, 1.5, 2, 2.5, 3, 5, 7)) -> list[int]:
    """Whole numbers at roughly even steps of the logarithm, from 1 to `limit`, which is always the last."""
    points = {round(step * 10**power) for power in range(9) for step in per_decade if step * 10**power <= limit}
    return sorted({p for p in points if p >= 1} | {int(limit)})
