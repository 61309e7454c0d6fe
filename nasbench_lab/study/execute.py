"""Runs a plan: its jobs on any joblib engine; what is done is skipped, and what is finished is collected."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from pathlib import Path

from nasbench_lab import errors, imports, loading, sources
from nasbench_lab.core import LabError
from nasbench_lab.study import engines, jobs, store
from nasbench_lab.study.plan import Group, Plan

Progress = Callable[[int, int], None]  # runs done, runs in all
Collected = list[tuple[Group, store.Runs]]


def run(plan: Plan, out: Path, *, workers: int = 1, backend: str = "loky", progress: Progress | None = None) -> None:
    """Run what is not done yet.

    Args:
        plan: what to run.
        out: results folder; runs go to `out/runs`.
        workers: processes.
        backend: any joblib back end: "loky", "threading", "sequential", "dask" or "ray", the last two with an address
            if they are not to start locally: "dask:tcp://host:8786".
        progress: called with (runs done, runs in all) as blocks finish.

    Raises:
        LabError: a strategy does not go with its task or failed, or results cannot be written.
    """
    if workers < 1:
        raise LabError(f"workers must be at least 1, got {workers}")
    engines.check(backend)
    _sweep(out / "runs")
    todo, total = [], 0
    for group in plan.groups:
        planned = jobs.of_group(plan, group, out)
        left = [job for job in planned if not job.done]
        if left:
            _try(group, left[0].seeds.start)
        todo += left
        total += sum(len(job.seeds) for job in planned)
    done = total - sum(len(job.seeds) for job in todo)
    report = progress or (lambda _done, _total: None)
    report(done, total)
    for count in engines.execute(jobs.run, todo, workers, backend):
        done += count
        report(done, total)


def _try(group: Group, seed: int) -> None:
    """Start a strategy on its task and ask nothing: what it refuses for good, it refuses before any run begins.

    Raises:
        LabError: it does not go with the task (a proxy that is not known there, say), or failed while starting.
    """
    assert group.strategy is not None  # of a plan that was resolved
    owner = sources.owner(loading.located(group.spec))
    try:
        with jobs.one_blas_thread(), imports.watched(owner), errors.contained(group.spec):
            copy.copy(group.strategy).start(group.task.task, seed)
    except LabError as error:
        raise LabError(f"{group.spec} cannot search {group.task.text.table}: {error}") from error
    except Exception as error:  # the strategy is somebody's code: say what it did, without our traceback
        raise LabError(f"{group.spec} failed while starting: {errors.place(error)}") from error


def _sweep(folder: Path) -> None:
    """Remove what writers that were killed left behind, an hour ago or more."""
    for path in folder.glob(".*.tmp") if folder.is_dir() else ():
        if time.time() - path.stat().st_mtime > 3600:
            path.unlink(missing_ok=True)


def collect(plan: Plan, out: Path) -> Collected:
    """The finished runs of a plan, group by group.

    Raises:
        LabError: some are missing or damaged; says how many.
    """
    collected, missing = [], 0
    for group in plan.groups:
        blocks = []
        for job in jobs.of_group(plan, group, out):
            try:
                blocks.append(job.read())
            except LabError:
                missing += len(job.seeds)
        if not missing:
            collected.append((group, store.join(blocks)))
    if missing:
        raise LabError(
            f"{missing} runs of the study are missing, damaged or made by other code in {out / 'runs'}; run the study again"
        )
    return collected
