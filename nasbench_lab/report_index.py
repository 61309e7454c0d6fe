"""One page that lists all leaderboards: a row per setting, with the strategies that may be the best of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nasbench_lab import leaderboard
from nasbench_lab import report_sections as html
from nasbench_lab.files import write_atomically
from nasbench_lab.report import Content, frame, section
from nasbench_lab.report_charts import Board, Setting

_HEADS = ("study", "setting", "strategies", "seeds", "may be the best", "test %", "regret")
_SHOWN = 3  # names in a cell


def page(contents: Mapping[str, Content], target: str) -> str:
    """The page as HTML text.

    Args:
        contents: folder's name -> what its page shows.
        target: name of the page in every folder.
    """
    rows = "".join(
        _row(name, each, setting, target) for name, each in contents.items() for setting in each.board.settings
    )
    heads = "".join(_head(head, i) for i, head in enumerate(_HEADS))
    table = html.element("table", f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>", class_="rank index")
    note = (
        "Rows with rank 1 cannot be told from the best: sign-flip tests of paired means, Holm over all pairs, 5%. "
        "Regret: points below the best test accuracy of the table."
    )
    inner = html.scrolling(table, "All leaderboards") + html.element("p", note, class_="note")
    body = section("leaderboard", "All leaderboards", inner)
    lead = html.element("p", html.escaped(f"{len(contents)} studies; every name leads to its page."), class_="lead")
    return frame("nasbench_lab: results", "", lead, body, "nasbench-lab report --all")


def _head(name: str, place: int) -> str:
    button = html.element("button", html.escaped(name), type="button")
    return html.element("th", button, scope="col", class_="text" if place in (0, 1, 4) else None)


def _row(name: str, content: Content, setting: Setting, target: str) -> str:
    rows, link = setting.rows, html.element("a", html.escaped(content.board.title), href=f"{name}/{target}")
    cells = leaderboard.cells_of(rows[0])
    heads = leaderboard.heads_of(rows[0])
    values = [
        html.element("td", html.escaped(leaderboard.heading(rows[0])), class_="text"),
        html.element("td", str(len(rows))),
        html.element("td", str(int(rows[0]["runs"]))),
        html.element("td", html.escaped(_best(content.board, setting)), class_="text"),
        html.element("td", html.escaped(cells[heads.index("test %")])),
        html.element("td", html.escaped(cells[heads.index("regret")])),
    ]
    return html.element("tr", html.element("th", link, scope="row", class_="text") + "".join(values))


def _best(board: Board, setting: Setting) -> str:
    """The strategies whose rank may be 1: by the tests, or by the means where no test is known."""
    known = any(row["rank_low"] == row["rank_low"] for row in setting.rows)
    best = [row["strategy"] for row in setting.rows if row["rank_low" if known else "rank"] == 1]
    labels = [board.looks[name].label for name in best]
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return ", ".join(labels[:_SHOWN]) + more


def write(contents: Mapping[str, Content], path: Path, target: str) -> Path:
    """Write the page, whole or not at all.

    Raises:
        LabError: the folder cannot be written.
    """
    write_atomically(path, page(contents, target).encode())
    return path
