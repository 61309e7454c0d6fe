"""Runs what a study describes: blocks of seeds as jobs on any joblib engine; what is done is skipped.

A block (25 seeds of one strategy on one task) is the unit of work and one file, so that a killed study goes on where it
was. The id of a run hashes everything it depends on: strategy and parameters, evaluator policy and table digest,
budget, policies, code and package versions.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import inspect
import json
import math
import platform
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_lab import core, errors, loading, sources
from nasbench_lab.core import LabError
from nasbench_lab.study import engines, runner, store
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.tables import catalog

FORMAT = 2  # of headers; another format makes other ids, so old files are simply not used
Progress = Callable[[int, int], None]  # runs done, runs in all


@dataclass(frozen=True)
class Job:
    """One block: its header and its file. Plain data, so that any engine can carry it to another process."""

    header: store.Header
    path: Path
    table: str  # name or path, as the study gives it; the header's digest says which one it must be
    seeds: range = field(default=range(0))

    @property
    def done(self) -> bool:
        """Whether the file is there, whole, and what this job would write."""
        try:
            self.read()
        except LabError:
            return False
        return True

    def read(self) -> store.Runs:
        """The runs of this job's seeds; the file may hold more of the block.

        Raises:
            LabError: not there, damaged, or of another job.
        """
        found = store.read(self.path)
        if not self._fits(found):
            raise LabError(f"{self.path} holds other runs than the study describes")
        return found.only(self.seeds)

    def _fits(self, found: store.Runs) -> bool:
        return _without_seeds(found.header) == _without_seeds(self.header) and set(self.seeds) <= set(found.ended)


def _without_seeds(header: store.Header) -> store.Header:
    return {key: value for key, value in header.items() if key != "seeds"}


def plan(study: Study, out: Path) -> list[Job]:
    """All blocks of a study; everything is checked here, before anything runs.

    Raises:
        LabError: a strategy, parameter, table, schedule or policy that does not exist.
    """
    return [job for group in groups(study) for job in group.jobs(study, out)]


@dataclass(frozen=True)
class Group:
    """One strategy on one task: what a row of the leaderboard is computed from."""

    strategy: str
    task: StudyTask
    header: store.Header

    @property
    def id(self) -> str:
        """Hash of everything the runs depend on but their seeds."""
        return run_id(self.header)

    def jobs(self, study: Study, out: Path) -> list[Job]:
        jobs = []
        stop = study.first_seed + study.seeds
        for first in range(study.first_seed, stop, study.block):
            seeds = range(first, min(first + study.block, stop))
            header = self.header | {"seeds": [seeds.start, seeds.stop]}
            path = out / "runs" / f"{_slug(self.strategy)}-{_slug(self.task.table)}-{self.id}-{first:06d}.parquet"
            jobs.append(Job(header, path, self.task.table, seeds))
        return jobs


def groups(study: Study) -> list[Group]:
    """Strategies x tasks, each with the header of its runs."""
    found = []
    _check_tables(study)
    for task in study.tasks:
        for scored in task.scored_on:
            if unknown := int(np.isnan(catalog.load(scored).truth).sum()):
                raise LabError(f"table {scored!r} cannot score: it has no test score for {unknown} cells")
        evaluator = open_task(task)
        runner.bounded(
            evaluator.task,
            max_queries=task.max_queries,
            max_seconds=task.max_seconds,
            workers=task.simulated_workers,
            repeats=task.repeats,
        )
        for spec in study.strategies:
            strategy = loading.build("strategies", spec)
            if not isinstance(strategy, core.Strategy):
                raise LabError(
                    f"{spec!r} is not a strategy: {type(strategy).__name__} does not derive from nasbench_lab.Strategy"
                )
            found.append(Group(spec, task, _header(spec, strategy, evaluator, task)))
    return found


def _check_tables(study: Study) -> None:
    """One name, one table: results are told apart by name."""
    digests: dict[str, str] = {}
    for task in study.tasks:
        scored = [catalog.load(name) for name in task.scored_on]
        if len({table.digest for table in scored}) < len(scored):
            raise LabError(f"a table to score on is listed twice: {', '.join(task.scored_on)}")
        for table in (catalog.load(task.table), *scored):
            if digests.setdefault(table.name, table.digest) != table.digest:
                raise LabError(f"two different tables are both called {table.name!r}; import one under another name")


def open_evaluator(spec: str, table: str, policies: dict[str, Any]) -> Any:
    """The evaluator of a spec, "tabular" or "training:device=cuda", over a table.

    Raises:
        LabError: no such evaluator, option or policy.
    """
    name, raw = loading.split_spec(spec)
    cls = loading.load("evaluators", name)
    known = inspect.signature(cls.open).parameters
    unknown = [key for key in raw if key not in known or key in ("table", *_POLICIES)]
    if unknown:
        allowed = [key for key in known if key not in ("table", *_POLICIES)]
        raise LabError(f"evaluator {name} has no option {unknown[0]!r}; it has: {', '.join(allowed) or 'none'}")
    return cls.open(table, **policies, **raw)


_POLICIES = ("search", "trials", "noise", "objectives", "sources")


def open_task(task: StudyTask) -> Any:
    """The evaluator of a study's task, with its policies."""
    sizes = ("params_m", "flops_m")  # an evaluator that trains knows them of itself
    check_objectives([name for name in task.objectives[1:] if name not in sizes], task.table)
    return open_evaluator(task.evaluator, task.table, {name: getattr(task, name) for name in _POLICIES})


