"""Records -> ranked rows -> leaderboard.{md,csv,json} and curves.csv. Knows records and arrays, never strategies.

A row is one strategy on one task, scored on one table. Test accuracy is joined here, after the search, from arrays.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nasbench_lab import agreement, markdown, references, standings, stats
from nasbench_lab.core import LabError
from nasbench_lab.files import write_atomically
from nasbench_lab.front_scores import Reached
from nasbench_lab.fronts import Target
from nasbench_lab.store import MEASURED, Runs

FloatArray = NDArray[np.float64]
Row = dict[str, Any]

COLUMNS = {
    "table": "table searched",
    "score": "table whose test accuracy scores the incumbent",
    "kind": "measured, synthetic (made up) or predicted (by a fitted surrogate): what the searched table holds",
    "search": "schedule searched on (last epoch), or oracle: the search saw mean test accuracy",
    "budget": "queries or simulated seconds allowed",
    "policy": "what departs from the defaults: trials, noise, repeats, simulated workers",
    "strategy": "name and parameters",
    "rank": "order by mean test accuracy within table, score and budget; equal means share a rank",
    **standings.COLUMNS,
    "runs": "seeds",
    "queries": "mean number of queries answered",
    "seconds": "mean simulated seconds used",
    "test_mean": "mean over seeds of the incumbent's test accuracy, percent",
    "test_lo": "lower end of its 95% interval, by studentised bootstrap, no further than the best cell",
    "test_hi": "upper end",
    "test_median": "median over seeds",
    "test_median_lo": "lower end of its 95% interval, by order statistics",
    "test_median_hi": "upper end",
    "test_iqm": "interquartile mean over seeds",
    "test_iqm_lo": "lower end of its 95% interval, by percentile bootstrap",
    "test_iqm_hi": "upper end",
    "test_sd": "standard deviation over seeds",
    "regret_mean": "best test accuracy of the table minus the incumbent's, mean, points",
    "regret_lo": "lower end of its 95% interval",
    "regret_hi": "upper end",
    "val_regret_mean": "best score the search could have seen minus the incumbent's (noise-free), mean, points",
    "val_regret_lo": "lower end of its 95% interval",
    "val_regret_hi": "upper end",
    "regret_area": "anytime regret: mean regret over the logarithm of queries, from the first to the last",
    "unanswered": "runs that ended without anything to recommend; means are then left out",
    "rank_mean": "mean over seeds of the rank among the strategies compared (1 = best, ties share)",
    "queries_to_optimum_mean": "mean queries until the incumbent was a best cell; runs that never were count with "
    "their length, so it is a lower bound unless reached_optimum is 1",
    "queries_per_optimum": "expected running time: queries of all runs until a best cell or the end, per run that met one",
    "queries_to_optimum_median": "median of the same; empty if half of the runs or more never were",
    "reached_optimum": "share of runs whose incumbent was a best cell at some time",
    "decision_seconds_per_query": "real seconds the strategy spent deciding, per query; the one measured column",
}
FRONT_COLUMNS = {  # of boards that have a setting with several objectives; their rows are ranked by the first
    "hypervolume_mean": "several objectives: normalised hypervolume of the cells queried, on test error and the other "
    "objectives, as a share of what the exact front has; mean over seeds at the end",
    "hypervolume_lo": "lower end of its 95% interval",
    "hypervolume_hi": "upper end",
}
_NO_RUN = "exact"
_EQUAL = 1e-9  # points: means that differ by less differ by rounding
_SETTING = ("table", "score", "kind", "search", "budget", "policy")


@dataclass(frozen=True)
class Setting:
    """What the rows of one (task, score) share.

    Attributes:
        table, score: names of the table searched and the table scored on.
        kind: "measured", "synthetic" or "predicted"; anything but measured is said wherever the table shows.
        search: schedule searched on.
        max_queries, max_seconds: the budget, inf where there is none.
        policy: policies that are not the defaults, in words; "" if all are.
        seen: (N,) what the search sees without noise, at the highest fidelity.
        truth: (N,) mean test accuracy on the scored table.
        front: with several objectives, the exact front that archives are scored against.
        full: then, the epochs at which a query counts.
    """

    table: str
    score: str
    kind: str
    search: str
    max_queries: float
    max_seconds: float
    policy: str
    seen: FloatArray
    truth: FloatArray
    front: Target | None = None
    full: int = 0

    @property
    def budget(self) -> str:
        parts = [f"{self.max_queries:g} queries"] if math.isfinite(self.max_queries) else []
        parts += [f"{self.max_seconds:g} s"] if math.isfinite(self.max_seconds) else []
        return ", ".join(parts)

    @property
    def random_is_exact(self) -> bool:
        """Whether the closed form holds: one noise-free answer per cell, one worker."""
        return not self.policy or self.policy in ("repeats=free", "repeats=free-class")

    @property
    def optimal(self) -> NDArray[np.bool_]:
        """(N,) the cells that share the best test accuracy."""
        return np.asarray(self.truth == self.truth.max())


@dataclass(frozen=True)
class Entry:
    """One strategy under one setting."""

    setting: Setting
    strategy: str
    runs: Runs


@dataclass(frozen=True)
class Section:
    """The rows of one setting, best first, what is known exactly about it, and the tests of all pairs of rows."""

    rows: list[Row]
    reference: Row
    tests: Row


@dataclass(frozen=True)
class Leaderboard:
    """Sections and curves, ready to be written; of several sections how well rankings agree, and aggregates over all."""

    title: str
    sections: list[Section]
    curves: pd.DataFrame
    agreements: list[Row] = field(default_factory=list)
    overall: list[Row] = field(default_factory=list)

    @property
    def rows(self) -> list[Row]:
        return [row for section in self.sections for row in section.rows]

    @property
    def columns(self) -> dict[str, str]:
        """Names and meanings of the columns."""
        return COLUMNS | FRONT_COLUMNS if any("hypervolume_mean" in row for row in self.rows) else COLUMNS

    def frame(self) -> pd.DataFrame:
        """The rows as a frame, columns as in `columns`."""
        return pd.DataFrame(self.rows, columns=list(self.columns))


def build(title: str, entries: Sequence[Entry]) -> Leaderboard:
    """Rank the strategies of every setting."""
    sections, curves, scored = [], [], []
    for setting, members in _by_setting(entries):
        tests = [_tests(entry) for entry in members]
        scored.append(_Scored(setting, *_scores(members, tests)))
        ranks = stats.mean_ranks(np.stack([test[:, -1] for test, _ in tests], axis=1))
        rows, by = [], "test accuracy"
        for entry, (test, axis), rank in zip(members, tests, ranks, strict=True):
            low, high = stats.mean_interval(test)
            high = np.minimum(high, setting.truth.max())
            rows.append(_row(entry, test[:, -1], (low[-1], high[-1]), float(rank)))
            rows[-1]["regret_area"] = _area(setting, test, axis)
            curves.append(_curve(entry, axis, test[:, :-1], low[:-1], high[:-1]))
        decisive = {entry.strategy: test[:, -1] for entry, (test, _) in zip(members, tests, strict=True)}
        if setting.front is not None:
            decisive, by = _add_fronts(setting, members, rows, curves[-len(members) :]), "hypervolume"
        rows = _ranked(rows)
        sections.append(Section(rows, _reference(setting, members), _stand(rows, decisive, by)))
        if setting.random_is_exact:
            curves.append(_random_curve(setting, max(1, *(int(entry.runs.counts.max()) for entry in members))))
    single = [each for each in scored if each.setting.front is None]
    overall = standings.overall([each.end for each in single], [each.setting.truth for each in single])
    return Leaderboard(title, sections, pd.concat(curves, ignore_index=True), _agreements(scored), overall)


def _ranked(rows: list[Row]) -> list[Row]:
    """Best mean first; equal means share a rank; a row without a mean has none and comes last."""
    by = "hypervolume_mean" if "hypervolume_mean" in rows[0] else "test_mean"
    known = [row[by] for row in rows if row[by] == row[by]]
    for row in rows:
        mean = row[by]
        row["rank"] = 1 + sum(other > mean + _EQUAL for other in known) if mean == mean else math.nan
    return sorted(rows, key=lambda row: (row["rank"] if row["rank"] == row["rank"] else math.inf, row["strategy"]))


def _stand(rows: list[Row], scores: dict[str, FloatArray], by: str) -> Row:
    """Add what the tests say of ranks to the ranked rows; returns the tests."""
    names = [row["strategy"] for row in rows]
    columns, tests = standings.of(names, np.stack([scores[name] for name in names], axis=1), by)
    for row, added in zip(rows, columns, strict=True):
        row |= added
    return _setting_of(rows[0]) | tests


def _area(setting: Setting, test: FloatArray, axis: list[tuple[str, float]]) -> float:
    """Mean over seeds of the area under the regret curve over queries; nan where a run has no incumbent at some time."""
    along = [i for i, (name, _) in enumerate(axis) if name == "queries"]
    at = np.array([axis[i][1] for i in along])
    return float(stats.area_under(setting.truth.max() - test[:, along], at).mean()) if along else math.nan


def _add_fronts(
    setting: Setting, members: Sequence[Entry], rows: list[Row], curves: list[pd.DataFrame]
) -> dict[str, FloatArray]:
    """What several objectives add: hypervolume at the end and over the curves' checkpoints, and ranks by it.

    Returns:
        strategy -> (R,) hypervolume at the end.
    """
    assert setting.front is not None  # the caller looked
    reached = [Reached(entry.runs, setting.front, setting.full) for entry in members]
    ranks = stats.mean_ranks(np.stack([each.hypervolume for each in reached], axis=1))
    for each, row, curve, rank in zip(reached, rows, curves, ranks, strict=True):
        queries, seconds = (curve["at"][curve["axis"] == axis].to_numpy() for axis in ("queries", "seconds"))
        shares = [each.at_queries(queries.astype(np.int64)), each.at_seconds(seconds), each.hypervolume[:, None]]
        values = np.concatenate(shares, axis=1)
        summary = (values.mean(axis=0), *stats.mean_interval(values))
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
        parts = [setting.table if setting.kind == "measured" else f"{setting.table} ({setting.kind})"]
        parts[0] += f" → {setting.score}" if setting.score != setting.table else ""
        parts += [seen(setting.search)] if several["search"] else []
        parts += [setting.budget] if several["budget"] else []
        names.append(", ".join([*parts, setting.policy] if setting.policy else parts))
    return names


def _by_setting(entries: Sequence[Entry]) -> list[tuple[Setting, list[Entry]]]:
    found: dict[int, tuple[Setting, list[Entry]]] = {}
    for entry in entries:
        found.setdefault(id(entry.setting), (entry.setting, []))[1].append(entry)
    return list(found.values())


def _tests(entry: Entry) -> tuple[FloatArray, list[tuple[str, float]]]:
    """(R, C + 1) test accuracy of the incumbent at C checkpoints and, last, at the end; and the checkpoints."""
    runs, setting = entry.runs, entry.setting
    queries = stats.checkpoints(float(runs.counts.max())) if len(runs.columns["seed"]) else []
    incumbents = [runs.incumbents_at_queries(np.array(queries, dtype=np.int64))]
    axis: list[tuple[str, float]] = [("queries", float(q)) for q in queries]
    if math.isfinite(setting.max_seconds):
        seconds = np.linspace(0, setting.max_seconds, 21)[1:]
        incumbents.append(runs.incumbents_at_seconds(seconds))
        axis += [("seconds", float(s)) for s in seconds]
    incumbents.append(runs.last("incumbent")[:, None].astype(np.float64))
    chosen = np.concatenate(incumbents, axis=1)
    chosen = np.where(np.isnan(chosen), -1, chosen).astype(np.int64)
    return np.where(chosen >= 0, setting.truth[chosen], np.nan), axis


def _row(entry: Entry, test: FloatArray, interval: tuple[float, float], rank: float) -> Row:
    runs, setting = entry.runs, entry.setting
    first = runs.first(setting.optimal)
    last = runs.last("incumbent")
    chosen = last[~np.isnan(last) & (last >= 0)].astype(np.int64)
    answered = int(runs.counts.sum())
    regret, val_regret = setting.truth.max() - test, setting.seen.max() - setting.seen[chosen]
    whole = chosen.size == len(last)
    bounds = stats.mean_interval(val_regret[:, None]) if whole else (np.full(1, np.nan), np.full(1, np.nan))
    median = stats.median_interval(test[:, None])
    middle = stats.aggregate_interval(test[:, None], "iqm")
    return {
        **_setting_columns(setting),
        "strategy": entry.strategy,
        "rank": 0,
        "runs": len(runs.seeds),
        "queries": float(runs.counts.mean()),
        "seconds": float(np.nan_to_num(runs.last("finished")).mean()),
        "test_mean": float(test.mean()),
        "test_lo": float(interval[0]),
        "test_hi": float(interval[1]),
        "test_median": float(np.median(test)),
        "test_median_lo": float(median[0][0]),
        "test_median_hi": float(median[1][0]),
        "test_iqm": float(stats.interquartile_mean(test)) if whole else math.nan,
        "test_iqm_lo": middle[0],
        "test_iqm_hi": middle[1],
        "test_sd": float(test.std(ddof=1)) if len(test) > 1 else math.nan,
        "regret_mean": float(regret.mean()),
        "regret_lo": float(setting.truth.max() - interval[1]),
        "regret_hi": float(setting.truth.max() - interval[0]),
        "val_regret_mean": float(val_regret.mean()) if whole else math.nan,
        "val_regret_lo": max(float(bounds[0][0]), 0.0) if whole else math.nan,
        "val_regret_hi": float(bounds[1][0]),
        "unanswered": int(np.isnan(test).sum()),
        "rank_mean": rank,
        "queries_to_optimum_mean": stats.restricted_mean(first, runs.counts.astype(np.float64)),
        "queries_per_optimum": stats.expected_running_time(first, runs.counts.astype(np.float64)),
        "queries_to_optimum_median": stats.censored_median(first),
        "reached_optimum": float(np.isfinite(first).mean()),
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


def _random_curve(setting: Setting, queries: int) -> pd.DataFrame:
    """Random search without replacement, exactly, at every checkpoint up to `queries`."""
    points = stats.checkpoints(float(queries))
    mean = stats.random_search_expectation(setting.seen, setting.truth, points)
    regret = setting.truth.max() - mean
    frame = pd.DataFrame({"axis": "queries", "at": np.array(points, float), "test_mean": mean, "regret_mean": regret})
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
    expected = stats.random_search_expectation(setting.seen, setting.truth, [n])[0] if exact else None
    front = {} if setting.front is None else {"front_hypervolume": setting.front.possible, "front": setting.front.size}
    return {
        **_setting_columns(setting),
        **front,
        "optimum": float(setting.truth.max()),
        "optimum_cells": np.flatnonzero(setting.optimal).tolist(),
        "best_by_search": float(setting.truth[best_seen].mean()),
        "best_by_search_cells": best_seen.tolist(),
        "random_queries": n,
        "random_test": None if expected is None else float(expected),
        "random_queries_to_optimum": stats.random_search_queries_to(int(setting.optimal.sum()), len(setting.truth)),
        "random_chance_of_optimum": references.random_search_to(setting.seen, setting.optimal).chance
        if exact
        else None,
    }


def write(board: Leaderboard, folder: Path, manifest: dict[str, Any]) -> list[Path]:
    """Write leaderboard.{md,csv,json}, curves.csv and manifest.json, each atomically.

    Raises:
        LabError: the folder cannot be written.
    """
    content = {
        "leaderboard.json": to_json(board),
        "leaderboard.csv": board.frame().to_csv(index=False, float_format="%.6g"),
        "curves.csv": board.curves.to_csv(index=False, float_format="%.6g"),
        "leaderboard.md": to_markdown(board),
        "manifest.json": json.dumps(manifest, indent=1, sort_keys=True) + "\n",
    }
    for name, text in content.items():
        write_atomically(folder / name, text.encode())
    return [folder / name for name in content]


def to_json(board: Leaderboard) -> str:
    """{"title", "columns", "rows", "references", "tests"}, of several settings "agreement" and "overall"; the unknown is null.

    "tests" has what `standings.of` says of every setting, in the order of "references".
    """
    content = {
        "title": board.title,
        "columns": board.columns,
        "rows": board.rows,
        "references": [section.reference for section in board.sections],
        "tests": [section.tests for section in board.sections],
    }
    if board.agreements:
        content["agreement"] = board.agreements
    if board.overall:
        content["overall"] = board.overall
    text = json.dumps(_plain(content), indent=1)
    return _PAIR.sub(lambda found: re.sub(r"\n *", " ", found.group()), text) + "\n"


_PAIR = re.compile(r'\{\n *"one":[^{}]*\}')  # a pair of strategies is written on one line


def _plain(value: Any) -> Any:
    """Numbers that are not finite become None, at any depth."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


