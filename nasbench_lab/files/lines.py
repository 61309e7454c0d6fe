"""Files of sealed JSON lines, that grow: a line is flushed to the disk before anyone is told of it, and nothing is rewritten.

Lines are written under a lock, so that several processes of a machine can share a file. What a crash leaves is at most one
torn line at the end, which is no line, and is cut off by the next writer. Every line carries a checksum (`sealed`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Any

from nasbench_lab.files import bounded, sealed


@contextmanager
def opened(path: Path) -> Iterator[FileIO]:
    """A file to append to, made with its folder; one writer at a time holds it.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as file, _locked(file):
        yield file


def append(file: FileIO, values: Mapping[str, Any], longest: int) -> None:
    """Write one line at the end, after cutting off a torn one; a failed write leaves the whole lines as they were.

    Args:
        file: as `opened` gives it.
        values: finite numbers, texts and what is made of them.
        longest: bytes that a line of this file can have.

    Raises:
        OSError: the disk is full, or the file cannot be written.
    """
    end = _end_of_lines(file, longest)
    os.ftruncate(file.fileno(), end)
    try:
        rest = memoryview(json.dumps(sealed.seal(values), allow_nan=False).encode() + b"\n")
        while rest:  # unbuffered: nothing is left to be written later, after a failure
            rest = rest[file.write(rest) :]
        os.fsync(file.fileno())
    except OSError:
        os.ftruncate(file.fileno(), end)
        raise


def parsed(line: bytes) -> dict[str, Any]:
    """The values of a line, without its checksum.

    Raises:
        ValueError, TypeError, LookupError: it is damaged.
    """
    raw: dict[str, Any] = bounded.parsed(line)
    if raw[sealed.KEY] != sealed.digest(raw):
        raise ValueError("it does not match its checksum")
    del raw[sealed.KEY]
    return raw


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


def _end_of_lines(file: FileIO, longest: int) -> int:
    """Where the last whole line ends."""
    end = file.seek(0, os.SEEK_END)
    start = max(0, end - longest)
    file.seek(start)
    tail = file.read(end - start)
    return start + tail.rfind(b"\n") + 1 if b"\n" in tail or not start else end
