"""Recorded replies of a run: a file of JSON lines, found again by what was asked.

A line holds the digest of the request, the reply, its tokens, and a digest of these: a line that was cut off or changed is
as good as none. Only whole lines are added, so a run that was killed goes on with what it has.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded
from nasbench_lab.strategies.foreign._endpoint import Reply

_LARGEST = 1 << 28  # bytes of a run's file


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
            lines = bounded.content(path, _LARGEST).decode(errors="replace").splitlines() if path.exists() else []
        except (OSError, ValueError) as error:
            raise LabError(f"cannot read recorded answers: {path}: {error}") from error
        for line in lines:
            self._remember(line)

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
        line = json.dumps({"request": request, **reply._asdict(), "check": digest([request, *reply])})
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                start = b"" if not file.tell() or self.path.read_bytes().endswith(b"\n") else b"\n"
                file.write(start + line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LabError(f"cannot write recorded answers to {self.path.parent}: {error.strerror or error}") from error

    def _remember(self, line: str) -> None:
        try:
            row = bounded.parsed(line)
            reply = Reply(row["text"], row["tokens"])
            if row["check"] == digest([row["request"], *reply]):
                self._known[row["request"]] = reply
        except (ValueError, LookupError, TypeError):
            return
