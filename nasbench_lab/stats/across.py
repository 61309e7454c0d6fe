"""Several tables at once: mean ranks and normalised regrets over tables, who wins where, and what holds across them.

Shapes: T tables, S strategies. A table's mean over its seeds is one observation, tables are the sample: the spread of
these means holds what seeds add to it and what tables do, so that intervals are over both (Student's t, T - 1 degrees of
freedom), and so are the tests (sign flips of paired differences of the means, Holm over all pairs).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from nasbench_lab.stats import significance

FloatArray = NDArray[np.float64]
Row = dict[str, Any]
FEWEST = 3  # tables
TITLE = "Across tables"
COLUMNS = MappingProxyType(
    {
        "strategy": "name and parameters",
        "rank_mean": "mean over tables of the mean rank over seeds (1 = best, ties share)",
        "rank_lo": "lower end of its 95% interval over seeds and tables",
        "rank_hi": "upper end",
        "regret_mean": "mean over tables of the normalised test regret: 0, the best cell; 1, a cell drawn at random",
        "regret_lo": "lower end of its 95% interval over seeds and tables",
        "regret_hi": "upper end",
        "val_rank_mean": "the same mean rank by what the search could see",
        "first": "tables on which it has the best mean",
        "unbeaten": "tables on which no strategy is significantly better",
        "low": "ranks over tables that cannot be excluded, from",
        "high": "to",
    }
)
HEADS = ("strategy", "mean rank", "95% interval", "regret", "95% interval", "val rank", "first on", "unbeaten on")
NOTE = (
    "Mean rank and normalised test regret (0: the best cell, 1: a cell drawn at random), means over tables with 95% intervals "
    "over seeds and tables (Student's t on the tables' means). Unbeaten on: no other strategy is significantly better there."
)


def of(
    names: Sequence[str],
    tables: Sequence[str],
    *,
    ranks: FloatArray,
    regrets: FloatArray,
    val_ranks: FloatArray,
    places: FloatArray,
    best: FloatArray,
) -> Row:
    """{"tables", "rows", "verdict"}; rows have `COLUMNS`, best mean rank first.

    Args:
        names: S strategies.
        tables: T names.
        ranks: (T, S) mean rank over seeds by test score.
        regrets: (T, S) mean normalised test regret.
        val_ranks: (T, S) mean rank over seeds by the score that the search could see; nan where it is not known.
        places: (T, S) place by the mean, 1 the best.
        best: (T, S) lowest rank that the table's tests cannot exclude.
    """
    order = sorted(range(len(names)), key=lambda s: (float(ranks[:, s].mean()), names[s]))
    found = significance.compare(-ranks[:, order])
    low, high = significance.rank_ranges(found.better)
    rows = []
    for place, s in enumerate(order):
        rank, regret = _interval(ranks[:, s], 1, len(names)), _interval(regrets[:, s], 0, math.inf)
        rows.append(
            {
                "strategy": names[s],
                **dict(zip(("rank_mean", "rank_lo", "rank_hi"), rank, strict=True)),
                **dict(zip(("regret_mean", "regret_lo", "regret_hi"), regret, strict=True)),
                "val_rank_mean": float(val_ranks[:, s].mean()),
                "first": [table for table, at in zip(tables, places[:, s], strict=True) if at == 1],
                "unbeaten": [table for table, at in zip(tables, best[:, s], strict=True) if at == 1],
                "low": int(low[place]),
                "high": int(high[place]),
            }
        )
    alike = [names[s] for s, worse in zip(order, found.better[0], strict=True) if not worse][1:]
    return {"tables": list(tables), "rows": rows, "verdict": _verdict(rows, alike, len(tables))}


def _interval(values: FloatArray, least: float, most: float) -> tuple[float, float, float]:
    """Mean of (T,) values and its 95% interval, no further than what can be."""
    mean, spread = float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))
    half = float(student.ppf(0.975, len(values) - 1)) * spread
    return mean, max(mean - half, least), min(mean + half, most)


def _verdict(rows: Sequence[Row], alike: Sequence[str], count: int) -> str:
    """What holds across tables, in one sentence; `alike`: strategies that the tests do not tell apart from the first."""
    first, others = rows[0], rows[1:]
    said = (
        f"Across {count} tables {first['strategy']} has the best mean rank, {first['rank_mean']:.2f} "
        f"({first['rank_lo']:.2f} to {first['rank_hi']:.2f}), and is unbeaten on {len(first['unbeaten'])} of them"
    )
    if not others:
        return f"{said}."
    if not alike:
        return f"{said}; over these tables it is better than every other strategy by the tests."
    if len(alike) == len(others):
        return f"{said}; so few tables tell it apart from no other strategy."
    return f"{said}; over these tables it is not told apart from {', '.join(alike)}."


def cells(row: Row) -> tuple[str, ...]:
    """A row as the texts under `HEADS`."""
    return (
        row["strategy"],
        f"{row['rank_mean']:.2f}",
        f"{row['rank_lo']:.2f} – {row['rank_hi']:.2f}",
        f"{row['regret_mean']:.3f}",
        f"{row['regret_lo']:.3f} – {row['regret_hi']:.3f}",
        f"{row['val_rank_mean']:.2f}"
        if row["val_rank_mean"] is not None and math.isfinite(row["val_rank_mean"])
        else "",
        _some(row["first"]),
        str(len(row["unbeaten"])),
    )


def _some(tables: Sequence[str], most: int = 4) -> str:
    """Names of few tables, how many there are of many."""
    return ", ".join(tables) if len(tables) <= most else f"{len(tables)} tables"
