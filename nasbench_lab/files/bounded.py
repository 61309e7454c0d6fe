"""Reading what somebody else wrote, within bounds: bytes, items and numbers that such a file can have, checked while reading.

A file is a regular one, no device and no pipe that never ends. A bound is passed by whoever knows what the file can be.
"""

from __future__ import annotations

import json
import math
import stat
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import Any, Protocol

from nasbench_lab.errors import LabError

JSON = 1 << 26  # bytes; the largest leaderboard of ours, 18 settings of 52 strategies, has 1.2 million
_CHUNK = 1 << 20
_DIGITS = 64  # of a whole number in JSON


class Readable(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many."""
        ...


class TooMuch(ValueError):
    """A file holds more than such a file can hold."""


def content(path: Path, limit: int) -> bytes:
    """The bytes of a file.

    Args:
        path: of a regular file.
        limit: so many bytes at most; of more, no more than that is read.

    Raises:
        TooMuch: there are more.
        OSError: there is none, or it cannot be read.
    """
    with regular(path) as file:
        return all_of(file, limit)


def regular(path: Path) -> BufferedReader:
    """An open file that ends: neither a device nor a pipe.

    Raises:
        OSError: there is none, it cannot be opened, or it is something else.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(None, "it is no regular file")
    return path.open("rb")


def all_of(file: Readable, limit: int) -> bytes:
    """What is left of an open file, which may unpack as it is read; in pieces, and no more than `limit` bytes.

    Raises:
        TooMuch: there are more.
    """
    parts, size = [], 0
    while part := file.read(_CHUNK):
        size += len(part)
        if size > limit:
            raise TooMuch(f"it holds more than {limit:,} bytes, which no such file does")
        parts.append(part)
    return b"".join(parts)


def text(path: Path, limit: int = JSON) -> str:
    """A text file in UTF-8, with a mark of byte order or without; as `content`, and ValueError where it is no UTF-8."""
    return content(path, limit).decode("utf-8-sig")


def read_json(path: Path, limit: int = JSON, *, nan: bool = False) -> Any:
    """What a JSON file holds, with NaN for a number where `nan` allows it.

    Raises:
        ValueError: no JSON, too large, or as `parsed`.
        OSError: there is none, or it cannot be read.
    """
    return parsed(content(path, limit), nan=nan)


def parsed(raw: bytes | str, *, nan: bool = False) -> Any:
    """JSON with finite numbers (where `nan` allows it, others too), each name once, and no deeper than Python can go.

    Raises:
        ValueError: anything else.
    """
    try:
        return json.loads(
            raw.decode("utf-8-sig") if isinstance(raw, bytes) else raw,
            parse_constant=_nan if nan else _refused,
            parse_float=_finite,
            parse_int=_whole,
            object_pairs_hook=_once,
        )
    except RecursionError:
        raise ValueError("it is nested beyond all reason") from None


def _refused(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _nan(name: str) -> float:
    return float(name)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{digits[:20]} is larger than any number here")
    return value


def _whole(digits: str) -> int:
    if len(digits) > _DIGITS:
        raise ValueError(f"a whole number of {len(digits)} digits is not read")
    return int(digits)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name occurs twice")
    return found


def or_error(read: Callable[[Path], Any], path: Path, what: str) -> Any:
    """What a reader of this module gives, its errors as one that names the file.

    Raises:
        LabError: the file is not there, cannot be read, or is not `what`.
    """
    try:
        return read(path)
    except FileNotFoundError:
        raise LabError(f"no {path.name} in {path.parent}") from None
    except OSError as error:
        raise LabError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise LabError(f"{path} is not {what}, or is damaged: {error}") from error
