"""What transfer is worth, paired by seed: `python benchmarks/transfer.py results/transfer` (or `results/transfer_tasks`).

Reads the runs of `benchmarks/transfer.toml` or `benchmarks/transfer_tasks.toml` and prints per strategy, by what the search
sees: queries until the incumbent was a best cell (a run that never had one counts with its length, so that means are lower
bounds where "found" is below 100%), and regret averaged over the queries of a run, from the first to the last. Differences
are to the cold start, `gp_bo`, with the same seed; their intervals are percentile bootstraps over seeds. Last, the mean
over tasks of the regret relative to the cold start's; sources that were shuffled must leave it at 1 or above.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from nasbench_lab.core import FloatArray, LabError, stream
from nasbench_lab.study import execute
from nasbench_lab.study.plan import PlannedTask, resolve
from nasbench_lab.study.runs import MEASURED, Runs
from nasbench_lab.study.study import load_study

COLD = "gp_bo"
DRAWS = 10_000


def main(folder: Path) -> None:
    """Print the tables."""
    tasks: dict[PlannedTask, dict[str, Runs]] = {}
    for group, found in execute.collect(resolve(load_study(folder)), folder):
        tasks.setdefault(group.task, {})[group.spec] = found
    ratios: dict[str, list[float]] = {}
    for task, runs in tasks.items():
        text = task.text
        print(f"\n{', '.join(text.sources)} -> {text.table}, search {task.search}, {len(runs[COLD].seeds)} seeds")
        print(
            f"  {'strategy':<34}{'queries':>8}{'found':>7}  difference [95%]    {'regret':>10}  difference [95%]   ms a query"
        )
        best = task.seen == np.nanmax(task.seen)
        first = {name: np.minimum(each.first(best), each.counts) for name, each in runs.items()}
        regret = {name: along(each, task.seen, int(text.max_queries)) for name, each in runs.items()}
        for name, each in runs.items():
            pace = 1000 * each.total(MEASURED).sum() / each.counts.sum()
            reached = np.isfinite(each.first(best)).mean()
            later, worse = first[name] - first[COLD], regret[name] - regret[COLD]
            print(
                f"  {name:<34}{first[name].mean():8.1f}{reached:7.0%}  {differs(later, '+.1f'):<19} "
                f"{regret[name].mean():10.4g}  {differs(worse, '+.2g'):<26}{pace:6.1f}"
            )
            ratios.setdefault(name, []).append(float(regret[name].mean() / regret[COLD].mean()))
    print(f"\nRegret along the run over the cold start's, geometric mean of {len(tasks)} tasks")
    for name, each_task in ratios.items():
        print(f"  {name:<34}{np.exp(np.mean(np.log(each_task))):6.2f}   ({min(each_task):.2f} to {max(each_task):.2f})")


def along(runs: Runs, seen: FloatArray, queries: int) -> FloatArray:
    """(R,) mean over the queries of a run of what its incumbent lacks to the best score that the search could see."""
    at = runs.incumbents_at_queries(np.arange(1, queries + 1))
    lacking: FloatArray = (np.nanmax(seen) - seen[at]).mean(axis=1)
    return lacking


def differs(values: FloatArray, form: str) -> str:
    """The mean of (R,) differences and its interval."""
    rows = stream(0, 9).integers(len(values), size=(DRAWS, len(values)))
    low, high = np.quantile(values[rows].mean(axis=1), (0.025, 0.975)).tolist()
    return f"{values.mean():{form}} [{low:{form}}, {high:{form}}]"


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]))
    except LabError as error:  # in a clone, say, where there are no runs
        sys.exit(f"{sys.argv[1]}: {error}")
