"""Records -> ranked rows and curves. Knows records and arrays, never strategies.

A row is one strategy on one task, scored on one table. Test accuracy is joined here, after the search, from arrays.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from nasbench_lab.core import FloatArray
from nasbench_lab.leaderboard import own_noise, tables_together, wording
from nasbench_lab.leaderboard.front_scores import SHARES, Reached
from nasbench_lab.leaderboard.parts import FRONT_COLUMNS, Entry, Leaderboard, Row, Section, Setting
from nasbench_lab.stats import agreement, intervals, progress, references, standings
from nasbench_lab.study.store import MEASURED

_NO_RUN = "exact"
_EQUAL = 1e-9  # points: means that differ by less differ by rounding
_DIFFERENCES = ("difference", "low", "high")  # of a pair
_SETTING = ("table", "score", "kind", "search", "budget", "policy")


def build(title: str, entries: Sequence[Entry], notes: Sequence[str] = (), *, places: int = 0) -> Leaderboard:
    """Rank the strategies of every setting.

    Args:
        title: of the leaderboard.
        entries: what is ranked.
        notes: what is to be known of it.
        places: of curves along a run; 0: the checkpoints that rows are computed at, as boards of an older day have.
    """
    sections, curves, scored = [], [], []
    settings = _by_setting(entries)
    for setting, members in settings:
        tests = [_tests(entry) for entry in members]
        unit = setting.scale
        scored.append(_Scored(setting, *_scores(members, [(test / unit, axis) for test, axis in tests])))
        ranks = progress.mean_ranks(np.stack([test[:, -1] for test, _ in tests], axis=1))
        rows, by = [], setting.read_as.what
        for entry, (test, axis), rank in zip(members, tests, ranks, strict=True):
            low, high = _interval(setting, test, unit)
            rows.append(_row(entry, test[:, -1], (low[-1], high[-1]), float(rank)))
            rows[-1]["regret_area"] = _area(setting, test, axis)
            curves.append(
                _drawn(entry, unit, places) if places else _curve(entry, axis, test[:, :-1], low[:-1], high[:-1])
            )
        decisive = {entry.strategy: test[:, -1] for entry, (test, _) in zip(members, tests, strict=True)}
        if setting.front is not None:
            decisive, by, unit = _add_fronts(setting, members, rows, curves[-len(members) :]), "hypervolume", 1.0
        rows = _ranked(rows, unit)
        _in_direction(setting, rows, curves[-len(members) :])
        possible = setting.possible if setting.front is None else SHARES
        tested = _stand(rows, decisive, by, possible, unit)
        own_noise.add(setting, members, tested)
        sections.append(Section(rows, _reference(setting, members), tested))
        if setting.random_is_exact:
            most = max(1, *(int(entry.runs.counts.max()) for entry in members))
            curves.append(_random_curve(setting, _points(most, places)))
    single = [each for each in scored if each.setting.front is None]
    overall = standings.overall(
        [each.end for each in single],
        [each.setting.truth / each.setting.scale for each in single],
        [each.setting.possible / each.setting.scale for each in single],
    )
    drawn = pd.concat(curves, ignore_index=True)
    across_tables, why = tables_together.of(sections, settings)
    return Leaderboard(title, sections, drawn, _agreements(scored), overall, (*notes, *why), across_tables)


def _ranked(rows: list[Row], unit: float) -> list[Row]:
    """Best mean first; equal means share a rank; a row without a mean has none and comes last. `unit`: one point."""
    by = "hypervolume_mean" if "hypervolume_mean" in rows[0] else "test_mean"
    known = [row[by] for row in rows if row[by] == row[by]]
    for row in rows:
        mean = row[by]
        row["rank"] = 1 + sum(other > mean + _EQUAL * unit for other in known) if mean == mean else math.nan
    return sorted(rows, key=lambda row: (row["rank"] if row["rank"] == row["rank"] else math.inf, row["strategy"]))


def _stand(rows: list[Row], scores: dict[str, FloatArray], by: str, possible: FloatArray, unit: float) -> Row:
    """Add what the tests say of ranks to the ranked rows; returns the tests.

    They see scores in points (`unit` is one): what is rounding to them would be much of a loss of 1e-7.
    """
    names = [row["strategy"] for row in rows]
    values = np.stack([scores[name] for name in names], axis=1) / unit
    columns, tests = standings.of(names, values, by, possible / unit)
    for of, name in [(tests, "detectable_difference"), *((p, n) for p in tests["pairs"] for n in _DIFFERENCES)]:
        of[name] = None if of[name] is None else unit * of[name]
    for row, added in zip(rows, columns, strict=True):
        row |= added
    return _setting_of(rows[0]) | tests


def _area(setting: Setting, test: FloatArray, axis: list[tuple[str, float]]) -> float:
    """Mean over seeds of the area under the regret curve over queries; nan where a run has no incumbent at some time."""
    along = [i for i, (name, _) in enumerate(axis) if name == "queries"]
    at = np.array([axis[i][1] for i in along])
    return float(progress.area_under(setting.truth.max() - test[:, along], at).mean()) if along else math.nan


def _add_fronts(
    setting: Setting, members: Sequence[Entry], rows: list[Row], curves: list[pd.DataFrame]
) -> dict[str, FloatArray]:
    """What several objectives add: hypervolume at the end and over the curves' checkpoints, and ranks by it.

    Returns:
        strategy -> (R,) hypervolume at the end.
    """
    assert setting.front is not None  # the caller looked
    reached = [Reached(entry.runs, setting.front, setting.full) for entry in members]
    ranks = progress.mean_ranks(np.stack([each.hypervolume for each in reached], axis=1))
    for each, row, curve, rank in zip(reached, rows, curves, ranks, strict=True):
        queries, seconds = (curve["at"][curve["axis"] == axis].to_numpy() for axis in ("queries", "seconds"))
        shares = [each.at_queries(queries.astype(np.int64)), each.at_seconds(seconds), each.hypervolume[:, None]]
        values = np.concatenate(shares, axis=1)
        summary = (values.mean(axis=0), *intervals.mean_interval(values, possible=SHARES))
        for name, column in zip(FRONT_COLUMNS, summary, strict=True):
            curve[name] = column[:-1]
            row[name] = float(column[-1])
        row["rank_mean"] = float(rank)
    return {entry.strategy: each.hypervolume for entry, each in zip(members, reached, strict=True)}


class _Scored(NamedTuple):
    """What rankings are compared by: (R,) scores of every strategy at the end and on average along the run."""

    setting: Setting
    end: dict[str, FloatArray]
    along: dict[str, FloatArray]


def _scores(
    members: Sequence[Entry], tests: list[tuple[FloatArray, list[tuple[str, float]]]]
) -> tuple[dict[str, FloatArray], dict[str, FloatArray]]:
    """By strategy, test accuracy at the end and its mean over the checkpoints that all runs of all strategies passed."""
    main = "seconds" if math.isfinite(members[0].setting.max_seconds) else "queries"
    columns = [{at: test[:, i] for i, at in enumerate(axis) if at[0] == main} for test, axis in tests]
    shared = [at for at in columns[0] if all(at in own and not np.isnan(own[at]).any() for own in columns)]
    end, along = {}, {}
    for entry, (test, _), own in zip(members, tests, columns, strict=True):
        end[entry.strategy] = test[:, -1]
        along[entry.strategy] = np.mean([own[at] for at in shared], axis=0) if shared else np.full(len(test), np.nan)
    return end, along


def _agreements(scored: Sequence[_Scored]) -> list[Row]:
    """For every two settings of one objective with three common strategies or more and the same seeds: how rankings agree."""
    scored = [each for each in scored if each.setting.front is None]  # rows of a front are ranked by hypervolume
    names, found = _told_apart([each.setting for each in scored]), []
    for (one, a), (other, b) in combinations(zip(names, scored, strict=True), 2):
        common = [name for name in a.end if name in b.end]
        if len(common) < 3 or len({len(each.end[name]) for each in (a, b) for name in common}) > 1:
            continue
        row: Row = {"one": one, "other": other, "strategies": len(common)}
        for key in ("end", "along"):
            pair = (np.stack([getattr(each, key)[name] for name in common], axis=1) for each in (a, b))
            values = agreement.rankings(*pair)._asdict()
            row |= {f"{key}_{name}": value for name, value in values.items()}
        found.append(row)
    return found


def _told_apart(settings: Sequence[Setting]) -> list[str]:
    """Short names of settings: tables, policy, and what else is not the same for all of them."""
    several = {key: len({getattr(setting, key) for setting in settings}) > 1 for key in ("search", "budget")}
    names = []
    for setting in settings:
        parts = [wording.searched(setting.table, setting.kind, setting.score)]
        seen = wording.noted(wording.seen(setting.search), plain=setting.read_as.plain)
        parts += [seen] if several["search"] else []
        parts += [setting.budget] if several["budget"] else []
        names.append(", ".join([*parts, setting.policy] if setting.policy else parts))
    return names


def _by_setting(entries: Sequence[Entry]) -> list[tuple[Setting, list[Entry]]]:
    found: dict[int, tuple[Setting, list[Entry]]] = {}
    for entry in entries:
        found.setdefault(id(entry.setting), (entry.setting, []))[1].append(entry)
    return list(found.values())


def _interval(setting: Setting, test: FloatArray, unit: float) -> tuple[FloatArray, FloatArray]:
    """The 95% interval of the mean of (R, C) test scores, (C,) each; no further than the best cell."""
    low, high = (unit * end for end in intervals.mean_interval(test / unit, possible=setting.possible / unit))
    return low, np.minimum(high, np.nanmax(setting.possible))


def _points(most: int, places: int) -> list[int]:
    """Numbers of queries up to the `most` that a run has."""
    return progress.places(float(most), places) if places else progress.checkpoints(float(most))


def _tests(entry: Entry, places: int = 0) -> tuple[FloatArray, list[tuple[str, float]]]:
    """(R, C + 1) test accuracy of the incumbent at C checkpoints (or places) and, last, at the end; and these."""
    runs, setting = entry.runs, entry.setting
    queries = _points(int(runs.counts.max()), places) if runs.offsets[-1] else []
    incumbents = [runs.incumbents_at_queries(np.array(queries, dtype=np.int64))]
    axis: list[tuple[str, float]] = [("queries", float(q)) for q in queries]
    if math.isfinite(setting.max_seconds):
        seconds = np.linspace(0, setting.max_seconds, 1 + (places or 20))[1:]
        incumbents.append(runs.incumbents_at_seconds(seconds))
        axis += [("seconds", float(s)) for s in seconds]
    incumbents.append(runs.last("incumbent")[:, None].astype(np.float64))
    return setting.test_of(runs.seeds, np.concatenate(incumbents, axis=1)), axis


def _row(entry: Entry, test: FloatArray, interval: tuple[float, float], rank: float) -> Row:
    runs = entry.runs
    return {
        **_setting_columns(entry.setting),
        "strategy": entry.strategy,
        **({"mark": entry.mark} if entry.mark else {}),
        "rank": 0,
        "runs": len(runs.seeds),
        "queries": float(runs.counts.mean()),
        "seconds": float(np.nan_to_num(runs.last("finished")).mean()),
        **_level(test, interval),
        **_regrets(entry, test, interval),
        "unanswered": int(np.isnan(test).sum()),
        "rank_mean": rank,
        **_effort(entry),
        **entry.setting.measure,
    }


def _in_direction(setting: Setting, rows: Sequence[Row], curves: Sequence[pd.DataFrame]) -> None:
    """Scores of ranked rows and of curves in the direction of a table whose lower scores are better."""
    if setting.sign > 0:
        return
    both: tuple[Any, ...] = (*rows, *curves)
    for of in both:
        for name in ("test_mean", "test_median", "test_iqm"):
            if name in of:
                of[name] = 0.0 - of[name]
            if f"{name}_lo" in of:
                of[f"{name}_lo"], of[f"{name}_hi"] = 0.0 - of[f"{name}_hi"], 0.0 - of[f"{name}_lo"]
        if "test_lo" in of:
            of["test_lo"], of["test_hi"] = 0.0 - of["test_hi"], 0.0 - of["test_lo"]


def _level(test: FloatArray, interval: tuple[float, float]) -> Row:
    """Columns of the test score at the end, nan in `test` where a run has no answer."""
    median = intervals.median_interval(test[:, None])
    middle = intervals.aggregate_interval(test[:, None], "iqm")
    return {
        "test_mean": float(test.mean()),
        "test_lo": float(interval[0]),
        "test_hi": float(interval[1]),
        "test_median": float(np.median(test)),
        "test_median_lo": float(median[0][0]),
        "test_median_hi": float(median[1][0]),
        "test_iqm": math.nan if np.isnan(test).any() else float(intervals.interquartile_mean(test)),
        "test_iqm_lo": middle[0],
        "test_iqm_hi": middle[1],
        "test_sd": float(test.std(ddof=1)) if len(test) > 1 else math.nan,
    }


def _regrets(entry: Entry, test: FloatArray, interval: tuple[float, float]) -> Row:
    """Columns of how far the answers are from the best, by test accuracy and by what the search sees."""
    setting, last = entry.setting, entry.runs.last("incumbent")
    best = setting.truth.max()
    row: Row = {
        "regret_mean": float((best - test).mean()),
        "regret_lo": float(best - interval[1]),
        "regret_hi": float(best - interval[0]),
    }
    mean = low = high = math.nan
    if (last >= 0).all():  # nan, of a run without an answer, is not
        lost = setting.seen.max() - setting.seen[last.astype(np.int64)]
        unit, missed = setting.seen_scale, setting.seen - setting.seen.max()
        bounds = intervals.mean_interval(-lost[:, None] / unit, possible=missed / unit)
        mean, low, high = float(lost.mean()), max(-unit * float(bounds[1][0]), 0.0), -unit * float(bounds[0][0])
    return row | {"val_regret_mean": mean, "val_regret_lo": low, "val_regret_hi": high}


def _effort(entry: Entry) -> Row:
    """Columns of what it takes to find an optimum, and to decide."""
    runs, first = entry.runs, entry.runs.first(entry.setting.optimal)
    counts, answered = runs.counts.astype(np.float64), int(runs.counts.sum())
    optimum = {
        "queries_to_optimum_mean": progress.restricted_mean(first, counts),
        "queries_per_optimum": progress.expected_running_time(first, counts),
        "queries_to_optimum_median": progress.censored_median(first),
        "reached_optimum": float(np.isfinite(first).mean()),
    }
    return {
        **(optimum if entry.setting.has_optimum else dict.fromkeys(optimum, math.nan)),
        "decision_seconds_per_query": float(runs.total(MEASURED).sum() / answered) if answered else math.nan,
    }


def _setting_columns(setting: Setting) -> Row:
    return {key: getattr(setting, key) for key in _SETTING}


def _setting_of(row: Row) -> Row:
    return {key: row[key] for key in _SETTING}


def _curve(
    entry: Entry, axis: list[tuple[str, float]], test: FloatArray, low: FloatArray, high: FloatArray
) -> pd.DataFrame:
    mean = test.mean(axis=0)
    frame = pd.DataFrame(axis, columns=["axis", "at"]).assign(
        test_mean=mean, test_lo=low, test_hi=high, regret_mean=(entry.setting.truth.max() - test).mean(axis=0)
    )
    return _labelled(frame, entry.setting, entry.strategy).dropna(subset=["test_mean"])


def _drawn(entry: Entry, unit: float, places: int) -> pd.DataFrame:
    """The curve of a strategy at as many places along its runs."""
    test, axis = _tests(entry, places)
    low, high = _interval(entry.setting, test, unit)
    return _curve(entry, axis, test[:, :-1], low[:-1], high[:-1])


def _random_curve(setting: Setting, points: list[int]) -> pd.DataFrame:
    """Random search without replacement, exactly, after so many queries."""
    mean = references.random_search_expectation(setting.seen, setting.truth, points)
    regret = setting.truth.max() - mean
    frame = pd.DataFrame(
        {"axis": "queries", "at": np.array(points, float), "test_mean": setting.read(mean), "regret_mean": regret}
    )
    return _labelled(frame, setting, f"({_NO_RUN}) random search without replacement")


def _labelled(frame: pd.DataFrame, setting: Setting, strategy: str) -> pd.DataFrame:
    front = {**_setting_columns(setting), "strategy": strategy}
    for position, (name, value) in enumerate(front.items()):
        frame.insert(position, name, value)
    return frame


def _reference(setting: Setting, members: Sequence[Entry]) -> Row:
    """What is known exactly about a setting: the optimum, the best by what is seen, random search.

    Random search is left out where the search saw noise or single trials, or ran several workers: the closed form is
    of one noise-free answer per cell. Its number of queries is the budget's, or under a budget in seconds the mean
    of the rows.
    """
    best_seen = np.flatnonzero(setting.seen == setting.seen.max())
    answered = float(np.mean([entry.runs.counts.mean() for entry in members]))
    n = round(setting.max_queries if math.isfinite(setting.max_queries) else answered)
    exact = setting.random_is_exact and n >= 1
    expected = references.random_search_expectation(setting.seen, setting.truth, [n])[0] if exact else None
    front = {} if setting.front is None else {"front_hypervolume": setting.front.possible, "front": setting.front.size}
    return {
        **_setting_columns(setting),
        **setting.measure,
        **front,
        "optimum": setting.sign * float(setting.truth.max()) + 0.0,
        **({} if math.isnan(setting.chance) else {"optimum_chance": float(f"{setting.chance:.4g}")}),
        **(
            {}
            if setting.scores is None
            else {"optimum_is": "mean over trainings" if setting.noise is None else "posterior mean"}
        ),
        "optimum_cells": np.flatnonzero(setting.optimal).tolist(),
        "best_by_search": setting.sign * float(setting.truth[best_seen].mean()) + 0.0,
        "best_by_search_cells": best_seen.tolist(),
        "random_queries": n,
        "random_test": None if expected is None else setting.sign * float(expected) + 0.0,
        "random_queries_to_optimum": references.random_search_queries_to(
            int(setting.optimal.sum()), len(setting.truth)
        ),
        "random_chance_of_optimum": references.random_search_to(setting.seen, setting.optimal).chance
        if exact
        else None,
    }
