"""Named checks, and what the conformance kits share: fresh processes and global random states."""

from __future__ import annotations

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nasbench_lab import errors
from nasbench_lab.core import LabError


class CheckFailed(AssertionError):
    """A plug-in does not do what every one of its kind must; the message says what was seen."""


@dataclass(frozen=True)
class Check:
    """A named check; calling it raises `CheckFailed` if the plug-in does not pass, whatever goes wrong in it.

    Attributes:
        name: what is checked.
        function: does it.
        blamed: errors of the package that are the plug-in's; any other says that there is nothing to check.
    """

    name: str
    function: Callable[[], None]
    blamed: tuple[type[LabError], ...] = ()

    def __call__(self) -> None:
        try:
            with errors.contained():
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


def in_fresh_process(code: str, spec: str) -> str:
    """The last word that `code` prints, run with `spec` as its argument in a process with another PYTHONHASHSEED."""
    path = [p for p in sys.path if p]
    env = os.environ | {"PYTHONHASHSEED": "4242", "PYTHONPATH": os.pathsep.join(path)}
    done = subprocess.run([sys.executable, "-c", code, spec], capture_output=True, text=True, env=env, check=False)
    require(done.returncode == 0, f"the fresh process failed:\n{done.stderr[-2000:]}")
    return done.stdout.split()[-1]


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
