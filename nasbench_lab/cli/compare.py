"""`nasbench-lab compare` and `run`: strategies x tables x seeds, then the leaderboard."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasbench_lab.cli import baseline as cli_baseline
from nasbench_lab.cli import complete, screen
from nasbench_lab.errors import LabError

if TYPE_CHECKING:
    from nasbench_lab.study.study import Study


def compare(
    context: typer.Context,
    strategies: Annotated[
        list[str] | None,
        typer.Argument(autocompletion=complete.strategies, help="Names or specs, name:key=value,... (see `list`)."),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE",
            autocompletion=complete.tables,
            help="Table to search (see `tables list`); repeat for several, each scored on itself. If left out digits; without "
            "strategies as well, the suite: all measured tables of the package.",
        ),
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TABLE",
            autocompletion=complete.tables,
            help="Table to score on; repeat for several. The searched one if left out.",
        ),
    ] = None,
    search: screen.Search = None,
    seeds: Annotated[int, typer.Option(help="Runs per strategy.", metavar="N", min=1)] = 50,
    max_queries: screen.MaxQueries = math.inf,
    max_seconds: screen.MaxSeconds = math.inf,
    trials: screen.Trials = None,
    noise: screen.Noise = 0.0,
    repeats: screen.Repeats = "charge",
    simulated_workers: Annotated[
        int, typer.Option(help="Asynchronous workers on the simulated clock.", metavar="N", min=1)
    ] = 1,
    objectives: screen.Objectives = None,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="TABLE",
            autocompletion=complete.tables,
            help="A table of another dataset whose validation scores may be read; repeat for several.",
        ),
    ] = None,
    evaluator: Annotated[
        str,
        typer.Option(
            help="What answers queries: tabular, training (for real; training:device=cuda,epochs=12), or surrogate (fitted "
            "to a few cells; surrogate:model=gp,cells=500)."
        ),
    ] = "tabular",
    workers: screen.Workers = 1,
    backend: screen.Backend = "loky",
    write_on: screen.WriteOn = "caller",
    out: Annotated[Path, typer.Option(help="Results folder; finished runs in it are not repeated.")] = Path(
        "results/compare"
    ),
    baseline: cli_baseline.Baseline = None,
    alpha: cli_baseline.Alpha = 0.01,
    trust: screen.Trust = None,
    as_json: screen.AsJson = False,
    explain: screen.Explain = False,
) -> None:
    """Compare strategies on a table over many seeds, and write the leaderboard.

    With --baseline DIR the study is that folder's, run anew: exit code 3 if a strategy got significantly worse.

    Examples:
        nasbench-lab compare
        nasbench-lab compare tpe local_search:improvement=best --table digits --seeds 30 --out results/mine
        nasbench-lab compare my_search.py gp_bo --max-seconds 200 --workers 2
    """
    from nasbench_lab import api

    if baseline:
        again = cli_baseline.study_of(context, baseline, strategies or [], seeds, screen.trusted(trust))
        _run(again, out, workers, backend, write_on, as_json, explain=explain, baseline=baseline, alpha=alpha)
        return
    study = api.make_study(
        strategies or [],
        table=table,
        score=score or [],
        search=search,
        seeds=seeds,
        max_queries=max_queries,
        max_seconds=max_seconds,
        trials=trials,
        noise=noise,
        repeats=repeats,
        simulated_workers=simulated_workers,
        evaluator=evaluator,
        objectives=("val", *(objectives or ())),
        sources=tuple(sources or ()),
    )
    _run(study, out, workers, backend, write_on, as_json, explain=explain)


def run(
    study: Annotated[Path, typer.Argument(help="A study file (TOML).")],
    out: Annotated[Path | None, typer.Option(help="Results folder; results/<file name> if left out.")] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Another number of seeds than the file's.", metavar="N", min=1)
    ] = None,
    workers: screen.Workers = 1,
    backend: screen.Backend = "loky",
    write_on: screen.WriteOn = "caller",
    baseline: cli_baseline.Baseline = None,
    alpha: cli_baseline.Alpha = 0.01,
    as_json: screen.AsJson = False,
    explain: screen.Explain = False,
) -> None:
    """Run a study file, going on where an interrupted run stopped; exit code 3 if it is worse than the baseline.

    Examples:
        nasbench-lab run benchmarks/digits.toml --seeds 5
        nasbench-lab run mine.toml --out results/mine --workers 2
    """
    from dataclasses import replace

    from nasbench_lab.study.study import read_study

    chosen = read_study(study)
    name = study.stem if seeds in (None, chosen.seeds) else f"{study.stem}-{seeds}-seeds"
    chosen = replace(chosen, seeds=seeds) if seeds else chosen
    _run(
        chosen,
        out or Path("results") / name,
        workers,
        backend,
        write_on,
        as_json,
        explain=explain,
        baseline=baseline,
        alpha=alpha,
    )


def _run(
    study: Study,
    out: Path,
    workers: int,
    backend: str,
    write_on: str,
    as_json: bool,
    *,
    explain: bool,
    baseline: Path | None = None,
    alpha: float = 0.01,
) -> None:
    from nasbench_lab.leaderboard.rebuild import rebuild
    from nasbench_lab.study import execute, notes
    from nasbench_lab.study.plan import resolve

    if baseline and baseline.resolve() == out.resolve():
        raise LabError(f"{out} is the baseline itself; write the new results elsewhere, with --out")
    plan = resolve(study)
    if baseline:
        cli_baseline.check_tables(plan, baseline)
    said = notes.notes(plan)
    for note in said:
        print(f"note: {' '.join(note.split())}", file=sys.stderr)
    with screen.progress(kept="runs, but for those of the last seconds,", to=out) as progress:
        execute.run(plan, out, workers=workers, backend=backend, write_on=write_on, progress=progress)
        board = rebuild(plan, out, say=lambda note: print(f"note: {note}", file=sys.stderr))
    for note in board.notes:
        if note not in said:  # known only after the runs
            print(f"note: {' '.join(note.split())}", file=sys.stderr)
    screen.show(board, out, as_json, explain=explain)
    if baseline:
        raise typer.Exit(cli_baseline.judge(board, plan, baseline, alpha, as_json=as_json))
