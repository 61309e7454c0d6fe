"""Does a strategy look where it must not? Two searches that a strategy which reads its results alone cannot tell apart.

    permuted    the test scores of the table are dealt out anew, in memory and in the file that its name leads to
    apart       the strategy runs in a process that holds no table and cannot open one (`testing.apart`)

In both it must ask for the same cells and recommend the same. What is found by neither: test scores written into the
strategy itself or read from a file of another kind or place, and code that behaves while it is watched.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, Any
from unittest import mock

import threadpoolctl

from nasbench_lab import loading
from nasbench_lab.core import Evaluator, Query, Strategy, stream
from nasbench_lab.errors import place
from nasbench_lab.evaluators.tabular import ORACLE, Tabular
from nasbench_lab.study import runner
from nasbench_lab.tables import catalog
from nasbench_lab.tables.table import Table
from nasbench_lab.testing.apart import Row, Setting, rows
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
    return _difference(here, there, "where test scores are permuted")


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
    folders = tuple(os.path.realpath(folder) for folder in catalog.folders())
    setting = Setting(spec, evaluator.task, seed, how, folders)
    end = _conversation(setting, evaluator, seconds)
    if end.get("opened"):
        return f"opens {end['opened'][0]}"
    if "rows" not in end:
        return f"fails in a process that holds no table: {end.get('failed', 'it ended without a word')}"
    return _difference(here, [tuple(row) for row in end["rows"]], "in a process that holds no table")


def _conversation(setting: Setting, evaluator: Evaluator, seconds: float) -> dict[str, Any]:
    """Answer that process until it says how it ended."""
    path = os.pathsep.join(p for p in sys.path if p)
    env = {key: value for key, value in os.environ.items() if key != "NASBENCH_LAB_DATA"} | {"PYTHONPATH": path}
    command = [sys.executable, "-m", "nasbench_lab.testing.apart"]
    with (
        tempfile.TemporaryFile() as noise,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=noise, env=env) as process,
    ):
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            end = _answered(process, setting, evaluator)
        except (OSError, ValueError) as error:  # it went away, or does not keep to the protocol
            end = {"failed": place(error)}
        late = not timer.is_alive()
        timer.cancel()
        process.kill()
        return {"failed": f"it did not end within {seconds:g} s"} if late else end


def _answered(process: subprocess.Popen[bytes], setting: Setting, evaluator: Evaluator) -> dict[str, Any]:
    assert process.stdin is not None  # pipes, both
    assert process.stdout is not None
    content = pickle.dumps(setting)
    process.stdin.write(b"%d\n%b" % (len(content), content))
    process.stdin.flush()
    for line in process.stdout:
        message: dict[str, Any] = json.loads(line)
        if "ask" not in message:
            return message
        _answer(process.stdin, evaluator, Query(*message["ask"]), setting.seed)
    return {}


def _answer(to: IO[bytes], evaluator: Evaluator, query: Query, seed: int) -> None:
    result = evaluator.evaluate(query, seed)
    to.write(json.dumps([result.val, result.seconds, dict(result.metrics)]).encode() + b"\n")
    to.flush()


def _difference(here: list[Row], there: list[Row], where: str) -> str | None:
    """The first record in which two searches differ."""
    for count, (one, other) in enumerate(zip(here, there, strict=False)):
        if one != other:
            return f"searches otherwise {where}: after {count} results {_said(one)} here, {_said(other)} there"
    if len(here) != len(there):
        return f"searches otherwise {where}: {len(here)} queries here, {len(there)} there"
    return None


def _said(row: Row) -> str:
    return f"cell {row[0]} for {row[1]} epochs, recommending {row[-1]},"
