"""Another program that is spoken with line by line: every wait and every line has an end, and so has the program."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
import weakref
from contextlib import suppress

from nasbench_lab.core import LabError

LONGEST = 1 << 20  # bytes of a line
_GRACE = 2.0  # seconds a program has to end after its input did
_CHUNK = 1 << 16


class Program:
    """A program that runs; it ends with this object, and where the system can do that with this process.

    Args:
        command: the program and its arguments.
        timeout: seconds that a line may take, either way.
    """

    def __init__(self, command: list[str], timeout: float) -> None:
        self.name, self.timeout = " ".join(command), timeout
        self._read = bytearray()
        try:
            self.process = subprocess.Popen(
                [*_mortal(), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
            )
        except OSError as error:
            raise LabError(f"{self.name} cannot be started: {error.strerror or error}") from error
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        self.end = weakref.finalize(self, _end, self.process)

    def line(self) -> str | None:
        """Its next line; None after the last.

        Raises:
            LabError: it says nothing for too long, too much in one line, or no text.
        """
        assert self.process.stdout is not None
        deadline = time.monotonic() + self.timeout
        while b"\n" not in self._read:
            if len(self._read) > LONGEST:
                raise LabError(f"{self.name} said a line of more than {LONGEST:,} bytes")
            self._wait(self.process.stdout, selectors.EVENT_READ, deadline, "says nothing")
            if not (part := os.read(self.process.stdout.fileno(), _CHUNK)):
                return self._taken(len(self._read)) or None
            self._read += part
        return self._taken(self._read.index(b"\n") + 1)

    def _taken(self, length: int) -> str:
        raw = bytes(self._read[:length])
        del self._read[:length]
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise LabError(f"{self.name} said what is no text in UTF-8: {raw[:40]!r}") from None

    def say(self, line: str) -> None:
        """A line to a program that may have ended; reading from it will show that.

        Raises:
            LabError: it reads nothing for too long.
        """
        assert self.process.stdin is not None
        rest, deadline = line.encode(), time.monotonic() + self.timeout
        with suppress(BrokenPipeError):
            while rest:
                self._wait(self.process.stdin, selectors.EVENT_WRITE, deadline, "reads nothing")
                rest = rest[os.write(self.process.stdin.fileno(), rest) :]

    def _wait(self, pipe: object, event: int, deadline: float, complaint: str) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, event)  # type: ignore[arg-type]
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise LabError(f"{self.name} {complaint} for {self.timeout:g} s")

    def code(self) -> int:
        """Its exit code, after its last line; one that goes on without a word is ended."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_GRACE)
        self.end()
        return self.process.returncode


def _mortal() -> list[str]:
    """What starts a program so that it is killed when this process is, where the system has such a thing."""
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "KILL", "--"] if found else []


def _end(process: subprocess.Popen[bytes]) -> None:
    """End its input, wait a moment, then end it and whatever it started."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(OSError):
        process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
