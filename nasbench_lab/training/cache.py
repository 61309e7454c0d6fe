"""Finished trainings on disk: one JSON line each, appended durably, read by any number of processes.

A line is flushed to the disk before anyone is told of it, and written under a lock, so that several searches can share
a file. What a crash leaves is at most one torn line, which is skipped and closed by the next writer. Nothing is ever
rewritten: of two lines with the same key the first counts, for everyone.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from nasbench_lab.core import LabError

Key = tuple[str, int, int]  # digest of recipe and data, cell, seed


@dataclass(frozen=True)
class Trained:
    """One finished training; accuracies in percent, nan from where it diverged.

    Args:
        digest: of recipe, data and kind of device (`Problem.digest`).
        val: (E,) after each epoch.
        seconds: measured, not simulated.
        reason: "" or why there is no test accuracy.
        made: by which engine, on which device.
    """

    digest: str
    arch: int
    seed: int
    val: tuple[float, ...]
    test: float
    seconds: float
    reason: str = ""
    made: str = ""

    @property
    def key(self) -> Key:
        """What a training is found by."""
        return self.digest, self.arch, self.seed


class Cache:
    """A file of finished trainings.

    Args:
        path: made with its folder when the first training is added.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[Key, Trained] = {}
        self._offset = 0  # bytes read: whole lines only

    def get(self, key: Key) -> Trained | None:
        """A finished training, also one that another process has added since."""
        if key not in self._known:
            self._refresh()
        return self._known.get(key)

    def all(self, digest: str) -> list[Trained]:
        """Everything finished of one recipe on one data set, in the order it was finished."""
        self._refresh()
        return [trained for trained in self._known.values() if trained.digest == digest]

    def add(self, trained: Trained) -> Trained:
        """Append, flushed to disk; returns what counts: an earlier line of the same key if another process was faster.

        Raises:
            LabError: the disk is full or the file cannot be written; what was in it stays.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+", buffering=0) as file, _locked(file):
                self._refresh()
                if trained.key not in self._known:
                    _append(file, _line(trained))
                    self._refresh()
        except OSError as error:
            raise disk_error(error, self.path) from error
        return self._known[trained.key]

    def _refresh(self) -> None:
        """Read the whole lines that came since."""
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:  # replaced by a shorter file
                    self._known, self._offset = {}, 0
                file.seek(self._offset)
                text = file.read()
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise LabError(f"cannot read {self.path}: {error.strerror or error}") from error
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            trained = _parsed(line)
            if trained is not None:
                self._known.setdefault(trained.key, trained)


def disk_error(error: OSError, path: Path) -> LabError:
    """What to tell the user about a write that failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return LabError(
            f"the disk is full: cannot write {path}. Every finished training in it is kept; "
            "make room and start the same command again, it goes on from there"
        )
    return LabError(f"cannot write {path}: {error.strerror or error}")


@contextmanager
def _locked(file: FileIO) -> Iterator[None]:
    """One writer at a time, on this machine; released by the system if the process dies."""
    try:
        import fcntl
    except ImportError:  # no such lock on Windows; lines are still appended in one write each
        yield
        return
    fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def _append(file: FileIO, line: bytes) -> None:
    """Write one line at the end, closing a torn one first; a failed write leaves the file as it was."""
    end = file.seek(0, os.SEEK_END)
    torn = False
    if end:
        file.seek(end - 1)
        torn = file.read(1) != b"\n"
    try:
        rest = memoryview(b"\n" + line if torn else line)
        while rest:  # unbuffered: nothing is left to be written later, after a failure
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except OSError:
        os.ftruncate(file.fileno(), end)
        raise


def _line(trained: Trained) -> bytes:
    raw = asdict(trained)
    raw["val"] = [None if math.isnan(v) else v for v in trained.val]
    raw["test"] = None if math.isnan(trained.test) else trained.test
    return json.dumps(raw, allow_nan=False).encode() + b"\n"


def _parsed(line: bytes) -> Trained | None:
    """A line, or None if it is torn."""
    try:
        raw: dict[str, Any] = json.loads(line)
        raw["val"] = tuple(math.nan if v is None else float(v) for v in raw["val"])
        raw["test"] = math.nan if raw["test"] is None else float(raw["test"])
        return Trained(**raw)
    except (ValueError, TypeError, LookupError, UnicodeDecodeError):
        return None
