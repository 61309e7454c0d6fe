"""The bytes of a pickle, chunk by chunk; a length is believed only as far as there are bytes."""

from __future__ import annotations

import sys
from typing import Protocol

from nasbench_lab.core import LabError

_CHUNK, _LINE = 1 << 20, 1 << 20


class Stream(Protocol):
    """What bytes are read from."""

    def read(self, size: int, /) -> bytes:
        """The next bytes, at most so many."""
        ...


class Source:
    """The bytes of a stream in order; several pickles and raw bytes may be read from one, one after the other.

    Args:
        stream: where the bytes come from.
        what: what to call it in errors, usually a path.
        limit: so many bytes at most; more is an error.
    """

    def __init__(self, stream: Stream, what: str, *, limit: int = sys.maxsize) -> None:
        self.what, self.data, self.pos, self.ended = what, b"", 0, False
        self._stream, self._limit, self._before = stream, limit, 0

    @property
    def consumed(self) -> int:
        """How many bytes have been read."""
        return self._before + self.pos

    def more(self) -> bool:
        """Forget what was read and get another chunk; False at the end."""
        chunk = b"" if self.ended else self._stream.read(_CHUNK)
        self._before += self.pos
        self.data, self.pos = self.data[self.pos :] + chunk, 0
        if self._before + len(self.data) > self._limit:
            raise LabError(
                f"{self.what} holds more than {self._limit:,} bytes, which no such file does; it was not read"
            )
        self.ended = not chunk
        return bool(chunk)

    def take(self, count: int) -> bytes:
        """Exactly so many bytes; memory is used only for those that are there."""
        end = self.pos + count
        if end <= len(self.data):
            found = self.data[self.pos : end]
            self.pos = end
            return found
        parts = [self.data[self.pos :]]
        self.pos, missing = len(self.data), count - len(parts[0])
        while missing and self.more():
            parts.append(self.data[:missing])
            self.pos, missing = len(parts[-1]), missing - len(parts[-1])
        if missing:
            raise EOFError(f"it ends where {count} bytes should follow")
        return b"".join(parts)

    def line(self) -> bytes:
        """Up to the next line feed, without it."""
        while (end := self.data.find(b"\n", self.pos, self.pos + _LINE)) < 0:
            if len(self.data) - self.pos > _LINE or not self.more():
                raise EOFError("a line does not end")
        found, self.pos = self.data[self.pos : end], end + 1
        return found
