"""`nasbench-lab front`: the exact front of a table, what a study's strategies reached of it, as rows, CSV and charts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nasbench_lab import core
from nasbench_lab.core import LabError
from nasbench_lab.files import spreadsheet
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.leaderboard.front_scores import SHARES, Reached, target_of
from nasbench_lab.plots import fronts as charts
from nasbench_lab.spaces import naming
from nasbench_lab.stats import fronts, intervals, progress
from nasbench_lab.study import recorded
from nasbench_lab.study.plan import Group, check_objectives
from nasbench_lab.study.study import Study
from nasbench_lab.tables import catalog
from nasbench_lab.tables.table import Table

Row = dict[str, Any]
_SECONDS = 20  # checkpoints over simulated seconds


@dataclass(frozen=True)
class Front:
    """The exact front of a table for some objectives.

    Attributes:
        table: scored on.
        objectives: "val", then metrics of the table.
        target: costs of all cells and their front.
    """

    table: Table
    objectives: tuple[str, ...]
    target: fronts.Target

    @property
    def left_out(self) -> int:
        """Cells without a value."""
        return int(np.isnan(self.target.costs).any(axis=1).sum())

    @property
    def title(self) -> str:
        """What it is a front of, in words."""
        return f"{self.table.label}: {self.table.measure.what} against {', '.join(self.objectives[1:])}"

    def rows(self) -> list[Row]:
        """A row per cell of the front, cheapest by the last objective first."""
        return [self._row(arch) for arch in self.target.cells.tolist()]

    def points(self) -> list[Row]:
        """A row per point of the front: the first of the cells that have its values, and "cells", how many these are."""
        values = ("test", *self.objectives[1:])
        alike = groupby(self.rows(), key=lambda row: tuple(row[name] for name in values))
        found = [list(rows) for _, rows in alike]  # the order is that of all costs, so equal ones are neighbours
        return [{**rows[0], "cells": len(rows)} for rows in found]

    def _row(self, arch: int) -> Row:
        metrics = {name: float(self.table.metrics[name][arch]) for name in self.objectives[1:]}
        return {
            "arch": arch,
            "cell": naming.text(self.table.space, arch),
            "test": float(self.table.truth[arch]),
            **metrics,
        }

    def units(self, points: core.FloatArray) -> core.FloatArray:
        """(p, m) normalised points -> test scores and metrics in their units."""
        costs, measure = self.target.costs_at(points), self.table.measure
        signs = np.array([-core.direction(name) for name in self.objectives])
        values: core.FloatArray = costs * signs
        values[:, 0] = measure.sign * (measure.top + values[:, 0])
        return values


def exact(name: str, metrics: Sequence[str]) -> Front:
    """The exact front of (test score, metrics) over a table.

    Raises:
        LabError: no such table or metric, no metric at all, one named twice, or one of unknown direction.
    """
    table = catalog.load(name)
    objectives = ("val", *metrics)
    if not metrics or len(set(objectives)) < len(objectives):
        raise LabError(f"a front needs one or more different metrics beside 'val', got {', '.join(metrics) or 'none'}")
    check_objectives(metrics, table)
    target = target_of(table.sign * table.truth, table.metrics, objectives, table.measure.top)
    if target is None or np.isnan(target.costs).any(axis=1).all():
        raise LabError(f"no cell of table {table.name!r} has a test score and a value for {', '.join(metrics)}")
    return Front(table, objectives, target)


@dataclass(frozen=True)
class Attained:
    """What one strategy of a study reached."""

    label: str
    reached: Reached

    def row(self) -> Row:
        """Means over seeds at the end; hypervolume with its 95% interval."""
        shares = self.reached.hypervolume
        low, high = intervals.mean_interval(shares[:, None], possible=SHARES)
        return {
            "strategy": self.label,
            "runs": len(shares),
            "queries": float(self.reached.runs.counts.mean()),
            "hypervolume_mean": float(shares.mean()),
            "hypervolume_lo": float(low[0]),
            "hypervolume_hi": float(high[0]),
            "igd_plus_mean": float(self.reached.igd_plus.mean()),
            "epsilon_mean": float(self.reached.epsilon.mean()),
        }

    def curves(self) -> pd.DataFrame:
        """Share of the possible hypervolume over queries and over simulated seconds, mean and 95% interval."""
        runs = self.reached.runs
        queries = np.array(progress.checkpoints(float(runs.counts.max())), dtype=np.int64)
        seconds = np.linspace(0.0, float(np.nanmax(runs.last("finished"))), _SECONDS + 1)[1:]
        frames = []
        for axis, at, shares in (
            ("queries", queries, self.reached.at_queries(queries)),
            ("seconds", seconds, self.reached.at_seconds(seconds)),
        ):
            low, high = intervals.mean_interval(shares, possible=SHARES)
            columns = {"hypervolume_mean": shares.mean(axis=0), "hypervolume_lo": low, "hypervolume_hi": high}
            frames.append(pd.DataFrame({"strategy": self.label, "axis": axis, "at": at.astype(float), **columns}))
        return pd.concat(frames, ignore_index=True)


def attained(front: Front, study: Study, folder: Path) -> list[Attained]:
    """What the strategies of a study reached of a front, best mean hypervolume first.

    Raises:
        LabError: no task of the study has these objectives and is scored on this table, or runs are missing.
    """
    tasks = [
        task
        for task in study.tasks
        if task.objectives == front.objectives
        and front.table.name in [catalog.load(name).name for name in task.scored_on]
    ]
    if not tasks:
        known = "; ".join(f"{', '.join(task.objectives)} scored on {', '.join(task.scored_on)}" for task in study.tasks)
        raise LabError(
            f"no task of {folder} has objectives {', '.join(front.objectives)} scored on {front.table.name}; it has: {known}"
        )
    found = []
    for group, runs in recorded.look(folder, tasks).collected:
        if runs.offsets[-1]:
            where = f" ({_setting(group)})" if len(tasks) > 1 else ""
            found.append(Attained(group.spec + where, Reached(runs, front.target, group.task.full)))
    return sorted(found, key=lambda each: -float(each.reached.hypervolume.mean()))


def _setting(group: Group) -> str:
    task = group.task.text
    budget = [f"{limit:g} {unit}" for limit, unit in ((task.max_queries, "queries"), (task.max_seconds, "s"))]
    return ", ".join([task.table, str(group.task.search), *(b for b in budget if "inf" not in b)])


def medians(front: Front, found: Sequence[Attained]) -> list[Row]:
    """Per strategy the points that half of its runs reached, in units; two objectives only."""
    rows = []
    for each in found:
        points = fronts.attainment_front(each.reached.archives, 0.5)
        for values in front.units(points).tolist():
            rows.append({"strategy": each.label, "test": values[0], front.objectives[1]: values[1]})
    return rows


def write(front: Front, found: Sequence[Attained], folder: Path) -> list[Path]:
    """Write front.csv and, with two objectives, front.svg; with strategies also reached.csv, reached_curves.csv and .svg.

    Raises:
        LabError: the folder cannot be written.
    """
    content = {"front.csv": _csv(pd.DataFrame(front.rows()))}
    pair = len(front.objectives) == 2
    median = medians(front, found) if pair and found else []
    if pair:
        content["front.svg"] = charts.front(
            front.points(), median, front.objectives[1], front.title, front.table.measure
        )
    if found:
        curves = pd.concat([each.curves() for each in found], ignore_index=True)
        content["reached.csv"] = _csv(pd.DataFrame([each.row() for each in found]))
        content["reached_curves.csv"] = _csv(curves)
        content["reached_curves.svg"] = charts.hypervolume_curves(curves, front.title)
    if median:
        content["reached_medians.csv"] = _csv(pd.DataFrame(median))
    for name, text in content.items():
        write_atomically(folder / name, text.encode())
    return [folder / name for name in content]


def _csv(frame: pd.DataFrame) -> str:
    return spreadsheet.to_csv(frame, float_format="%.8g")


def to_json(front: Front, found: Sequence[Attained]) -> Row:
    """Everything the command prints; what is not known is null."""
    rows = [{k: None if v != v else v for k, v in each.row().items()} for each in found]
    return {
        "table": front.table.name,
        "objectives": list(front.objectives),
        "hypervolume": front.target.possible,
        "points": front.target.size,
        "left_out": front.left_out,
        "front": front.rows(),
        "reached": rows,
    } | ({} if front.table.measure.plain else {"unit": front.table.unit, "better": front.table.better})