MARKDOWN = (
    "rank",
    "strategy",
    "test %",
    "95% interval",
    "median",
    "regret",
    "val regret",
    "more seeds",
    "queries",
    "to optimum",
    "reached",
    "ms/query",
)


FRONT_MARKDOWN = ("rank", "strategy", "hypervolume", "95% interval", *MARKDOWN[2:])


def heads_of(row: Row) -> tuple[str, ...]:
    """The heads of a row's cells."""
    return FRONT_MARKDOWN if "hypervolume_mean" in row else MARKDOWN


def cells_of(row: Row) -> tuple[str, ...]:
    """A row as the texts under `heads_of` it, for the page and the terminal alike."""
    bound = "≥ " if row["reached_optimum"] < 1 else ""
    front: tuple[str, ...] = ()
    if "hypervolume_mean" in row:
        front = _text(row["hypervolume_mean"], 4), _interval(row["hypervolume_lo"], row["hypervolume_hi"], 4)
    return (
        _range(row["rank_low"], row["rank_high"]),
        row["strategy"]
        + (f" ({row['unanswered']} of {row['runs']} runs without an answer)" if row["unanswered"] else ""),
        *front,
        _text(row["test_mean"], 2),
        _interval(row["test_lo"], row["test_hi"], 2),
        _text(row["test_median"], 2),
        _text(row["regret_mean"], 2),
        _text(row["val_regret_mean"], 2),
        _seeds(row["seeds_to_next"]),
        _text(row["queries"], 0),
        bound + _text(row["queries_to_optimum_mean"], 0),
        f"{100 * row['reached_optimum']:.0f}%",
        _text(1e3 * row["decision_seconds_per_query"], 3),
    )


