"""Named checks with a time limit, and what the conformance kits share: fresh processes and global random states."""

from __future__ import annotations

import ctypes
import hashlib
import os
import random
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from nasbench_lab import imports
from nasbench_lab.core import LabError
from nasbench_lab.errors import StrategyError, contained, place

SECONDS = 120.0  # that a check may take; the slowest strategy of the package, on a busy machine, takes a third
_AUTHORS = ("propose", "observe", "setup", "recommend", "fit", "predict")  # what an author writes, and a kit calls


class CheckFailed(AssertionError):
    """A plug-in does not do what every one of its kind must; the message says what was seen."""


class Hung(CheckFailed):
    """A check did not return in time; the message says where it stands."""


class NotRun(CheckFailed):
    """A check was not tried, as nothing could come of it; the message says which one before it is why."""


class _Stop(BaseException):
    """Raised in the thread of a check that is given up."""


@dataclass(frozen=True)
class Check:
    """A named check; calling it raises `CheckFailed` if the plug-in does not pass, whatever goes wrong in it.

    It runs in a thread of its own, so that one that does not return can be left behind. Checks that share `over` are not
    run after such a one, which would be waited for again and again, nor after one that is `first` and failed: the
    others would say the same.

    Attributes:
        name: what is checked.
        function: does it.
        blamed: errors of the package that are the plug-in's; any other says that there is nothing to check.
        seconds: time limit.
        over: why no further one is run.
        first: whether the others need it.
    """

    name: str
    function: Callable[[], None]
    blamed: tuple[type[LabError], ...] = ()
    seconds: float = SECONDS
    over: list[str] = field(default_factory=list, compare=False, repr=False)
    first: bool = False

    def __call__(self) -> None:
        if self.over:
            raise NotRun(f"not run: {self.over[0]}")
        try:
            within(self.seconds, self._run)
        except CheckFailed as error:
            hung = isinstance(error, Hung)
            if self.first or hung:
                self.over.append(f"{self.name!r} {'did not return' if hung else 'failed'}")
            raise

    def _run(self) -> None:
        try:
            with contained("the plug-in"):
                self.function()
        except CheckFailed:
            raise
        except Exception as error:
            if isinstance(error, LabError) and not isinstance(error, (*self.blamed, StrategyError)):
                raise  # there is no such plug-in, so nothing to check
            raise CheckFailed(place(error)) from error

    def __str__(self) -> str:
        return self.name


def require(condition: bool, message: str) -> None:
    """Raises `CheckFailed` with the message unless the condition holds."""
    if not condition:
        raise CheckFailed(message)


def within(seconds: float, function: Callable[[], None]) -> None:
    """Call a function in a thread and wait for it so long.

    Raises:
        Hung: it did not return; says where it stands. A loop in Python is stopped there, anything else left to itself.
        Exception: whatever the function raised, Ctrl-C of its own making as `CheckFailed`.
    """
    raised: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except _Stop:
            pass
        except BaseException as error:  # handed to whoever waits
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        where = standing(thread)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Stop))
        raise Hung(f"does not return within {seconds:g} s: {where}")
    if raised and isinstance(raised[0], KeyboardInterrupt):
        raise CheckFailed(place(raised[0]))
    if raised:
        raise raised[0]


def standing(thread: threading.Thread) -> str:
    """Which of an author's methods a thread is in, and the line that it has reached."""
    frame = sys._current_frames().get(thread.ident or 0)
    stack = traceback.extract_stack(frame) if frame else []
    if not stack:
        return "it has just ended"
    called = [entry for entry in stack if entry.name in _AUTHORS]
    here = called[0] if called else stack[-1]
    line = f"{here.name} stands at {here.filename}:{here.lineno}"
    return line if here is stack[-1] else f"{line}, in {stack[-1].name} ({stack[-1].filename}:{stack[-1].lineno})"


def in_fresh_process(code: str, spec: str) -> str:
    """The last word that `code` prints, run with `spec` as its argument in a process with another PYTHONHASHSEED."""
    env = os.environ | {"PYTHONHASHSEED": "4242", "PYTHONPATH": imports.search_path()}
    command = [sys.executable, "-P", "-c", code, spec]  # or a file beside, numpy.py say, would hide a library
    try:
        done = subprocess.run(command, capture_output=True, env=env, check=False, timeout=0.9 * SECONDS)
    except subprocess.TimeoutExpired:
        raise CheckFailed(f"the fresh process did not end within {0.9 * SECONDS:g} s") from None
    # authors print what they like
    output, errors = (each.decode("utf-8", "replace") for each in (done.stdout, done.stderr))
    said = errors.strip().splitlines()[-1:]
    require(done.returncode == 0, f"the fresh process failed: {''.join(said)[:2000]}")
    require(bool(output.split()), "the fresh process ended without a word")
    return output.split()[-1]


def global_states() -> dict[str, str]:
    """The global random states of random, numpy and, where it is loaded, torch."""
    states = {"random": repr(random.getstate()), "numpy": repr(np.random.get_state())}  # noqa: NPY002 - only read
    if "torch" in sys.modules:
        states["torch"] = hashlib.sha256(sys.modules["torch"].get_rng_state().numpy().tobytes()).hexdigest()
    return states


def leaves_global_states_alone(run: Callable[[], object], instead: str) -> None:
    """Raises `CheckFailed` if `run` changes one; `instead` is what should be used."""
    before = global_states()
    run()
    changed = [name for name, state in global_states().items() if state != before.get(name, state)]
    require(not changed, f"changed the global random state of {', '.join(changed)}; use {instead}")
