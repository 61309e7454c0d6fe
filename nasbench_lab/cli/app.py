"""The command line, `nasbench-lab`: thin wrappers; everything heavy is imported when a command runs.

Exit codes: 0 done; 1 a check failed or a run was not reproduced; 2 bad input or nothing that can be done, said in one
message on stderr without a traceback; 3 a strategy is significantly worse than its baseline.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nasbench_lab.cli import baseline as cli_baseline
from nasbench_lab.cli import screen
from nasbench_lab.cli.audit import audit
from nasbench_lab.cli.front import front
from nasbench_lab.cli.report import query, report
from nasbench_lab.cli.serve import serve_ask
from nasbench_lab.cli.supernet import supernet
from nasbench_lab.cli.surrogates import surrogates
from nasbench_lab.cli.tables import tables_app
from nasbench_lab.core import LabError

if TYPE_CHECKING:
    from nasbench_lab.study.study import Study

app = typer.Typer(
    help="Compare neural-architecture-search strategies honestly, in seconds.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(tables_app, name="tables")


def main() -> None:
    """Entry point: errors a user can mend become one message and exit code 2."""
    try:
        app()
    except LabError as error:
        print(f"nasbench-lab: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("nasbench-lab: interrupted; what was finished is kept", file=sys.stderr)
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
    context: typer.Context,
    strategies: Annotated[
        list[str] | None, typer.Argument(help="Names or specs, name:key=value,... (see `list`).")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(metavar="TABLE", help="Table to search (see `tables list`); the embedded one if left out."),
    ] = None,
    score: Annotated[
        list[str] | None,
        typer.Option(metavar="TABLE", help="Table to score on; repeat for several. The searched one if left out."),
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="Schedule to search on (its last epoch), 'all' of them, or 'oracle'.")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs per strategy.", metavar="N", min=1)] = 50,
    max_queries: Annotated[
        float, typer.Option(help="Budget in queries; 100 if no budget is given.", metavar="N", min=1)
    ] = math.inf,
    max_seconds: Annotated[float, typer.Option(help="Budget in simulated seconds.", metavar="X", min=0)] = math.inf,
    trials: Annotated[
        str, typer.Option(help="What a query returns: mean or sample (one trial per seed and cell).")
    ] = "mean",
    noise: Annotated[
        float, typer.Option(help="Extra query noise, standard deviation in points.", metavar="X", min=0)
    ] = 0.0,
    repeats: Annotated[str, typer.Option(help="Repeated queries: charge, free, or free-class.")] = "charge",
    simulated_workers: Annotated[
        int, typer.Option(help="Asynchronous workers on the simulated clock.", metavar="N", min=1)
    ] = 1,
    objectives: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC", help="A further objective, a metric of the table; repeat for several."),
    ] = None,
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="TABLE",
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
    out: Annotated[Path, typer.Option(help="Results folder; finished runs in it are not repeated.")] = Path(
        "results/compare"
    ),
    baseline: cli_baseline.Baseline = None,
    alpha: cli_baseline.Alpha = 0.01,
    as_json: screen.AsJson = False,
) -> None:
    """Compare strategies on a table over many seeds, and write the leaderboard.

    With --baseline DIR the study is that folder's, run anew: exit code 3 if a strategy got significantly worse.
    """
    from nasbench_lab import api

    if baseline:
        again = cli_baseline.study_of(context, baseline, strategies or [], seeds)
        _run(again, out, workers, backend, as_json, baseline=baseline, alpha=alpha)
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
        objectives=("val", *(objectives or [])),
        sources=tuple(sources or ()),
    )
    _run(study, out, workers, backend, as_json)


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="A study file (TOML).")],
    out: Annotated[Path | None, typer.Option(help="Results folder; results/<file name> if left out.")] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Another number of seeds than the file's.", metavar="N", min=1)
    ] = None,
    workers: screen.Workers = 1,
    backend: screen.Backend = "loky",
    baseline: cli_baseline.Baseline = None,
    alpha: cli_baseline.Alpha = 0.01,
    as_json: screen.AsJson = False,
) -> None:
    """Run a study file, going on where an interrupted run stopped; exit code 3 if it is worse than the baseline."""
    from dataclasses import replace

    from nasbench_lab.study.study import read_study

    chosen = read_study(study)
    name = study.stem if seeds in (None, chosen.seeds) else f"{study.stem}-{seeds}-seeds"
    chosen = replace(chosen, seeds=seeds) if seeds else chosen
    _run(chosen, out or Path("results") / name, workers, backend, as_json, baseline=baseline, alpha=alpha)


@app.command()
def leaderboard(
    folder: Annotated[
        Path | None,
        typer.Argument(help="A results folder; with --all the folder that holds them, results/ if left out."),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Rebuild all from their runs; write index.md and index.html.")
    ] = False,
    as_json: screen.AsJson = False,
) -> None:
    """Rebuild and show the leaderboard of a results folder (shows the written one where runs are not there)."""
    from nasbench_lab import api
    from nasbench_lab.leaderboard import ranking as boards

    if all_:
        _rebuild_all(folder or Path("results"))
        return
    if folder is None:
        raise LabError("which results folder? nasbench-lab leaderboard DIR, or --all")
    chosen = api.load_study(folder)
    try:
        screen.show(api.rebuild(chosen, folder), folder, as_json)
        return
    except LabError as error:  # no runs here, or of other code: the page that was written still stands
        note = f"nasbench-lab: as written, not rebuilt: {error}"
    written = boards.read_rows(folder)["rows"] if as_json else boards.read_page(folder)
    (screen.print_json if as_json else print)(written)
    print(note, file=sys.stderr)


def _rebuild_all(root: Path) -> None:
    """Rebuild every leaderboard whose runs are there; the others stand as written. Then the pages that list them."""
    from nasbench_lab import api
    from nasbench_lab.leaderboard import results_index
    from nasbench_lab.report import report_index

    for folder in results_index.folders(root):
        try:
            api.rebuild(api.load_study(folder), folder)
            print(f"rebuilt     {folder}")
        except LabError as error:
            print(f"as written  {folder}: {error}")
    print(f"Written: {results_index.write(root)}, {report_index.write(root)}")


@app.command("list")
def list_() -> None:
    """The strategies at hand, by family, with their parameters."""
    from nasbench_lab.tables import describe

    console = screen.console()
    for family, members in describe.strategies().items():
        console.print(f"\n{family}", style="bold", highlight=False)
        for member in members:
            console.print(f"  {member.name:<28}{member.summary}", highlight=False, markup=False)
            parameters = f"{member.parameters}   " if member.parameters else ""
            console.print(f"  {'':<28}{parameters}{member.paper}", style="dim", highlight=False, markup=False)


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A name, pkg.module:Class or file.py, with :key=value,... if wanted.")],
    kind: Annotated[Literal["strategy", "surrogate"], typer.Option(help="What it is.")] = "strategy",
) -> None:
    """Run the conformance kit on a strategy or a surrogate; exit code 1 if a check fails."""
    from nasbench_lab.testing.strategy_kit import CheckFailed, check_strategy, check_surrogate

    console = screen.console()
    failed = 0
    for test in check_strategy(name) if kind == "strategy" else check_surrogate(name):
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


@app.command()
def validate(
    target: Annotated[str, typer.Argument(help="A results folder with its runs, a table, or cells (index,index,...).")],
    top: Annotated[int, typer.Option(help="How many of the best candidates.", metavar="N", min=0)] = 10,
    random: Annotated[int, typer.Option(help="Random cells beside them.", metavar="N", min=0)] = 0,
    data: Annotated[str, typer.Option(help="Trained on: digits, cifar10-valid, cifar10, cifar100, ...")] = "digits",
    seeds: Annotated[int, typer.Option(help="New trainings per cell.", metavar="N", min=1)] = 3,
    first_seed: Annotated[
        int, typer.Option(help="The first new seed; none the table was made with.", metavar="N", min=0)
    ] = 1000,
    epochs: screen.Epochs = None,
    part_size: screen.PartSize = None,
    held_out_size: screen.HeldOutSize = None,
    tune: Annotated[
        int, typer.Option(help="Optimise each candidate's hyper-parameters: so many trials.", metavar="N", min=0)
    ] = 0,
    inherit: Annotated[
        bool,
        typer.Option(
            "--inherit",
            help="Of a study with one-shot runs: train their cells from scratch and from their supernets' weights "
            "(checkpoints in NASBENCH_LAB_CHECKPOINTS), and compare.",
        ),
    ] = False,
    table: Annotated[
        str | None, typer.Option(metavar="TABLE", help="Table that predicts; the target's, or the embedded one.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    workers: screen.Workers = 1,
    out: Annotated[
        Path | None, typer.Option(help="Where the report goes; the results folder, or results/validate-TARGET.")
    ] = None,
) -> None:
    """Train the best candidates for real, with new seeds, and compare with what the table said."""
    from nasbench_lab.experiments import validation, validation_report
    from nasbench_lab.training.problem import make_problem

    problem = make_problem(data, epochs=epochs, part_size=part_size, held_out_size=held_out_size)
    settings = validation.Settings(problem, top, random, seeds, first_seed, tune, device, workers, inherit)
    with screen.progress("trainings") as progress:
        content = validation.validate(target, settings, table=table, progress=progress)
    folder = out or (Path(target) if Path(target).is_dir() else Path("results") / f"validate-{_safe(target)}")
    written = validation_report.write(content, folder)
    print(validation_report.to_markdown(content))
    print(f"Written to {folder}: {', '.join(path.name for path in written)}")


def _safe(text: str) -> str:
    """A short name for a folder."""
    return "".join(c if c.isalnum() else "-" for c in text)[:40]


def _run(
    study: Study,
    out: Path,
    workers: int,
    backend: str,
    as_json: bool,
    *,
    baseline: Path | None = None,
    alpha: float = 0.01,
) -> None:
    from nasbench_lab import api
    from nasbench_lab.study import engine
    from nasbench_lab.tables import describe

    if baseline and baseline.resolve() == out.resolve():
        raise LabError(f"{out} is the baseline itself; write the new results elsewhere, with --out")
    engine.plan(study, out)  # what cannot be run is said as such, before what could be better
    for note in describe.notes(study):
        print(f"note: {note}", file=sys.stderr)
    with screen.progress(kept="runs (in blocks of 25 seeds, those that train one by one)") as progress:
        board = api.run(study, out, workers=workers, backend=backend, progress=progress)
    screen.show(board, out, as_json)
    if baseline:
        raise typer.Exit(cli_baseline.judge(board, study, baseline, alpha, as_json=as_json))


app.command()(audit)
app.command("front")(front)
app.command()(query)
app.command()(report)
app.command("serve-ask")(serve_ask)
app.command()(supernet)
app.command()(surrogates)


if __name__ == "__main__":
    main()
