"""Finished trainings on disk: one sealed JSON line each (`files.lines`), read by any number of processes.

Of two lines with the same key the first counts, for everyone. A line that does not match its checksum is an error that
names it, as a training left out would move means without a word.
"""

from __future__ import annotations

import errno
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, lines

FORMAT = 2  # of lines; those of 1 had neither a format nor a checksum, and began otherwise
_BEFORE = b'{"digest": "'
_LONGEST = 1 << 16  # bytes of a line; one of 200 epochs has 4,000
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
            LabError: the disk is full, or the file cannot be written or is damaged; what was in it stays.
        """
        try:
            with lines.opened(self.path) as file:
                self._refresh()
                if trained.key not in self._known:
                    lines.append(file, _values(trained), _LONGEST)
                    self._refresh()
        except OSError as error:
            raise disk_error(error, self.path) from error
        return self._known[trained.key]

    def _refresh(self) -> None:
        """Read the whole lines that came since.

        Raises:
            LabError: it cannot be read, or a line is damaged.
        """
        try:
            with bounded.regular(self.path) as file:
                if os.fstat(file.fileno()).st_size < self._offset:  # replaced by a shorter file
                    self._known, self._offset = {}, 0
                file.seek(self._offset)
                while (line := file.readline(_LONGEST)).endswith(b"\n"):
                    self._take(line)
                    self._offset += len(line)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise LabError(f"cannot read {self.path}: {error.strerror or error}") from error
        if len(line) == _LONGEST:
            raise self._damaged("a line has no end")

    def _take(self, line: bytes) -> None:
        try:
            trained = _parsed(line)
        except (ValueError, TypeError, LookupError) as error:
            raise self._damaged(str(error)) from error
        if trained is not None:
            self._known.setdefault(trained.key, trained)

    def _damaged(self, why: str) -> LabError:
        return LabError(
            f"{self.path}, the line at byte {self._offset:,} is damaged: {why[:200]}. "
            "Delete that line (its training is then done again) or the file, and run again"
        )


def disk_error(error: OSError, path: Path) -> LabError:
    """What to tell the user about a write that failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return LabError(
            f"the disk is full: cannot write {path}. Every finished training in it is kept; "
            "make room and start the same command again, it goes on from there"
        )
    return LabError(f"cannot write {path}: {error.strerror or error}")


def _values(trained: Trained) -> dict[str, Any]:
    raw: dict[str, Any] = {"format": FORMAT, **asdict(trained)}
    raw["val"] = [None if math.isnan(v) else v for v in trained.val]
    raw["test"] = None if math.isnan(trained.test) else trained.test
    return raw


def _parsed(line: bytes) -> Trained | None:
    """What a line says; None for one that was torn when lines had no checksum.

    Raises:
        ValueError, ...: it is damaged.
    """
    if line.startswith(_BEFORE):
        return _parsed_before(line)
    raw = lines.parsed(line)
    if raw.pop("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    return _trained(raw)


def _parsed_before(line: bytes) -> Trained | None:
    try:
        return _trained(bounded.parsed(line))
    except (ValueError, TypeError, LookupError):
        return None


def _trained(raw: dict[str, Any]) -> Trained:
    raw["val"] = tuple(math.nan if v is None else float(v) for v in raw["val"])
    raw["test"] = math.nan if raw["test"] is None else float(raw["test"])
    return Trained(**raw)
