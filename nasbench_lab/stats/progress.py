"""How far runs are and how soon: ranks, first-hit times, running-time distributions, profiles, areas; and the
checkpoints they are taken at.

Imports nothing of ours. Shapes: R runs (seeds), T tasks, S strategies, C checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]


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


def checkpoints(limit: float, *, per_decade: Sequence[float] = (1, 1.5, 2, 2.5, 3, 5, 7)) -> list[int]:
    """Whole numbers at roughly even steps of the logarithm, from 1 to `limit`, which is always the last."""
    points = {round(step * 10**power) for power in range(9) for step in per_decade if step * 10**power <= limit}
    return sorted({p for p in points if p >= 1} | {int(limit)})


def places(limit: float, most: int) -> list[int]:
    """Every whole number from 1 to `limit`; of more than `most` as many, at even steps of the logarithm, and `checkpoints`."""
    if limit <= most:
        return list(range(1, int(limit) + 1))
    return sorted({round(at) for at in np.geomspace(1, limit, most).tolist()} | set(checkpoints(limit)))
