"""Named checks, and what the conformance kits share: fresh processes and global random states."""

from __future__ import annotations

import hashlib
import math
import os
import random
import signal
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import numpy as np

from nasbench_lab import errors, imports
from nasbench_lab.core import LabError

_PLUGINS = tuple(f"{imports.ROOT / folder}{os.sep}" for folder in ("strategies", "surrogates"))
LIMIT = 300.0  # seconds of a check
_INSIST = 1.0  # seconds between two tries to end what does not return
_TRIES = 10  # of them; what catches every one of them, whatever it is, is ended with this process


class CheckFailed(AssertionError):
    """A plug-in does not do what every one of its kind must; the message says what was seen."""


class Stuck(CheckFailed):
    """It does not return, or ends the process that it runs in: no other check is worth trying."""


@dataclass(frozen=True)
class Check:
    """A named check; calling it raises `CheckFailed` if the plug-in does not pass, whatever goes wrong in it.

    Attributes:
        name: what is checked.
        function: does it.
        blamed: errors of the package that are the plug-in's; any other says that there is nothing to check.
        limit: seconds it may take, `Stuck` says where it stands then (in the main thread, and where there is SIGALRM); inf
            where it looks after that itself.
    """

    name: str
    function: Callable[[], None]
    blamed: tuple[type[LabError], ...] = ()
    limit: float = LIMIT

    def __call__(self) -> None:
        try:
            with errors.contained(), limited(self.limit):
                self.function()
        except CheckFailed:
            raise
        except Exception as error:
            if isinstance(error, LabError) and not isinstance(error, self.blamed):
                raise  # there is no such plug-in, so nothing to check
            raise CheckFailed(errors.place(error)) from error

    def __str__(self) -> str:
        return self.name


def require(condition: bool, message: str) -> None:
    """Raises `CheckFailed` with the message unless the condition holds."""
    if not condition:
        raise CheckFailed(message)


class _TimeUp(BaseException):
    """Time is up; the message says where. No Exception, which somebody's code may catch."""


@contextmanager
def limited(seconds: float, code: int = 1) -> Iterator[None]:
    """Runs for so many seconds at most; outside the main thread, and without SIGALRM, as long as it takes.

    What catches every exception that would end it is ended with this process, and the exit code.

    Raises:
        Stuck: it did not return; says where it stands.
    """
    if (
        math.isinf(seconds)
        or not hasattr(signal, "SIGALRM")
        or threading.current_thread() is not threading.main_thread()
    ):
        yield
        return
    tries = count()

    def up(_number: int, frame: types.FrameType | None) -> None:
        where = f"does not return within {seconds:g} s{_standing(frame)}"
        if next(tries) >= _TRIES:
            os.write(2, f"{where}, and catches whatever would end it\n".encode())
            os._exit(code)
        raise _TimeUp(where)

    before = signal.signal(signal.SIGALRM, up)
    timer = signal.setitimer(signal.ITIMER_REAL, seconds, _INSIST)
    try:
        yield
    except _TimeUp as error:
        raise Stuck(str(error)) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, *timer)
        signal.signal(signal.SIGALRM, before)


def _standing(frame: types.FrameType | None) -> str:
    """Where the author's code is: what was called of it, and the line it is at."""
    own = []
    while frame is not None:
        file = frame.f_code.co_filename
        if imports.authored(file) or file.startswith(_PLUGINS):
            own.append(frame)
        elif own and file.startswith(str(imports.ROOT)):  # who called it
            break
        frame = frame.f_back
    if not own:
        return ""
    name, at = own[-1].f_code.co_name, own[0]
    inside = f" in {at.f_code.co_name}" if at is not own[-1] else ""
    return f": {name} stands{inside} at {at.f_code.co_filename}:{at.f_lineno}"


def in_fresh_process(kit: str, kind: str, spec: str, limit: float) -> str:
    """The `fingerprint` of a kit of a plug-in, computed in a process with another PYTHONHASHSEED.

    Raises:
        CheckFailed: it cannot be had; says why in a sentence.
    """
    path = [p for p in sys.path if p]
    env = os.environ | {"PYTHONHASHSEED": "4242", "PYTHONPATH": os.pathsep.join(path)}
    command = [sys.executable, "-c", _FRESH.format(kit=kit, kind=kind), spec, repr(limit)]
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", env=env, check=False, timeout=limit + 60
        )
    except subprocess.TimeoutExpired:
        raise Stuck(f"does not return within {limit:g} s in a process of its own, and cannot be interrupted") from None
    said = done.stderr.strip().splitlines()[-1:]
    if done.returncode == _STUCK:
        raise Stuck("".join(said))
    require(done.returncode == 0, f"the fresh process failed: {''.join(said) or f'exit code {done.returncode}'}")
    if not done.stdout.split():
        raise Stuck("ends the process that it runs in, with exit code 0 and without a result")
    return done.stdout.split()[-1]


_STUCK = 3
_FRESH = """
import sys
from nasbench_lab.loading import build
from nasbench_lab.testing import checks, {kit}
checks.answer(lambda: {kit}.fingerprint(lambda: build({kind!r}, sys.argv[1])), float(sys.argv[2]))
"""


def answer(function: Callable[[], str], limit: float) -> None:
    """What a fresh process does: print what a function returns, or in a sentence why it does not."""
    found: list[str] = []
    try:
        with limited(limit, _STUCK):
            Check("", lambda: found.append(function()), (LabError,), math.inf)()
    except CheckFailed as error:
        print(error, file=sys.stderr)
        sys.exit(_STUCK if isinstance(error, Stuck) else 1)
    print(found[0])


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
