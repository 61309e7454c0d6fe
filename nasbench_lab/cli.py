"""The command line, `nasbench-lab`: thin wrappers; everything heavy is imported when a command runs.

Exit codes: 0 done; 1 a check failed or a run was not reproduced; 2 bad input or nothing that can be done, said in one
message on stderr without a traceback.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasbench_lab.core import LabError

if TYPE_CHECKING:
    from rich.console import Console

    from nasbench_lab.leaderboard import Leaderboard
    from nasbench_lab.study import Study
    from nasbench_lab.tables.table import Table

app = typer.Typer(
    help="Compare neural-architecture-search strategies honestly, in seconds.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
tables_app = typer.Typer(help="The benchmarks at hand: list, describe, import.", no_args_is_help=True)
app.add_typer(tables_app, name="tables")

Workers = Annotated[int, typer.Option(help="Processes to run with.", min=1)]
Backend = Annotated[str, typer.Option(help="joblib engine: loky, threading, sequential, dask, ray.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print rows as JSON instead of a table.")]


def main() -> None:
    """Entry point: errors a user can mend become one message and exit code 2."""
    try:
        app()
    except LabError as error:
        print(f"nasbench-lab: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # the reader went away (`| head`): nothing to say, and no one to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from nasbench_lab import __version__

        print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help())


@app.command()
def compare(
    strategies: Annotated[
        list[str] | None, typer.Argument(help="Names or specs, name:key=value,... (see `list`).")
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="Table to search (see `tables list`); the embedded one if left out.")
    ] = None,
    score: Annotated[
        list[str] | None, typer.Option(help="Table to score on; repeat for several. The searched one if left out.")
    ] = None,
    search: Annotated[str | None, typer.Option(help="Schedule to search on (its last epoch), or 'oracle'.")] = None,
    seeds: Annotated[int, typer.Option(help="Runs per strategy.", min=1)] = 50,
    max_queries: Annotated[float, typer.Option(help="Budget in queries; 100 if no budget is given.", min=1)] = math.inf,
    max_seconds: Annotated[float, typer.Option(help="Budget in simulated seconds.", min=0)] = math.inf,
    trials: Annotated[
        str, typer.Option(help="What a query returns: mean or sample (one trial per seed and cell).")
    ] = "mean",
    noise: Annotated[float, typer.Option(help="Extra query noise, standard deviation in points.", min=0)] = 0.0,
    repeats: Annotated[str, typer.Option(help="Repeated queries: charge, free, or free-class.")] = "charge",
    simulated_workers: Annotated[int, typer.Option(help="Asynchronous workers on the simulated clock.", min=1)] = 1,
    workers: Workers = 1,
    backend: Backend = "loky",
    out: Annotated[Path, typer.Option(help="Results folder; finished runs in it are not repeated.")] = Path(
        "results/compare"
    ),
    as_json: AsJson = False,
) -> None:
    """Compare strategies on a table over many seeds, and write the leaderboard."""
    from nasbench_lab import api

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
    )
    _run(study, out, workers, backend, as_json)


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="A study file (TOML).")],
    out: Annotated[Path | None, typer.Option(help="Results folder; results/<file name> if left out.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Another number of seeds than the file's.", min=1)] = None,
    workers: Workers = 1,
    backend: Backend = "loky",
    as_json: AsJson = False,
) -> None:
    """Run a study file, going on where an interrupted run stopped."""
    from dataclasses import replace

    from nasbench_lab.study import read_study

    chosen = read_study(study)
    chosen = replace(chosen, seeds=seeds) if seeds else chosen
    _run(chosen, out or Path("results") / study.stem, workers, backend, as_json)


@app.command()
def leaderboard(
    folder: Annotated[Path, typer.Argument(help="A results folder.")],
    as_json: AsJson = False,
) -> None:
    """Rebuild and show the leaderboard of a results folder (shows the written one where runs are not there)."""
    from nasbench_lab import api
    from nasbench_lab import leaderboard as boards

    chosen = api.load_study(folder)
    if (folder / "runs").is_dir():
        _show(api.rebuild(chosen, folder), folder, as_json)
        return
    content = boards.read_rows(folder)
    if as_json:
        _print_json(content["rows"])
    else:
        print(boards.read_page(folder))


@app.command()
def query(
    arch: Annotated[str, typer.Argument(help="Index 0..15624, official string, or six ops separated by commas.")],
    table: Annotated[str | None, typer.Option(help="Table; the embedded one if left out.")] = None,
    as_json: AsJson = False,
) -> None:
    """Everything known of one cell: ops, class, params, FLOPs, and all scores with their ranks."""
    from nasbench_lab import describe
    from nasbench_lab.tables import catalog

    facts = describe.cell_facts(arch, catalog.load(table or catalog.default()))
    if as_json:
        _print_json(facts)
    else:
        _print_facts(facts)


@app.command("list")
def list_() -> None:
    """The strategies at hand, by family, with their parameters."""
    from nasbench_lab import describe

    console = _console()
    for family, members in describe.strategies().items():
        console.print(f"\n{family}", style="bold", highlight=False)
        for member in members:
            console.print(f"  {member.name:<24}{member.summary}", highlight=False, markup=False)
            parameters = f"{member.parameters}   " if member.parameters else ""
            console.print(f"  {'':<24}{parameters}{member.paper}", style="dim", highlight=False, markup=False)


@app.command()
def check(
    strategy: Annotated[
        str, typer.Argument(help="A name, pkg.module:Class or file.py, with :key=value,... if wanted.")
    ],
) -> None:
    """Run the conformance kit on a strategy; exit code 1 if a check fails."""
    from nasbench_lab.testing import CheckFailed, check_strategy

    console = _console()
    failed = 0
    for test in check_strategy(strategy):
        try:
            test()
        except CheckFailed as error:
            failed += 1
            console.print(f"FAIL  {test.name}: {error}", style="red", highlight=False, markup=False)
        else:
            console.print(f"pass  {test.name}", highlight=False, markup=False)
    console.print(f"{failed} checks failed" if failed else "all checks passed", highlight=False)
    raise typer.Exit(1 if failed else 0)


@app.command()
def reproduce(
    folder: Annotated[Path, typer.Argument(help="A results folder with its runs.")],
    run_id: Annotated[str | None, typer.Option("--run", help="Only this run: id, or id:seed.")] = None,
) -> None:
    """Re-run what a results folder recorded and compare every record exactly; exit code 1 if anything differs."""
    from nasbench_lab import api

    same = differ = 0
    for outcome in api.reproduce(folder, run=run_id):
        if outcome.difference:
            differ += 1
            print(f"differs  {outcome.id}  {outcome.strategy}: {outcome.difference}")
        else:
            same += 1
    print(f"{same} runs reproduced exactly, {differ} differ")
    raise typer.Exit(1 if differ else 0)


@tables_app.command("list")
def tables_list() -> None:
    """The tables at hand and where they lie."""
    from rich.table import Table as Grid

    from nasbench_lab.tables import catalog

    grid = Grid("table", "schedules searched", "best test %", "where", box=None, pad_edge=False)
    for name, path in catalog.available().items():
        try:
            table = catalog.load(name)
        except LabError as error:
            grid.add_row(name, "", "", f"cannot be read: {error}")
            continue
        where = "embedded" if path.parent == catalog.EMBEDDED else str(path)
        grid.add_row(table.label, ", ".join(map(str, table.schedules)), f"{table.truth.max():.2f}", where)
    _console().print(grid)


@tables_app.command("info")
def tables_info(name: str, as_json: AsJson = False) -> None:
    """Size, optimum, fidelities, trials, noise, local maxima, digest and source of a table."""
    from nasbench_lab import describe

    facts = describe.table_facts(_load(name))
    if as_json:
        _print_json(facts)
    else:
        _print_facts(facts)


@tables_app.command("import")
def tables_import(
    file: Annotated[Path, typer.Argument(help="Tidy .parquet or .csv, columns <dataset>/<epochs>/<val|test|seconds>.")],
    to: Annotated[
        Path | None, typer.Option(help="Folder; $NASBENCH_LAB_DATA or the user's data folder if left out.")
    ] = None,
    source: Annotated[str, typer.Option(help="Where the numbers come from; kept in the table's header.")] = "",
    licence: Annotated[str, typer.Option(help="Their licence.")] = "",
) -> None:
    """Turn a tidy file into tables, one per dataset; all of them or none."""
    from nasbench_lab.tables import catalog
    from nasbench_lab.tables.tidy import read_tidy

    found = read_tidy(file, source=source, licence=licence)
    folder = to or catalog.target_folder()
    for table in found:
        path = table.save(folder / f"{table.name}.npz")
        print(f"{table.name}: {len(table.truth):,} cells, schedules {', '.join(map(str, table.schedules))} -> {path}")


def _load(name: str) -> Table:
    from nasbench_lab.tables import catalog

    return catalog.load(name)


def _run(study: Study, out: Path, workers: int, backend: str, as_json: bool) -> None:
    from nasbench_lab import api

    with _progress() as progress:
        board = api.run(study, out, workers=workers, backend=backend, progress=progress)
    _show(board, out, as_json)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """A bar with time left, on stderr; an interruption becomes a message."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("runs"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("runs", total=None)
        try:
            yield lambda done, total: bar.update(task, completed=done, total=total)
        except KeyboardInterrupt:
            raise LabError("interrupted; finished runs are kept, the same command goes on from there") from None


