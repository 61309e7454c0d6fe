"""One page that lists all leaderboards: a row per setting, with the strategies that may be the best of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nasbench_lab import leaderboard_text
from nasbench_lab import report_sections as html
from nasbench_lab.files import write_atomically
from nasbench_lab.report import Content, frame, section
from nasbench_lab.report_charts import Board, Setting

_HEADS = ("study", "table", "search sees", "budget", "seeds", "strategies", "may be the best", "test %", "regret")
_WORDS = ("study", "table", "search sees", "budget", "may be the best")
_SHOWN = 2  # names in a cell


def page(contents: Mapping[str, Content], target: str) -> str:
    """The page as HTML text.

    Args:
        contents: folder's name -> what its page shows.
        target: name of the page in every folder.
    """
    rows = "".join(
        _row(name, each, setting, target) for name, each in contents.items() for setting in each.board.settings
    )
    heads = "".join(_head(head) for head in _HEADS)
    table = html.element("table", f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody>", class_="rank index")
    note = (
        "Rows with rank 1 cannot be told from the best: sign-flip tests of paired means, Holm over all pairs, 5%. "
        "Regret: points below the best test accuracy of the table."
    )
    inner = html.scrolling(table, "Table of all leaderboards") + html.element("p", note, class_="note")
    body = section("leaderboard", "All leaderboards", inner)
    lead = html.element("p", html.escaped(f"{len(contents)} studies; every name leads to its page."), class_="lead")
    return frame("nasbench_lab: results", "", lead, body, "nasbench-lab report --all")


def _head(name: str) -> str:
    button = html.element("button", html.escaped(name), type="button")
    return html.element("th", button, scope="col", class_="text" if name in _WORDS else None)


def _row(name: str, content: Content, setting: Setting, target: str) -> str:
    first = setting.rows[0]
    link = html.element("a", html.escaped(content.board.title), href=f"{name}/{target}")
    shown = dict(zip(leaderboard_text.heads_of(first), leaderboard_text.cells_of(first), strict=True))
    kind = "" if first["kind"] == "measured" else f" ({first['kind']})"
    policy = f", {first['policy']}" if first["policy"] else ""
    values = {
        "table": first["table"] + (f" → {first['score']}" if first["score"] != first["table"] else "") + kind,
        "search sees": leaderboard_text.seen(str(first["search"])),
        "budget": f"{first['budget']}{policy}",
        "seeds": f"{first['runs']:.0f}",
        "strategies": str(len(setting.rows)),
        "may be the best": _best(content.board, setting),
        "test %": shown["test %"],
        "regret": shown["regret"],
    }
    cells = [
        html.element("td", html.escaped(value), class_="text" if head in _WORDS else None)
        for head, value in values.items()
    ]
    return html.element("tr", html.element("th", link, scope="row", class_="text") + "".join(cells))


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
