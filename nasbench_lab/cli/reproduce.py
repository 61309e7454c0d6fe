"""`nasbench-lab reproduce`: whether recorded runs are what the code gives now."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasbench_lab.cli import screen


def reproduce(
    folder: Annotated[Path, typer.Argument(help="A results folder.")],
    run_id: Annotated[str | None, typer.Option("--run", help="Only this: id, or id:seed where runs/ is there.")] = None,
    workers: screen.Workers = 1,
) -> None:
    """Re-run what a results folder recorded and compare every record exactly; exit code 1 if anything differs.

    Where runs/ is not there, as in a fresh clone, the manifest's study is run elsewhere and compared by digest.
    """
    from collections import Counter

    from nasbench_lab.experiments import reproduce as again

    counts: Counter[str] = Counter()
    for outcomes, lines in again.told(again.reproduce(folder, run=run_id, workers=workers)):
        counts.update(outcome.verdict for outcome in outcomes)
        if lines:
            print("\n".join(lines), flush=True)
    there = any((folder / "runs").glob("*.parquet"))
    what = "runs" if there else "rows (each by the manifest's digest of all its runs)"
    print(
        f"{counts['same']} {what} reproduced exactly, {counts['differs']} differ, {counts['not run']} could not be run"
    )
    raise typer.Exit(0 if counts["same"] == counts.total() else 1)
