"""Test accuracy along the way: `python benchmarks/at_queries.py results/NAME 25 50 100 200` prints a table per setting.

Reads curves.csv of a results folder; mean over seeds with the half width of its 95% interval. Computes nothing anew.

`python benchmarks/at_queries.py results/NAME --beaten gp_bo` says on every table who is significantly better than a strategy at
the end, by what the search saw and by test (sign-flip tests of paired means, Holm over all pairs). Reads runs/, which is not
committed: `python benchmarks/rebuild.py NAME` makes them; the tables are needed, too.

`python benchmarks/at_queries.py results/NAME --optimum` says how many queries it took until the incumbent was a best cell by
test: mean over seeds ± half of its 95% interval (normal); a run that never had one counts with its length. From runs/, too.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nasbench_lab.errors import LabError, offered
from nasbench_lab.stats import significance
from nasbench_lab.study import recorded
from nasbench_lab.study.plan import PlannedTask
from nasbench_lab.study.runs import Runs


def _known(means: Any, half: Any, strategy: Any, at: Any) -> str:
    """The mean and its half width, as far as there are such."""
    values = [("", means.loc[strategy, at]), (" ± ", half.loc[strategy, at] if strategy in half.index else math.nan)]
    return "".join(f"{sign}{value:.2f}" for sign, value in values if not math.isnan(value))


def main(folder: Path, queries: Sequence[float]) -> None:
    """Print the tables."""
    frame = pd.read_csv(folder / "curves.csv", keep_default_na=False, na_values=[""])
    frame = frame[(frame["axis"] == "queries") & frame["at"].isin(queries)]
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


def beaten(folder: Path, name: str) -> None:
    """Print who beats a strategy.

    Raises:
        LabError: there are no runs, or none of this strategy.
    """
    members: dict[PlannedTask, list[tuple[str, Runs]]] = {}
    for group, runs in recorded.look(folder).collected:
        members.setdefault(group.task, []).append((group.spec, runs))
    for task, found in members.items():
        (table,), names = task.scored, [spec for spec, _ in found]
        if name not in names:
            raise LabError(f"no strategy {name!r}{offered(name, names, 'there are')}")
        ends = [runs.last("incumbent").astype(int) for _, runs in found]
        for what, scores in (("validation", task.seen), ("test", table.sign * table.truth)):
            reached = np.stack([scores[end] for end in ends], axis=1)
            order = np.argsort(-reached.mean(axis=0), kind="stable")
            better = significance.compare(reached[:, order]).better
            place = [names[i] for i in order].index(name)
            by = ", ".join(names[i] for i, worse in zip(order, better[:, place], strict=True) if worse)
            print(f"{task.text.table:<34}{what:<12}place {place + 1}, significantly better: {by or 'none'}")


def optimum(folder: Path) -> None:
    """Print when the best was found.

    Raises:
        LabError: there are no runs.
    """
    for group, runs in recorded.look(folder).collected:
        if group.task.text.trials == "split":
            print(
                f"{group.task.text.table:<34}{group.spec:<44}not said: runs are scored on other trainings than they search"
            )
            continue
        for table in group.task.scored:
            truth = table.sign * table.truth
            first = runs.first(truth == np.nanmax(truth))
            took, reached = np.minimum(first, runs.counts), np.isfinite(first).mean()
            half = f" ± {1.96 * took.std(ddof=1) / math.sqrt(len(took)):.1f}" if len(took) > 1 else ""
            mean = f"{'' if reached == 1 else '≥ '}{took.mean():.1f}{half}"
            name = (
                group.task.text.table
                if table.name == group.task.table.name
                else f"{group.task.text.table} -> {table.name}"
            )
            print(f"{name:<34}{group.spec:<44}{mean:>16}   {reached:.0%} of {len(took)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="results folder")
    parser.add_argument("queries", type=float, nargs="*", help="after how many queries")
    parser.add_argument("--beaten", metavar="STRATEGY")
    parser.add_argument("--optimum", action="store_true")
    given = parser.parse_args()
    if bool(given.queries) + bool(given.beaten) + given.optimum != 1:
        parser.error("say numbers of queries, --beaten STRATEGY or --optimum")
    try:
        if given.optimum:
            optimum(given.folder)
        else:
            beaten(given.folder, given.beaten) if given.beaten else main(given.folder, given.queries)
    except (LabError, OSError) as error:  # in a clone, say, where there are no runs
        sys.exit(f"{given.folder}: {error}")
