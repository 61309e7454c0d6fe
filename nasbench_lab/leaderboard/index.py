"""The leaderboards of a folder of results, a line per setting, from their leaderboard.json: results/index.md.

`report.index` makes a page of the same lines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from nasbench_lab.core import LabError
from nasbench_lab.files import markdown
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.leaderboard import wording, written
from nasbench_lab.stats import measures

Row = dict[str, Any]
HEADS = ("study", "may be the best", "test %", "table", "search sees", "budget", "seeds", "strategies")
NOTE = (
    "May be the best: strategies whose rank 1 the tests cannot exclude (sign-flip tests of paired means, Holm"
    " over all pairs, 5%); their best mean test accuracy."
)
_FEW = 3


class Line(NamedTuple):
    """A setting of a study: the study's folder and title, and the texts under the other `HEADS`."""

    folder: str
    title: str
    cells: list[str]


def folders(root: Path) -> list[Path]:
    """The results folders in a folder, by name.

    Raises:
        LabError: there is none.
    """
    found = sorted(path.parent for path in root.glob("*/leaderboard.json"))
    if not found:
        raise LabError(f"no results in {root}: no folder there has a leaderboard.json")
    return found


def lines(root: Path) -> list[Line]:
    """What was searched, and which strategies may be the best, for every setting of every study.

    Raises:
        LabError: a leaderboard cannot be read, or there is none.
    """
    found = []
    for folder in folders(root):
        content = written.read_rows(folder)
        title = str(content.get("title", folder.name))
        found += [Line(folder.name, title, _cells(rows)) for rows in _settings(content["rows"])]
    return found


def to_markdown(root: Path) -> str:
    """The lines as a page; a study's title stands in its first.

    Raises:
        LabError: a leaderboard cannot be read, or there is none.
    """
    table: list[list[str]] = []
    before = ""
    for line in lines(root):
        link = markdown.link(line.title, f"{line.folder}/leaderboard.md") if line.folder != before else ""
        table.append([link, *line.cells])
        before = line.folder
    note = f"{NOTE} Made by `nasbench-lab leaderboard --all`."
    return "\n".join(["# Results", "", *markdown.table(HEADS, table), "", note, ""])


def write(root: Path) -> Path:
    """Write index.md.

    Raises:
        LabError: a leaderboard cannot be read, there is none, or the folder cannot be written.
    """
    path = root / "index.md"
    write_atomically(path, to_markdown(root).encode())
    return path


def _settings(rows: list[Row]) -> list[list[Row]]:
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(str(row[key]) for key in ("table", "score", "search", "budget", "policy")), []).append(
            row
        )
    return list(found.values())


def _cells(rows: list[Row]) -> list[str]:
    first = rows[0]
    kind = "" if first["kind"] == "measured" else f" ({first['kind']})"
    scored = "" if first["score"] == first["table"] else f" → {first['score']}"
    best = [row["strategy"] for row in rows if row.get("rank_low", row["rank"]) == 1]
    shown = ", ".join(best[:_FEW]) + (f" and {len(best) - _FEW} more" if len(best) > _FEW else "")
    top = [row["test_mean"] for row in rows if row["strategy"] in best and row["test_mean"] is not None]
    measure = measures.of(first)
    unit = "" if measure.plain else f" {wording.unit_of(first)}"
    return [
        shown,
        measure.text(max(top, key=lambda value: measure.sign * value)) + unit if top else "",
        first["table"] + kind + scored,
        wording.noted(wording.seen(str(first["search"])), plain=measure.plain),
        first["budget"] + (f", {first['policy']}" if first["policy"] else ""),
        str(first["runs"]),
        str(len(rows)),
    ]
