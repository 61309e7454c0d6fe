"""`nasbench-lab supernet ...`: how well shared weights rank cells."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nasbench_lab.cli import complete, screen


def supernet(
    strategies: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=complete.strategies,
            help="One-shot strategies, names or specs: how the supernet is trained. spos if left out.",
        ),
    ] = None,
    data: Annotated[str, typer.Option(help="Trained on: digits, cifar10-valid, cifar100, ImageNet16-120.")] = "digits",
    table: Annotated[
        str | None,
        typer.Option(
            metavar="TABLE", autocompletion=complete.tables, help="Table that is the truth; the data's own if left out."
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Epochs of every supernet; its own if left out.", metavar="N", min=1)
    ] = None,
    seeds: Annotated[int, typer.Option(help="Supernets per strategy.", metavar="N", min=1)] = 3,
    cells: Annotated[
        int, typer.Option("--classes", "--cells", help="Random classes that are scored; 0: all.", metavar="N", min=0)
    ] = 300,
    every: Annotated[
        int, typer.Option(help="Score after every so many epochs; 0: after the last only.", metavar="N", min=0)
    ] = 5,
    images: Annotated[int, typer.Option(help="Validation images a cell is scored on.", metavar="N", min=1)] = 1000,
    calibration: Annotated[
        int,
        typer.Option(
            help="Training batches that norms take their statistics from; 0: the batch at hand.", metavar="N", min=0
        ),
    ] = 0,
    target: Annotated[str, typer.Option(help="The table's accuracy that is the truth: test or val.")] = "test",
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
    workers: screen.Workers = 1,
    out: Annotated[Path, typer.Option(help="Results folder; finished supernets in it are not trained again.")] = Path(
        "results/supernet"
    ),
    as_json: screen.AsJson = False,
) -> None:
    """Train supernets, score cells with their weights, and say how well that ranking agrees with the table's.

    Examples:
        nasbench-lab supernet spos --epochs 12 --seeds 2 --classes 100 --out results/supernet_try
    """
    from nasbench_lab.experiments import supernet_report, supernets
    from nasbench_lab.training.problem import check_device, make_problem

    make_problem(data)  # an unknown name is refused as such, not as a missing table
    given = {"data": None if data == "digits" else data, "epochs": epochs, "device": device}
    specs = tuple(supernets.with_options(spec, **given) for spec in strategies or ["spos"])
    for spec in specs:
        check_device(supernets.built(spec).device)
    settings = supernets.Settings(
        specs, table or data.removesuffix("-valid"), seeds, cells, every, images, calibration, target
    )
    with screen.progress("supernets", to=out) as progress:
        jobs = supernets.run(settings, out, workers=workers, progress=progress)
    content = supernet_report.build(settings, jobs)
    written = supernet_report.write(content, out)
    if as_json:
        screen.print_json(content["rows"])
        return
    _show(content)
    screen.console().print(f"\nWritten to {out}: {', '.join(path.name for path in written)}; runs/", highlight=False)


def _show(content: dict[str, Any]) -> None:
    """The table at the end of training."""
    from rich.table import Table as Grid

    from nasbench_lab.experiments import supernet_report
    from nasbench_lab.stats import means

    terminal = screen.console()
    terminal.print(
        f"\n{content['table']}: {content['cells']:,} classes, {content['settings']['target']} accuracy", style="bold"
    )
    grid = Grid(box=None, pad_edge=False, header_style="dim")
    grid.add_column("strategy", overflow="fold")
    for heading in ("epochs", *(heading for _, heading, _ in supernet_report.ENDS)):
        grid.add_column(heading, justify="right")
    for row in content["rows"]:
        ends = (means.shown(row, name, digits) for name, _, digits in supernet_report.ENDS)
        grid.add_row(row["strategy"] + supernet_report.lost(row), str(row["epochs"]), *ends)
    terminal.print(grid)
