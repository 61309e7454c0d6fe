"""Recorded replies of a run: a file of sealed JSON lines (`files.lines`), found again by what was asked.

A line holds the digest of the request, the reply and its tokens; one that was cut off or changed is as good as none, and
asked anew.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, lines
from nasbench_lab.strategies.foreign._endpoint import Reply

_LARGEST = 1 << 28  # bytes of a run's file
_LONGEST = 1 << 25  # bytes of a line; a reply has 4 MB at most, and a byte of it is written as six at most


def digest(request: Any) -> str:
    """Of what was asked."""
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:32]


class Answers:
    """The replies of one run.

    Args:
        path: of the file, which may not exist yet.

    Raises:
        LabError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known: dict[str, Reply] = {}
        try:
            raw = bounded.content(path, _LARGEST) if path.exists() else b""
        except (OSError, ValueError) as error:
            raise LabError(f"cannot read recorded answers: {path}: {error}") from error
        for line in raw.splitlines():
            with suppress(ValueError, LookupError, TypeError):
                row = lines.parsed(line)
                self._known[row["request"]] = Reply(row["text"], row["tokens"])

    def __contains__(self, request: str) -> bool:
        return request in self._known

    def __getitem__(self, request: str) -> Reply:
        return self._known[request]

    def add(self, request: str, reply: Reply) -> None:
        """Keep a reply, here and in the file.

        Raises:
            LabError: the file cannot be written.
        """
        self._known[request] = reply
        try:
            with lines.opened(self.path) as file:
                lines.append(file, {"request": request, **reply._asdict()}, _LONGEST)
        except OSError as error:
            raise LabError(f"cannot write recorded answers to {self.path.parent}: {error.strerror or error}") from error