def _show(board: Leaderboard, folder: Path, as_json: bool) -> None:
    import json

    from rich.table import Table as Grid

    from nasbench_lab import leaderboard as boards

    if as_json:
        _print_json(json.loads(boards.to_json(board))["rows"])
        return
    console = _console()
    for reference, rows in board.sections():
        console.print(f"\n{boards.heading(rows[0])}", style="bold", highlight=False, markup=False)
        grid = Grid(box=None, pad_edge=False, header_style="dim")
        for i, name in enumerate(boards.MARKDOWN):
            grid.add_column(name, justify="left" if i == 1 else "right", overflow="fold")
        for row in rows:
            grid.add_row(*boards.cells_of(row))
        console.print(grid)
        console.print(boards.footing(reference), style="dim", highlight=False, markup=False)
    console.print(
        f"\nWritten to {folder}: leaderboard.md, .csv, .json, curves.csv, manifest.json; runs/",
        highlight=False,
        markup=False,
    )


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)


def _print_json(content: Any) -> None:
    import json

    print(json.dumps(content, indent=1))


def _print_facts(facts: dict[str, Any]) -> None:
    """Nested facts as an indented list."""
    width = max(len(key) for key in facts)
    for key, value in facts.items():
        lines = [f"{k}: {v}" for k, v in value.items()] if isinstance(value, dict) else [str(value)]
        for i, line in enumerate(lines or ["none"]):
            print(f"{key if i == 0 else '':<{width}}  {line}")


if __name__ == "__main__":
    main()
