"""Scores of every seed -> who is separated from whom: rank ranges, seeds still missing, and the table of all pairs.

Shapes: R runs, S strategies, best first. Arrays in, JSON values out; the tests are `significance`'s.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab import significance, stats

FloatArray = NDArray[np.float64]
Row = dict[str, Any]
COLUMNS = {
    "rank_low": "ranks that cannot be excluded: 1 + how many strategies are significantly better (sign-flip test of "
    "paired means, Holm over all pairs, 5%); 1: not separable from the best",
    "rank_high": "the number of strategies less how many are significantly worse",
    "seeds_to_next": "seeds more that would separate it from the next row, with 80% power, if the difference seen is "
    "the true one; 0: separated; empty: nothing to tell apart",
}
METHOD = "sign-flip test of the mean of paired differences (same seeds), Holm's correction over all pairs"


def of(names: Sequence[str], scores: FloatArray, by: str) -> tuple[list[Row], Row]:
    """Columns for every strategy, and the setting's tests.

    Args:
        names: S strategies, best first.
        scores: (R, S), larger is better; row i is the same seed for all.
        by: what the scores are, in words.

    Returns:
        S rows of `COLUMNS`; and {"by", "strategies", "runs", "method", "alpha", "power", "detectable_difference",
        "friedman", "cliques", "pairs"}, where a pair's `difference` is of `one` minus `other`, `one` the better placed.
    """
    found = significance.compare(scores)
    runs, count = scores.shape
    low, high = significance.rank_ranges(found.better)
    missing = [significance.more_runs(found, runs, i, i + 1) for i in range(count - 1)] + [math.nan]
    rows = [
        {"rank_low": int(low[i]), "rank_high": int(high[i]), "seeds_to_next": missing[i]}
        if not np.isnan(scores[:, i]).any()
        else dict.fromkeys(COLUMNS, math.nan)
        for i in range(count)
    ]
    separated = found.better | found.better.T
    friedman = _friedman(scores)
    tests = {
        "by": by,
        "strategies": list(names),
        "runs": runs,
        "method": METHOD,
        "alpha": significance.ALPHA,
        "power": significance.POWER,
        "detectable_difference": _detectable(found, runs),
        "friedman": None
        if friedman is None
        else {
            "statistic": friedman.statistic,
            "p": friedman.p,
            "ranks": friedman.ranks.tolist(),
            "critical_difference": friedman.critical_difference,
        },
        "cliques": [[names[i] for i in clique] for clique in significance.cliques(separated)],
        "pairs": _pairs(names, scores, found, friedman),
    }
    return rows, tests


def _friedman(scores: FloatArray) -> significance.Friedman | None:
    runs, count = scores.shape
    return None if count < 3 or runs < 2 or np.isnan(scores).any() else significance.friedman(scores)


def _detectable(found: significance.Comparison, runs: int) -> float:
    """What the typical pair could be separated by at so many seeds, after the correction for all pairs."""
    known = found.sd[~np.isnan(found.sd)]
    if not known.size:
        return math.nan
    alpha = significance.ALPHA / len(found.first)
    return significance.detectable_difference(float(np.median(known)), runs, alpha=alpha)


def _pairs(
    names: Sequence[str], scores: FloatArray, found: significance.Comparison, friedman: significance.Friedman | None
) -> list[Row]:
    first, second = found.first, found.second
    low, high = stats.mean_interval(scores[:, first] - scores[:, second])
    rows = []
    for i, (one, other) in enumerate(zip(first.tolist(), second.tolist(), strict=True)):
        row = {
            "one": names[one],
            "other": names[other],
            "difference": found.difference[i],
            "low": low[i],
            "high": high[i],
            "p": found.p[i],
            "p_holm": found.p_holm[i],
            "p_wilcoxon": found.wilcoxon[i],
            "p_nemenyi": math.nan if friedman is None else friedman.nemenyi[one, other],
            "p_conover": math.nan if friedman is None else friedman.conover[one, other],
            "improvement": found.improvement[i],
            "cliffs_delta": 2 * found.improvement[i] - 1,
            "more_seeds": significance.more_runs(found, len(scores), one, other),
        }
        rows.append({key: _short(value) for key, value in row.items()} | {"separated": bool(found.separated[i])})
    return rows


def _short(value: Any) -> Any:
    """Numbers to six significant digits: more would only make the files long."""
    return value if isinstance(value, str) else float(f"{float(value):.6g}")
