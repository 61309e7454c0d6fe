"""`nasbench-lab reproduce`: whether recorded runs are what the code gives now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasbench_lab.cli import screen

if TYPE_CHECKING:
    from collections import Counter


def reproduce(
    folder: Annotated[Path, typer.Argument(help="A results folder.")],
    run_id: Annotated[str | None, typer.Option("--run", help="Only this: id, or id:seed where runs/ is there.")] = None,
    workers: screen.Workers = 1,
    trust: screen.Trust = None,
) -> None:
    """Re-run what a results folder recorded and compare every record and every shown number; exit code 1 if any differs.

    Where runs/ is not there, as in a fresh clone, the manifest's study is run elsewhere and compared by digest.
    Strategies that are somebody's files, classes or programs are run only with --trust.
    """
    from collections import Counter

    from nasbench_lab.experiments import reproduce as again

    runs: Counter[str] = Counter()
    others: Counter[str] = Counter()  # tables and what is shown: only told where they differ
    for outcomes, lines in again.told(
        again.reproduce(folder, run=run_id, workers=workers, trusted=screen.trusted(trust))
    ):
        for outcome in outcomes:
            (runs if outcome.kind == "run" else others)[outcome.kind if outcome.kind != "run" else outcome.verdict] += 1
        if lines:
            print("\n".join(lines), flush=True)
    there = any((folder / "runs").glob("*.parquet"))
    what = "runs" if there else "rows (each by the manifest's digest of all its runs)"
    good = runs["same"] == runs.total() and not others
    counts = f"{runs['same']} {what} reproduced exactly, {runs['differs']} differ, {runs['not run']} could not be run"
    print(f"{counts}; {_of_shown(others)}" if run_id is None or others else counts)
    if run_id is None and (note := again.unchecked(folder)):
        print(note)
    raise typer.Exit(0 if good else 1)


def _of_shown(others: Counter[str]) -> str:
    """What became of tables and of what is shown."""
    parts = [
        f"{others[kind]} {what}" for kind, what in (("table", "tables"), ("shown", "shown values")) if others[kind]
    ]
    return f"{' and '.join(parts)} differ or cannot be had" if parts else "tables and shown values as they were"