def _interval(low: float, high: float, digits: int) -> str:
    return f"{_text(low, digits)} – {_text(high, digits)}" if low == low else f"from {stats.FEWEST} seeds on"


def _range(low: float, high: float) -> str:
    return _text(low, 0) if not low < high else f"{low:.0f}–{high:.0f}"


def _seeds(more: float) -> str:
    """A number nobody would run is not worth its digits."""
    return "" if more != more else "> 10,000" if more > 10_000 else f"{more:,.0f}"


def _text(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else ""


def heading(row: Row) -> str:
    """What the rows of a setting share, in words."""
    policy = f" ({row['policy']})" if row["policy"] else ""
    sees = seen(row["search"])
    kind = "" if row["kind"] == "measured" else f" ({row['kind']})"
    return f"{row['table']}{kind} → {row['score']}: {sees}, {row['budget']}, seeds: {row['runs']}{policy}"


def seen(search: str) -> str:
    """What a search sees, in words: a schedule's last epoch, "all" or "oracle"."""
    named = {"oracle": "mean test accuracy (oracle)", "all": "validation of all schedules"}
    return named.get(search, f"{search}-epoch validation")


AGREEMENT = "How the rankings agree"
AGREEMENT_HEADS = ("one setting", "another", "strategies", "tau", "95% interval", "along the run", "95% interval")
AGREEMENT_NOTE = (
    "Kendall's tau-b between the orders of the strategies by mean test accuracy, at the end and on average along the "
    "run, in two settings; 1: the same order, 0: none in common. Intervals: bootstrap over seeds, the same for all."
)


def agreement_cells(row: Row) -> tuple[str, ...]:
    """A row of `Leaderboard.agreements` as the texts under `AGREEMENT_HEADS`."""
    cells = [row["one"], row["other"], str(row["strategies"])]
    for key in ("end", "along"):
        cells += [_text(row[f"{key}_tau"], 2), _interval(row[f"{key}_low"], row[f"{key}_high"], 2)]
    return tuple(cells)


def footing(reference: Row) -> str:
    """The exact references of a setting, in words."""
    at = f"{reference['random_queries']} queries" + (
        " (the rows' mean)" if "queries" not in reference["budget"] else ""
    )
    random = f"{reference['random_test']:.2f} after {at} and " if reference["random_test"] is not None else ""
    ever = (
        f", which is its choice at some time in {reference['random_chance_of_optimum']:.0%} of searches of all cells"
        if reference["random_chance_of_optimum"] is not None and reference["random_chance_of_optimum"] < 0.995
        else ""
    )
    front = (
        f" The exact front has {reference['front']} points and normalised hypervolume {reference['front_hypervolume']:.5f}."
        if "front" in reference
        else ""
    )
    return (
        f"Exact: optimum {reference['optimum']:.2f}; best by what the search sees {reference['best_by_search']:.2f}; "
        f"random search without replacement expects {random}{reference['random_queries_to_optimum']:,.0f} queries "
        f"until it has tried an optimum{ever}.{front}"
    )


class Block(NamedTuple):
    """A table as texts, with its title and the note below it; `words` are the columns that are no numbers."""

    title: str
    heads: Sequence[str]
    rows: list[tuple[str, ...]]
    note: str
    words: tuple[int, ...]


def blocks(board: Leaderboard) -> list[Block]:
    """All that is shown of a leaderboard, in order, for the page and the terminal alike."""
    found = [
        Block(
            heading(section.rows[0]),
            heads_of(section.rows[0]),
            [cells_of(row) for row in section.rows],
            footing(section.reference),
            (1,),
        )
        for section in board.sections
    ]
    if board.agreements:
        rows = [agreement_cells(row) for row in board.agreements]
        found.append(Block(AGREEMENT, AGREEMENT_HEADS, rows, AGREEMENT_NOTE, (0, 1)))
    if board.overall:
        rows = [standings.overall_cells(row) for row in board.overall]
        found.append(Block(standings.OVERALL, standings.OVERALL_HEADS, rows, standings.OVERALL_NOTE, (0,)))
    return found


def to_markdown(board: Leaderboard) -> str:
    """The leaderboard as a page: one table per setting, the exact references below it, columns explained at the end."""
    lines = [f"# {board.title}", ""]
    for block in blocks(board):
        lines += [f"## {block.title}", "", *markdown.table(block.heads, block.rows), "", block.note, ""]
    if board.columns != COLUMNS:
        lines += [
            "Hypervolume: of all cells queried at the highest fidelity, on test error and the other objectives, each "
            "min-max over the space with reference (1, 1), as a share of the exact front's; rows are ranked by it.",
            "",
        ]
    lines += [
        "Rank: rows are in order of their means; 1–3 says that the tests cannot exclude ranks 1 to 3, so that all rows "
        "with a 1 may be the best (sign-flip tests of paired means, Holm over all pairs, 5%; leaderboard.json has every "
        "pair). More seeds: how many would separate it from the next row with 80% power if the difference seen is the "
        "true one; 0: it is separated. "
        "Test accuracy in percent, of the cell the search would recommend at the end, mean over seeds with 95% "
        f"studentised bootstrap interval (from {stats.FEWEST} seeds on; docs/statistics.md: how often it covers). "
        "Regret: points below the best test accuracy; val regret: below the best score the search could see. To "
        "optimum: mean queries until the incumbent was a best cell; with ≥ some runs never got there and count with "
        "their length. ms/query: real time the strategy spent deciding.",
        "",
    ]
    return "\n".join(lines)


def read_rows(folder: Path) -> dict[str, Any]:
    """The content of a folder's leaderboard.json.

    Raises:
        LabError: there is none, or it cannot be read.
    """
    path = folder / "leaderboard.json"
    try:
        content: dict[str, Any] = json.loads(_read(path))
    except ValueError as error:
        raise LabError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("rows"), list):
        raise LabError(f"{path} cannot be read: it has no rows")
    return content


def read_page(folder: Path) -> str:
    """A folder's leaderboard.md.

    Raises:
        LabError: there is none, or it cannot be read.
    """
    return _read(folder / "leaderboard.md")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        raise LabError(f"no {path.name} in {path.parent}") from None
    except (OSError, ValueError) as error:
        raise LabError(f"{path} cannot be read: {error}") from error
