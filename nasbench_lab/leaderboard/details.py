"""What a page shows beyond the rows of a leaderboard, from the records of every seed: as plain JSON values.

Per setting (one task, one scored table; S strategies): mean ranks and targets hit over queries, performance profile,
the best cells found, the fronts attained. Per scored table: its landscape. `details.json` beside the
leaderboard keeps them, so that the page can be written where the runs are not.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab import core
from nasbench_lab.core import FloatArray
from nasbench_lab.files import sealed
from nasbench_lab.leaderboard.front_scores import Reached
from nasbench_lab.leaderboard.parts import Entry, Setting
from nasbench_lab.spaces import cell
from nasbench_lab.stats import fronts, progress, references, shares

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


def to_json(entries: Sequence[Entry]) -> str:
    """`of` as the text of details.json; what is not known is null."""
    return json.dumps(sealed.seal(_known(of(entries))), separators=(",", ":"), allow_nan=False) + "\n"


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _known(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_known(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def key_of(row: Row) -> tuple[str, ...]:
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
    out["best"] = _best(setting, members)
    if setting.front is not None and setting.front.costs.shape[1] == 2:
        reached = [Reached(entry.runs, setting.front, setting.full) for entry in members]
        out["front"] = _front(setting.front, members, reached)
    return out


def _truth(setting: Setting, incumbents: NDArray[Any]) -> FloatArray:
    """Test accuracy of incumbents; nan where there is none."""
    known = np.asarray(incumbents, dtype=np.float64)
    chosen = np.where(np.isnan(known), -1, known).astype(np.int64)
    return np.where(chosen >= 0, setting.truth[chosen], np.nan)


def _checkpoints(members: Sequence[Entry]) -> NDArray[np.int64]:
    longest = max(float(entry.runs.counts.max(initial=0)) for entry in members)
    return np.array(progress.checkpoints(max(longest, 1.0)), dtype=np.int64)


def _ranks(setting: Setting, members: Sequence[Entry]) -> Row:
    """Mean over seeds of the rank among the strategies, after so many queries; a run that ended keeps its incumbent."""
    at = _checkpoints(members)
    values = np.stack([_truth(setting, entry.runs.incumbents_at_queries(at)) for entry in members], axis=1)
    means = [progress.mean_ranks(values[:, :, i]) for i in range(len(at))]
    return {"at": at.tolist(), "mean": _rounded(np.stack(means, axis=1), 3)}


def _targets(setting: Setting, members: Sequence[Entry]) -> Row:
    """Share of (run, target) pairs hit within so many queries (COCO, Hansen et al. 2021); never is not left out."""
    at, best = _checkpoints(members), float(setting.truth.max())
    reached = []
    for entry in members:
        hits = np.stack([entry.runs.first(setting.truth >= best - target - _EQUAL) for target in TARGETS])
        reached.append(progress.ecdf(hits.T, at.astype(np.float64)))
    return {"at": at.tolist(), "targets": list(TARGETS), "share": _shares(np.stack(reached))}


def _profile(setting: Setting, final: FloatArray) -> Row:
    """Share of runs that end within a regret."""
    regret = setting.truth.max() - final
    worst = max(float(np.nanmax(regret, initial=0.0)), 0.1)
    at = np.concatenate([[0.0], np.geomspace(0.01, worst, 36)])
    runs = np.where(np.isnan(regret), np.inf, regret).T
    share = [progress.performance_profile(-own[:, None], -at - _EQUAL) for own in runs]
    return {"at": _rounded(at, 4), "share": _shares(np.stack(share))}


def _best(setting: Setting, members: Sequence[Entry]) -> list[Row]:
    """The best cells that runs ended with, one of each class, and who ended with them."""
    same = setting.space.classes
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
        "test": setting.sign * float(setting.truth[arch]),
        "test_rank": _rank(setting.truth, arch),
        "seen": setting.sign * float(setting.seen[arch]),
        "seen_rank": _rank(setting.seen, arch),
        "of": int((~np.isnan(setting.truth)).sum()),
        "runs": sum(by.values()),
        "of_runs": total,
        "by": dict(sorted(by.items(), key=lambda item: (-item[1], item[0]))[:5]),
    }


def _rank(values: FloatArray, arch: int) -> int:
    return 1 + int((values > values[arch] + _EQUAL).sum())


def _front(target: fronts.Target, members: Sequence[Entry], reached: Sequence[Reached]) -> Row:
    """The exact front of test accuracy and one cost, and what half of every strategy's runs attain."""
    name = next(column for column in members[0].runs.columns if column not in _RECORD)
    sign = -core.direction(name)

    def points(costs: FloatArray) -> Row:
        return {"test": _rounded(100.0 - costs[:, 0], 4), "cost": _rounded(sign * costs[:, 1], 6)}

    attained = {}
    for entry, each in zip(members, reached, strict=True):
        surface = fronts.attainment_front(each.archives, 0.5)
        attained[entry.strategy] = points(target.costs_at(surface))
    return {
        "cost": name,
        "exact": points(target.costs[target.cells]) | {"cell": target.cells.tolist()},
        "attained": attained,
    }


def landscape_of(truth: FloatArray) -> Row:
    """A table's accuracies: by distance to the nearest optimum, their distribution, and local optima with their basins.

    A basin is the share of cells from which going to the best neighbour, while that is better, ends there.
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
            cuts = np.quantile(values, (0.05, 0.25, 0.5, 0.75, 0.95))
            quantiles = {
                f"q{share:02d}": round(float(v), 3) for share, v in zip((5, 25, 50, 75, 95), cuts, strict=True)
            }
            rows.append({"distance": edits, "cells": len(values), "best": round(float(values.max()), 3), **quantiles})
    found = references.local_search(known, known, cell.SPACE.neighbours)
    local = [
        {
            "cell": int(a),
            "test": round(float(truth[a]), 4),
            "basin": shares.rounded(float(share), 6),
            "best": bool(a in optima),
        }
        for a, share in zip(found.optima, found.basins, strict=True)
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


def _shares(values: FloatArray) -> list[Any]:
    """Nested lists, in which nothing is 0 or 1 by rounding."""
    return [[shares.rounded(value, 4) for value in row] for row in values.tolist()]


def _rounded(values: FloatArray, digits: int) -> list[Any]:
    """Nested lists; nan is None."""
    plain = np.round(values, digits).astype(object)
    plain[np.isnan(values)] = None
    nested: list[Any] = plain.tolist()
    return nested
