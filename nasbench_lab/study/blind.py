"""A process without tables: a strategy searches here, and whoever started the process (`replays`) answers its queries.

Standard input: the size of a pickled `Setting`, that, then one JSON list per answer. Standard output: one JSON object per line,
`{"ask": [arch, epochs, overhead]}`, at last `{"rows": ..., "opened": ..., "started": ...}` or `{"failed": ...}`. What the
strategy prints goes to standard error.
"""

from __future__ import annotations

import gc
import json
import os
import pickle
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import threadpoolctl

from nasbench_lab import errors, loading
from nasbench_lab.core import Query, Record, Result, Strategy, Task
from nasbench_lab.study import runner
from nasbench_lab.tables.table import Table

# What a study leaves behind, by which the best cells of an earlier run are known.
RESULTS = ("leaderboard.json", "leaderboard.csv", "leaderboard.md", "details.json", "curves.csv", "manifest.json")
# What other programs open is not seen here.
_PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty")


@dataclass(frozen=True)
class Setting:
    """What is searched, and which files stay closed.

    Attributes:
        spec: of the strategy, files in it with absolute paths.
        carried: where no spec describes it, the strategy itself, pickled with its class (`plan.Group.given`).
        task, seed, how: as for `runner.search`; `how` has its budget and policies.
        folders: of tables.
    """

    spec: str
    task: Task
    seed: int
    how: dict[str, Any]
    folders: tuple[str, ...]
    carried: bytes | None = None


Row = tuple[int, int, str, float, float, int]  # arch, epochs, val, seconds, finished, incumbent


def rows(records: list[Record]) -> list[Row]:
    """Records without the real time, nan comparable."""
    return [(*r.result.query[:2], repr(r.result.val), r.result.seconds, r.finished, r.incumbent) for r in records]


@dataclass
class Seal:
    """An audit hook that keeps files of tables and of results closed; it remembers who tried, and what else was started."""

    folders: tuple[str, ...]
    opened: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Raises PermissionError: a file that a search has no business with."""
        if event in _PROGRAMS:
            self.started.append(event)
        if event != "open" or not isinstance(arguments[0], (str, bytes, os.PathLike)):
            return
        path = Path(os.path.realpath(os.fsdecode(arguments[0])))
        of_tables = str(path.parent) in self.folders and path.suffix != ".py"
        of_results = path.name in RESULTS and path.with_name(RESULTS[0]).exists()
        of_runs = path.suffix == ".parquet" and path.parent.name == "runs"
        if of_tables or of_results or of_runs:
            self.opened.append(path.name)
            raise PermissionError(f"{path} is closed to a search")


class Remote:
    """An evaluator whose answers come from elsewhere."""

    def __init__(self, task: Task, asked: IO[str], answers: IO[bytes]) -> None:
        self.task, self._asked, self._answers = task, asked, answers

    def evaluate(self, query: Query, seed: int) -> Result:
        """Ask, and wait for the answer."""
        say(self._asked, {"ask": query})
        val, seconds, metrics = json.loads(self._answers.readline())
        return Result(query, val, seconds, metrics)

    def truth(self, arch: int) -> float:
        """Nothing is known of it here."""
        raise errors.LabError("a search asks for no test score")


def say(to: IO[str], message: dict[str, Any]) -> None:
    """One line."""
    to.write(json.dumps(message) + "\n")
    to.flush()


def main() -> None:
    """Search once, as told."""
    asked = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    size = int(sys.stdin.buffer.readline())
    setting: Setting = pickle.loads(sys.stdin.buffer.read(size))  # noqa: S301 - of whoever started this process
    seal = Seal(setting.folders)
    sys.addaudithook(seal)
    try:
        remote = Remote(setting.task, asked, sys.stdin.buffer)
        with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
            strategy = _strategy(setting)
            seal.opened += _brought()
            found = runner.search(strategy, remote, seed=setting.seed, **setting.how)
    except Exception as error:  # of a strategy: told, with what it had opened by then
        say(asked, {"failed": errors.place(error), "opened": seal.opened})
        return
    say(asked, {"rows": rows(found.records), "opened": seal.opened, "started": seal.started})


def _strategy(setting: Setting) -> Strategy:
    built: Strategy = (
        loading.build("strategies", setting.spec) if setting.carried is None else pickle.loads(setting.carried)  # noqa: S301 - see `main`
    )
    return built


def _brought() -> list[str]:
    """Tables that a strategy carries with it: here nobody else has one."""
    return [f"table {each.name}" for each in gc.get_objects() if type(each) is Table]


if __name__ == "__main__":
    main()
