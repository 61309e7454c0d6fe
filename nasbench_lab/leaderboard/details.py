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

from nasbench_lab import core
from nasbench_lab.core import FloatArray
from nasbench_lab.files import sealed
from nasbench_lab.leaderboard import landscapes
from nasbench_lab.leaderboard.front_scores import Reached
from nasbench_lab.leaderboard.landscapes import EQUAL
from nasbench_lab.leaderboard.parts import Entry, Setting
from nasbench_lab.spaces import cell, naming
from nasbench_lab.spaces.decisions import text_of
from nasbench_lab.spaces.space import Space
from nasbench_lab.stats import fronts, progress, shares

Row = dict[str, Any]
_STEPS = 100  # of the share of targets hit
BEST_SHARES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)  # of the cells; their regrets are targets of other scores
TARGETS = (5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.0)  # points of test regret
_BEST = 8  # cells drawn
_OPTIONS = 64  # of a decision; the labels of more are not listed
_RECORD = ("seed", "order", "arch", "epochs", "incumbent", "val", "seconds", "finished", "decided")


def of(entries: Sequence[Entry]) -> Row:
    """{"settings": [...], "landscapes": {table: ...}} of all entries."""
    groups: dict[int, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(id(entry.setting), []).append(entry)
    settings = [_setting(members[0].setting, members) for members in groups.values()]
    scored = {entry.setting.score: entry.setting for entry in entries}
    found = {
        name: landscapes.of(each.space, each.truth, each.read_as) | _measure(each) for name, each in scored.items()
    }
    return {"settings": settings, "landscapes": found}


def to_json(entries: Sequence[Entry]) -> str:
    """`of` as the text of details.json; what is not known is null."""
    return json.dumps(sealed.seal(_known(of(entries))), separators=(",", ":"), allow_nan=False) + "\n"


def _known(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _known(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_known(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _measure(setting: Setting) -> Row:
    """How scores are read, where that is not in percent."""
    return {name: value for name, value in setting.measure.items() if name not in ("scored", "val_unit")}


def key_of(row: Row) -> tuple[str, ...]:
    """What tells the setting of a row, a reference or a detail from others."""
    return tuple(str(row[name]) for name in ("table", "score", "search", "budget", "policy"))


def _setting(setting: Setting, members: Sequence[Entry]) -> Row:
    names = ("table", "score", "kind", "search", "budget", "policy")
    final = np.stack([setting.test_of(entry.runs.seeds, entry.runs.last("incumbent")) for entry in members], axis=1)
    out: Row = {name: getattr(setting, name) for name in names} | _measure(setting)
    if setting.space != cell.SPACE:
        out["space"] = space_of(setting.space)
    out["strategies"] = [entry.strategy for entry in members]
    out["seeds"] = len(final)
    out["rank"] = _ranks(setting, members)
    out["targets"] = _targets(setting, members)
    out["profile"] = _profile(setting, final)
    out["best"] = _best(setting, members)
    if setting.front is not None and setting.front.costs.shape[1] == 2:
        reached = [Reached(entry.runs, setting.front, setting.full) for entry in members]
        out["front"] = _front(setting, setting.front, members, reached)
    return out


def space_of(space: Space) -> Row:
    """What a page has to know of a space other than NAS-Bench-201's: how its cells are called and drawn."""
    named = {each.name: list(map(text_of, each.options[:_OPTIONS])) for each in space.decisions}
    return {"name": space.name, "cells": space.size, "decisions": named, "roles": list(space.roles)}


def _longest(members: Sequence[Entry]) -> float:
    return max(1.0, *(float(entry.runs.counts.max(initial=0)) for entry in members))


def _ranks(setting: Setting, members: Sequence[Entry]) -> Row:
    """Mean over seeds of the rank among the strategies, after so many queries; a run that ended keeps its incumbent."""
    at = np.array(progress.checkpoints(_longest(members)), dtype=np.int64)
    values = np.stack(
        [setting.test_of(entry.runs.seeds, entry.runs.incumbents_at_queries(at)) for entry in members], axis=1
    )
    means = [progress.mean_ranks(values[:, :, i]) for i in range(len(at))]
    return {"at": at.tolist(), "mean": _rounded(np.stack(means, axis=1), 3)}


def targets_of(setting: Setting) -> tuple[float, ...]:
    """Test regrets to reach: in points; of scores that are no percentages, those of the best half of all cells, fifth, ..."""
    if setting.read_as.percent:
        return TARGETS
    regrets = np.quantile(setting.truth.max() - setting.truth, BEST_SHARES)
    return tuple(sorted({float(f"{regret:.2g}") for regret in regrets} | {0.0}, reverse=True))


def _targets(setting: Setting, members: Sequence[Entry]) -> Row:
    """Share of (run, target) pairs hit within so many queries (COCO, Hansen et al. 2021); never is not left out.

    It is drawn in steps: at every query, of more than a hundred at a hundred even steps of the logarithm.
    """
    at, best, targets = progress.places(_longest(members), _STEPS), float(setting.truth.max()), targets_of(setting)
    near, reached = EQUAL * setting.scale, []
    for entry in members:
        hits = np.stack([entry.runs.first(setting.truth >= best - target - near) for target in targets])
        reached.append(progress.ecdf(hits.T, np.array(at, dtype=np.float64)))
    return {"at": at, "targets": list(targets), "share": _shares(np.stack(reached))}


def _profile(setting: Setting, final: FloatArray) -> Row:
    """Share of runs that end within a regret."""
    regret, unit = setting.truth.max() - final, setting.scale
    worst = max(float(np.nanmax(regret, initial=0.0)), 0.1 * unit)
    least = 0.01 * unit if setting.read_as.percent else min(t for t in (*targets_of(setting), worst) if t > 0) / 10
    at = np.concatenate([[0.0], np.geomspace(least, worst, 36)])
    runs = np.where(np.isnan(regret), np.inf, regret).T
    share = [progress.performance_profile(-own[:, None], -at - EQUAL * unit) for own in runs]
    return {"at": _read(setting, at, 4), "share": _shares(np.stack(share))}


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
            shown[number] = max(arch, shown.get(number, arch), key=lambda a: (setting.truth[a], -a))
    best = sorted(shown, key=lambda number: -setting.truth[shown[number]])[:_BEST]
    return [_found(setting, shown[number], number, ended, members, total) for number in best]


def _found(
    setting: Setting, arch: int, number: int, ended: Counter[tuple[int, str]], members: Sequence[Entry], total: int
) -> Row:
    by = {entry.strategy: ended[number, entry.strategy] for entry in members if ended[number, entry.strategy]}
    near, own = EQUAL * setting.scale, setting.space != cell.SPACE
    return {
        "cell": arch,
        **({"labels": naming.labels(setting.space, arch)} if own else {}),
        "test": setting.sign * float(setting.truth[arch]),
        "test_rank": _rank(setting.truth, arch, near),
        "seen": setting.seen_read_as.sign * float(setting.seen[arch]),
        "seen_rank": _rank(setting.seen, arch, near),
        "of": int((~np.isnan(setting.truth)).sum()),
        "runs": sum(by.values()),
        "of_runs": total,
        "by": dict(sorted(by.items(), key=lambda item: (-item[1], item[0]))[:5]),
    }


def _rank(values: FloatArray, arch: int, near: float) -> int:
    return 1 + int((values > values[arch] + near).sum())


def _front(setting: Setting, target: fronts.Target, members: Sequence[Entry], reached: Sequence[Reached]) -> Row:
    """The exact front of test scores and one cost, and what half of every strategy's runs attain."""
    name = next(column for column in members[0].runs.columns if column not in _RECORD)
    sign, top = -core.direction(name), setting.read_as.top

    def points(costs: FloatArray) -> Row:
        test = _read(setting, setting.read(top - costs[:, 0]), 4)
        return {"test": test, "cost": _rounded(sign * costs[:, 1], 6)}

    attained = {}
    for entry, each in zip(members, reached, strict=True):
        surface = fronts.attainment_front(each.archives, 0.5)
        attained[entry.strategy] = points(target.costs_at(surface))
    return {
        "cost": name,
        "exact": points(target.costs[target.cells]) | {"cell": target.cells.tolist()},
        "attained": attained,
    }


def _shares(values: FloatArray) -> list[Any]:
    """Nested lists, in which nothing is 0 or 1 by rounding."""
    return [[shares.rounded(value, 4) for value in row] for row in values.tolist()]


def _read(setting: Setting, scores: FloatArray, digits: int) -> list[Any]:
    """Scores or regrets as they are written: percentages to so many decimals, others as `Measure.rounded` has them."""
    if setting.read_as.percent:
        return _rounded(scores, digits)
    return [None if value != value else setting.read_as.rounded(value, digits) for value in scores.tolist()]


def _rounded(values: FloatArray, digits: int) -> list[Any]:
    """Nested lists; nan is None."""
    plain = np.round(values, digits).astype(object)
    plain[np.isnan(values)] = None
    nested: list[Any] = plain.tolist()
    return nested
