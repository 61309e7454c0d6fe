"""`nasbench-lab bring`: finished studies of Optuna as rows of a board."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasbench_lab.cli import complete, screen


def bring(
    storage: Annotated[
        str,
        typer.Argument(
            help="What Optuna stored: a file of SQLite (.db), a journal (.log), or a URL. Nothing is written to it."
        ),
    ],
    study: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A study in it, one for each seed; repeat for several. All if left out."),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE",
            autocompletion=complete.tables,
            help="Table whose cells the trials are; the embedded one if left out.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where the trials go, a CSV file.")] = Path("trials.csv"),
    force: screen.Force = False,
) -> None:
    """Write the trials of finished Optuna studies as a file that the strategy `outside` asks for again: a row of a board.

    Parameters have to be called as the decisions of the table are (see `tables info`). Scores and costs are the table's.

    Examples:
        nasbench-lab bring optuna.db --table digits --out mine.csv
        nasbench-lab bring optuna.db --study tpe_0 --study tpe_1
    """
    from nasbench_lab.interop import optuna
    from nasbench_lab.tables import catalog

    chosen = catalog.load(table or catalog.default())
    studies = optuna.stored_studies(storage, study or ())
    for note in optuna.write_trials(studies, chosen, out, force=force):
        print(f"note: {note}")
    print(f"{', '.join(each.study_name for each in studies)} -> {out}")
    print(f"nasbench-lab compare outside:file={out} tpe --table {table or catalog.default()} --seeds {len(studies)}")
