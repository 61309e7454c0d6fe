"""`nasbench-lab surrogates ...`: how good predictors are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasbench_lab.cli import complete, screen
from nasbench_lab.errors import LabError
from nasbench_lab.extras import MissingPackage

if TYPE_CHECKING:
    from rich.console import Console


def surrogates(
    specs: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=complete.surrogates,
            help="Names or specs, name:key=value,...; all that are installed if left out.",
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(metavar="TABLE", autocompletion=complete.tables, help="Table; the embedded one if left out."),
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(
            help="Numbers of training cells, ascending, separated by commas; 50,100,200,400,800, or those that a table has."
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(help="Splits and fits per surrogate and number of cells.", metavar="N", min=1)
    ] = 10,
    target: Annotated[str, typer.Option(help="Predicted: val, test (as in the literature) or seconds.")] = "val",
    search: Annotated[
        int | None, typer.Option(help="Schedule that is predicted, by its last epoch; the longest if left out.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="Held out: class (isomorphism classes) or cell (as in the literature).")
    ] = "class",
    test_size: Annotated[
        int | None, typer.Option(help="Held-out cells; 3000, of a small table a third of its cells.", metavar="N")
    ] = None,
    max_queries: Annotated[
        int, typer.Option(help="Let every surrogate drive a search of so many queries; 0: none.", metavar="N", min=0)
    ] = 0,
    workers: screen.Workers = 1,
    out: Annotated[Path, typer.Option(help="Results folder; finished fits in it are not repeated.")] = Path(
        "results/surrogates"
    ),
    as_json: screen.AsJson = False,
) -> None:
    """Fit surrogates on n random cells and score them on held-out ones: order, errors, calibration, time, regret.

    Beside them, of tables that have them: scores without training, and the beginnings of learning curves.

    Examples:
        nasbench-lab surrogates gp mlp --train 50,200 --seeds 3
        nasbench-lab surrogates "sklearn.ensemble:ExtraTreesRegressor:n_estimators=300" gp
    """
    from nasbench_lab.experiments import assessment, assessment_report
    from nasbench_lab.tables import catalog

    named = table or catalog.default()
    held_out, counts = assessment.sizes_for(named, test_size, _numbers(train) if train is not None else None)
    settings = assessment.Settings(
        tuple(specs or _at_hand()),
        named,
        counts,
        seeds,
        target=target,
        search=search,
        split=split,
        test_size=held_out,
        max_queries=max_queries,
    )
    for note in assessment.notes(settings):
        print(f"note: {note}", file=sys.stderr)
    with screen.progress("fits and searches", to=out) as progress:
        jobs = assessment.run(settings, out, workers=workers, progress=progress)
    content = assessment_report.build(settings, jobs, out)
    written = assessment_report.write(content, out)
    if as_json:
        screen.print_json({name: content[name] for name in ("rows", "regret", "proxies") if name in content})
        return
    _show(screen.console(), content)
    screen.console().print(f"\nWritten to {out}: {', '.join(path.name for path in written)}; runs/", highlight=False)


def _at_hand() -> Iterator[str]:
    """The surrogates there are; one that needs what is not installed is left out, which is said."""
    from nasbench_lab import loading

    for name in loading.names("surrogates"):
        try:
            loading.build("surrogates", name)
        except MissingPackage as error:
            print(f"note: left out: {error}", file=sys.stderr)
        else:
            yield name


def _numbers(text: str) -> tuple[int, ...]:
    """Numbers of cells from text.

    Raises:
        LabError: something else than whole numbers.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise LabError(f"--train takes whole numbers separated by commas, such as 50,100,200; got {text!r}") from None


def _show(terminal: Console, content: dict[str, Any]) -> None:
    """Per number of training cells, the best first; intervals but tau's are left to the files."""
    from rich.table import Table as Grid

    from nasbench_lab.experiments import assessment_report as report
    from nasbench_lab.leaderboard.wording import Block
    from nasbench_lab.stats import means, measures

    shown = [*report.RANKS, *report.SPREAD]
    terminal.print(f"\n{report.target_of(content)}; {content['settings']['test_size']:,} cells held out", style="bold")
    for count in content["settings"]["train"]:
        grid = Grid(box=None, pad_edge=False, header_style="dim")
        grid.add_column(f"{count} cells", overflow="fold")
        for _, heading, _ in shown:
            grid.add_column(heading, justify="right")
        rows = [row for row in content["rows"] if row["train"] == count]
        for row in sorted(rows, key=lambda row: float(-row["tau"])):
            cells = [means.shown(row, name, report.digits_of(content, name, digits)) for name, _, digits in shown]
            grid.add_row(row["surrogate"], cells[0], *(text.partition(" ")[0] for text in cells[1:]))
        terminal.print(grid)
    if content["regret"]:
        terminal.print()
        grid = Grid(f"regret after {content['settings']['max_queries']} queries", "validation", "test", box=None)
        for row in sorted(content["regret"], key=lambda row: row["val"]):
            digits = 3 if measures.of(content).percent else None
            grid.add_row(row["surrogate"], *(means.shown(row, name, digits) for name in ("val", "test")))
        terminal.print(grid)
    for name, ranks in report.RANKED.items():
        if name in content:
            rows = [tuple(ranks.cells(row, measures.of(content))) for row in content[name]]
            words = tuple(range(ranks.HEADS.index("n")))
            screen.print_blocks([Block(ranks.TITLE, ranks.HEADS, rows, ranks.NOTE, words)], "")
