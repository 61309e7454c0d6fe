"""Hands jobs to an engine and gives back what comes of them, as it comes: no more at once than are needed to keep it busy.

A job whose process died is cut and tried again, by itself where others' processes died with it, so that what kills is found;
a single run that has killed three is left out and named in the end. A job that was lost is simply done again.
"""

from __future__ import annotations

import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from nasbench_lab import extras
from nasbench_lab.core import LabError
from nasbench_lab.errors import offered
from nasbench_lab.study.engines.engine import Died, Engine, Exhausted, Lost, Say, Token

TRIES = 3  # processes that a single run may kill
_SECONDS = 2.0  # that a job should take
_HANDFUL = 10.0  # jobs a second that whoever keeps the results is sure to keep up with
_LONG = 300.0  # seconds, of an engine whose jobs take seconds to begin
SILENT = 30.0  # seconds without a result, after which one is told on what is waited, and again after twice as long
_LOOK = 1.0  # seconds between two looks
_DEATHS = 30  # processes that died one after the other, with no result between
_LONGEST = 200  # letters of a job in a message
_LOSSES = 10  # times that a job may be lost
_MOST = 1024  # processes of this machine; more is a slip of the finger
_NEEDS = {"dask": ("distributed",), "ray": ("ray",), "slurm": ("submitit",)}  # packages that the core does not bring
ENGINES = ("loky", "threading", "sequential", *_NEEDS)
J = TypeVar("J")  # a job: plain data, so that any engine can carry it to another process; its text tells it from others
Cut = Callable[[Any], list[Any]]  # a job in pieces; itself alone where it is a single run


def execute(
    function: Callable[[J], Any],
    jobs: Iterator[J],
    workers: int,
    backend: str = "loky",
    *,
    cut: Cut = lambda job: [job],
    say: Say | None = None,
) -> Iterator[tuple[J, Any]]:
    """Run a function on jobs, in this process where one worker is all there is; yields each job with what came of it.

    Args:
        function: what a worker executes.
        jobs: asked for the next one when it is needed, so that it can depend on what came of others.
        workers: processes.
        backend: one of `ENGINES`, of a cluster with its address.
        cut: a job in pieces, for when it killed its process.
        say: told on what is waited where nothing happens; stderr if left out.

    Raises:
        LabError: there is no such engine, who computes cannot be reached, or jobs killed their processes (in the end).
    """
    check(backend)
    if not 1 <= workers <= _MOST:
        raise LabError(f"workers must be 1..{_MOST:,}, got {workers:,}")
    if backend == "sequential" or (workers == 1 and backend == "loky"):  # one process needs no engine
        yield from ((job, function(job)) for job in jobs)
        return
    first = next(jobs, None)
    if first is None:  # nothing to do needs no cluster
        return
    with opened(backend, workers, say or to_stderr) as engine:
        yield from _Dispatch(engine, function, first, jobs, cut, say or to_stderr).run()


def seconds(backend: str, workers: int) -> float:
    """How long a job should take, so that handing over jobs and keeping what they give is not what takes the time."""
    least = _LONG if backend.partition(":")[0] == "slurm" else _SECONDS
    return max(least, workers / _HANDFUL)


def is_afar(backend: str) -> bool:
    """Whether jobs of an engine may be run on other machines, or in other folders: not where it is started for the study."""
    name, _, address = backend.partition(":")
    if name == "dask" and not address and (distributed := sys.modules.get("distributed")):
        with suppress(ValueError):  # none is open
            return bool(distributed.get_client())  # of any scheduler
    return name == "slurm" or bool(address)


def check(backend: str) -> None:
    """Refuse an engine that does not exist, or whose package is not installed.

    Raises:
        LabError: no such engine, with those there are.
        MissingPackage: it is not installed.
    """
    if not isinstance(backend, str):
        raise LabError(f"backend must be the name of an engine, got {backend!r}")
    name, _, address = backend.partition(":")
    if name not in ENGINES:
        raise LabError(f"engine {name!r} cannot be used{offered(name, ENGINES, 'there are')}")
    if address and name not in _NEEDS:
        raise LabError(f"engine {name!r} takes no address, got {backend!r}")
    extras.need(f"engine {name!r}", *_NEEDS.get(name, ()))


@contextmanager
def opened(backend: str, workers: int, say: Say) -> Iterator[Engine]:
    """The engine of a name; of "dask", "ray" and "slurm" what stands behind the colon is where, or how.

    Raises:
        LabError: it is not reachable.
    """
    try:
        engine = _open(backend, workers, say)
    except (ImportError, ValueError, TypeError, OSError, RuntimeError) as error:
        raise LabError(f"engine {backend!r} cannot be used: {error}") from error
    try:
        yield engine
    except BaseException:
        engine.close(early=True)
        raise
    engine.close(early=False)


