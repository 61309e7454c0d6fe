"""Processes and threads of this machine: joblib's loky, which are Python's executors."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from nasbench_lab.study.engines.engine import Died, Futures, Lost, Token, Work

_IDLE = 300  # seconds after which a process that has nothing to do ends
_ONE_THREAD = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "VECLIB_MAXIMUM", "NUMBA")


class Threads(Futures):
    """Threads of this process."""

    def __init__(self, workers: int) -> None:
        super().__init__()
        self.slots = workers
        self._pool = ThreadPoolExecutor(workers)

    def submit(self, function: Callable[[Any], Any], job: Any) -> Token:
        """As of `Futures`."""
        return self._pool.submit(function, job)

    def result(self, token: Token) -> Any:
        """As of `Engine`."""
        return token.result()

    def waits_for(self) -> str:
        """As of `Engine`."""
        return f"{self.slots} threads of this process, which compute"

    def close(self, *, early: bool) -> None:
        """As of `Engine`."""
        self._pool.shutdown(wait=True, cancel_futures=early)


class Loky(Futures):
    """Processes of this machine, which stay a while for what comes next."""

    shared_fate = True

    def __init__(self, workers: int) -> None:
        super().__init__()
        self.slots = workers

    def submit(self, function: Callable[[Any], Any], job: Any) -> Token:
        """As of `Futures`; where a process died, others are started."""
        try:
            return _pool(self.slots).submit(Work(function, os.getpid()), job)
        except RuntimeError:  # it died between two jobs, or was shut down
            _forget(self.slots)
            return _pool(self.slots).submit(Work(function, os.getpid()), job)

    def result(self, token: Token) -> Any:
        """As of `Engine`."""
        try:
            return token.result()
        except BrokenProcessPool as error:
            raise Died(f"a worker process of this machine died (out of memory?): {str(error)[:200]}") from error
        except CancelledError as error:
            raise Lost("it was cancelled") from error

    def waits_for(self) -> str:
        """As of `Engine`."""
        return f"{self.slots} processes of this machine, which compute"

    def close(self, *, early: bool) -> None:
        """As of `Engine`."""
        if early:
            _forget(self.slots)


_pools: dict[tuple[int, int], Any] = {}  # by process (one that is forked off has none of them) and number of workers


def _pool(slots: int) -> Any:
    """The processes of so many slots; those of another number end.

    Not loky's `get_reusable_executor`: that one joblib's own `Parallel` takes for its own, which it then is not.
    """
    from joblib.externals.loky import ProcessPoolExecutor

    for process, other in list(_pools):
        if process == os.getpid() and other != slots:  # what another thread's study runs there is run to its end
            _pools.pop((process, other)).shutdown(wait=False)
    key = (os.getpid(), slots)
    if key not in _pools:
        env = {f"{name}_NUM_THREADS": "1" for name in _ONE_THREAD}
        _pools[key] = ProcessPoolExecutor(max_workers=slots, timeout=_IDLE, env=env)
    return _pools[key]


def _forget(slots: int) -> None:
    """End the processes of a pool, if there is one."""
    if pool := _pools.pop((os.getpid(), slots), None):
        pool.shutdown(wait=False, kill_workers=True)
