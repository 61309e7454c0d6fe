"""Figures for papers: one kind of chart of one or several boards, panels side by side and in rows, as wide as asked for.

A point of the PDF is a pixel of the chart, so that sizes are points: a figure of 3.25 inches is 234 wide. The plots' own width is
what names and axes leave; it is found by drawing once and correcting by what is missing.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import altair as alt
import pandas as pd

from nasbench_lab.core import real, whole
from nasbench_lab.errors import LabError, offered
from nasbench_lab.files import paths
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.leaderboard import protocols, wording
from nasbench_lab.plots import style
from nasbench_lab.report import pages
from nasbench_lab.report.charts import Board, Chart, Setting, best_first

KINDS = MappingProxyType(
    {
        "regret": "regret-queries",
        "regret-seconds": "regret-seconds",
        "ranks": "rank",
        "targets": "targets",
        "rank-ranges": "rank-ranges",
        "who-beats-whom": "who-beats-whom",
        "profile": "profile",
        "deciding": "deciding",
        "front": "front",
        "hypervolume": "hypervolume-queries",
        "hypervolume-seconds": "hypervolume-seconds",
    }
)
WIDTHS = MappingProxyType({"column": 3.25, "text": 6.75})  # inches, of a paper in two columns
_POINTS = 72.0  # in an inch
_LEAST = 60.0  # points of a plot; with less nothing can be read
_GAP = 14.0  # points between two panels
_LETTER = 0.6  # width of a letter, of the text's size; of a monospaced one as well
_ROUNDS = 12
FORMATS = ("pdf", "svg", "png")
_DPI = 300


def figure(
    folders: Sequence[str | Path],
    kind: str = "regret",
    *,
    width: str | float = "text",
    height: float | None = None,
    font: str = "sans-serif",
    size: float = 8.0,
    titles: bool = True,
    columns: int | None = None,
    tables: Sequence[str] = (),
) -> Any:
    """A figure of the settings of some results folders, a panel each.

    Args:
        folders: of results.
        kind: one of `KINDS`.
        width: of the whole, in inches, or "column" (3.25) or "text" (6.75).
        height: of a plot without its axes, in inches; two thirds of its width if left out.
        font: family, as installed.
        size: of the text, in points.
        titles: each panel says which board and setting it is.
        columns: panels side by side, further ones below; as many as there is room for, if left out.
        tables: of settings that search these alone; all if left out.

    Returns:
        an Altair chart.

    Raises:
        LabError: another kind, a folder that has no such chart or no such table, or a width that leaves no room for the plots.
    """
    if kind not in KINDS:
        raise LabError(f"no chart is called {kind!r}{offered(kind, KINDS, 'there are')}")
    if not folders:
        raise LabError("which results folders? at least one")
    wide = _POINTS * _inches(width)
    size, high = real(size, "size"), None if height is None else _POINTS * real(height, "height")
    if not 2 <= size <= 40 or (high is not None and not 0 < high <= 50 * _POINTS):
        raise LabError(f"size must lie in 2 to 40 points and height in 0 to 50 inches, got {size:g} and {height}")
    _check_font(font)
    boards = [pages.read(paths.home(folder)).board for folder in folders]
    chosen, names = _chosen(boards, tables), _looks(boards)
    possible = [n for n in range(len(chosen), 0, -1) if (wide - _GAP * (n - 1)) / n >= _LEAST]  # axes need room as well
    sides = (possible or [1]) if columns is None else [min(whole(columns, "columns", least=1), len(chosen))]
    for count in sides:
        chart, plot = _fitted(chosen, names, kind, titles, wide, count, (high, font, size))
        if plot >= _LEAST:
            return chart
    raise LabError(
        f"{sides[-1]} panels with text of {size:g} points do not fit into {wide / _POINTS:.2f} inches; use a larger width, "
        "smaller text, or fewer columns"
    )


def _chosen(boards: Sequence[Board], tables: Sequence[str]) -> list[tuple[Board, Setting]]:
    """The settings that search some tables, or all."""
    there = list(dict.fromkeys(str(setting.rows[0]["table"]) for board in boards for setting in board.settings))
    if unknown := [name for name in tables if name not in there]:
        raise LabError(f"no board searches {unknown[0]!r}{offered(unknown[0], there, 'there are')}")
    return [(b, each) for b in boards for each in b.settings if not tables or each.rows[0]["table"] in tables]


def _fitted(
    chosen: Sequence[tuple[Board, Setting]],
    names: Mapping[str, style.Look],
    kind: str,
    titles: bool,
    wide: float,
    count: int,
    look: tuple[float | None, str, float],
) -> tuple[Any, float]:
    """The panels, so many side by side, as wide as asked for, and the width of a plot in it, which may be too little."""
    high, font, size = look
    room = (wide - _GAP * (count - 1)) / count
    plot = room - 8 * size
    chart: Any = None
    best, step, found = math.inf, 1.0, plot
    for _ in range(_ROUNDS):
        plot = max(plot, _LEAST)
        drawn = style.Layout(plot, high or plot * 2 / 3, font, size, fixed=True)
        with style.drawn_as(drawn):
            panels = [
                _plain(_named(board, setting, kind, names), setting if titles else None, lines, room)
                for (board, setting), lines in zip(chosen, _unlike(chosen), strict=True)
            ]
            drawing = _panels([panels[i : i + count] for i in range(0, len(panels), count)])
        missing = wide - _width(drawing)
        if abs(missing) < best:
            best, chart, found = abs(missing), drawing, plot
        else:
            step /= 2  # labels of an axis come and go with its width: from where it goes back and forth, it goes slowly
        plot += step * missing / count
        if best < 0.5 or plot < _LEAST:
            break
    return chart, min(plot, found) if plot < _LEAST else found


def save(chart: Any, path: str | Path) -> Path:
    """Write a figure as PDF (text stays text), SVG or PNG (300 dots an inch), as the name's ending says.

    Raises:
        LabError: another ending, or the file cannot be written.
    """
    path = paths.home(path)
    kind = check_format(path)
    if kind == "svg":
        data = _in_points(style.svg(chart)).encode()
    else:
        data = style.pdf(chart) if kind == "pdf" else style.png(chart, scale=_DPI / _POINTS)
    write_atomically(path, data)
    return path


def _check_font(font: str) -> None:
    """Refuse a family of which nothing can be drawn: text in it would be left out in silence.

    Raises:
        LabError: names it.
    """
    if not re.fullmatch(r"[\w .+-]+(, ?[\w .+-]+)*", font):
        raise LabError(f"a font is a family's name, or several separated by commas, got {font!r}")
    if not _drawn(font):
        raise LabError(
            f"no font named {font!r} is installed here; sans-serif, serif and monospace are there, or install it"
        )


@cache
def _drawn(font: str) -> bool:
    """Whether text in this font comes out."""
    word = alt.Chart(pd.DataFrame({"text": ["a"]})).mark_text(font=font).encode(text="text:N").configure(font=font)
    return b"/Font" in style.pdf(word)


def check_format(path: Path) -> str:
    """The format of a file's name.

    Raises:
        LabError: another one than `FORMATS`.
    """
    kind = path.suffix.lstrip(".").lower()
    if kind not in FORMATS:
        raise LabError(f"figures are written as {', '.join(FORMATS)}; got the name {path.name!r}")
    return kind


def _inches(width: str | float) -> float:
    if isinstance(width, str) and width in WIDTHS:
        return WIDTHS[width]
    try:
        found = float(width)
    except (TypeError, ValueError):
        found = 0.0
    if not 0.5 <= found <= 50:
        raise LabError(f"width must be {' or '.join(WIDTHS)} or a number of inches from 0.5 to 50, got {width!r}")
    return found


def _looks(boards: Sequence[Board]) -> Mapping[str, style.Look]:
    """One look for a strategy in all panels: a board's own; of several boards those that are in colour share the hues out."""
    if len(boards) == 1:
        return boards[0].looks
    first = best_first([setting for board in boards for setting in board.settings])
    every = style.looks([row["strategy"] for board in boards for row in board.rows], first)
    hot = style.looks(first, first)  # a grey line needs no hue of its own
    return {name: replace(hot.get(name, look), label=look.label) for name, look in every.items()}


