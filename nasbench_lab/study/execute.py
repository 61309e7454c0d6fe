"""Runs a plan: its jobs on any engine; what is done is skipped, what comes back is kept here, what is finished is collected."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

from nasbench_lab import errors, imports, loading, sources
from nasbench_lab.core import LabError
from nasbench_lab.study import authors, heard, jobs, shelf, store
from nasbench_lab.study.engines import dispatch
from nasbench_lab.study.engines.engine import Say
from nasbench_lab.study.plan import Group, Plan, run_id

Progress = Callable[[int, int], None]  # runs done, runs in all
Collected = list[tuple[Group, store.Runs]]
WRITERS = ("caller", "workers")
_FIRST, _GROWTH = 4, 8  # seeds of a group's first block; how much larger than any that came back the next one may be
_RECORDS = 400_000  # of a block, at most: some 20 MB on their way


def run(
    plan: Plan,
    out: Path,
    *,
    workers: int = 1,
    backend: str = "loky",
    write_on: str = "caller",
    progress: Progress | None = None,
    say: Say | None = None,
) -> None:
    """Run what is not done yet. Workers compute, and this process writes what they send back, or looks at what they wrote.

    Args:
        plan: what to run.
        out: results folder; runs go to `out/runs`.
        workers: processes.
        backend: who computes: one of `dispatch.ENGINES`, "dask", "ray" and "slurm" with where or how if they are not to start
            locally: "dask:tcp://host:8786".
        write_on: "caller", or "workers": they write into `out`, which they must share with this process under the same
            absolute path; each sees to that before it runs anything.
        progress: called with (runs done, runs in all) as blocks finish.
        say: told on what is waited where nothing happens; stderr if left out.

    Raises:
        LabError: a strategy does not go with its task or failed, results cannot be written, or runs killed their processes.
    """
    if workers < 1:
        raise LabError(f"workers must be at least 1, got {workers}")
    if write_on not in WRITERS:
        raise LabError(f"write_on must be one of {', '.join(WRITERS)}, got {write_on!r}")
    dispatch.check(backend)
    shelf.sweep(out / "runs")
    kept = shelf.Shelf(out)
    groups = {
        group.id: _Group.of(plan, group, kept) for group in plan.groups
    }  # tasks may differ in what is scored alone
    loaded: dict[str, dict[str, str]] = {}  # of a strategy that is heard once, whatever its tasks
    for each in groups.values():
        if each.left:
            _try(each.group, each.left[0].start)
            if dispatch.is_afar(backend):
                each.bring(loaded, say or dispatch.to_stderr)
    total = len(groups) * plan.study.seeds
    done = total - sum(each.count for each in groups.values())
    report = progress or (lambda _done, _total: None)
    report(done, total)
    size = _Size(plan.study.block, workers, dispatch.seconds(backend, workers))
    blocks = _Blocks(list(groups.values()), size)
    tables = {table.digest: table for table in plan.tables.values()}
    content = cache(lambda digest: tables[digest].content(compress=True))
    with kept.shared() if write_on == "workers" else nullcontext() as proof:
        for each in groups.values():
            each.share(proof)
        try:
            for job, found in dispatch.execute(jobs.run, blocks, workers, backend, cut=jobs.Job.cut, say=say):
                if isinstance(found, jobs.Lacking):
                    code = groups[run_id(job.header)].sent(job) if found.code else job.code
                    blocks.again.append(job.supplied(map(content, found.digests), code))
                    continue
                groups[run_id(job.header)].keep(job, found)
                done += len(job.seeds)
                report(done, total)
        finally:
            kept.save_index()
    for each in groups.values():
        each.kept.tidy(each.job.seeds)
    kept.save_index()


class _Size(NamedTuple):
    """Of blocks: seeds, or, if None, the seconds that one should take."""

    block: int | None
    workers: int
    seconds: float


@dataclass(eq=False)
class _Group:
    """A group while it is run: what is left of it, and how long its runs take."""

    group: Group
    job: jobs.Job  # all of its runs
    kept: shelf.Kept
    left: list[range]
    code: authors.Code | None = None  # with its content
    seconds: float = 0.0  # of a run, as the last block had it
    largest: int = 0  # block that came back
    records: float = field(default=1.0)  # of a run

    @classmethod
    def of(cls, plan: Plan, group: Group, kept: shelf.Shelf) -> _Group:
        job, own = jobs.of_group(plan, group), kept.of(group)
        return cls(group, job, own, own.lacking(job.seeds))

    @property
    def count(self) -> int:
        """Runs that are left."""
        return sum(map(len, self.left))

    def keep(self, job: jobs.Job, found: jobs.Done) -> None:
        """Check and write what a worker sent, and remember how long it took.

        Raises:
            LabError: it is not what was asked for, or cannot be written.
        """
        if missed := [path for path in found.missed if os.path.exists(path)]:
            raise LabError(f"{self.group.spec} wanted {jobs.not_sent(missed[0])}")
        runs = self._read(found.content)
        if runs.header != job.header or runs.ended.keys() != set(job.seeds):
            raise LabError(f"a worker sent other runs than it was asked for: {job}")
        self.kept.add(None if isinstance(found.content, Path) else found.content, runs)
        self.seconds = found.seconds / len(job.seeds)
        self.largest = max(self.largest, len(job.seeds))
        self.records = max(1.0, float(runs.offsets[-1]) / len(job.seeds))

    def bring(self, loaded: dict[str, dict[str, str]], say: Say) -> None:
        """Have jobs that are run elsewhere name the author's files, so that they can be sent there; `loaded`: as was heard."""
        if not self.group.foreign or self.group.given:
            return
        if self.group.spec not in loaded:
            found = {} if self.group.task.trains else heard.files(self.job.of(self.left[0][:1]))
            if found is None:
                say(
                    f"{self.group.spec}: first queries did not end, so that not all may be sent that it loads and opens"
                )
            loaded[self.group.spec] = found or {}
        self.code = authors.of_group(self.group, loaded[self.group.spec])
        self.job = replace(self.job, code=authors.without(self.code))

    def sent(self, job: jobs.Job) -> authors.Code | None:
        """The files that a process lacks.

        Raises:
            LabError: they are too large, or were sent before.
        """
        assert self.code is not None  # a process lacks only what a job names
        if not self.code.contents:
            raise LabError(
                f"the files of {self.group.spec} are not where it is to be run, and too large to be sent, as what it opens is "
                "more than 64 MB: put them there, at the same paths"
            )
        if job.code and job.code.contents:
            raise LabError(f"the files of {self.group.spec} were sent, and are not there")
        return self.code

    def share(self, proof: str | None) -> None:
        """Have the workers write the files, where there is a proof of the folder (`Shelf.shared`)."""
        self.job = replace(self.job, shared=jobs.Shared(self.kept.prefix, proof) if proof else None)

    def _read(self, content: bytes | Path) -> store.Runs:
        if not isinstance(content, Path):
            return store.decoded(content, "a worker")
        if not jobs.appears(content):
            raise LabError(
                f"a worker wrote {content}, which is not there: its folder is not shared with this process any more"
            )
        return store.read(content)

    def next(self, size: _Size) -> jobs.Job:
        """The next block, of so many seeds or of as many as take a few seconds."""
        seeds = self.left[0]
        first = seeds[: size.block or self._size(size.workers, size.seconds)]
        self.left[:1] = [seeds[len(first) :]] if len(first) < len(seeds) else []
        return self.job.of(first)

    def _size(self, workers: int, seconds: float) -> int:
        if not self.largest:
            return _FIRST
        run = max(self.seconds, 1e-6)
        fair = self.count if workers == 1 else max(-(-self.count // (2 * workers)), seconds / 8 / run)
        return max(1, int(min(seconds / run, _RECORDS / self.records, _GROWTH * self.largest, fair)))


class _Blocks(Iterator[jobs.Job]):
    """The jobs that are left, group by group; how large the next one is depends on those that have come back."""

    def __init__(self, groups: list[_Group], size: _Size) -> None:
        self._groups, self._size = groups, size
        self.again: list[jobs.Job] = []  # that lacked something where they were to be run

    def __next__(self) -> jobs.Job:
        if self.again:
            return self.again.pop()
        for each in self._groups:
            if each.left:
                return each.next(self._size)
        raise StopIteration


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


def collect(plan: Plan, out: Path) -> Collected:
    """The finished runs of a plan, group by group; of many the records are read as they are needed.

    Raises:
        LabError: some are missing or damaged; says how many.
    """
    collected, missing, why = Collected(), 0, ""
    there = shelf.by_id(out / "runs")
    wanted = range(plan.study.first_seed, plan.study.first_seed + plan.study.seeds)
    for group in plan.groups:
        try:
            collected.append((group, shelf.read(there.get(group.id, ()), group.id, wanted, current=True)))
        except shelf.Missing as error:
            missing, why = missing + error.count, why or error.why
    if missing:
        shelf.forget(out)
        raise LabError(
            f"{missing} runs of the study are missing, damaged or made by other code in {out / 'runs'}{why}; "
            "run the study again"
        )
    return collected
