"""Scores of every seed -> who is separated from whom: rank ranges, seeds still missing, and the table of all pairs.

Shapes: R runs, S strategies, best first. Arrays in, JSON values out; the tests are `significance`'s.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.stats import intervals, significance

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
    """What the typical pair could be separated by at so many seeds, after the correction for all pairs; nan: by nothing."""
    known = found.sd[~np.isnan(found.sd)]
    alpha = significance.ALPHA / max(1, len(found.first))
    if not known.size or runs < significance.fewest_runs(alpha):
        return math.nan
    return significance.detectable_difference(float(np.median(known)), runs, alpha=alpha)


def too_few(tests: Row) -> str:
    """What is to be said where no difference is large enough for the tests, as seeds are too few; "" elsewhere.

    Args:
        tests: as `of` gives them, or as they stand in leaderboard.json.
    """
    known = sum(pair["p_holm"] is not None and pair["p_holm"] == pair["p_holm"] for pair in tests.get("pairs", ()))
    if not known:
        return ""
    fewest = significance.fewest_runs(tests["alpha"] / known)
    if tests["runs"] >= fewest:
        return ""
    return (
        f"Seeds: {tests['runs']}. The tests can separate no pair with so few, however far apart two strategies are; "
        f"{fewest} are the fewest."
    )


def _pairs(
    names: Sequence[str], scores: FloatArray, found: significance.Comparison, friedman: significance.Friedman | None
) -> list[Row]:
    first, second = found.first, found.second
    low, high = intervals.mean_interval(scores[:, first] - scores[:, second])
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


OVERALL = "Over all settings"
OVERALL_HEADS = ("strategy", "mean", "95% interval", "median", "95% interval", "IQM", "95% interval")
OVERALL_NOTE = (
    "Test accuracy of every setting on a scale from 0, a cell drawn at random, to 1, the best cell. Mean and median are of the "
    "settings' means, the interquartile mean (IQM) is of all runs (rliable's definitions); intervals: percentile "
    "bootstrap over seeds, drawn for all settings together."
)
_KINDS: tuple[intervals.Aggregate, ...] = ("mean", "median", "iqm")


def overall(ends: Sequence[Mapping[str, FloatArray]], truths: Sequence[FloatArray]) -> list[Row]:
    """Aggregates over settings of the strategies that all of them have, best mean first.

    Args:
        ends: per setting, strategy -> (R,) test accuracy at the end.
        truths: per setting, (N,) test accuracy of all cells.

    Returns:
        {"strategy", "settings", and "<kind>", "<kind>_low", "<kind>_high" of mean, median, iqm}; none where there are
        fewer than two settings, not the same number of seeds, or a run without an answer.
    """
    common = [name for name in ends[0] if all(name in end for end in ends)] if len(ends) > 1 else []
    rows = []
    for name in common:
        scores = [_scaled(end[name], truth) for end, truth in zip(ends, truths, strict=True)]
        if len({len(score) for score in scores}) > 1 or any(np.isnan(score).any() for score in scores):
            continue
        table = np.stack(scores, axis=1)
        row: Row = {"strategy": name, "settings": len(ends)}
        for kind in _KINDS:
            low, high = intervals.aggregate_interval(table, kind, paired=True)
            row |= {kind: intervals.aggregate(table, kind), f"{kind}_low": low, f"{kind}_high": high}
        rows.append(row)
    return sorted(rows, key=lambda row: (-row["mean"], row["strategy"]))


def _scaled(end: FloatArray, truth: FloatArray) -> FloatArray:
    """Test accuracy as a share of the way from a random cell to the best; nan where all cells are equal."""
    span = float(truth.max() - truth.mean())
    return (end - truth.mean()) / span if span > 0 else np.full(len(end), np.nan)


def overall_cells(row: Row) -> tuple[str, ...]:
    """A row of `overall` as the texts under `OVERALL_HEADS`."""
    cells = [row["strategy"]]
    for kind in _KINDS:
        low, high = row[f"{kind}_low"], row[f"{kind}_high"]
        known = low is not None and low == low
        cells += [f"{row[kind]:.3f}", f"{low:.3f} – {high:.3f}" if known else f"from {intervals.FEWEST} seeds on"]
    return tuple(cells)