def _named(board: Board, setting: Setting, kind: str, names: Mapping[str, style.Look]) -> Chart:
    """The chart of this kind of a setting; those that come after it are not drawn."""
    found = next((chart for chart in board.drawn(setting, names) if chart.name == KINDS[kind]), None)
    if found is None:
        there = {chart.name for chart in board.drawn(setting)}
        known = [name for name, own in KINDS.items() if own in there]
        raise LabError(f"{board.title!r} has no chart {kind!r}; it has: {', '.join(known) or 'none'}")
    return found


def _unlike(chosen: Sequence[tuple[Board, Setting]]) -> list[list[str]]:
    """Of every panel what its protocol has that another's has not."""
    return protocols.apart([setting.rows[0] for _, setting in chosen])[1]


def notes(folders: Sequence[str | Path], tables: Sequence[str] = ()) -> list[str]:
    """What a reader of the figure of these settings has to know: unlike protocols, and names that were cut short."""
    boards = [pages.read(paths.home(folder)).board for folder in folders]
    chosen, names = _chosen(boards, tables), _looks(boards)
    found = []
    if any(lines := _unlike(chosen)):
        each = (f"{s.rows[0]['table']} ({', '.join(line)})" for (_, s), line in zip(chosen, lines, strict=True))
        found.append(f"the panels are of unlike protocols: {'; '.join(each)}")
    specs = {str(row["strategy"]) for _, setting in chosen for row in setting.rows}
    short = {spec: names[spec].label for spec in specs if names[spec].label.endswith("…")}
    return found + [f"{label!r} in the figure is {spec}" for spec, label in sorted(short.items())]


