"""`nasbench-lab front`: the exact front of several objectives, and what a study's strategies reached of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasbench_lab.cli import complete, screen
from nasbench_lab.errors import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nasbench_lab.experiments.front_report import Attained, Front


def front(
    objectives: Annotated[
        list[str],
        typer.Option(metavar="METRIC", help="A metric of the table beside its test score; repeat for several."),
    ],
    table: Annotated[
        str | None,
        typer.Option(metavar="TABLE", autocompletion=complete.tables, help="Table; the embedded one if left out."),
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="A results folder with runs of a study with these objectives.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Where CSV and charts go; results/front-TABLE, or the results folder.")
    ] = None,
    as_json: screen.AsJson = False,
) -> None:
    """The exact front of test scores and further objectives, and what strategies reached of it.

    Examples:
        nasbench-lab front --table digits --objectives params_m
        nasbench-lab front --objectives params_m --results results/multi_objective
    """
    from nasbench_lab.experiments import front_report
    from nasbench_lab.study.study import load_study
    from nasbench_lab.tables import catalog

    exact = front_report.exact(table or catalog.default(), objectives)
    found = front_report.attained(exact, load_study(results), results) if results else []
    written = front_report.write(exact, found, out or results or Path("results") / f"front-{exact.table.name}")
    if as_json:
        screen.print_json(front_report.to_json(exact, found))
        return
    _show(exact, found)
    print(f"\nWritten to {written[0].parent}: {', '.join(path.name for path in written)}")


def _show(exact: Front, found: Sequence[Attained]) -> None:
    from rich.table import Table as Grid

    from nasbench_lab.leaderboard import decimals
    from nasbench_lab.plots import fronts
    from nasbench_lab.tables import describe

    terminal = screen.console()
    terminal.print(exact.title, style="bold", highlight=False, markup=False)
    points = exact.points()
    measure = exact.table.measure
    grid = Grid(
        "cell", "", fronts.score_of(measure), *exact.objectives[1:], box=None, pad_edge=False, header_style="dim"
    )
    for column in grid.columns[2:]:
        column.justify = "right"
    lines = []
    for row in points:
        metrics = [f"{row[name]:.4g}" for name in exact.objectives[1:]]
        more = f" +{row['cells'] - 1}" if row["cells"] > 1 else ""
        lines.append([f"{row['arch']}{more}", row["cell"], measure.text(row["test"]), *metrics])
    for line in decimals.even(lines):
        grid.add_row(*line)
    terminal.print(grid)
    left_out = f"; {counted(exact.left_out, 'cell')} without a value left out" if exact.left_out else ""
    terminal.print(
        f"Exact front: {exact.target.size} points, normalised hypervolume {exact.target.possible:.5f} "
        f"({'test ' * measure.tested}{'error' if measure.plain else 'score'} and costs min-max over the space, reference 1)"
        f"{left_out}."
        + (
            " +n: so many more cells with the same values; front.csv has all."
            if len(exact.rows()) > len(points)
            else ""
        ),
        highlight=False,
    )
    if said := describe.luck(exact.table):
        terminal.print(said, highlight=False)
    if found:
        terminal.print(_reached(found))


def _reached(found: Sequence[Attained]) -> object:
    """A row per strategy: hypervolume as a share of the possible, IGD+ and epsilon at the end."""
    from rich.table import Table as Grid

    from nasbench_lab.stats import intervals

    grid = Grid(box=None, pad_edge=False, header_style="dim", title="\nReached at the end, means over seeds")
    for name in ("strategy", "hypervolume reached/possible", "95% interval", "IGD+", "epsilon", "queries", "runs"):
        grid.add_column(name, justify="left" if name == "strategy" else "right", overflow="fold")
    for row in (each.row() for each in found):
        low, high = row["hypervolume_lo"], row["hypervolume_hi"]
        interval = f"{low:.4f} – {high:.4f}" if low == low else f"from {intervals.FEWEST} seeds on"
        means = (f"{row[name]:.4f}" for name in ("igd_plus_mean", "epsilon_mean"))
        grid.add_row(
            row["strategy"],
            f"{row['hypervolume_mean']:.4f}",
            interval,
            *means,
            f"{row['queries']:.0f}",
            str(row["runs"]),
        )
    return grid
