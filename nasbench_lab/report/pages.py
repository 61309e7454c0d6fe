"""A results folder as one HTML page that needs nothing else: no network, no other file, no JavaScript to be read.

Charts are drawn here, as SVG, from the specs that `plots` make; a small script adds sorting, filters, switches and
the cell explorer. leaderboard.json, curves.csv and manifest.json suffice; details.json adds what every seed did.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_lab.core import LabError
from nasbench_lab.files import sealed
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.leaderboard import parts as leaderboard_parts
from nasbench_lab.leaderboard import verdict, wording, written
from nasbench_lab.plots import style
from nasbench_lab.report import explorer
from nasbench_lab.report import made as report_made
from nasbench_lab.report import sections as html
from nasbench_lab.report.charts import Board, Chart, Row, Setting
from nasbench_lab.report.explorer import Shown
from nasbench_lab.stats import across, measures, standings
from nasbench_lab.tables import proxy_ranks

_ASSETS = Path(__file__).parent / "page"
_GROUPS = {"curves": "Along the run", "tests": "Who is better, and how sure", "fronts": "Several objectives"}
_HALF = 700  # pixels: a wider picture gets the page's whole width
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"  # loads nothing


@dataclass(frozen=True)
class Content:
    """All that a page shows.

    Attributes:
        board: rows, references, curves, details.
        columns: name -> meaning.
        manifest: as in manifest.json.
        agreement: how the rankings of the settings agree; may be empty.
        across: what holds across several tables; may be empty.
        overall: aggregates of the strategies over all settings; may be empty.
        notes: what is to be known of the board.
        facts: strategy -> family, summary, parameters, paper; unknown strategies are missing.
        checklist: item, status, why; may be empty.
        shown: name of a table -> its space and the scores that the page may carry, for the explorer.
        proxies: name of a scored table -> how well its zero-cost scores rank, rows of texts; tables without are missing.
        folder: as the commands that reproduce it name it.
    """

    board: Board
    columns: Mapping[str, str]
    manifest: Row
    agreement: Sequence[Row] = ()
    across: Row = field(default_factory=dict)
    overall: Sequence[Row] = ()
    notes: Sequence[str] = ()
    facts: Mapping[str, Row] = field(default_factory=dict)
    checklist: Sequence[Row] = ()
    shown: Mapping[str, Shown] = field(default_factory=dict)
    proxies: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)
    folder: str = "results"


def read(folder: Path, **more: Any) -> Content:
    """What a results folder holds.

    Args:
        folder: with leaderboard.json, and curves.csv, manifest.json, details.json where there are such.
        **more: other fields of `Content`.

    Raises:
        LabError: there is no leaderboard, or a file cannot be read.
    """
    content = written.read_rows(folder)
    try:
        rows = [_numbers(row) for row in content["rows"]]
        references: list[Row] = [_Sparse(row, None) for row in content["references"]]
        curves = _curves(folder)
        tests, extra = content.get("tests", []), _json(folder / "details.json")
        board = Board(str(content.get("title", folder.name)), rows, references, curves, tests, extra)
        if not board.settings:
            raise LabError(f"{folder} cannot be shown: its leaderboard has no rows")
        columns = content.get("columns", leaderboard_parts.COLUMNS)
        manifest = _json(folder / "manifest.json")
        agreement = [_numbers(row) for row in content.get("agreement", [])]
        across_tables = content.get("across", {})
        across_tables |= {"rows": [_numbers(row) for row in across_tables.get("rows", [])]} if across_tables else {}
        notes = content.get("notes", manifest.get("notes", []))
        more = {
            "folder": str(folder),
            "across": across_tables,
            "overall": content.get("overall", []),
            "notes": notes,
            **more,
        }
        more = {"checklist": manifest.get("checklist", []), **more}
        return Content(board, columns, manifest, agreement, **more)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LabError(f"{folder} cannot be shown: {error!r}") from error


class _Sparse(dict[str, Any]):
    """A row of a folder written before a column was known: what it lacks is not known."""

    def __init__(self, known: Row, unknown: Any) -> None:
        super().__init__(known)
        self._unknown = unknown

    def __missing__(self, key: str) -> Any:
        return self._unknown


def _numbers(row: Row) -> Row:
    """A row with what is not known as nan, as in a leaderboard that was just built."""
    return _Sparse({key: math.nan if value is None else value for key, value in row.items()}, math.nan)


def _json(path: Path) -> Row:
    return sealed.read_json(path) if path.is_file() else {}


def _curves(folder: Path) -> pd.DataFrame:
    found = written.read_curves(folder)
    if found is not None:
        return found
    names = (
        "table",
        "score",
        "search",
        "budget",
        "policy",
        "strategy",
        "axis",
        "at",
        "test_mean",
        "test_lo",
        "test_hi",
        "regret_mean",
    )
    return pd.read_csv(io.StringIO(",".join(names)))


def page(content: Content) -> str:
    """The page as HTML text."""
    board = content.board
    sections = [_rankings(content)]
    sections += [_charts(board, group, title) for group, title in _GROUPS.items()]
    sections += [_strategies(content), _cells(content), _landscapes(board), _proxies(content)]
    sections += [_explorer(content), _made(content)]
    kept = [section for section in sections if section]
    links = "".join(f'<a href="#{name}">{html.escaped(title)}</a>' for name, title, _ in kept)
    body = "".join(section(name, _GROUPS.get(name, title), inner) for name, title, inner in kept)
    return frame(board.title, links, _lead(content), body, "nasbench-lab report " + content.folder)


def section(name: str, title: str, inner: str) -> str:
    """A part of a page under its heading; links lead to its name."""
    heading = html.element("h2", html.escaped(title), id=f"{name}-title")
    return html.element("section", heading + inner, id=name, aria_labelledby=f"{name}-title")


def frame(title: str, links: str, lead: str, body: str, by: str) -> str:
    """What every page has around its sections: style, script, title, the bar with links and the theme switch."""
    css, script = (_ASSETS / "page.css").read_text(encoding="utf-8"), (_ASSETS / "page.js").read_text(encoding="utf-8")
    theme = (
        '<button type="button" id="theme" class="needs-script" aria-label="Switch between light and dark">Dark</button>'
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<title>{html.escaped(title)}</title>\n<link rel="icon" href="data:,">\n<style>\n{css}</style>\n</head>\n<body>\n'
        '<a class="skip" href="#leaderboard">To the leaderboard</a>\n'
        f"<header><h1>{html.escaped(title)}</h1>{lead}</header>\n"
        f'<div class="bar"><div>{html.element("nav", links, aria_label="Sections") if links else ""}{theme}</div></div>\n'
        f"<main>{body}</main>\n<footer><p>Written by <code>{html.escaped(by)}</code>. One file: it loads nothing.</p></footer>\n"
        f"<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _lead(content: Content) -> str:
    board, study = content.board, content.manifest.get("study", {})
    seeds = sorted({int(row["runs"]) for row in board.rows})
    count = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    tables = list(dict.fromkeys(row["table"] for row in board.rows))
    made_up = [row["table"] for row in board.rows if row["kind"] != "measured"]
    kind = f" {', '.join(dict.fromkeys(made_up))}: not measured, see the headings." if made_up else ""
    first = study.get("first_seed", 0)
    notes = (html.element("p", html.escaped(note), class_="note") for note in content.notes)
    lead = html.element(
        "p",
        html.escaped(
            f"{len(board.looks)} strategies on {', '.join(tables)}, {count} seeds each, from {first} on; the same seeds, "
            f"starts and noise for every strategy. Search saw validation only; {_scores(board)} joined afterwards.{kind}"
        ),
        class_="lead",
    )
    said = verdict.overall([(each.rows, each.tests) for each in board.settings], content.across)
    answer = html.element("p", html.escaped(said), class_="answer") if said else ""
    return answer + lead + "".join(notes)


def _scores(board: Board) -> str:
    """What strategies are scored on."""
    if any(row.get("scored") for row in board.rows):
        return "what they are scored on was"
    return "test accuracy was" if all(measures.of(row).plain for row in board.rows) else "test scores were"


Section = tuple[str, str, str] | None


def _rankings(content: Content) -> Section:
    board = content.board
    parts = [_filters(content)]
    parts += [html.ranking(board, each, content.columns, content.facts, i) for i, each in enumerate(board.settings)]
    plain = all(measures.of(row).plain for row in board.rows)
    if content.agreement:
        rows = [wording.agreement_cells(row) for row in content.agreement]
        parts += _together(
            wording.AGREEMENT, wording.AGREEMENT_HEADS, rows, wording.noted(wording.AGREEMENT_NOTE, plain=plain)
        )
    if content.overall:
        rows = [standings.overall_cells(row) for row in content.overall]
        note = wording.noted(standings.OVERALL_NOTE, plain=plain)
        parts += _together(standings.OVERALL, standings.OVERALL_HEADS, rows, note)
    if content.across:
        rows = [across.cells(row) for row in content.across["rows"]]
        parts += _together(across.TITLE, across.HEADS, rows, f"{content.across['verdict']} {across.NOTE}")
    return "leaderboard", "Leaderboard", "".join(parts)


def _together(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> list[str]:
    """A table over all settings, under its title and with its note."""
    return [
        html.element("h3", title),
        html.table(heads, rows, title),
        html.element("p", html.escaped(note), class_="note"),
    ]


def _filters(content: Content) -> str:
    settings = [html.attributes(setting) for setting in content.board.settings]
    choices = {
        "table": ("Table", [each["data_table"] for each in settings]),
        "budget": ("Budget", [each["data_budget"] for each in settings]),
        "family": ("Family", sorted(html.family(name, content.facts) for name in content.board.looks)),
    }
    fields = []
    for name, (label, values) in choices.items():
        several = list(dict.fromkeys(values))
        if len(several) < 2:  # nothing to choose
            continue
        options = "".join(html.element("option", html.escaped(value), value=value) for value in several)
        options = '<option value="">all</option>' + options
        fields.append(html.element("label", label + html.element("select", options, id=f"filter-{name}")))
    if len(content.board.looks) > 1:
        fields.append(
            '<label>Strategy<input type="search" id="filter-text" autocomplete="off" placeholder="part of its name"></label>'
        )
    if not fields:
        return ""
    fields.append('<span id="filter-status" role="status" class="note"></span>')
    return html.element("div", "".join(fields), class_="filters needs-script", role="group", aria_label="Filters")


def _charts(board: Board, group: str, title: str) -> Section:
    parts = []
    for setting, charts in board.charts:
        own = [chart for chart in charts if chart.group == group]
        if own:
            figures = "".join(_figure(chart, setting, board.looks) for chart in own)
            heading = html.element("h3", html.escaped(wording.heading(setting.rows[0])))
            inner = html.element("div", figures, class_="charts") + (
                html.pairs(board, setting) if group == "tests" else ""
            )
            parts.append(html.element("div", heading + inner, class_="setting", **html.attributes(setting)))
    switches = html.series(board) if group == "curves" else ""
    short = {"curves": "Curves", "tests": "Tests", "fronts": "Fronts"}[group]
    return (group, short, switches + "".join(parts)) if parts else None


def _figure(chart: Chart, setting: Setting | None, looks: Mapping[str, style.Look]) -> str:
    numbers = {name: i for i, name in enumerate(looks)}
    where = f", {wording.heading(setting.rows[0])}" if setting else ""
    title, cut = f"{chart.title}{where}. {chart.about}", bool(chart.named)
    drawn = style.for_page(style.svg(chart.spec), numbers, title, cut=cut)
    caption = html.element("figcaption", html.element("h4", html.escaped(chart.title)) + html.escaped(chart.about))
    width = re.search(r"--width:([\d.]+)", drawn)
    wide = "wide" if width and not cut and float(width[1]) > _HALF else None
    inner = html.element("div", drawn, class_="scroll cut" if cut else "scroll")
    names = html.names_below([(looks[name], numbers[name]) for name in chart.named], chart.also) if cut else ""
    return html.element("figure", caption + inner + names, class_=wide)


def _strategies(content: Content) -> Section:
    names = enumerate(content.board.looks)
    best = {row["strategy"]: i for i, row in reversed(list(enumerate(content.board.rows)))}
    parts = [
        (best[name], html.strategy(content.board, name, number, content.facts, content.manifest))
        for number, name in names
    ]
    return "strategies", "Strategies", "".join(part for _, part in sorted(parts))


def _cells(content: Content) -> Section:
    inner = "".join(html.best_cells(content.board, setting) for setting in content.board.settings)
    about = "The best cells that runs recommended at their end, one of each class of equal networks."
    return ("cells", "Cells", html.element("p", about, class_="note") + inner) if inner else None


def _landscapes(board: Board) -> Section:
    parts = []
    for name in dict.fromkeys(setting.rows[0]["score"] for setting in board.settings):
        charts = board.landscape(name)
        if charts:
            figures = "".join(_figure(chart, None, board.looks) for chart in charts)
            parts.append(f"<h3>{html.escaped(name)}</h3><div class='charts narrow'>{figures}</div>")
    return ("landscape", "Landscape", "".join(parts)) if parts else None


def _proxies(content: Content) -> Section:
    parts = []
    for name, rows in content.proxies.items():
        label = f"{proxy_ranks.TITLE}, {name}"
        parts.append(html.element("h3", html.escaped(name)) + html.table(proxy_ranks.HEADS, rows, label))
    note = html.element("p", html.escaped(proxy_ranks.NOTE), class_="note")
    return ("proxies", proxy_ranks.TITLE, "".join(parts) + note) if parts else None


def _explorer(content: Content) -> Section:
    found = []
    for setting in content.board.settings:
        own = (
            [item["cell"] for item in setting.details.get("best", [])] or setting.reference.get("optimum_cells") or [0]
        )
        names = (setting.rows[0]["table"], setting.rows[0]["score"])
        shown = [content.shown[name] for name in dict.fromkeys(names) if name in content.shown]
        if not shown and "space" not in setting.details:  # a page can tell NAS-Bench-201's cells without their table
            shown = [Shown()]
        found += [(each, int(own[0])) for each in shown]
    return ("explorer", "Explorer", explorer.sections(found)) if found else None


def _made(content: Content) -> Section:
    return "made", "How this was made", report_made.made(content.manifest, content.checklist, content.folder)


def write(content: Content, path: Path) -> Path:
    """Write the page, whole or not at all.

    Raises:
        LabError: the folder cannot be written.
    """
    write_atomically(path, page(content).encode())
    return path
