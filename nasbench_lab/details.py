"""What a page shows beyond the rows of a leaderboard, from the records of every seed: as plain JSON values.

Per setting (one task, one scored table; S strategies): mean ranks and targets hit over queries, performance profile,
who beats whom, the best cells found, the fronts attained. Per scored table: its landscape. `details.json` beside the
leaderboard keeps them, so that the page can be written where the runs are not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats as tests

from nasbench_lab import cell, core, fronts, stats
from nasbench_lab.core import FloatArray
from nasbench_lab.front_scores import Reached
from nasbench_lab.leaderboard import Entry, Setting

Row = dict[str, Any]
TARGETS = (5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.0)  # points of test regret
_EQUAL = 1e-9  # points: accuracies that differ by less are equal
_BEST = 8  # cells drawn
_RECORD = ("seed", "order", "arch", "epochs", "incumbent", "val", "seconds", "finished", "decided")


def of(entries: Sequence[Entry]) -> Row:
    """{"settings": [...], "landscapes": {table: ...}} of all entries."""
    groups: dict[int, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(id(entry.setting), []).append(entry)
    settings = [_setting(members[0].setting, members) for members in groups.values()]
    truths = {entry.setting.score: entry.setting.truth for entry in entries}
    return {"settings": settings, "landscapes": {name: landscape_of(truth) for name, truth in truths.items()}}


def key(row: Row) -> tuple[str, ...]:
    """What tells the setting of a row, a reference or a detail from others."""
    return tuple(str(row[name]) for name in ("table", "score", "search", "budget", "policy"))


def _setting(setting: Setting, members: Sequence[Entry]) -> Row:
    names = ("table", "score", "kind", "search", "budget", "policy")
    final = np.stack([_truth(setting, entry.runs.last("incumbent")) for entry in members], axis=1)
    out: Row = {name: getattr(setting, name) for name in names}
    out["strategies"] = [entry.strategy for entry in members]
    out["seeds"] = len(final)
    out["rank"] = _ranks(setting, members)
    out["targets"] = _targets(setting, members)
    out["profile"] = _profile(setting, final)
    out["pairs"] = pairs(final)
    out["best"] = _best(setting, members)
    if setting.front is not None and setting.front.costs.shape[1] == 2:
        out["front"] = _front(setting, members)
    return out


def _truth(setting: Setting, incumbents: NDArray[Any]) -> FloatArray:
    """Test accuracy of incumbents; nan where there is none."""
    known = np.asarray(incumbents, dtype=np.float64)
    chosen = np.where(np.isnan(known), -1, known).astype(np.int64)
    return np.where(chosen >= 0, setting.truth[chosen], np.nan)


def _checkpoints(members: Sequence[Entry]) -> NDArray[np.int64]:
    longest = max(float(entry.runs.counts.max(initial=0)) for entry in members)
    return np.array(stats.checkpoints(max(longest, 1.0)), dtype=np.int64)


def _ranks(setting: Setting, members: Sequence[Entry]) -> Row:
    """Mean over seeds of the rank among the strategies, after so many queries; a run that ended keeps its incumbent."""
    at = _checkpoints(members)
    values = np.stack([_truth(setting, entry.runs.incumbents_at_queries(at)) for entry in members], axis=1)
    means = [stats.mean_ranks(values[:, :, i]) for i in range(len(at))]
    return {"at": at.tolist(), "mean": _rounded(np.stack(means, axis=1), 3)}


def _targets(setting: Setting, members: Sequence[Entry]) -> Row:
    """Share of (run, target) pairs hit within so many queries (COCO, Hansen et al. 2021); never is not left out."""
    at, best = _checkpoints(members), float(setting.truth.max())
    shares = []
    for entry in members:
        hits = np.stack([entry.runs.first(setting.truth >= best - target - _EQUAL) for target in TARGETS])
        shares.append((hits[:, :, None] <= at).mean(axis=(0, 1)))
    return {"at": at.tolist(), "targets": list(TARGETS), "share": _rounded(np.stack(shares), 4)}


def _profile(setting: Setting, final: FloatArray) -> Row:
    """Share of runs that end within a regret."""
    regret = setting.truth.max() - final
    worst = max(float(np.nanmax(regret, initial=0.0)), 0.1)
    at = np.concatenate([[0.0], np.geomspace(0.01, worst, 36)])
    share = (regret[:, :, None] <= at + _EQUAL).mean(axis=0)
    return {"at": _rounded(at, 4), "share": _rounded(share, 4)}


def pairs(final: FloatArray, *, level: float = 0.05) -> Row:
    """Who ends better than whom, seed by seed.

    Args:
        final: (R, S) test accuracy at the end; seed r gave every strategy the same start.
        level: familywise.

    Returns:
        "better" (S, S), share of seeds on which the row ends better than the column, equals half (nan is worst), and
        "separated" (S, S), whether Wilcoxon's signed-rank test tells them apart after Holm's correction over pairs.
    """
    known = np.where(np.isnan(final), -1e9, final)
    gap = known[:, :, None] - known[:, None, :]
    better = (gap > _EQUAL).mean(axis=0) + 0.5 * (np.abs(gap) <= _EQUAL).mean(axis=0)
    upper = list(zip(*np.triu_indices(final.shape[1], 1), strict=True))
    p = np.array([_wilcoxon(gap[:, a, b]) for a, b in upper])
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    separated = np.zeros(better.shape, dtype=bool)
    for (a, b), value in zip(upper, adjusted, strict=True):
        separated[a, b] = separated[b, a] = value < level
    return {"better": _rounded(better, 4), "separated": separated.astype(int).tolist(), "level": level}


def _wilcoxon(gap: FloatArray) -> float:
    moved = gap[np.abs(gap) > _EQUAL]
    return float(tests.wilcoxon(moved).pvalue) if len(moved) else 1.0


def _best(setting: Setting, members: Sequence[Entry]) -> list[Row]:
    """The best cells that runs ended with, one of each class, and who ended with them."""
    same = cell.SPACE.classes if len(setting.truth) == cell.SPACE.size else np.arange(len(setting.truth))
    ended: Counter[tuple[int, str]] = Counter()
    shown: dict[int, int] = {}
    total = 0
    for entry in members:
        last = entry.runs.last("incumbent")
        total += len(last)
        for arch in last[~np.isnan(last) & (last >= 0)].astype(np.int64).tolist():
            number = int(same[arch])
            ended[number, entry.strategy] += 1
            shown[number] = max(arch, shown.get(number, -1), key=lambda a: (setting.truth[a] if a >= 0 else -1, -a))
    best = sorted(shown, key=lambda number: -setting.truth[shown[number]])[:_BEST]
    return [_found(setting, shown[number], number, ended, members, total) for number in best]


def _found(
    setting: Setting, arch: int, number: int, ended: Counter[tuple[int, str]], members: Sequence[Entry], total: int
) -> Row:
    by = {entry.strategy: ended[number, entry.strategy] for entry in members if ended[number, entry.strategy]}
    return {
        "cell": arch,
        "test": float(setting.truth[arch]),
        "test_rank": _rank(setting.truth, arch),
        "seen": float(setting.seen[arch]),
        "seen_rank": _rank(setting.seen, arch),
        "of": int((~np.isnan(setting.truth)).sum()),
        "runs": sum(by.values()),
        "of_runs": total,
        "by": dict(sorted(by.items(), key=lambda item: (-item[1], item[0]))[:5]),
    }


def _rank(values: FloatArray, arch: int) -> int:
    return 1 + int((values > values[arch] + _EQUAL).sum())


def _front(setting: Setting, members: Sequence[Entry]) -> Row:
    """The exact front of test accuracy and one cost, and what half of every strategy's runs attain."""
    target = setting.front
    assert target is not None  # the caller looked
    name = next(column for column in members[0].runs.columns if column not in _RECORD)
    sign = -core.direction(name)

    def points(costs: FloatArray) -> Row:
        return {"test": _rounded(100.0 - costs[:, 0], 4), "cost": _rounded(sign * costs[:, 1], 6)}

    attained = {}
    for entry in members:
        surface = fronts.attainment_front(Reached(entry.runs, target, setting.full).archives, 0.5)
        attained[entry.strategy] = points(target.costs_at(surface))
    return {
        "cost": name,
        "exact": points(target.costs[target.cells]) | {"cell": target.cells.tolist()},
        "attained": attained,
    }


