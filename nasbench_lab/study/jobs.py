"""Jobs: what a process gets to compute, consecutive seeds of one strategy on one task, as plain data that says all it needs.

What it computed comes back as the content of a file: whoever planned the job keeps it, so that no folder need be shared.
Where one is, the process can write the file itself (`Shared`), and what comes back is where that is.
"""

from __future__ import annotations

import math
import os
import pickle
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Any, NamedTuple

from nasbench_lab import errors, imports, loading, sources
from nasbench_lab.core import LabError, Strategy
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.study import authors, runner, sent, store
from nasbench_lab.study.engines.engine import Exhausted
from nasbench_lab.study.plan import Group, Plan, open_evaluator
from nasbench_lab.tables import catalog

_PIECES = 8
_PATIENCE = 10.0  # seconds that a file of another host may take to be seen


class Shared(NamedTuple):
    """A folder that whoever planned a job shares with the processes that run it: they write their files there.

    Attributes:
        prefix: absolute path of the files of the job's id, but for their first seeds (`store.path_of`).
        proof: absolute path of a file that is there, beside them, while the study is run.
    """

    prefix: str
    proof: str


@dataclass(frozen=True)
class Job:
    """One block. Plain data, so that any engine can carry it to another process, whatever folder that stands in.

    Attributes:
        header: what is run; names code, versions and tables by digest.
        strategy: its spec; files in it have absolute paths.
        code: its author's files; None of a strategy of this package.
        carried: where no spec describes it, the strategy itself, pickled with its class (`plan.Group.given`).
        table: where the searched table is: an absolute path, or a name of the package's own.
        sources: the same for tables of other datasets, by the name the study gives them.
        seeds: to run.
        digests: of the searched table and of those of other datasets; empty: whatever is there by their names.
        tables: contents of tables, for a process that lacks them (`Lacking`).
        shared: where the process writes what it computed; None: it comes back.
    """

    header: store.Header
    strategy: str
    table: str
    sources: tuple[tuple[str, str], ...]
    seeds: range
    carried: bytes | None = None
    digests: tuple[str, ...] = ()
    tables: tuple[bytes, ...] = ()
    code: authors.Code | None = None
    shared: Shared | None = None

    @property
    def wanted(self) -> list[tuple[str, str]]:
        """The tables it needs, the searched one first: where each is, and its digest, "" for any."""
        places = [self.table, *(where for _, where in self.sources)]
        return list(zip(places, self.digests or [""] * len(places), strict=True))

    def __str__(self) -> str:
        last = self.seeds[-1] if self.seeds else None
        which = f"seed {last}" if len(self.seeds) == 1 else f"seeds {self.seeds.start}..{last}"
        return f"{self.header['strategy']} on {self.header['evaluator']['table']}, {which}"

    def cut(self) -> list[Job]:
        """The same in eight pieces, or as many as there are seeds."""
        step = max(1, -(-len(self.seeds) // _PIECES))
        starts = range(self.seeds.start, self.seeds.stop, step)
        return [self.of(range(first, min(first + step, self.seeds.stop))) for first in starts]

    def supplied(self, tables: Iterable[bytes], code: authors.Code | None) -> Job:
        """The same with what a process lacked."""
        return replace(self, tables=tuple(tables), code=code)

    def of(self, seeds: range) -> Job:
        """The same for other seeds."""
        return replace(self, header=self.header | {"seeds": [seeds.start, seeds.stop]}, seeds=seeds)


class Done(NamedTuple):
    """What came of a job: the content of a file of its runs, or where the process wrote it, and the seconds they took.

    `missed`: files of the author's at home that a run wanted to read where they are not.
    """

    content: bytes | Path
    seconds: float
    missed: tuple[str, ...] = ()


class Lacking(NamedTuple):
    """What comes of a job where something is not there that it needs: tables, by their digests, or the author's files."""

    digests: tuple[str, ...]
    code: bool = False


def of_group(plan: Plan, group: Group) -> Job:
    """All runs of one strategy on one task as one job, to be cut."""
    study, task = plan.study, group.task.text
    tables = tuple((name, catalog.located(name)) for name in task.sources)
    carried = pickled(group) if group.given else None
    digests = tuple(plan.tables[name].digest for name in (task.table, *task.sources))
    job = Job(
        group.header, loading.located(group.spec), catalog.located(task.table), tables, range(0), carried, digests
    )
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
    searched, *others = (sent.load(where, digest) for where, digest in job.wanted)
    policies["sources"] = {name: table for (name, _), table in zip(job.sources, others, strict=True)}
    evaluator = open_evaluator(policy["evaluator"], searched, policies)
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


def run(job: Job) -> Done | Lacking:
    """Run one block, if all is here that it needs. This is what a worker process executes.

    Raises:
        LabError: the strategy failed (says where), or this process runs other code than the one that planned the job.
    """
    if job.shared:
        _check_shared(job.shared)
    if lacking := _lacking(job):
        return lacking
    _check_packages(job.header)
    with authors.placed(job.code) as place:
        try:
            return _run(replace(job, strategy=place.spec(job.strategy, job.code)), place)
        except LabError as error:
            if missed := place.missed():
                raise LabError(f"{error} (it wanted {not_sent(missed[0])})") from error
            if place.root:
                raise LabError(
                    f"{error} (where its files were sent; what it loads after its first queries was not)"
                ) from error
            raise


def not_sent(path: str) -> str:
    """A file that a strategy wants to read where it was sent to, in words."""
    return (
        f"{path}, which was not sent, as nothing had read it in the first queries of a run: have it read in setup, or put the "
        "strategy's files on the workers at the same paths"
    )


def _lacking(job: Job) -> Lacking | None:
    """Keep what came with a job, and say what is still not here."""
    sent.receive(job.tables)
    if job.code:
        authors.receive(job.code)
    found = Lacking(sent.lacking(job.wanted), job.code is not None and authors.lacking(job.code))
    return found if any(found) else None


def _run(job: Job, place: authors.Place) -> Done:
    """Run one block whose strategy is at its place.

    Raises:
        LabError: as `run`.
    """
    header, found = job.header, opened(job)
    policy, evaluator = header["evaluator"], type(found.evaluator)
    specs = (job.strategy, policy["evaluator"])
    code = header["code"] if job.carried else sources.digest(found.strategy, evaluator, specs, policy)
    if code != header["code"]:
        raise LabError(
            f"the code of {header['strategy']} or of the lab is another one {_here()} than where the study was planned "
            f"({code}, not {header['code']}): it was edited meanwhile, or changed in memory, or another one is installed; run it "
            "again with the same everywhere"
        )
    begin = perf_counter()
    rows = store.Rows(tuple(policy["objectives"]))
    for seed, each in searched(job, found):
        rows.add(seed, each)
    seconds = perf_counter() - begin
    taken = {} if job.carried else place.at_home(sources.taken(type(found.strategy), evaluator, specs))
    content = store.encoded(header, rows.columns, rows.ended, taken)
    if not job.shared:
        return Done(content, seconds, place.missed())
    path = store.path_of(job.shared.prefix, job.seeds.start)
    write_atomically(path, content)
    return Done(path, seconds, place.missed())


def _check_shared(shared: Shared) -> None:
    """Refuse to write into a folder that only has the name of the study's.

    Raises:
        LabError: it is not shared with this host.
    """
    proof = Path(shared.proof)
    if not appears(proof):
        raise LabError(
            f"{proof.parent} {_here()} is not the folder of the study, which is not shared or lies elsewhere there; without "
            "--write-on workers what is computed is sent back, and nothing need be shared"
        )


def appears(path: Path) -> bool:
    """Whether a file that another host has written is here; networks' file systems take their time."""
    deadline = monotonic() + _PATIENCE
    while not path.exists():
        if monotonic() > deadline:
            return False
        with suppress(OSError):
            os.listdir(path.parent)  # what makes NFS look again
        sleep(0.1)
    return True


def _check_packages(header: store.Header) -> None:
    """Refuse to run where other packages are installed than where the study was planned.

    Raises:
        LabError: names them, and where that is.
    """
    now = sources.installed(header["versions"])
    if other := [f"{name} {now[name]}, not {then}" for name, then in header["versions"].items() if now[name] != then]:
        raise LabError(f"{'; '.join(other)} {_here()}: a run needs the same as where the study was planned")


def _here() -> str:
    return f"on {socket.gethostname()}"


def searched(job: Job, found: Opened) -> Iterator[tuple[int, runner.Run]]:
    """The runs of a job, seed by seed.

    Raises:
        Exhausted: it found no more memory.
        LabError: the strategy failed; says where.
    """
    owner, loaded = sources.owner(job.strategy), -1
    with ExitStack() as limits:
        for seed in job.seeds:
            if loaded != (loaded := len(sys.modules)) or not _is_one_blas_thread():
                limits.enter_context(one_blas_thread())
            try:
                with _same_folder(), imports.watched(owner):
                    run = runner.search(found.strategy, found.evaluator, seed=seed, **found.loop)
            except LabError:
                raise
            except MemoryError as error:
                raise Exhausted(f"no memory is left {_here()}: {errors.place(error)}") from None
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


def _is_one_blas_thread() -> bool:
    """Whether numpy still computes with one: asking takes a tenth of the time of telling it."""
    libraries = _libraries(len(sys.modules)).lib_controllers
    return all(each.num_threads == 1 for each in libraries if each.user_api == "blas")


@lru_cache(maxsize=1)
def _libraries(_modules: int) -> Any:
    """What is loaded that computes; looked for again when more modules are: it takes 10 ms, as long as a short run."""
    import threadpoolctl

    return threadpoolctl.ThreadpoolController()
