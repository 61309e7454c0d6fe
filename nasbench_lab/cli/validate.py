"""`nasbench-lab validate`: the best candidates trained anew, for real."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasbench_lab.cli import complete, screen
from nasbench_lab.files import names, paths


def validate(
    target: Annotated[str, typer.Argument(help="A results folder with its runs, a table, or cells (index,index,...).")],
    top: Annotated[int, typer.Option(help="How many of the best candidates.", metavar="N", min=0)] = 10,
    random: Annotated[int, typer.Option(help="Random cells beside them.", metavar="N", min=0)] = 0,
    data: Annotated[str, typer.Option(help="Trained on: digits, cifar10-valid, cifar10, cifar100, ...")] = "digits",
    seeds: Annotated[int, typer.Option(help="New trainings per cell.", metavar="N", min=1)] = 3,
    first_seed: screen.FirstSeed = 1000,
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
        str | None,
        typer.Option(
            metavar="TABLE",
            autocompletion=complete.tables,
            help="Table that predicts; the target's, or the embedded one.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    workers: screen.Workers = 1,
    out: Annotated[
        Path | None, typer.Option(help="Where the report goes; the results folder, or results/validate-TARGET.")
    ] = None,
) -> None:
    """Train the best candidates for real, with new seeds, and compare with what the table said.

    Examples:
        nasbench-lab validate results/compare --top 5 --seeds 3
        nasbench-lab validate 13714,1462,0 --tune 12
    """
    from nasbench_lab.experiments import candidates, validation, validation_report
    from nasbench_lab.training.problem import make_problem

    space = candidates.space_of(target, table)
    problem = make_problem(data, space=space, epochs=epochs, part_size=part_size, held_out_size=held_out_size)
    settings = validation.Settings(problem, top, random, seeds, first_seed, tune, device, workers, inherit)
    folder = out or (
        paths.home(target) if paths.is_folder(target) else Path("results") / f"validate-{names.slug(target, kept='')}"
    )
    with screen.progress("trainings", to=folder) as progress:
        content = validation.validate(target, settings, table=table, progress=progress)
    written = validation_report.write(content, folder)
    print(validation_report.to_markdown(content))
    print(f"Written to {folder}: {', '.join(path.name for path in written)}")
