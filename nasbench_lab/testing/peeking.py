"""Does a strategy look where it must not? Two searches that a strategy which reads its results alone cannot tell apart.

    permuted    the test scores of the table are dealt out anew, in memory and in the file that its name leads to
    apart       the strategy runs in a process that holds no table and cannot open one (`study.blind`)

In both it must ask for the same cells and recommend the same. What is found by neither: test scores written into the
strategy itself or read from a file of another kind or place, and code that behaves while it is watched.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import threadpoolctl

from nasbench_lab import loading
from nasbench_lab.core import Evaluator, Strategy, stream
from nasbench_lab.evaluators.tabular import ORACLE, Tabular
from nasbench_lab.study import replays, runner
from nasbench_lab.study.blind import Row, rows
from nasbench_lab.tables import catalog
from nasbench_lab.tables.table import Table
from nasbench_lab.testing.checks import SECONDS

_PERMUTED = 14  # stream


def peeks(
    spec: str, evaluator: Evaluator, *, seed: int = 0, max_queries: float = 30, seconds: float = SECONDS, **how: Any
) -> str | None:
    """What a strategy does that shows that it looks elsewhere than at its results; None where nothing shows.

    Args:
        spec: of the strategy, such that another process can make it.
        evaluator: answers; a table's is also asked with other test scores, unless the search sees these.
        seed, max_queries, how: of the search, as for `runner.search`.
        seconds: real ones that the other process may take.
    """
    how = {"max_queries": max_queries} | how

    def make() -> Strategy:
        strategy: Strategy = loading.build("strategies", spec)
        return strategy

    here = searched(make, evaluator, seed, how)
    if (
        isinstance(evaluator, Tabular)
        and evaluator.search != ORACLE
        and (found := permuted(make, evaluator, seed, how))
    ):
        return found
    return apart(spec, evaluator, seed, how, here, seconds)


def permuted(make: Callable[[], Strategy], evaluator: Tabular, seed: int, how: dict[str, Any]) -> str | None:
    """Where a search differs that has other test scores under the same name."""
    here = searched(make, evaluator, seed, how)
    with dealt_anew(evaluator) as other:
        there = searched(make, other, seed, how)
    difference = replays.differing(here, there)
    return f"searches otherwise where test scores are permuted: {difference}" if difference else None


@contextmanager
def dealt_anew(evaluator: Tabular) -> Iterator[Tabular]:
    """The evaluator over its table with permuted test scores; until then the table's name leads to such a file."""
    table = _permuted(evaluator.table)
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"NASBENCH_LAB_DATA": folder}):
        table.save(Path(folder) / f"{table.name}.npz")
        yield Tabular(
            catalog.load(table.name),
            search=evaluator.search,
            trials=evaluator.trials,
            noise=evaluator.noise,
            objectives=evaluator.task.objectives,
            sources=evaluator.sources,
        )


def _permuted(table: Table) -> Table:
    order = stream(0, _PERMUTED).permutation(len(table.truth))
    schedules = {
        last: replace(schedule, test=schedule.test[order], test_trials=schedule.test_trials[order])
        for last, schedule in table.schedules.items()
    }
    about = {key: value for key, value in table.about.items() if key != "rows"}  # no longer one row per class
    return replace(table, schedules=schedules, about=about)


def searched(make: Callable[[], Strategy], evaluator: Evaluator, seed: int, how: dict[str, Any]) -> list[Row]:
    """The records of a search here, as rows."""
    strategy = make()
    with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
        return rows(runner.search(strategy, evaluator, seed=seed, **how).records)


def apart(
    spec: str, evaluator: Evaluator, seed: int, how: dict[str, Any], here: list[Row], seconds: float = SECONDS
) -> str | None:
    """Where the search differs from `here` in a process that holds no table; or which file it opened there."""
    verdict, why = replays.compared(replays.setting_of(spec, evaluator, seed, how), evaluator, here, seconds)
    return None if verdict == replays.SAME else f"in a process that holds no table: {why}"
