"""Jobs: what a process gets to compute, one block of seeds of one strategy on one task, as plain data that says all it needs.

A block is the unit of work and one file, so that a killed study goes on where it was.
"""

from __future__ import annotations

import math
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from nasbench_lab import errors, imports, loading, sources
from nasbench_lab.core import LabError, Strategy
from nasbench_lab.files import names
from nasbench_lab.study import runner, store
from nasbench_lab.study.plan import Group, Plan, open_evaluator, without_seeds
from nasbench_lab.tables import catalog


@dataclass(frozen=True)
class Job:
    """One block. Plain data, so that any engine can carry it to another process, whatever folder that stands in.

    Attributes:
        header: what is run; names code, versions and tables by digest.
        strategy: its spec; files in it have absolute paths.
        carried: where no spec describes it, the strategy itself, pickled with its class (`plan.Group.given`).
        table: where the searched table is: an absolute path, or a name of the package's own.
        sources: the same for tables of other datasets, by the name the study gives them.
        seeds: to run.
        path: of the file to write, absolute.
    """

    header: store.Header
    strategy: str
    table: str
    sources: tuple[tuple[str, str], ...]
    seeds: range
    path: Path
    carried: bytes | None = None

    @property
    def done(self) -> bool:
        """Whether the file is there, whole, and what this job would write."""
        try:
            return not sources.changed(self.read().files)
        except LabError:
            return False

    def read(self) -> store.Runs:
        """The runs of this job's seeds; the file may hold more of the block.

        Raises:
            LabError: not there, damaged, of another job, or of code that was edited since.
        """
        found = store.read(self.path)
        if without_seeds(found.header) != without_seeds(self.header) or not set(self.seeds) <= set(found.ended):
            raise LabError(f"{self.path} holds other runs than the study describes")
        if edited := sources.changed(found.files, data=False):
            raise LabError(f"{self.path} holds runs of other code: {edited[0]} was edited since")
        return found.only(self.seeds)


def of(plan: Plan, out: Path) -> list[Job]:
    """All jobs of a plan, group by group."""
    return [job for group in plan.groups for job in of_group(plan, group, out)]


def of_group(plan: Plan, group: Group, out: Path) -> list[Job]:
    """The blocks of one strategy on one task."""
    study, task = plan.study, group.task.text
    stop, size = study.first_seed + study.seeds, study.block or study.seeds
    name = f"{names.slug(Path(group.spec).stem)}-{names.slug(Path(task.table).stem)}-{group.id}"
    spec, table = loading.located(group.spec), catalog.located(task.table)
    tables = tuple((name, catalog.located(name)) for name in task.sources)
    carried = pickled(group) if group.given else None
    jobs = []
    for first in range(study.first_seed, stop, size):
        seeds = range(first, min(first + size, stop))
        path = (out / "runs" / f"{name}-{first:06d}.parquet").absolute()
        jobs.append(Job(group.header | {"seeds": [seeds.start, seeds.stop]}, spec, table, tables, seeds, path, carried))
    return jobs


def pickled(group: Group) -> bytes:
    """A strategy with its class, for other processes.

    Raises:
        LabError: something in it cannot leave this process.
    """
    import cloudpickle

    try:
        with errors.contained(group.spec):
            content: bytes = cloudpickle.dumps(group.strategy)
    except Exception as error:  # whatever is in it raises
        raise LabError(
            f"{group.spec} cannot be carried to where it is run ({error}); put its class into a file and name that"
        ) from error
    return content


@dataclass(frozen=True, eq=False)
class Opened:
    """What a job names, built in this process: strategy, evaluator, and budget and policies of the loop."""

    strategy: Strategy
    evaluator: Any
    loop: dict[str, Any]


