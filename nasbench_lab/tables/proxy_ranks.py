"""How well zero-cost scores rank the cells of a table by test score: over all, at the top, and by their own pick.

Rank correlation over all cells says little of a search, which wants the best: a score can rank well and pick badly. So
every score is shown with the test score of the cell that it likes best, and with the gain of its top. Over which cells:
all that have the score, and one of each class of equal cells, since equal cells have equal scores and nearly equal tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from nasbench_lab.core import SIZES, FloatArray
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.stats import calibration, gains
from nasbench_lab.stats.measures import Measure
from nasbench_lab.tables.table import Table

Row = dict[str, Any]
TITLE = "Scores without training"
NOTE = (
    "Against mean test after the longest schedule, of the cells that have the score: all, or unique (of equal cells the "
    "lowest-index one). Its pick: the cell with the best score; the mean of those that share it. nDCG: of the best 1% by "
    "score, at least 10 cells, with gains above the median of these cells, discounted by log2(rank + 1)."
)
HEADS = ("score", "cells", "n", "Spearman", "Kendall tau", "test of its pick", "best", "nDCG at the top")
_LEAST = 10  # cells that make a top
_FEWEST = 20  # cells below which nothing is said


def rows(table: Table) -> list[Row]:
    """A row for every zero-cost score and size that a table knows, over all and over unique cells; none without zero-cost scores.

    Of equal cells the lowest-index one that has the score stands for its class. The best by tau over all cells comes first.
    """
    if not any(name.startswith("proxy/") for name in table.metrics):
        return []
    found = [row for name in _names(table) for row in _of(table, name)]
    order = {row["score"]: -row["tau"] for row in reversed(found)}
    return sorted(found, key=lambda row: (order[row["score"]], row["score"], row["cells"]))


def measures(truth: FloatArray, score: FloatArray) -> Row:
    """How well (n,) scores rank (n,) worths, larger is better: n, spearman, tau, pick, best, ndcg (of 1%, at least 10)."""
    top = min(len(truth), max(_LEAST, calibration.top_count(len(truth))))
    order = calibration.ranking(truth, score)
    return {
        "n": len(truth),
        "spearman": order["spearman"],
        "tau": order["tau"],
        "pick": gains.pick(truth, score),
        "best": float(truth.max()),
        "ndcg": gains.ndcg(gains.above_median(truth), score, top),
    }


def cells(row: Row, measure: Measure) -> list[str]:
    """A row as texts, in the order of `HEADS`."""
    said = [measure.text(row[name]) for name in ("pick", "best")]
    numbers = [f"{row[name]:.3f}" for name in ("spearman", "tau")]
    return [row["score"], row["cells"], f"{row['n']:,}", *numbers, *said, f"{row['ndcg']:.3f}"]


def _names(table: Table) -> Iterator[str]:
    yield from (name for name in SIZES if name in table.metrics)
    yield from (name for name in table.metrics if name.startswith("proxy/"))


def _of(table: Table, name: str) -> Iterator[Row]:
    score, truth = table.metrics[name], table.sign * table.truth
    known = np.flatnonzero(~np.isnan(score) & ~np.isnan(truth))
    for kind, chosen in {"all": known, "unique": _unique(known, table.space.classes)}.items():
        if len(chosen) >= _FEWEST and (kind == "all" or len(chosen) < len(known)):
            row = measures(truth[chosen], score[chosen])
            row |= {"pick": table.sign * row["pick"], "best": table.sign * row["best"]}
            yield {"score": name.removeprefix("proxy/"), "cells": kind, **row}


def _unique(known: IntArray, classes: IntArray) -> IntArray:
    """The first of every class among some cells, ascending."""
    first: IntArray = np.sort(np.unique(classes[known], return_index=True)[1])
    return known[first]
