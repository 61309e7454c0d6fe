"""Facts in words: what a cell is, what a table holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab import core
from nasbench_lab.core import LabError
from nasbench_lab.spaces import cell
from nasbench_lab.stats import references, shares
from nasbench_lab.tables.table import Table


def cell_facts(text: str, table: Table) -> dict[str, Any]:
    """Everything known of one cell: how it is written, its class, its cost and its scores with ranks on a table.

    Raises:
        LabError: not a cell.
    """
    try:
        arch = cell.parse(text)
    except ValueError as error:
        raise LabError(str(error)) from error
    members = cell.class_members()[int(cell.SPACE.classes[arch])]
    dataset = str(table.about.get("dataset", ""))
    known = dataset if dataset in ("cifar10", "cifar100", "ImageNet16-120") else "cifar10"
    return {
        "cell": arch,
        "string": cell.to_string(arch),
        "ops": {f"{a}-{b}": cell.OPS[op] for (a, b), op in zip(cell.EDGES, cell.ops(arch), strict=True)},
        "naslib": str(cell.to_naslib(arch)),
        "class": f"{int(cell.SPACE.classes[arch])} of 6466, members ({len(members)}): {_few(members)}",
        "connected": "yes" if cell.reachable()[arch].any() else "no, nothing reaches the output",
        "params": f"{cell.params_m(known)[arch]:.6f} M ({known} network, C=16, N=5)",
        "flops": f"{cell.flops_m(known)[arch]:.2f} M",
        "table": table.label,
        "scores": _scores(arch, table),
    }


def neighbours(arch: int, table: Table, *, shown: int) -> dict[str, Score]:
    """The best cells that differ in one edge, with what differs, by mean test accuracy on a table; `neighbours_by` says so."""
    truth, own = table.truth, cell.ops(arch)
    order = sorted(cell.SPACE.neighbours[arch].tolist(), key=lambda a: (-np.nan_to_num(truth[a], nan=-np.inf), a))
    found = {}
    for other in order[:shown]:
        edge = next(i for i, (a, b) in enumerate(zip(own, cell.ops(other), strict=True)) if a != b)
        change = f"{other} ({cell.EDGES[edge][0]}-{cell.EDGES[edge][1]} {cell.OPS[cell.ops(other)[edge]]})"
        found[change] = _ranked(truth, other, 1)
    return found


def neighbours_by(table: Table) -> str:
    """What the scores of `neighbours` are."""
    return f"{_truth_of(table)} on {table.label}"


def _truth_of(table: Table) -> str:
    return f"test after {table.last.epochs[-1]} epochs"


def elsewhere(arch: int, tables: Iterable[Table]) -> dict[str, Score]:
    """Validation and test accuracy of a cell at the end of the last schedule, with its ranks, on every table."""
    found = {}
    for table in tables:
        found[f"{table.label}, val after {table.last.epochs[-1]} epochs"] = _ranked(table.last.val[:, -1], arch, 1)
        found[f"{table.label}, {_truth_of(table)}"] = _ranked(table.truth, arch, 1)
    return found


def _few(members: tuple[int, ...], limit: int = 12) -> str:
    shown = ", ".join(map(str, members[:limit]))
    return shown + (", ..." if len(members) > limit else "")


class Score(NamedTuple):
    """A value of one cell and its rank among all cells that have one; both None where there is none to give."""

    value: float | None
    rank: int | None = None
    of: int | None = None
    digits: int = 2

    def __str__(self) -> str:
        if self.value is None:
            return "not measured"
        rank = f" (rank {self.rank} of {self.of})" if self.rank else ""
        return (f"{self.value:.2f}" if self.digits == 2 else f"{self.value:.{self.digits}g}") + rank


def plain(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts as JSON values: a score becomes {"value", "rank", "of"}."""
    out: dict[str, Any] = {}
    for key, value in facts.items():
        if isinstance(value, Score):
            out[key] = {"value": value.value, "rank": value.rank, "of": value.of}
        else:
            out[key] = plain(value) if isinstance(value, dict) else value
    return out


def _scores(arch: int, table: Table) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for last, schedule in table.schedules.items():
        for i, epochs in enumerate(schedule.epochs):
            out[f"val after {epochs} of {last} epochs"] = _ranked(schedule.val[:, i], arch, 1)
        out[f"test after {last} epochs"] = _ranked(schedule.test, arch, 1)
        trials = schedule.test_trials[arch]
        if trials.size:
            out[f"test trials, {last} epochs"] = ", ".join("-" if np.isnan(t) else f"{t:.2f}" for t in trials)
        seconds = f"{schedule.seconds[arch, -1]:.1f} (what a query is charged on the simulated clock)"
        out[f"seconds, {last} epochs"] = seconds
    for name, values in table.metrics.items():
        out[name] = _ranked(values, arch, core.DIRECTIONS.get(name.partition("/")[0], 0))
    return out


def _ranked(values: NDArray[np.float64], arch: int, sign: int) -> Score:
    """The score of a cell; without a rank where it is not known which direction is better (sign 0)."""
    if np.isnan(values[arch]):
        return Score(None)
    value, digits = float(values[arch]), 2 if sign > 0 else 4
    if sign == 0:
        return Score(value, digits=digits)
    known = sign * values[~np.isnan(values)]
    return Score(value, 1 + int((known > sign * value).sum()), len(known), digits)