def landscape_of(truth: FloatArray) -> Row:
    """A table's accuracies: by distance to the nearest optimum, their distribution, and local optima with their basins.

    A basin is the share of cells from which going to the best of the 24 neighbours, while that is better, ends there.
    Only for the whole NAS-Bench-201 space.
    """
    if len(truth) != cell.SPACE.size:
        return {}
    known = np.where(np.isnan(truth), -np.inf, truth)
    optima = np.flatnonzero(known >= known.max() - _EQUAL)
    choices = cell.SPACE.choices
    distance = np.min([(choices != choices[best]).sum(axis=1) for best in optima], axis=0)
    rows = []
    for edits in range(int(distance.max()) + 1):
        values = truth[(distance == edits) & ~np.isnan(truth)]
        if len(values):
            shares = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))
            quantiles = {
                f"q{share:02d}": round(float(v), 3) for share, v in zip((5, 25, 50, 75, 95), shares, strict=True)
            }
            rows.append({"distance": edits, "cells": len(values), "best": round(float(values.max()), 3), **quantiles})
    ends = _climbed(known)
    cells, counts = np.unique(ends, return_counts=True)
    local = [
        {
            "cell": int(a),
            "test": round(float(truth[a]), 4),
            "basin": round(float(n / len(truth)), 6),
            "best": bool(a in optima),
        }
        for a, n in zip(cells, counts, strict=True)
        if math.isfinite(known[a])
    ]
    finite = truth[~np.isnan(truth)]
    low = float(np.quantile(finite, 0.05))  # what lies below is counted in the first bin
    counted, edges = np.histogram(np.clip(finite, low, None), bins=48)
    return {
        "distance": rows,
        "edges": _rounded(edges, 4),
        "counts": counted.tolist(),
        "below": round(float(finite.min()), 2),
        "local_optima": sorted(local, key=lambda row: (-row["test"], row["cell"])),
    }


def _climbed(values: FloatArray) -> NDArray[np.int64]:
    """(N,) where steepest ascent from every cell ends; of equal best neighbours the one of lowest index."""
    neighbours = np.sort(cell.SPACE.neighbours, axis=1)
    best = neighbours[np.arange(len(values)), values[neighbours].argmax(axis=1)]
    goes = np.where(values[best] > values + _EQUAL, best, np.arange(len(values)))
    while True:
        further = goes[goes]
        if (further == goes).all():
            return np.asarray(goes, dtype=np.int64)
        goes = further


def _rounded(values: FloatArray, digits: int) -> list[Any]:
    """Nested lists; nan is None."""
    plain = np.round(values, digits).astype(object)
    plain[np.isnan(values)] = None
    nested: list[Any] = plain.tolist()
    return nested
