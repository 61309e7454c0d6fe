"""The lines of `leaderboard.index` as one HTML page, whose columns sort: index.html."""

from __future__ import annotations

from pathlib import Path

from nasbench_lab.files.writing import write_atomically
from nasbench_lab.leaderboard import index
from nasbench_lab.leaderboard.index import Line
from nasbench_lab.report import sections as html
from nasbench_lab.report.pages import frame, section

_NUMBERS = ("seeds", "strategies", "test %")


def page(root: Path, target: str) -> str:
    """The page as HTML text.

    Args:
        root: the folder of results folders.
        target: the file in each of them that its title leads to.

    Raises:
        LabError: a leaderboard cannot be read, or there is none.
    """
    lines = index.lines(root)
    heads = "".join(_head(head) for head in index.HEADS)
    rows = "".join(_row(line, target) for line in lines)
    table = html.element("table", f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>", class_="rank index")
    note = html.element("p", html.escaped(index.NOTE), class_="note")
    body = section("leaderboard", "All leaderboards", html.scrolling(table, "Table of all leaderboards") + note)
    count = len({line.folder for line in lines})
    lead = f"{count} studies, a row for each setting. Every title leads to the study's {target}."
    by = "nasbench-lab report --all" if target.endswith(".html") else "nasbench-lab leaderboard --all"
    return frame("nasbench_lab: results", "", html.element("p", html.escaped(lead), class_="lead"), body, by)


def _head(name: str) -> str:
    button = html.element("button", html.escaped(name), type="button")
    return html.element("th", button, scope="col", class_=_class(name))


def _row(line: Line, target: str) -> str:
    link = html.element("a", html.escaped(line.title), href=f"{line.folder}/{target}")
    cells = [
        html.element("td", html.breakable(text), class_=_class(head))
        for head, text in zip(index.HEADS[1:], line.cells, strict=True)
    ]
    return html.element("tr", html.element("th", link, scope="row", class_="text") + "".join(cells))


def _class(head: str) -> str | None:
    return None if head in _NUMBERS else "text"


def write(root: Path, name: str = "index.html", target: str = "leaderboard.md") -> Path:
    """Write the page into the folder of results folders, whole or not at all.

    Raises:
        LabError: a leaderboard cannot be read, there is none, or the folder cannot be written.
    """
    write_atomically(root / name, page(root, target).encode())
    return root / name
