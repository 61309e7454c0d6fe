"""Statistics on arrays: intervals, ranks, and what random search is expected to reach. Imports nothing of ours.

Shapes: R runs (seeds), S strategies, C checkpoints, N cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

FloatArray = NDArray[np.float64]
FEWEST = 20  # runs below which a bootstrap interval is too narrow to be shown: it covers 84% at 10, 88% at 20


def mean_interval(
    values: FloatArray, *, confidence: float = 0.95, resamples: int = 2000, seed: int = 0
) -> tuple[FloatArray, FloatArray]:
    """BCa bootstrap interval of the mean over runs (Efron 1987, through `scipy.stats.bootstrap`).

    Args:
        values: (R, C), one column per quantity; columns share their resampled runs.
        confidence: nominal coverage.
        resamples: bootstrap samples.
        seed: of the resampling, so that the same records always give the same interval.

    Returns:
        lower and upper ends, (C,) each; both nan with fewer than `FEWEST` runs or a nan value, both the mean where
        all runs agree. Incumbents' accuracies are skewed, so that coverage falls short of nominal with few runs:
        `benchmarks/coverage.py` measures it.
    """
    values = np.asarray(values, dtype=np.float64)
    lower, upper = np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    if len(values) < FEWEST:
        return lower, upper
    whole = ~np.isnan(values).any(axis=0)
    constant = whole & (values == values[0]).all(axis=0)
    lower[constant] = upper[constant] = values[0, constant]
    todo = np.flatnonzero(whole & ~constant)
    if todo.size:
        result = stats.bootstrap(
            (values[:, todo],),
            np.mean,
            axis=0,
            confidence_level=confidence,
            n_resamples=resamples,
            method="BCa",
            batch=max(1, 20_000_000 // values[:, todo].size),
            rng=np.random.default_rng(seed),
        )
        lower[todo], upper[todo] = result.confidence_interval.low, result.confidence_interval.high
    return lower, upper


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


def checkpoints(limit: float, *, per_decade: Sequence[float] = (1, 1.5, 2, 3, 5, 7)) -> list[int]:
    """Whole numbers at roughly even steps of the logarithm, from 1 to `limit`, which is always the last."""
    points = {round(step * 10**power) for power in range(9) for step in per_decade if step * 10**power <= limit}
    return sorted({p for p in points if p >= 1} | {int(limit)})
