"""Test accuracy along the way: `python benchmarks/at_queries.py results/NAME 25 50 100 200` prints a table per setting.

Reads curves.csv of a results folder; mean over seeds with the half width of its 95% interval. Computes nothing anew.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pandas as pd


def _known(means: Any, half: Any, strategy: Any, at: Any) -> str:
    """The mean and its half width, as far as there are such."""
    values = [("", means.loc[strategy, at]), (" ± ", half.loc[strategy, at] if strategy in half.index else math.nan)]
    return "".join(f"{sign}{value:.2f}" for sign, value in values if not math.isnan(value))


def main(folder: str, *queries: str) -> None:
    """Print the tables."""
    frame = pd.read_csv(Path(folder) / "curves.csv", keep_default_na=False, na_values=[""])
    frame = frame[(frame["axis"] == "queries") & frame["at"].isin([float(q) for q in queries])]
    for (table, score, search, budget), rows in frame.groupby(["table", "score", "search", "budget"], sort=False):
        print(f"\n{table} -> {score}, search {search}, {budget}")
        means = rows.pivot_table(index="strategy", columns="at", values="test_mean", sort=False)
        half = rows.assign(half=(rows["test_hi"] - rows["test_lo"]) / 2).pivot_table(
            index="strategy", columns="at", values="half", sort=False, dropna=False
        )
        order = means.sort_values(means.columns[len(means.columns) // 2], ascending=False).index
        print(f"{'strategy':<44}" + "".join(f"{at:>16g}" for at in means.columns))
        for strategy in order:
            cells = [_known(means, half, strategy, at) for at in means.columns]
            print(f"{strategy:<44}" + "".join(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    main(*sys.argv[1:])
