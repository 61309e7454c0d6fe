"""How well the beginnings of learning curves rank the cells of a table by test score, and what they cost.

Of tables whose longest schedule is one training, validated several times on its way; see `surrogates/_curves` for what is
made of a curve. One cell of each class is ranked. Curves and test scores are of the same trainings, whose luck they share.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nasbench_lab import core
from nasbench_lab.core import FloatArray
from nasbench_lab.stats import shares
from nasbench_lab.stats.measures import Measure
from nasbench_lab.surrogates import _curves
from nasbench_lab.tables import proxy_ranks
from nasbench_lab.tables.table import Table

Row = dict[str, Any]
TITLE = "Beginnings of learning curves"
HEADS = (
    "after",
    "of the seconds",
    "predictor",
    "n",
    "Spearman",
    "Kendall tau",
    "test of its pick",
    "best",
    "nDCG at the top",
)
LEARNED = 100  # classes whose curves `regression` learns from; they are not ranked, by any predictor
_POINTS = 5  # beginnings that are shown, at most
_FEWEST = 20  # cells below which nothing is said
_STREAM = 53
NOTE = (
    f"Of one cell of each class, but for {LEARNED} that the regression learned from: validation up to an epoch, against "
    "mean test after the whole schedule. last, best, mean: of the scores so far; power: a power law through them, read at "
    f"the end (from {_curves.POINTS} points on); regression: ridge on scores and differences. Of the seconds: what they cost "
    "on average, of a whole training. Its pick, best, nDCG: as of scores without training. "
    "Curve and test are of the same trainings."
)


def rows(table: Table) -> list[Row]:
    """A row for every beginning and predictor, the best of a beginning by tau first; none where there are no curves."""
    schedule = table.last
    truth, val = table.sign * table.truth, table.sign * schedule.val
    first = np.unique(table.space.classes, return_index=True)[1]
    first = first[~np.isnan(truth[first]) & ~np.isnan(val[first]).any(axis=1)]
    if not (schedule.one_run and table.counts_epochs) or val.shape[1] < 2 or len(first) < LEARNED + _FEWEST:
        return []
    first = core.stream(0, _STREAM).permutation(first)
    seconds = schedule.seconds[first].mean(axis=0)
    found: list[Row] = []
    for column in _shown(val.shape[1]):
        place = {"after": schedule.epochs[column], "share": float(seconds[column] / seconds[-1])}
        ranked = [
            place | {"predictor": name} | _measured(table, truth[first[LEARNED:]], values)
            for name, values in _predictions(np.array(schedule.epochs, dtype=np.float64), val[first], column + 1)
        ]
        found += sorted(ranked, key=lambda row: (-row["tau"], row["predictor"]))
    return found


def cells(row: Row, measure: Measure) -> list[str]:
    """A row as texts, in the order of `HEADS`."""
    said = proxy_ranks.cells({"score": "", "cells": "", **row}, measure)[2:]
    return [str(row["after"]), shares.percent(row["share"]), row["predictor"], *said]


def _predictions(epochs: FloatArray, curves: FloatArray, count: int) -> Iterator[tuple[str, FloatArray]]:
    """What every predictor says of the curves after the first `LEARNED`, from their first `count` points."""
    known, begun = curves[:LEARNED], curves[LEARNED:, :count]
    yield "last", begun[:, -1]
    if count > 1:
        yield "best", begun.max(axis=1)
        yield "mean", begun.mean(axis=1)
    if count >= _curves.POINTS:
        yield "power", _curves.power(epochs[:count], begun, float(epochs[-1]))
    yield "regression", _curves.regression(begun, known[:, :count], known[:, -1])


def _measured(table: Table, truth: FloatArray, values: FloatArray) -> Row:
    row = proxy_ranks.measures(truth, values)
    return row | {name: table.sign * row[name] for name in ("pick", "best")}


def _shown(points: int) -> list[int]:
    """Which of so many points are shown: all but the last, or some of them, evenly."""
    return sorted(set(np.linspace(0, points - 2, min(_POINTS, points - 1)).round().astype(int).tolist()))
