"""`nasbench-lab leaderboard`: a results folder's board, rebuilt from its runs where they are there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nasbench_lab.cli import screen
from nasbench_lab.errors import LabError


def leaderboard(
    folder: Annotated[
        Path | None,
        typer.Argument(help="A results folder; with --all the folder that holds them, results/ if left out."),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Rebuild all from their runs; write index.md and index.html.")
    ] = False,
    as_json: screen.AsJson = False,
    explain: screen.Explain = False,
) -> None:
    """Rebuild and show the leaderboard of a results folder (shows the written one where runs are not there).

    Examples:
        nasbench-lab leaderboard results/compare --explain
        nasbench-lab leaderboard --all
    """
    from nasbench_lab.leaderboard import written as boards
    from nasbench_lab.leaderboard.rebuild import again
    from nasbench_lab.study.study import load_study

    if all_ and as_json:
        raise LabError("--all writes pages and shows no rows; --json is for one folder")
    if all_:
        _rebuild_all(folder or Path("results"))
        return
    if folder is None:
        raise LabError("which results folder? nasbench-lab leaderboard DIR, or --all")
    load_study(folder)  # says what is no results folder
    try:
        screen.show(again(folder), folder, as_json, explain=explain)
        return
    except LabError as error:  # no runs here, or no table: the page that was written still stands
        note = f"nasbench-lab: as written, not rebuilt: {error}"
    written = boards.read_rows(folder)["rows"] if as_json else boards.read_page(folder)
    (screen.print_json if as_json else print)(written)
    print(note, file=sys.stderr)


def _rebuild_all(root: Path) -> None:
    """Rebuild every leaderboard whose runs are there; the others stand as written. Then the pages that list them."""
    from nasbench_lab.leaderboard import index as results_index
    from nasbench_lab.leaderboard.rebuild import again
    from nasbench_lab.report import index as report_index

    for folder in results_index.folders(root):
        try:
            again(folder)
            print(f"rebuilt     {folder}")
        except LabError as error:
            print(f"as written  {folder}: {error}")
    print(f"Written: {results_index.write(root)}, {report_index.write(root)}")