def check_objectives(names: Iterable[str], table: str) -> None:
    """Refuse what cannot be an objective, with what the table has that can be.

    Raises:
        LabError: a metric that the table does not have, or one of which it is not known which direction is better.
    """
    metrics = catalog.load(table).metrics
    allowed = [name for name in metrics if name.partition("/")[0] in core.DIRECTIONS]
    for name in names:
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            raise LabError(f"{name!r} is no objective beside 'val' on table {table!r}; it has: {known}")


def _header(spec: str, strategy: core.Strategy, evaluator: Any, task: StudyTask) -> store.Header:
    cls = type(strategy)
    header = {
        "format": FORMAT,
        "strategy": spec,
        "class": cls.__qualname__
        if cls.__module__.startswith("nasbench_lab_file_")
        else f"{cls.__module__}:{cls.__qualname__}",
        "parameters": core.parameters(strategy),
        "evaluator": evaluator.policy,
        "max_queries": _finite(task.max_queries),
        "max_seconds": _finite(task.max_seconds),
        "workers": task.simulated_workers,
        "repeats": task.repeats,
        "code": code_digest(task.evaluator, cls),
        "versions": versions(),
    }
    plain: store.Header = json.loads(json.dumps(header))
    return plain


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else float(value)


@cache
def versions() -> dict[str, str]:
    """Versions of what a record can depend on."""
    packages = {name: importlib.metadata.version(name) for name in ("numpy", "scipy", "torch", "nasbench-lab")}
    return packages | {"python": ".".join(map(str, sys.version_info[:2])), "machine": platform.machine()}


def code_digest(header_evaluator: str, strategy: type[Any]) -> str:
    """Digest of the sources that decide a record; see `sources`."""
    return sources.digest(strategy, loading.load("evaluators", loading.split_spec(header_evaluator)[0]))


def run_id(header: store.Header) -> str:
    """The id of the runs of a header, the same for all their seeds; `id:seed` names one run."""
    return hashlib.sha256(json.dumps(_without_seeds(header), sort_keys=True).encode()).hexdigest()[:12]


def _slug(text: str) -> str:
    """A short, safe part of a file name."""
    return "".join(c if c.isalnum() or c in "_." else "-" for c in Path(text).stem)[:40]


def run_job(job: Job) -> int:
    """Run one block and write its file; returns how many runs it holds. This is what a worker process executes.

    Raises:
        LabError: the strategy failed (says where), or this process runs other code than the one that planned the job.
    """
    header = job.header
    strategy = loading.build("strategies", header["strategy"])
    if (
        code_digest(header["evaluator"]["evaluator"], type(strategy)) != header["code"]
        or versions() != header["versions"]
    ):
        raise LabError(f"the code of {header['strategy']} or of the lab changed while the study ran; run it again")
    store.write(job.path, header, rerun(header, job.table, job.seeds), _objectives(header))
    return len(job.seeds)


