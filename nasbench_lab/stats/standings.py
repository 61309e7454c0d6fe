"""Scores of every seed -> who is separated from whom: rank ranges, seeds still missing, and the table of all pairs.

Shapes: R runs, S strategies, best first. Arrays in, JSON values out; the tests are `significance`'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.stats import intervals, misses, significance

FloatArray = NDArray[np.float64]
Row = dict[str, Any]
COLUMNS = MappingProxyType(
    {
        "rank_low": "ranks that cannot be excluded: 1 + how many strategies are significantly better (sign-flip test of "
        "paired means, Holm over all pairs, 5%); 1: none is, so that it may be the best",
        "rank_high": "the number of strategies less how many are significantly worse",
        "seeds_to_next": "seeds more that would separate it from the next row, with 80% power, if the difference seen is "
        "the true one; 0: separated from the next row; equal: no difference was seen; empty: nothing to tell apart",
    }
)
_AT_ONCE = 2_000_000  # differences in memory at once
_EQUAL = 1e-9  # differences that are less are rounding
METHOD = "sign-flip test of the mean of paired differences (same seeds), Holm's correction over all pairs"


def of(names: Sequence[str], scores: FloatArray, by: str, possible: FloatArray | None = None) -> tuple[list[Row], Row]:
    """Columns for every strategy, and the setting's tests.

    Args:
        names: S strategies, best first.
        scores: (R, S), larger is better; row i is the same seed for all.
        by: what the scores are, in words.
        possible: (N,) all scores a run can have; nan is left out.

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
        "pairs": _pairs(names, scores, found, friedman, possible),
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
    names: Sequence[str],
    scores: FloatArray,
    found: significance.Comparison,
    friedman: significance.Friedman | None,
    possible: FloatArray | None,
) -> list[Row]:
    first, second = found.first, found.second
    low, high = _ends_of_differences(scores, first, second, possible)
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


def _ends_of_differences(
    scores: FloatArray, first: NDArray[np.int64], second: NDArray[np.int64], possible: FloatArray | None
) -> intervals.Ends:
    """Ends of the intervals of all pairs' mean differences, (P,) each: of the differences seen, as the tests are.

    Where two strategies agreed in every run nothing was seen, and a run may part them by as much as a blind draw costs.
    """
    ends = [_part(scores[:, a] - scores[:, b], possible) for a, b in _in_parts(first, second, len(scores))]
    if not ends:
        return np.empty(0), np.empty(0)
    return np.concatenate([low for low, _ in ends]), np.concatenate([high for _, high in ends])


def _in_parts(
    first: NDArray[np.int64], second: NDArray[np.int64], runs: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """As many pairs at once as have no more than `_AT_ONCE` differences."""
    step = max(1, _AT_ONCE // runs)
    return ((first[i : i + step], second[i : i + step]) for i in range(0, len(first), step))


def _part(differences: FloatArray, possible: FloatArray | None) -> intervals.Ends:
    low, high = intervals.mean_interval(differences)
    same = np.flatnonzero((np.abs(differences) <= _EQUAL).all(axis=0))
    if same.size and possible is not None:
        apart = float(np.nanmax(possible) - np.nanmean(possible))
        low[same], high[same] = intervals.mean_interval(differences[:, same], possible=np.array([-apart, apart]))
    return low, high


def _short(value: Any) -> Any:
    """Numbers to six significant digits: more would only make the files long."""
    return value if isinstance(value, str) else float(f"{float(value):.6g}")


OVERALL = "Over all settings"
OVERALL_HEADS = ("strategy", "mean", "95% interval", "median", "95% interval", "IQM", "95% interval")
OVERALL_NOTE = (
    "Test accuracy of every setting on a scale from 0, a cell drawn at random, to 1, the best cell. Mean and median are of the "
    "settings' means, the interquartile mean (IQM) is of all runs (rliable's definitions); intervals: percentile "
    "bootstrap over seeds, drawn for all settings together; mean's and median's allow for misses that no seed met."
)
_KINDS: tuple[intervals.Aggregate, ...] = ("mean", "median", "iqm")


def overall(
    ends: Sequence[Mapping[str, FloatArray]],
    truths: Sequence[FloatArray],
    possible: Sequence[FloatArray] | None = None,
) -> list[Row]:
    """Aggregates over settings of the strategies that all of them have, best mean first.

    Args:
        ends: per setting, strategy -> (R,) test accuracy at the end.
        truths: per setting, (N,) test accuracy of all cells.
        possible: per setting, (N',) all scores that a run can have; the truths if left out.

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
        aggregated = _aggregate_ends(
            table, [_scaled(own, truth) for own, truth in zip(possible or truths, truths, strict=True)]
        )
        for kind, (low, high) in aggregated.items():
            row |= {kind: intervals.aggregate(table, kind), f"{kind}_low": low, f"{kind}_high": high}
        rows.append(row)
    return sorted(rows, key=lambda row: (-row["mean"], row["strategy"]))


def _aggregate_ends(
    table: FloatArray, possible: Sequence[FloatArray]
) -> dict[intervals.Aggregate, tuple[float, float]]:
    """Intervals of the aggregates of (R, T) scores, of which those of means allow for misses that were not seen.

    Drawing seeds anew shows how mean and median of the settings' means spread; where nearly all runs of a setting agree,
    its mean may lie further out, and the aggregate with it. The interquartile mean does not depend on rare misses.
    """
    mean = table.mean(axis=0)[None]
    further = np.stack([_further(table[:, [t]], known) for t, known in enumerate(possible)], axis=1)
    ends = {}
    for kind in _KINDS:
        low, high = intervals.aggregate_interval(table, kind, paired=True)
        if kind != "iqm":
            low += intervals.aggregate(mean + further[0], kind) - intervals.aggregate(mean, kind)
            high += intervals.aggregate(mean + further[1], kind) - intervals.aggregate(mean, kind)
        ends[kind] = low, high
    return ends


def _further(scores: FloatArray, possible: FloatArray) -> tuple[float, float]:
    """How much further out than (R, 1) scores drawn anew show their mean may lie, below (negative) and above."""
    if len(scores) < 2:  # one run says nothing of others
        return 0.0, 0.0
    low, high = intervals.aggregate_interval(scores, "mean")
    least, most = misses.limits(scores, possible)
    return min(0.0, float(least[0]) - low), max(0.0, float(most[0]) - high)


def _scaled(end: FloatArray, truth: FloatArray) -> FloatArray:
    """Test accuracy as a share of the way from a random cell to the best; nan where all cells are equal."""
    span = float(np.nanmax(truth) - np.nanmean(truth))
    return (end - np.nanmean(truth)) / span if span > 0 else np.full(len(end), np.nan)


def overall_cells(row: Row) -> tuple[str, ...]:
    """A row of `overall` as the texts under `OVERALL_HEADS`."""
    cells = [row["strategy"]]
    for kind in _KINDS:
        low, high = row[f"{kind}_low"], row[f"{kind}_high"]
        known = low is not None and low == low
        cells += [f"{row[kind]:.3f}", f"{low:.3f} – {high:.3f}" if known else f"from {intervals.FEWEST} seeds on"]
    return tuple(cells)
