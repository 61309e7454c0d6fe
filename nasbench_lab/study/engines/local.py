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
            return self._pool().submit(Work(function, os.getpid()), job)
        except BrokenProcessPool:  # it died between two jobs
            return self._pool().submit(Work(function, os.getpid()), job)

    def _pool(self) -> Any:
        from joblib.externals.loky import get_reusable_executor

        env = {f"{name}_NUM_THREADS": "1" for name in _ONE_THREAD}
        return get_reusable_executor(max_workers=self.slots, timeout=_IDLE, env=env)

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
            self._pool().shutdown(wait=False, kill_workers=True)
