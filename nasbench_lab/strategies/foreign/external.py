"""A program in any language, over lines of JSON on its input and output (protocol: docs/serve.md).

`external:command=(node my_search.js)` starts the program anew for every run and hands it a seed; a program that lets the
seed decide everything is as reproducible as any strategy here. Files that the command names are hashed into
the run's id. Without a command a small example runs (`_external_example.py`).

A run can be pickled: the program is then started again and told what it was told before.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import subprocess
import sys
import weakref
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nasbench_lab.core import LabError
from nasbench_lab.files import paths
from nasbench_lab.strategies.foreign._lines import Message, Spoken

_EXAMPLE = Path(__file__).with_name("_external_example.py")
_GRACE = 2.0  # seconds a program has to end after its input did


@dataclass
class External(Spoken):
    """Asks what another program asks.

    Attributes:
        command: the program and its arguments, as in a shell but without one.
        program: SHA-256 of the files the command names, so that an edited program makes other runs; not to be set.
    """

    command: str = ""
    program: str = field(init=False)

    paper = "any"
    patience = 100

    def __post_init__(self) -> None:
        command = self._arguments()
        if shutil.which(command[0]) is None:
            raise ValueError(f"command {command[0]!r} is not a program that can be run")
        named = [Path(part) for part in command] if self.command.strip() else [_EXAMPLE]
        content = b"".join(path.read_bytes() for path in named if path.is_file())
        self.program = hashlib.sha256(content).hexdigest()[:16]

    def _arguments(self) -> list[str]:
        words = shlex.split(self.command)
        return [str(paths.home(word)) for word in words] or [sys.executable, str(_EXAMPLE)]

    def setup(self) -> None:
        self._stop()
        self._said: list[tuple[bool, str]] = []  # every line so far, and whether it was ours
        super().setup()

    def receive(self) -> str | None:
        process = self._running()
        line = process.stdout.readline()
        if line:
            self._said.append((False, line))
            return str(line)
        if code := process.wait():
            raise LabError(f"{shlex.join(self._arguments())} ended with exit code {code}")
        return None

    def send(self, message: Message) -> None:
        self._said.append((True, json.dumps(message) + "\n"))
        if "_process" in self.__dict__:
            _write(self._process, self._said[-1][1])

    def _running(self) -> Any:
        """The program; started, and told all that was said so far, if it does not run."""
        if "_process" not in self.__dict__:
            pipe: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
            process: Any = subprocess.Popen(self._arguments(), bufsize=1, **pipe)
            self._process = process
            self._finish = weakref.finalize(self, _end, process)
            for ours, line in self._said:
                if ours:
                    _write(process, line)
                elif process.stdout.readline() != line:
                    raise LabError(f"{shlex.join(self._arguments())} asks otherwise when it is told the same again")
        return self._process

    def _stop(self) -> None:
        """End the program of an earlier run."""
        if "_process" in self.__dict__:
            self._finish()
            del self._process, self._finish

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_process", "_finish")}


def _write(process: Any, line: str) -> None:
    """To a program that may have ended; reading from it will show that."""
    with suppress(BrokenPipeError):
        process.stdin.write(line)
        process.stdin.flush()


def _end(process: Any) -> None:
    """End its input, wait a moment, then end the program."""
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
