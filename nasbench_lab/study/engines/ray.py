"""A Ray cluster: one that runs already, or processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import ray
from ray import exceptions

from nasbench_lab.study.engines import afar
from nasbench_lab.study.engines.engine import Died, Futures, Lost, Token, Work


class Ray(Futures):
    """A driver of a cluster.

    Args:
        address: of a running one, "ray://host:10001" or "auto"; "": started here.
        workers: processes; of a running cluster so many at once at most, and as many as it has processors with 1.

    Raises:
        OSError, ValueError, RuntimeError: nothing answers there.
    """

    def __init__(self, address: str, workers: int) -> None:
        super().__init__()
        own = {} if address else {"num_cpus": workers, "include_dashboard": False}
        self._address, self._workers, self._own = address, workers, not ray.is_initialized()
        ray.init(address=address or None, ignore_reinit_error=True, log_to_driver=False, **own)
        self._run = ray.remote(max_retries=0)(afar.call)  # what died is tried again here, where it is counted
        self._functions: dict[int, Any] = {}

    @property
    def slots(self) -> int:  # type: ignore[override]
        """Processors there are."""
        there = max(1, int(ray.cluster_resources().get("CPU", 1)))
        return there if self._address and self._workers == 1 else min(there, self._workers)

    def submit(self, function: Callable[[Any], Any], job: Any) -> Token:
        """As of `Futures`."""
        return self._run.remote(afar.packed(Work(function, os.getpid()), job)).future()

    def result(self, token: Token) -> Any:
        """As of `Engine`."""
        try:
            return token.result()
        except (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError) as error:
            raise Died(f"a Ray worker died of it (out of memory?): {type(error).__name__}") from error
        except (exceptions.NodeDiedError, exceptions.ObjectLostError, exceptions.TaskCancelledError) as error:
            raise Lost(f"{type(error).__name__}") from error
        except exceptions.RayTaskError as error:
            raise error.cause from None

    def waits_for(self) -> str:
        """As of `Engine`."""
        where = f" at {self._address}" if self._address else ""
        return f"the {self.slots} processors of the Ray cluster{where}"

    def close(self, *, early: bool) -> None:
        """As of `Engine`."""
        if self._own:
            ray.shutdown()
