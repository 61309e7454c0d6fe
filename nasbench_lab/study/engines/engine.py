"""What an engine is: it starts jobs somewhere, says which have ended, and what came of each."""

from __future__ import annotations

import os
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from nasbench_lab.core import LabError

Say = Callable[[str], None]
_LOOK = 1.0  # seconds between two looks after the parent
Token = Any  # of a job that was started; hashable


class Died(Exception):
    """The process that computed a job went away; `tries`: so often, as this job's engine has tried it again itself."""

    def __init__(self, why: str, tries: int = 1) -> None:
        super().__init__(why)
        self.tries = tries


class Lost(Exception):
    """A job was lost, by no fault of its own: whoever kept it was restarted, or the network dropped."""


class Exhausted(LabError):
    """A job found no more memory in its process, which lives on; in another one there may be."""


class Engine(ABC):
    """Starts jobs; see `dispatch`.

    Attributes:
        slots: jobs that are computed at once.
        arrays: whether jobs are handed over many at a time.
        shared_fate: whether one process that dies takes the jobs of others with it.
    """

    slots: int = 1
    arrays = False
    shared_fate = False

    @abstractmethod
    def start(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> list[Token]:
        """Have jobs computed; returns a token for each.

        Raises:
            LabError: who computes cannot be reached.
        """

    @abstractmethod
    def finished(self, seconds: float) -> list[Token]:
        """Jobs that have ended, however; waits so long at most."""

    @abstractmethod
    def result(self, token: Token) -> Any:
        """What a job that has ended returned; raises what it raised.

        Raises:
            Died: its process went away.
            Lost: nobody knows of it any more.
        """

    @abstractmethod
    def waits_for(self) -> str:
        """On what one waits when nothing ends, in words."""

    def close(self, *, early: bool) -> None:
        """Give back what was taken; `early`: jobs are still being computed, and not wanted any more."""
        del early


class Futures(Engine):
    """An engine whose jobs are futures, which call when they are done."""

    def __init__(self) -> None:
        self._ended: queue.SimpleQueue[Token] = queue.SimpleQueue()

    @abstractmethod
    def submit(self, function: Callable[[Any], Any], job: Any) -> Token:
        """One job as a future."""

    def start(self, function: Callable[[Any], Any], jobs: Sequence[Any]) -> list[Token]:
        """As of `Engine`."""
        futures = [self.submit(function, job) for job in jobs]
        for future in futures:
            future.add_done_callback(self._ended.put)
        return futures

    def finished(self, seconds: float) -> list[Token]:
        """As of `Engine`."""
        try:
            found = [self._ended.get(timeout=seconds)]
        except queue.Empty:
            return []
        while not self._ended.empty():
            found.append(self._ended.get())
        return found


@dataclass(frozen=True)
class Work:
    """A function as a worker process calls it, which ends when the process that started it does, however that ended."""

    function: Callable[[Any], Any]
    parent: int

    def __call__(self, job: Any) -> Any:
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
