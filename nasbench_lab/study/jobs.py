"""Jobs: what a process gets to compute, consecutive seeds of one strategy on one task, as plain data that says all it needs.

What it computed comes back as the content of a file: whoever planned the job keeps it, so that no folder need be shared.
"""

from __future__ import annotations

import math
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from time import perf_counter
from typing import Any, NamedTuple

from nasbench_lab import errors, imports, loading, sources
from nasbench_lab.core import LabError, Strategy
from nasbench_lab.study import runner, store
from nasbench_lab.study.plan import Group, Plan, open_evaluator
from nasbench_lab.tables import catalog

_PIECES = 8


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
    """

    header: store.Header
    strategy: str
    table: str
    sources: tuple[tuple[str, str], ...]
    seeds: range
    carried: bytes | None = None

    def __str__(self) -> str:
        last = self.seeds[-1] if self.seeds else None
        which = f"seed {last}" if len(self.seeds) == 1 else f"seeds {self.seeds.start}..{last}"
        return f"{self.header['strategy']} on {self.header['evaluator']['table']}, {which}"

    def cut(self) -> list[Job]:
        """The same in eight pieces, or as many as there are seeds."""
        step = max(1, -(-len(self.seeds) // _PIECES))
        starts = range(self.seeds.start, self.seeds.stop, step)
        return [self.of(range(first, min(first + step, self.seeds.stop))) for first in starts]

    def of(self, seeds: range) -> Job:
        """The same for other seeds."""
        return replace(self, header=self.header | {"seeds": [seeds.start, seeds.stop]}, seeds=seeds)


class Done(NamedTuple):
    """What came of a job: the content of a file of its runs, and the seconds they took."""

    content: bytes
    seconds: float


def of_group(plan: Plan, group: Group) -> Job:
    """All runs of one strategy on one task as one job, to be cut."""
    study, task = plan.study, group.task.text
    tables = tuple((name, catalog.located(name)) for name in task.sources)
    carried = pickled(group) if group.given else None
    job = Job(group.header, loading.located(group.spec), catalog.located(task.table), tables, range(0), carried)
    return job.of(range(study.first_seed, study.first_seed + study.seeds))


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


def run(job: Job) -> Done:
    """Run one block. This is what a worker process executes.

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
    begin = perf_counter()
    rows = store.Rows(tuple(header["evaluator"]["objectives"]))
    for seed, each in searched(job, found):
        rows.add(seed, each)
    seconds = perf_counter() - begin
    taken = {} if job.carried else sources.taken(*parts)
    return Done(store.encoded(header, rows.columns, rows.ended, taken), seconds)


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
