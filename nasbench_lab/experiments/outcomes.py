"""Outcomes of experiments on disk: one job, one small JSON file named by a hash of everything it depends on.

So an experiment that was interrupted goes on where it was, and what is there is never done again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nasbench_lab.core import LabError
from nasbench_lab.files import names, sealed
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.study.engines import dispatch

Header = dict[str, Any]
Outcome = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """What one file is of. Plain data: any process can do it.

    Attributes:
        header: everything the outcome depends on, as JSON values.
        path: its file.
        settings: of the experiment.
    """

    header: Header
    path: Path
    settings: Any

    def read(self) -> Outcome | None:
        """The outcome, or None: not there, damaged, or of another job."""
        try:
            found: Outcome = sealed.read_json(self.path, before=(), nan=True)
        except LabError:
            return None
        return found if found.get("header") == self.header and len(found) > 1 else None

    def write(self, outcome: Outcome) -> None:
        """Keep the outcome.

        Raises:
            LabError: it cannot be written.
        """
        write_atomically(self.path, json.dumps(sealed.seal({"header": self.header, **outcome})).encode())


def job(header: Header, settings: Any, out: Path, *name: object) -> Job:
    """The job of a header; its file is in `out/runs`, the parts of `name` before its hash."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode()).hexdigest()[:16]
    parts = [names.slug(str(part), kept="_") for part in name]
    return Job(header, out / "runs" / f"{'-'.join([*parts, digest])}.json", settings)


def read_all(jobs: Sequence[Job], what: str) -> list[tuple[Header, Outcome]]:
    """Every job's header with its outcome; `what` says what the jobs are, in the plural.

    Raises:
        LabError: some are missing or damaged; says how many.
    """
    found = [(each, each.read()) for each in jobs]
    there = [(each.header, outcome) for each, outcome in found if outcome is not None]
    if missing := [each.path for each, outcome in found if outcome is None]:
        raise LabError(f"{len(missing)} {what} are missing or damaged in {missing[0].parent}; run it again")
    return there


def run(
    function: Callable[[Job], int], jobs: Sequence[Job], out: Path, *, workers: int, report: Callable[[int], None]
) -> None:
    """Do the jobs that have no outcome yet.

    Args:
        function: does a job, writes its outcome, returns 1; what a worker process executes.
        jobs: all of the experiment.
        out: results folder.
        workers: processes.
        report: called with the jobs done.

    Raises:
        LabError: results cannot be written there, or a job failed; what is finished is kept.
    """
    todo = [each for each in jobs if each.read() is None]
    try:
        (out / "runs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LabError(f"{out} cannot be written: {error}") from error
    done = len(jobs) - len(todo)
    report(done)
    for _, count in dispatch.execute(function, iter(todo), workers):
        done += count
        report(done)
