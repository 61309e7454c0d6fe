"""Adds checksums to results folders that were written before there were any: `python benchmarks/seal_results.py results/*`.

Only fields are added (`sha256`, and `files` to leaderboard.json); every number stays as it is.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from nasbench_lab.files import sealed
from nasbench_lab.files.writing import write_together
from nasbench_lab.leaderboard import ranking

BESIDE = ("curves.csv", "leaderboard.csv", "leaderboard.md")


def sealed_texts(folder: Path) -> dict[Path, str]:
    """The JSON files of a folder with their checksums, in the layout that each is written in."""
    beside = {name: (folder / name).read_text() for name in BESIDE if (folder / name).is_file()}
    found: dict[Path, str] = {}
    for name in sealed.BEFORE:
        path = folder / name
        if path.is_file():
            content: dict[str, Any] = sealed.read_json(path)
            found[path] = _text(name, sealed.seal(content, beside if name == "leaderboard.json" else None))
    return found


def _text(name: str, content: dict[str, Any]) -> str:
    if name == "leaderboard.json":
        return ranking.as_text(content)
    if name == "manifest.json":
        return json.dumps(content, indent=1, sort_keys=True) + "\n"
    return json.dumps(content, separators=(",", ":"), allow_nan=False) + "\n"


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        if (folder / "leaderboard.json").is_file():
            write_together({path: text.encode() for path, text in sealed_texts(folder).items()})
            print(folder)
