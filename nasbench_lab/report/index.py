"""The lines of `leaderboard.index` as one HTML page, whose columns sort: index.html."""

from __future__ import annotations

from pathlib import Path

from nasbench_lab.files.writing import write_atomically
from nasbench_lab.leaderboard import index
from nasbench_lab.leaderboard.index import Line
from nasbench_lab.report import sections as html
from nasbench_lab.report.pages import frame, section

PAGE = "report.html"  # of a study, in its folder
_NUMBERS = ("seeds", "strategies", "test %")


def page(root: Path) -> str:
    """The page as HTML text: study by study, each title leading to the study's page, or to its leaderboard where none was made.

    Args:
        root: the folder of results folders.

    Raises:
        LabError: a leaderboard cannot be read, or there is none.
    """
    lines = index.lines(root)
    heads = "".join(_head(head) for head in index.HEADS)
    known: set[str] = set()
    rows = ""
    for line in lines:
        rows += _row(line, _target(root, line.folder), again=line.folder in known)
        known.add(line.folder)
    table = html.element("table", f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>", class_="rank index")
    note = html.element("p", html.escaped(index.NOTE), class_="note")
    body = section("leaderboard", "All leaderboards", html.scrolling(table, "Table of all leaderboards") + note)
    lead = f"{len(known)} {'study' if len(known) == 1 else 'studies'}, a row for each setting; a title leads to the study's page."
    by = "nasbench-lab report --all"
    return frame("nasbench_lab: results", "", html.element("p", html.escaped(lead), class_="lead"), body, by)


def _target(root: Path, folder: str) -> str:
    return f"{folder}/{PAGE if (root / folder / PAGE).is_file() else 'leaderboard.md'}"


def _head(name: str) -> str:
    button = html.element("button", html.escaped(name), type="button")
    return html.element("th", button, scope="col", class_=_class(name))


def _row(line: Line, target: str, *, again: bool) -> str:
    link = html.element("a", html.escaped(line.title), href=target)
    cells = [
        html.element("td", html.breakable(text), class_=_class(head))
        for head, text in zip(index.HEADS[1:], line.cells, strict=True)
    ]
    name = html.element("th", link, scope="row", class_="text")
    return html.element("tr", name + "".join(cells), class_="again" if again else None)


def _class(head: str) -> str | None:
    return None if head in _NUMBERS else "text"


def write(root: Path) -> Path:
    """Write index.html into the folder of results folders, whole or not at all.

    Raises:
        LabError: a leaderboard cannot be read, there is none, or the folder cannot be written.
    """
    write_atomically(root / "index.html", page(root).encode())
    return root / "index.html"
