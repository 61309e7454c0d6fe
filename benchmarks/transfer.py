"""Queries to the optimum with and without transfer, paired by seed: `python benchmarks/transfer.py results/transfer`.

Reads the runs of `benchmarks/transfer.toml`. A run that never had a best cell (by mean test accuracy) as its incumbent
counts with its length, so means are lower bounds where "found" is below 100%. The difference is to the cold start,
`gp_bo`, with the same seed; its interval is a percentile bootstrap over seeds.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from nasbench_lab.core import stream
from nasbench_lab.study import execute, store
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import load_study
from nasbench_lab.tables import catalog

COLD = "gp_bo"
DRAWS = 10_000


def main(folder: Path) -> None:
    collected = execute.collect(resolve(load_study(folder)), folder)
    for task in dict.fromkeys(group.task.text for group, _ in collected):
        runs = {group.spec: found for group, found in collected if group.task.text == task}
        hit = {name: queries(found, task.table) for name, found in runs.items()}
        print(f"\n{', '.join(task.sources)} -> {task.table}, search {task.search}, {len(hit[COLD])} seeds")
        print(f"  {'strategy':<34}{'queries':>8}{'median':>8}{'found':>7}   difference to {COLD} [95%]   ms a query")
        for name, found in hit.items():
            low, high = interval(found - hit[COLD])
            reached = np.isfinite(runs[name].first(best(task.table))).mean()
            line = f"  {name:<34}{found.mean():8.1f}{np.median(found):8.1f}{reached:7.0%}   "
            pace = 1000 * runs[name].total(store.MEASURED).sum() / runs[name].counts.sum()
            print(f"{line}{(found - hit[COLD]).mean():+7.1f} [{low:+.1f}, {high:+.1f}]{pace:18.1f}")


def best(table: str) -> np.ndarray:
    truth = catalog.load(table).truth
    return np.asarray(truth == truth.max())


def queries(runs: store.Runs, table: str) -> np.ndarray:
    """(R,) queries until the incumbent was a best cell, or the length of the run."""
    return np.minimum(runs.first(best(table)), runs.counts)


def interval(differences: np.ndarray) -> tuple[float, float]:
    rows = stream(0, 9).integers(len(differences), size=(DRAWS, len(differences)))
    low, high = np.quantile(differences[rows].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
