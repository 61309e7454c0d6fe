"""Results folders -> pages and charts: what `nasbench-lab report` does, with facts that records do not hold.

A page carries the scores of tables that come with the package, for its explorer; those of other tables stay at home.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nasbench_lab.core import LabError
from nasbench_lab.files import writing
from nasbench_lab.leaderboard import details
from nasbench_lab.leaderboard import index as results
from nasbench_lab.listing import plugins
from nasbench_lab.report import chart_files, index, pages
from nasbench_lab.report.explorer import Shown
from nasbench_lab.report.pages import Content
from nasbench_lab.tables import catalog, proxy_ranks

PAGE = index.PAGE


def content(folder: Path) -> Content:
    """All that the page of a results folder shows.

    Raises:
        LabError: not a results folder, or it cannot be read.
    """
    found = pages.read(folder)
    return pages.read(folder, facts=_facts(found), shown=_shown(found), proxies=_proxies(found))


def _facts(found: Content) -> dict[str, dict[str, str]]:
    """What there is to know of strategies: of somebody's, what the manifest says."""
    told = found.manifest.get("strategies", {})
    named = {spec: facts for spec, facts in told.items() if isinstance(facts, dict)} if isinstance(told, dict) else {}
    return {spec: named[spec] for spec in found.board.looks if spec in named} | plugins.facts_of(found.board.looks)


def _shown(found: Content) -> dict[str, Shown]:
    """The spaces of a board's tables, where they are NAS-Bench-201's or at hand, with the scores of the package's tables.

    Scores are those of test and validation at the end of the last schedule.
    """
    shown: dict[str, Shown] = {}
    for setting in found.board.settings:
        told = setting.details.get("space")
        for name in (setting.rows[0]["table"], setting.rows[0]["score"]):
            try:
                path = catalog.find(name)
                inside = path.parent == catalog.EMBEDDED
                if name in shown or not (inside or told):
                    continue
                table = catalog.load(name)
            except LabError:  # scored elsewhere: the page does without
                continue
            if told and details.space_of(table.space) != told:
                continue  # another table of that name
            last = table.last
            scores = {f"{name} test": last.test, f"{name} validation": last.val[:, -1]} if inside else {}
            shown[name] = Shown(table.space, scores, table.measure)
    return shown


def _proxies(found: Content) -> dict[str, list[list[str]]]:
    """How well the zero-cost scores of a board's scored tables rank, of those at hand that are the ones it was made with."""
    ranked: dict[str, list[list[str]]] = {}
    told = found.manifest.get("tables", {})
    for name in dict.fromkeys(setting.rows[0]["score"] for setting in found.board.settings):
        try:
            table = catalog.load(name)
        except LabError:
            continue
        if told.get(name, {}).get("digest") == table.digest and (rows := proxy_ranks.rows(table)):
            ranked[name] = [proxy_ranks.cells(row, table.measure) for row in rows]
    return ranked


def write_report(
    folder: Path, out: Path | None = None, *, formats: Sequence[str] = (), force: bool = False
) -> list[Path]:
    """Write the page of a results folder, and its charts as files of their own in `charts/` where formats are named.

    Args:
        folder: with leaderboard.json.
        out: the page; report.html in the folder if left out.
        formats: svg, png, pdf.
        force: replace what is at `out`; a results folder's own page is always written anew.

    Raises:
        LabError: the folder cannot be read, something is at `out` already, the page cannot be written, or another format.
    """
    shown, page = content(folder), out or folder / PAGE
    own = page.resolve() == (folder / PAGE).resolve()
    writing.not_there([page, *([page.parent / "charts"] if formats else [])], force=force or own)
    drawn = chart_files.write(shown, page.parent / "charts", formats)
    return [pages.write(shown, page), *drawn]


def write_all(root: Path) -> list[Path]:
    """Write the page of every results folder in `root`, and beside them one that lists them.

    Raises:
        LabError: there is none, or one cannot be read.
    """
    contents = {folder: content(folder) for folder in results.folders(root)}
    written = [pages.write(shown, folder / PAGE) for folder, shown in contents.items()]
    return [*written, index.write(root)]