def table_facts(table: Table) -> dict[str, Any]:
    """Size, optimum, fidelities, trials, noise, local maxima, digest and source."""
    truth = table.truth
    best = np.flatnonzero(truth == np.nanmax(truth))
    neighbours = truth[cell.SPACE.neighbours]
    facts: dict[str, Any] = {
        "table": table.label,
        "what": table.about.get("title", table.about.get("dataset", "")),
        "cells": f"{int(table.measured.sum()):,} of {cell.SPACE.size:,} {_made(table)}, in 6,466 classes",
        "optimum": f"{truth[best[0]]:.4f} test, cell {' and '.join(map(str, best[:6]))}{' (tied)' if len(best) > 1 else ''}",
        "local maxima": f"{int((truth[:, None] > neighbours).all(axis=1).sum())} (cells whose test beats all 24 neighbours')",
    }
    facts |= {f"schedule {last}": _schedule_facts(table, last) for last in table.schedules}
    if table.measured.all():
        facts |= {f"search on {last}": _exactly(table, last) for last in table.schedules}
    if "held_out" in table.about:
        facts["on held-out classes"] = {name: _worth(figures) for name, figures in table.about["held_out"].items()}
        noise = ", ".join(f"--noise {sd:.2f} at {last} epochs" for last, sd in table.about["noise"].items())
        facts["query noise"] = f"none of its own; like that of real trainings: {noise}"
    facts["metrics"] = ", ".join(table.metrics) or "none"
    facts["source"] = table.about.get("source", "")
    facts["licence"] = table.about.get("licence", "")
    facts["digest"] = table.digest
    return facts


def _made(table: Table) -> str:
    return "predicted" if table.kind == "predicted" else "measured"


def _worth(figures: dict[str, float]) -> str:
    """How good the predictions of one quantity are; see `benchmarks/make_surrogates.py`."""
    return (
        f"Kendall tau {figures['tau']:.3f}, R2 {figures['r2']:.3f}, RMSE {figures['rmse']:.2f}, "
        f"of the better half {figures['rmse_upper']:.2f}"
    )


def _schedule_facts(table: Table, last: int) -> dict[str, str]:
    schedule = table.schedules[last]
    best = int(np.nanargmax(schedule.val[:, -1]))
    final = schedule.val_trials[:, -1, :]
    return {
        "epochs": ", ".join(map(str, schedule.epochs)) if len(schedule.epochs) < 15 else f"1 .. {last}",
        "validation": f"best {schedule.val[best, -1]:.4f} (cell {best}), median {np.nanmedian(schedule.val[:, -1]):.2f}",
        "test": f"best {np.nanmax(schedule.test):.4f}, of the best by validation {schedule.test[best]:.4f}",
        "trials": f"validation {_trials(final)}; test {_trials(schedule.test_trials)}",
        "noise": f"validation {_noise(final)}; test {_noise(schedule.test_trials)}",
        "seconds": f"mean {np.nanmean(schedule.seconds[:, -1]):.1f} per query of {last} epochs",
    }


def _exactly(table: Table, last: int) -> dict[str, str]:
    """What is known without running anything of a search on one schedule's validation; by enumeration."""
    schedule, truth = table.schedules[last], table.truth
    seen, optimal = schedule.val[:, -1], truth == truth.max()
    after = references.random_search_expectation(seen, truth, [100, 1000])
    random, tried = (
        references.random_search_to(seen, optimal),
        references.random_search_queries_to(int(optimal.sum()), len(truth)),
    )
    descent = references.local_search(seen, truth, cell.SPACE.neighbours)
    facts = {
        "best by validation": f"{references.ceiling(seen, truth):.4f} test",
        "random search": f"{after[0]:.4f} test after 100 queries, {after[1]:.4f} after 1,000; {tried:,.0f} queries until it "
        f"has tried an optimum, which is its choice at some time in {shares.percent(random.chance)} of searches of all cells"
        + (f", there after {random.queries:,.0f} queries on average" if random.chance else ""),
        "local search": f"from a random cell by best moves: {descent.score:.4f} test after {descent.steps:.2f} moves, in "
        f"the best by validation with chance {shares.percent(descent.best, 1)} ({len(descent.optima)} local maxima)",
    }
    if schedule.val_trials.shape[2]:
        single = references.sampled_ceiling(schedule.val_trials[:, -1], truth)
        facts["best by one trial"] = f"{single:.4f} test expected of a search of all cells with --trials sample"
    return facts


def _trials(values: NDArray[np.float64]) -> str:
    if values.shape[1] == 0:
        return "means only"
    return " ".join(f"{int((~np.isnan(values[:, i])).sum()):,}" for i in range(values.shape[1])) + " cells"


def _noise(values: NDArray[np.float64]) -> str:
    """Root mean variance between the trials of a cell."""
    several = (~np.isnan(values)).sum(axis=1) > 1
    if not several.any():
        return "unknown"
    return f"{np.sqrt(np.nanvar(values[several], axis=1, ddof=1).mean()):.3f} points between trials"