def rerun(header: store.Header, table: str, seeds: Iterable[int]) -> dict[int, runner.Run]:
    """The runs a header describes, computed now.

    Raises:
        LabError: the strategy or the table does not fit the header any more, or the strategy failed.
    """
    policy = header["evaluator"]
    strategy, evaluator, how = _opened(header, table)
    if evaluator.policy["digest"] != policy["digest"]:
        now, then = evaluator.policy["digest"][:12], policy["digest"][:12]
        raise LabError(f"table {table!r} is another one now: digest {now}, the runs used {then}")
    if evaluator.policy["sources"] != policy.get("sources", {}):
        raise LabError(f"a source of {header['strategy']} is another table now: {', '.join(policy['sources'])}")
    found = {}
    for seed in seeds:
        try:
            with one_blas_thread():
                found[seed] = runner.search(strategy, evaluator, seed=seed, **how)
        except LabError:
            raise
        except Exception as error:  # the strategy is somebody's code: say what it did, without our traceback
            raise LabError(f"{header['strategy']} failed with seed {seed}: {errors.place(error)}") from error
    return found


def _opened(header: store.Header, table: str) -> tuple[core.Strategy, Any, dict[str, Any]]:
    """Strategy, evaluator, and budget and policies of the loop, as a header has them."""
    policy = header["evaluator"]
    evaluator = open_evaluator(policy["evaluator"], table, {name: policy[name] for name in _POLICIES if name in policy})
    limits = {name: header[name] for name in ("max_queries", "max_seconds")}
    how = {name: math.inf if limit is None else limit for name, limit in limits.items()}
    strategy: core.Strategy = loading.build("strategies", header["strategy"])
    return strategy, evaluator, how | {name: header[name] for name in ("workers", "repeats")}


def one_blas_thread() -> Any:
    """A context in which numpy computes with one thread: more of them would sum in another order, so that a strategy with
    a model could choose otherwise from one machine to the next; and on small matrices they are slower.
    """
    import threadpoolctl

    return threadpoolctl.threadpool_limits(limits=1, user_api="blas")


def _objectives(header: store.Header) -> tuple[str, ...]:
    return tuple(header["evaluator"]["objectives"])


def run_study(
    study: Study, out: Path, *, workers: int = 1, backend: str = "loky", progress: Progress | None = None
) -> None:
    """Run what is not done yet.

    Args:
        study: what to run.
        out: results folder; runs go to `out/runs`.
        workers: processes.
        backend: any joblib back end: "loky", "threading", "sequential", "dask" or "ray", the last two with an address
            if they are not to start locally: "dask:tcp://host:8786".
        progress: called with (runs done, runs in all) as blocks finish.

    Raises:
        LabError: the study cannot be run as written, or results cannot be written.
    """
    if workers < 1:
        raise LabError(f"workers must be at least 1, got {workers}")
    jobs = plan(study, out)
    _sweep(out / "runs")
    todo = [job for job in jobs if not job.done]
    for job in {run_id(job.header): job for job in reversed(todo)}.values():
        _try(job)
    total = sum(len(job.seeds) for job in jobs)
    done = total - sum(len(job.seeds) for job in todo)
    report = progress or (lambda _done, _total: None)
    report(done, total)
    for count in engines.execute(run_job, todo, workers, backend):
        done += count
        report(done, total)


def _try(job: Job) -> None:
    """Start a strategy on its task and ask nothing: what it refuses for good, it refuses before any run begins.

    Raises:
        LabError: it does not go with the task (a proxy that is not known there, say), or failed while starting.
    """
    spec = job.header["strategy"]
    strategy, evaluator, how = _opened(job.header, job.table)
    try:
        with one_blas_thread():
            strategy.start(runner.bounded(evaluator.task, **how), job.seeds.start)
    except LabError as error:
        raise LabError(f"{spec} cannot search {job.table}: {error}") from error
    except Exception as error:  # as in `rerun`
        raise LabError(f"{spec} failed while starting: {errors.place(error)}") from error


def _sweep(folder: Path) -> None:
    """Remove what writers that were killed left behind, an hour ago or more."""
    for path in folder.glob(".*.tmp") if folder.is_dir() else ():
        if time.time() - path.stat().st_mtime > 3600:
            path.unlink(missing_ok=True)


def collect(study: Study, out: Path) -> list[tuple[Group, store.Runs]]:
    """The finished runs of a study, group by group.

    Raises:
        LabError: some are missing or damaged; says how many.
    """
    collected = []
    missing = 0
    for group in groups(study):
        blocks = []
        for job in group.jobs(study, out):
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
