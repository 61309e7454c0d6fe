"""A Dask cluster: one that runs already, or one that is started here for the study."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from typing import Any

import distributed
from distributed.comm import CommClosedError

from nasbench_lab.core import LabError
from nasbench_lab.study.engines import afar
from nasbench_lab.study.engines.engine import Died, Futures, Lost, Say, Token, Work

PATIENCE = 300.0  # seconds that a scheduler may be away
_SAY = 20.0  # seconds between two words about it
_CONNECT, _ANSWER = 10, 5  # seconds for a scheduler to be reached, and to answer
_FRESH = 2.0  # seconds for which the number of workers is not asked for again
_FAILURES = "distributed.scheduler.allowed-failures"


class Dask(Futures):
    """A client of a scheduler.

    Args:
        address: of a running scheduler, "tcp://host:8786", or its scheduler file; "": the client that is open already, or a
            cluster that is started here.
        workers: processes of a cluster that is started here; of a running one so many of its threads are kept busy at most,
            and all of them with 1.
        say: told on what is waited.

    Raises:
        OSError: nothing answers there.
    """

    shared_fate = True  # jobs that wait at a worker count as its killers, too

    def __init__(self, address: str, workers: int, say: Say) -> None:
        super().__init__()
        self._address, self._workers, self._say = address, workers, say
        self._threads, self._asked = 0, -_FRESH
        self._out: set[Token] = set()
        self._own = True
        self._client = self._opened()

    def _opened(self) -> Any:
        if self._address:
            where = "scheduler_file" if self._address.endswith(".json") else "address"
            return distributed.Client(**{where: self._address}, timeout=_CONNECT, set_as_default=False)
        try:
            found = distributed.get_client()
        except ValueError:  # no client is open
            return distributed.Client(
                n_workers=self._workers,
                threads_per_worker=1,
                dashboard_address=":0",  # without an address, too, its web server wants 8787, which others may have
                scheduler_kwargs={"dashboard": False},
            )
        self._own = False
        return found

    @property
    def slots(self) -> int:  # type: ignore[override]
        """Threads of the workers there are; as they come and go, so does this."""
        if time.monotonic() - self._asked > _FRESH:
            self._threads, self._asked = self._count(), time.monotonic()
        there = max(1, self._threads)
        return there if self._address and self._workers == 1 else min(there, self._workers)

    def _count(self) -> int:
        try:
            found = self._client.sync(self._client.scheduler.ncores, workers=None, callback_timeout=_ANSWER)
        except (TimeoutError, OSError, AttributeError):  # it is away
            return 0
        return sum(found.values())

    def submit(self, function: Callable[[Any], Any], job: Any) -> Token:
        """As of `Futures`; waits for a scheduler that is away.

        Raises:
            LabError: it does not come back.
        """
        begin, told = time.monotonic(), 0.0
        while True:
            try:
                if self._client.status == "running":
                    future = self._client.submit(afar.call, afar.packed(Work(function, os.getpid()), job), pure=False)
                    self._out.add(future)
                    return future
                if self._client.status in ("closed", "closing") and self._own:
                    self._client = self._opened()
                    continue
            except (TimeoutError, OSError, CommClosedError, RuntimeError):
                pass
            waited = time.monotonic() - begin
            if waited > PATIENCE:
                raise LabError(
                    f"the Dask scheduler{self._at} did not come back within {PATIENCE:.0f} s; what is finished is kept, run it "
                    "again when it is there"
                )
            if waited >= told:
                self._say(f"the Dask scheduler{self._at} is away; waiting for it, {PATIENCE - waited:.0f} s more")
                told += _SAY
            time.sleep(1.0)

    def finished(self, seconds: float) -> list[Token]:
        """As of `Engine`; what a scheduler that went away had is lost."""
        found = super().finished(seconds)
        if not found and self._client.status != "running":
            found = list(self._out)
        self._out.difference_update(found)
        return found

    def result(self, token: Token) -> Any:
        """As of `Engine`."""
        if token.status not in ("finished", "error"):
            raise Lost("its scheduler went away")
        try:
            return token.result(timeout=10 * _ANSWER)
        except distributed.KilledWorker as error:
            tries = int(distributed.dask.config.get(_FAILURES, 3)) + 1
            raise Died(f"{tries} Dask workers died of it (out of memory?)", tries) from error
        except (TimeoutError, CancelledError, asyncio.CancelledError, CommClosedError) as error:
            raise Lost("it was cancelled, or what it gave is gone") from error

    def waits_for(self) -> str:
        """As of `Engine`."""
        there = self._count()
        if self._client.status != "running":
            return f"the Dask scheduler{self._at}, which is away"
        if not there:
            return f"workers: the Dask scheduler{self._at} has none"
        return f"the {there} threads of the workers of the Dask scheduler{self._at}, which compute"

    @property
    def _at(self) -> str:
        return f" at {self._address}" if self._address else ""

    def close(self, *, early: bool) -> None:
        """As of `Engine`."""
        if early and self._client.status == "running":
            self._client.cancel(list(self._out), force=True)
        if self._own:
            self._client.close()
