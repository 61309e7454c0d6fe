"""A checksum inside the file it is of, so that damage is an error and never another number.

JSON: `sha256` beside the other keys, of their canonical text (sorted keys, no blanks), so that line ends and
indentation do not matter. Other files: one line behind the content. Text files beside a sealed one: their digests
stand in it under `files`. What was written before there were seals is still read, if it has the keys of then and no
others: a seal whose own name is damaged is not taken for none.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nasbench_lab.errors import LabError
from nasbench_lab.files import bounded

KEY, FILES = "sha256", "files"
_TRAILER, _LENGTH = b"\nnasbench_lab sha256 ", 21 + 64 + 1

BEFORE: Mapping[str, frozenset[str]] = MappingProxyType(
    {  # the keys of a file that was written without a seal
        "leaderboard.json": frozenset(
            ("title", "columns", "rows", "references", "tests", "agreement", "overall", "across", "notes")
        ),
        "manifest.json": frozenset(("study", "tables", "versions", "runs", "notes", "checklist")),
        "details.json": frozenset(("settings", "landscapes")),
    }
)


def digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of JSON values without their seal, whatever the layout of the file."""
    plain = {key: value for key, value in content.items() if key != KEY}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def seal(content: Mapping[str, Any], files: Mapping[str, str] | None = None) -> dict[str, Any]:
    """JSON values with their seal.

    Args:
        content: values as they will be read back: finite numbers, string keys, lists.
        files: texts written beside it, by file name, whose digests are to be in it.
    """
    plain: dict[str, Any] = json.loads(
        json.dumps({key: value for key, value in content.items() if key not in (KEY, FILES)})
    )
    if files:
        plain[FILES] = {name: text_digest(text) for name, text in files.items()}
    return {**plain, KEY: digest(plain)}


def text_digest(text: str) -> str:
    """SHA-256 of a text, whichever way its lines end."""
    return hashlib.sha256(text.replace("\r\n", "\n").encode()).hexdigest()


def read_json(path: Path, *, before: Collection[str] | None = None, nan: bool = False) -> dict[str, Any]:
    """The values of a sealed JSON file, without the seal.

    Args:
        path: the file.
        before: keys that a file without a seal may have; those of `BEFORE` for its name if left out.
        nan: whether NaN and infinities may be among its numbers.

    Raises:
        LabError: it is not there, cannot be read, or is damaged.
    """
    found = bounded.or_error(lambda path: bounded.read_json(path, nan=nan), path, "a file of results")
    return opened(found, path, BEFORE.get(path.name, ()) if before is None else before)


def opened(found: Any, path: Path, before: Collection[str]) -> dict[str, Any]:
    """Values that were read, without the seal.

    Raises:
        LabError: they are not what was sealed.
    """
    if not isinstance(found, dict):
        raise LabError(f"{path} is not a file of results, or is damaged: it has no names for what it holds")
    if KEY not in found:
        if strange := sorted(set(found) - set(before)):
            raise LabError(damaged(path, f"{strange[0][:40]!r} is not known, and there is no checksum"))
        return found
    if found[KEY] != digest(found):
        raise LabError(damaged(path, "its content does not match its checksum"))
    return {key: value for key, value in found.items() if key != KEY}


def damaged(path: Path, why: str) -> str:
    """What to tell the user of a file of results that is not as it was written."""
    return f"{path} is damaged or was edited: {why}. Take it from where it was made, or make it again from its runs"


def check_text(path: Path, text: str, content: Mapping[str, Any]) -> None:
    """Compare a text with its digest in the sealed file beside it, if that has one.

    Raises:
        LabError: another text.
    """
    known = content.get(FILES, {})
    wanted = known.get(path.name) if isinstance(known, Mapping) else None
    if wanted is not None and wanted != text_digest(text):
        raise LabError(damaged(path, "it is not the one that the leaderboard.json beside it was written with"))


def closed(content: bytes) -> bytes:
    """Any content with its seal behind it."""
    return content + _TRAILER + hashlib.sha256(content).hexdigest().encode() + b"\n"


def contents(raw: bytes) -> bytes:
    """What `closed` was given.

    Raises:
        ValueError: there is no seal, or another content.
    """
    content, trailer = raw[:-_LENGTH], raw[-_LENGTH:]
    if trailer != closed(content)[len(content) :]:
        raise ValueError("its content does not match its checksum")
    return content