def _open(backend: str, workers: int, say: Say) -> Engine:
    name, _, address = backend.partition(":")
    if name == "dask":
        from nasbench_lab.study.engines.dask import Dask

        return Dask(address, workers, say)
    if name == "ray":
        from nasbench_lab.study.engines.ray import Ray

        return Ray(address, workers)
    if name == "slurm":
        from nasbench_lab.study.engines.slurm import Slurm

        return Slurm(address, workers)
    from nasbench_lab.study.engines.local import Loky, Threads

    return Threads(workers) if name == "threading" else Loky(workers)


def to_stderr(words: str) -> None:
    """Where one is told, unless one says where."""
    print(f"note: {words}", file=sys.stderr, flush=True)


class _Dispatch(Generic[J]):
    """The state of one `execute`."""

    def __init__(
        self, engine: Engine, function: Callable[[J], Any], first: J, jobs: Iterator[J], cut: Cut, say: Say
    ) -> None:
        self.engine, self.function, self.jobs, self.cut, self.say = engine, function, jobs, cut, say
        self.again: deque[J] = deque([first])
        self.suspects: deque[J] = deque()  # each is tried by itself
        self.running: dict[Token, J] = {}
        self.kills: Counter[str] = Counter()  # by the text of a job
        self.losses: Counter[str] = Counter()
        self.deaths = 0  # since the last result
        self.out: list[str] = []  # what killed too often

    def run(self) -> Iterator[tuple[J, Any]]:
        heard, patience = time.monotonic(), SILENT
        while True:
            self._fill()
            if not self.running:
                break
            tokens = self.engine.finished(_LOOK)
            for token in tokens:
                job = self.running.pop(token, None)
                if job is not None:
                    yield from self._ended(job, token)
            if tokens:
                heard, patience = time.monotonic(), SILENT
            elif time.monotonic() - heard > patience:
                self.say(f"no result for {time.monotonic() - heard:.0f} s; waiting for {self.engine.waits_for()}")
                patience *= 2
        if self.out:
            raise LabError(
                f"{len(self.out)} left out, as {TRIES} worker processes died of each, or had no memory left: "
                f"{'; '.join(self.out[:5])}. All others are kept; run it again where there is more memory"
            )

    def _fill(self) -> None:
        """Start jobs until all are busy, with as many more waiting; of suspects one, and nothing beside it."""
        if self.suspects:
            if not self.running:
                self._start([self.suspects.popleft()])
            return
        jobs: list[J] = []
        if self.engine.arrays and len(self.running) > self.engine.slots:
            return
        while len(self.running) + len(jobs) < 2 * self.engine.slots:
            job = self.again.popleft() if self.again else next(self.jobs, None)
            if job is None:
                break
            jobs.append(job)
        if jobs:
            self._start(jobs)

    def _start(self, jobs: list[J]) -> None:
        self.running.update(zip(self.engine.start(self.function, jobs), jobs, strict=True))

    def _ended(self, job: J, token: Token) -> Iterator[tuple[J, Any]]:
        try:
            found = self.engine.result(token)
        except Died as error:
            self._died(job, error)
        except Exhausted as error:
            self._died(job, Died(str(error)))
        except Lost as error:
            self.losses[str(job)] += 1
            if self.losses[str(job)] > _LOSSES:
                raise LabError(
                    f"{str(job)[:_LONGEST]} was lost {_LOSSES} times ({error}). What is finished is kept"
                ) from error
            self.again.append(job)
        except ImportError as error:  # of a worker that cannot even read what it got
            raise LabError(f"a worker cannot run a job: {error}. Is nasbench_lab installed there, the same?") from error
        else:
            self.deaths = 0
            self.kills.pop(str(job), None)
            yield job, found

    def _died(self, job: J, error: Died) -> None:
        self.deaths += 1
        if self.deaths > _DEATHS:
            raise LabError(f"{error}; {self.deaths} died with no result between. What is finished is kept") from error
        name = str(job)
        alone = not self.engine.shared_fate or not (self.running or self.kills[name] == 0)
        self.kills[name] += error.tries
        pieces = self.cut(job) if alone else [job]
        if len(pieces) > 1:
            del self.kills[name]
            self.kills.update({str(piece): 1 for piece in pieces})
        elif alone and self.kills[name] >= TRIES:
            self.out.append(f"{name[:_LONGEST]} ({error})")
            return
        (self.suspects if self.engine.shared_fate else self.again).extend(pieces)
