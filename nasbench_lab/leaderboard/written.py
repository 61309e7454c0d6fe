"""The files of a leaderboard, written and read again: leaderboard.{md,csv,json}, curves.csv and manifest.json."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from nasbench_lab.core import LabError
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.leaderboard import wording
from nasbench_lab.leaderboard.parts import Leaderboard

_PAIR = re.compile(r'\{\n *"one":[^{}]*\}')  # a pair of strategies is written on one line


def write(board: Leaderboard, folder: Path, manifest: dict[str, Any]) -> list[Path]:
    """Write leaderboard.{md,csv,json}, curves.csv and manifest.json, each atomically.

    Raises:
        LabError: the folder cannot be written.
    """
    content = {
        "leaderboard.json": to_json(board),
        "leaderboard.csv": board.frame().to_csv(index=False, float_format="%.6g"),
        "curves.csv": board.curves.to_csv(index=False, float_format="%.6g"),
        "leaderboard.md": wording.to_markdown(board),
        "manifest.json": json.dumps(manifest, indent=1, sort_keys=True) + "\n",
    }
    for name, text in content.items():
        write_atomically(folder / name, text.encode())
    return [folder / name for name in content]


def to_json(board: Leaderboard) -> str:
    """{"title", "columns", "rows", "references", "tests"}, of several settings "agreement" and "overall"; the unknown is null.

    "notes" where there are any.

    "tests" has what `standings.of` says of every setting, in the order of "references".
    """
    content = {
        "title": board.title,
        "columns": board.columns,
        "rows": board.rows,
        "references": [section.reference for section in board.sections],
        "tests": [section.tests for section in board.sections],
    }
    if board.agreements:
        content["agreement"] = board.agreements
    if board.overall:
        content["overall"] = board.overall
    if board.notes:
        content["notes"] = list(board.notes)
    text = json.dumps(_plain(content), indent=1)
    return _PAIR.sub(lambda found: re.sub(r"\n *", " ", found.group()), text) + "\n"


def _plain(value: Any) -> Any:
    """Numbers that are not finite become None, at any depth."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_rows(folder: Path) -> dict[str, Any]:
    """The content of a folder's leaderboard.json.

    Raises:
        LabError: there is none, or it cannot be read.
    """
    path = folder / "leaderboard.json"
    try:
        content: dict[str, Any] = json.loads(_read(path))
    except ValueError as error:
        raise LabError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("rows"), list):
        raise LabError(f"{path} cannot be read: it has no rows")
    return content


def read_page(folder: Path) -> str:
    """A folder's leaderboard.md.

    Raises:
        LabError: there is none, or it cannot be read.
    """
    return _read(folder / "leaderboard.md")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        raise LabError(f"no {path.name} in {path.parent}") from None
    except (OSError, ValueError) as error:
        raise LabError(f"{path} cannot be read: {error}") from error
