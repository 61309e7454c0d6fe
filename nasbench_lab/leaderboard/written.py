"""The files of a leaderboard, written and read again: leaderboard.{md,csv,json}, curves.csv and manifest.json."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, sealed, spreadsheet
from nasbench_lab.files.writing import write_together
from nasbench_lab.leaderboard import wording
from nasbench_lab.leaderboard.parts import Leaderboard

_PAIR = re.compile(r'\{\n *"one":[^{}]*\}')  # a pair of strategies is written on one line
_ROWS, _NUMBERS = 1 << 20, 1 << 24  # of curves; the largest committed has 3,600 rows


def write(board: Leaderboard, folder: Path, manifest: dict[str, Any]) -> list[Path]:
    """Write leaderboard.{md,csv,json}, curves.csv and manifest.json, all or none; the JSON files carry checksums.

    Raises:
        LabError: the folder cannot be written.
    """
    content = texts(board, manifest)
    write_together({folder / name: text.encode() for name, text in content.items()})
    return [folder / name for name in content]


def texts(board: Leaderboard, manifest: dict[str, Any]) -> dict[str, str]:
    """What the files say, by name."""
    shown = f"%.{max(int(row.get('digits', 4)) for row in board.rows) + 2}g"
    content = {
        "leaderboard.csv": spreadsheet.to_csv(board.frame(), float_format=shown),
        "curves.csv": spreadsheet.to_csv(board.curves, float_format=shown),
        "leaderboard.md": wording.to_markdown(board),
    }
    content["leaderboard.json"] = _text(sealed.seal(_content(board), files=content))
    content["manifest.json"] = json.dumps(sealed.seal(manifest), indent=1, sort_keys=True) + "\n"
    return content


def to_json(board: Leaderboard) -> str:
    """{"title", "columns", "rows", "references", "tests"}, of several settings "agreement" and "overall", of several
    tables "across"; the unknown is null.

    "notes" where there are any.

    "tests" has what `standings.of` says of every setting, in the order of "references".
    """
    return _text(_content(board))


def _content(board: Leaderboard) -> dict[str, Any]:
    content: dict[str, Any] = {
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
    if board.across:
        content["across"] = board.across
    if board.notes:
        content["notes"] = list(board.notes)
    plain: dict[str, Any] = _plain(content)
    return plain


def _text(content: dict[str, Any]) -> str:
    text = json.dumps(content, indent=1)
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
        LabError: there is none, or it cannot be read or is damaged.
    """
    path = folder / "leaderboard.json"
    content = sealed.read_json(path)
    if not isinstance(content.get("rows"), list):
        raise LabError(f"{path} cannot be read: it has no rows")
    return content


def read_page(folder: Path) -> str:
    """A folder's leaderboard.md, which must be the one that its leaderboard.json was written with.

    Raises:
        LabError: there is none, or it cannot be read or is damaged.
    """
    return _read(folder / "leaderboard.md", read_rows(folder))


def read_curves(folder: Path) -> pd.DataFrame | None:
    """A folder's curves.csv, under the same condition; None where there is none.

    Raises:
        LabError: it cannot be read or is damaged.
    """
    path = folder / "curves.csv"
    if not path.is_file():
        return None
    text = _read(path, read_rows(folder))
    try:
        return spreadsheet.read(text.encode(), rows=_ROWS, numbers=_NUMBERS)
    except Exception as error:  # pandas raises a dozen kinds for what is no CSV
        raise LabError(f"{path} cannot be read: {error}"[:300]) from error


def _read(path: Path, content: dict[str, Any]) -> str:
    text: str = bounded.or_error(bounded.text, path, "a text")
    sealed.check_text(path, text, content)
    return text