def opened(job: Job) -> Opened:
    """Build what a job names.

    Raises:
        LabError: the strategy or a table is not here, or is another one than the header says.
    """
    header, policy = job.header, job.header["evaluator"]
    policies = {name: policy[name] for name in ("search", "trials", "noise", "objectives") if name in policy}
    policies["sources"] = {name: catalog.load(where) for name, where in job.sources}
    evaluator = open_evaluator(policy["evaluator"], catalog.load(job.table), policies)
    if evaluator.policy["digest"] != policy["digest"]:
        now, then = evaluator.policy["digest"][:12], policy["digest"][:12]
        raise LabError(f"table {job.table!r} is another one now: digest {now}, the runs used {then}")
    if evaluator.policy["sources"] != policy.get("sources", {}):
        raise LabError(f"a source of {header['strategy']} is another table now: {', '.join(policy['sources'])}")
    with imports.watched(sources.owner(job.strategy)):
        strategy: Strategy = loading.build("strategies", job.strategy) if job.carried is None else _unpickled(job)
    return Opened(strategy, evaluator, loop_of(header))


def loop_of(header: store.Header) -> dict[str, Any]:
    """Budget and policies of the loop, as `runner.search` takes them."""
    limits = {name: math.inf if header[name] is None else header[name] for name in ("max_queries", "max_seconds")}
    return limits | {name: header[name] for name in ("workers", "repeats")}


def _unpickled(job: Job) -> Strategy:
    """The strategy that a job carries.

    Raises:
        LabError: it needs something that is not in this process.
    """
    try:
        with errors.contained(job.header["strategy"]):
            strategy: Strategy = pickle.loads(job.carried or b"")  # noqa: S301 - this study's own process made it
    except Exception as error:  # whatever it imports raises
        raise LabError(f"{job.header['strategy']} cannot be had in a worker process: {errors.place(error)}") from error
    return strategy


def run(job: Job) -> int:
    """Run one block and write its file; returns how many runs it holds. This is what a worker process executes.

    Raises:
        LabError: the strategy failed (says where), or this process runs other code than the one that planned the job.
    """
    header, found = job.header, opened(job)
    parts = type(found.strategy), type(found.evaluator), (job.strategy, header["evaluator"]["evaluator"])
    code = header["code"] if job.carried else sources.digest(*parts)
    if code != header["code"] or sources.installed(header["versions"]) != header["versions"]:
        raise LabError(
            f"the code of {header['strategy']} or of the lab is another one here than where the study was planned: it was "
            "edited meanwhile, or changed in memory; run it again"
        )
    runs = dict(searched(job, found))
    taken = {} if job.carried else sources.taken(*parts)
    store.write(job.path, header, runs, tuple(header["evaluator"]["objectives"]), taken)
    return len(job.seeds)


def searched(job: Job, found: Opened) -> Iterator[tuple[int, runner.Run]]:
    """The runs of a job, seed by seed.

    Raises:
        LabError: the strategy failed; says where.
    """
    for seed in job.seeds:
        try:
            with _same_folder(), one_blas_thread(), imports.watched(sources.owner(job.strategy)):
                run = runner.search(found.strategy, found.evaluator, seed=seed, **found.loop)
        except LabError:
            raise
        except Exception as error:  # the strategy is somebody's code: say what it did, without our traceback
            raise LabError(f"{job.header['strategy']} failed with seed {seed}: {errors.place(error)}") from error
        yield seed, run


@contextmanager
def _same_folder() -> Iterator[None]:
    """The working folder is shared with what comes after: a strategy that changes it changes it for itself."""
    try:
        before = os.getcwd()
    except FileNotFoundError:  # it is gone already
        yield
        return
    try:
        yield
    finally:
        os.chdir(before)


def one_blas_thread() -> Any:
    """A context in which numpy computes with one thread: more of them would sum in another order, so that a strategy with
    a model could choose otherwise from one machine to the next; and on small matrices they are slower.
    """
    return _libraries(len(sys.modules)).limit(limits=1, user_api="blas")


@lru_cache(maxsize=1)
def _libraries(_modules: int) -> Any:
    """What is loaded that computes; looked for again when more modules are: it takes 10 ms, as long as a short run."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()