def _plain(chart: Chart, setting: Setting | None, below: Sequence[str], room: float) -> Any:
    """A chart without the settings that only the whole may have, titled within its room by what tells its setting from others."""
    panel: Any = chart.spec.copy()
    panel.config = alt.Undefined
    if setting is None:
        return panel
    row = setting.rows[0]
    title = wording.searched(row["table"], row["kind"], row["score"])
    short = [part for line in below for part in _broken(line, room, style.layout().size)]
    return panel.properties(title=style.heading(_broken(title, room, style.layout().size + 2), short))


def _broken(text: str, room: float, size: float) -> list[str]:
    """A text in lines that are no wider than the room, unless a word is."""
    letters = max(1, int(room / (_LETTER * size)))
    return textwrap.wrap(text, letters, break_long_words=False, break_on_hyphens=False)


def _panels(rows: Sequence[Sequence[Any]]) -> Any:
    """Panels side by side and in rows, each with scales of its own."""
    lines = [row[0] if len(row) == 1 else _apart(alt.hconcat(*row, spacing=_GAP)) for row in rows]
    return style.finished(lines[0] if len(lines) == 1 else _apart(alt.vconcat(*lines, spacing=_GAP)))


def _apart(panels: Any) -> Any:
    """Panels that share no colours and dashes: one that has a strategy in grey may stand beside one that has it in colour."""
    return panels.resolve_scale(color="independent", strokeDash="independent")


def _width(chart: Any) -> float:
    size = re.match(r'<svg[^>]*width="([\d.]+)"', style.svg(chart))
    return float(size[1]) if size else 0.0


def _in_points(svg: str) -> str:
    """An SVG whose size is in points, so that it is as wide as the PDF wherever it is put."""
    head, rest = svg.split(">", 1)
    return re.sub(r'(width|height)="([\d.]+)"', r'\1="\2pt"', head) + ">" + rest
