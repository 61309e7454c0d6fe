"""A program in any language, over lines of JSON on its input and output (protocol: docs/serve.md).

`external:command=(node my_search.js)` starts the program anew for every run and hands it a seed; a program that lets the
seed decide everything is as reproducible as any strategy here. Files that the command names are hashed into
the run's id. Without a command a small example runs (`_external_example.py`).

A run can be pickled: the program is then started again and told what it was told before.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nasbench_lab.core import LabError
from nasbench_lab.files import paths
from nasbench_lab.strategies.foreign._lines import Message, Spoken
from nasbench_lab.strategies.foreign._program import Program

_EXAMPLE = Path(__file__).with_name("_external_example.py")


@dataclass
class External(Spoken):
    """Asks what another program asks.

    Attributes:
        command: the program and its arguments, as in a shell but without one; None for the example.
        timeout: seconds the program may take for a line; one that takes longer is ended, and the run has failed.
        program: SHA-256 of the files the command names, so that an edited program makes other runs; not to be set.
    """

    command: str | None = None
    timeout: float = 600.0
    program: str = field(init=False)

    paper = "any"
    patience = 100

    def __post_init__(self) -> None:
        if not 0 < self.timeout < 1e9:
            raise ValueError(f"timeout is in seconds, more than 0; got {self.timeout}")
        command = self._arguments()
        if shutil.which(command[0]) is None:
            raise ValueError(f"command {command[0]!r} is not a program that can be run")
        named = [_EXAMPLE] if self.command is None else [Path(part) for part in command]
        files = [
            path for path in named if os.path.isfile(path)
        ]  # an inline program may be no name that a file can have
        content = b"".join(path.read_bytes() for path in files)
        self.program = hashlib.sha256(content).hexdigest()[:16]

    def _arguments(self) -> list[str]:
        if self.command is None:
            return [sys.executable, str(_EXAMPLE)]
        words = shlex.split(self.command)
        if not words:
            raise ValueError("command is empty; it is a program and its arguments, command=(node my_search.js)")
        return [str(paths.home(word)) for word in words]

    def setup(self) -> None:
        self._stop()
        self._said: list[tuple[bool, str]] = []  # every line so far, and whether it was ours
        super().setup()

    def receive(self) -> str | None:
        program = self._running()
        if line := program.line():
            self._said.append((False, line))
            return line
        answered = sum(ours for ours, _ in self._said) - 1
        why = f"with exit code {code}" if (code := program.code()) else 'without saying {"done": true}'
        raise LabError(f"{program.name} ended after {answered} answers, {why}: the run is not finished")

    def send(self, message: Message) -> None:
        self._said.append((True, json.dumps(message) + "\n"))
        if "_program" in self.__dict__:
            self._program.say(self._said[-1][1])

    def _running(self) -> Program:
        """The program; started, and told all that was said so far, if it does not run."""
        if "_program" not in self.__dict__:
            self._program = Program(self._arguments(), self.timeout)
            for ours, line in self._said:
                if ours:
                    self._program.say(line)
                elif self._program.line() != line:
                    raise LabError(f"{self._program.name} asks otherwise when it is told the same again")
        return self._program

    def _stop(self) -> None:
        """End the program of an earlier run."""
        if "_program" in self.__dict__:
            self._program.end()
            del self._program

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_program"}
