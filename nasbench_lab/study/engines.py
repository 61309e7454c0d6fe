"""Functions on jobs, by any joblib engine: in this process, in several, on a Dask or Ray cluster."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from nasbench_lab import extras
from nasbench_lab.core import LabError

_NEEDS = {"dask": ("distributed",), "ray": ("ray",)}  # packages of engines that joblib does not bring
_LOOK = 1.0  # seconds between two looks after the parent
_MOST = 1024  # processes; more is a slip of the finger
J = TypeVar("J")  # a job: plain data, so that any engine can carry it to another process


def execute(function: Callable[[J], int], jobs: Sequence[J], workers: int, backend: str = "loky") -> Iterator[int]:
    """Run a function on jobs, in this process where one worker is all there is; yields what it returns as jobs finish.

    Raises:
        LabError: a worker process died, or there is no such engine.
    """
    check(backend)
    if not 1 <= workers <= _MOST:
        raise LabError(f"workers must be 1..{_MOST:,}, got {workers:,}")
    if not jobs:
        return
    if workers == 1 and backend == "loky":  # one process needs no engine
        yield from map(function, jobs)
        return
    from joblib.externals.loky.process_executor import BrokenProcessPool

    try:
        yield from _spread(function, jobs, backend, min(workers, len(jobs)))
    except BrokenProcessPool as error:
        raise LabError("a worker process died (out of memory?); what is finished is kept, run it again") from error


def check(backend: str) -> None:
    """Refuse an engine that does not exist, or whose package is not installed.

    Raises:
        LabError: no such engine, with those there are.
        MissingPackage: it is not installed.
    """
    if not isinstance(backend, str):
        raise LabError(f"backend must be the name of an engine, got {backend!r}")
    from joblib.parallel import BACKENDS, EXTERNAL_BACKENDS

    name, _, address = backend.partition(":")
    if name not in (known := sorted({*BACKENDS, *EXTERNAL_BACKENDS, *_NEEDS})):
        raise LabError(f"engine {name!r} cannot be used: there are {', '.join(known)}")
    if address and name not in _NEEDS:
        raise LabError(f"engine {name!r} takes no address, got {backend!r}")
    extras.need(f"engine {name!r}", *_NEEDS.get(name, ()))


def _spread(function: Callable[[J], int], jobs: Sequence[J], backend: str, workers: int) -> Iterator[int]:
    import joblib

    returning = "list" if backend.startswith("ray") else "generator_unordered"  # ray's cannot yield as it goes
    with _engine(backend, workers):
        work = joblib.delayed(_Work(function, os.getpid()))
        yield from joblib.Parallel(return_as=returning)(work(job) for job in jobs)


@dataclass(frozen=True)
class _Work:
    """A function as a worker process calls it, which ends when the process that started it does, however that ended."""

    function: Callable[[Any], int]
    parent: int

    def __call__(self, job: Any) -> int:
        if os.getppid() == self.parent:  # of this machine, and no thread of the parent itself
            _watch(self.parent)
        return self.function(job)


@cache
def _watch(parent: int) -> None:
    """Once a process: look after the parent every second; without one, a worker would wait for work for minutes."""
    threading.Thread(target=_outlive, args=(parent,), daemon=True).start()


def _outlive(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(1)


@contextmanager
def _engine(backend: str, workers: int) -> Iterator[None]:
    """The joblib engine of a name; "dask" and "ray" take an address, "dask:tcp://host:8786", or start locally.

    Raises:
        LabError: no such engine, or it is not reachable.
    """
    import joblib

    name, _, address = backend.partition(":")
    with ExitStack() as stack:
        try:
            if name == "dask":
                stack.enter_context(_dask_client(address, workers))
            elif name == "ray":
                _connect_ray(address)
            inner = {"inner_max_num_threads": 1} if name == "loky" else {}
            stack.enter_context(joblib.parallel_config(backend=name, n_jobs=workers, **inner))
        except (ImportError, ValueError, TypeError, OSError) as error:
            raise LabError(f"engine {backend!r} cannot be used: {error}") from error
        yield


def _dask_client(address: str, workers: int) -> Any:
    """The client that is open already, one of a running scheduler, or one of a local cluster."""
    import distributed

    try:
        return nullcontext(distributed.get_client())
    except ValueError:  # no client is open
        local = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
        return distributed.Client(address, timeout=10) if address else distributed.Client(**local)


def _connect_ray(address: str) -> None:
    import ray
    from ray.util.joblib import register_ray

    ray.init(address=address or None, ignore_reinit_error=True, log_to_driver=False)
    register_ray()
