"""`nasbench-lab tables train` and `tables proxies`: tables that are measured here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nasbench_lab.cli import complete, screen
from nasbench_lab.cli.tables import To, replaceable


def train(
    name: Annotated[str, typer.Argument(help="Name of the table; NAME.npz is written.")],
    space: Annotated[
        str | None,
        typer.Option(help="Whose networks; if left out, of the space called NAME, else nas-bench-201's cells."),
    ] = None,
    data: Annotated[str, typer.Option(help="What is trained on.")] = "digits",
    seed: screen.Seeds = None,
    more: screen.MoreSeeds = None,
    best: Annotated[int, typer.Option(help="How many best classes by the first seed get further seeds.")] = 500,
    random: Annotated[int, typer.Option(help="How many other classes do.")] = 500,
    classes: Annotated[int | None, typer.Option(help="Only so many classes, a random sample.")] = None,
    epochs: screen.Epochs = None,
    part_size: screen.PartSize = None,
    held_out_size: screen.HeldOutSize = None,
    workers: screen.Workers = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    shards: Annotated[
        Path | None, typer.Option(help="Folder of finished blocks; finished ones are not repeated.")
    ] = None,
    merge: Annotated[Path | None, typer.Option(help="Train nothing: make the table of this folder of shards.")] = None,
    partial: Annotated[bool, typer.Option(help="Allow classes without a training; not searchable.")] = False,
    to: To = None,
    force: screen.Force = False,
) -> None:
    """Measure a table: train classes x seeds in resumable shards, then merge them into one file.

    Examples:
        nasbench-lab tables train mine --data digits --seed 1 --classes 50
    """
    from nasbench_lab.experiments import measuring
    from nasbench_lab.files import names
    from nasbench_lab.tables import catalog
    from nasbench_lab.training import networks
    from nasbench_lab.training.problem import make_problem

    folder = to or catalog.target_folder()
    path = folder / f"{names.checked(name, 'a table')}.npz"
    done = merge
    if done is None:
        whose = space or (name if name in networks.NETWORKS else networks.CELLS.space.name)
        sizes = {"epochs": epochs, "part_size": part_size, "held_out_size": held_out_size}
        problem = make_problem(data, space=whose, **sizes)
        seeds = {"seeds": tuple(seed or (777,)), "more": tuple(more or ())}
        plan = measuring.Plan(problem, **seeds, best=best, random=random, classes=classes)
        done = shards or folder / "shards" / f"{name}-{plan.problem.digest(device)[:12]}"
        print(
            f"Trainings go to {done}; interrupt at any time, the same command goes on from there.",
            file=sys.stderr,
            flush=True,
        )
        with screen.progress("trainings") as progress:
            measuring.run(plan, done, workers=workers, device=device, progress=lambda a, b, _left: progress(a, b))
    table = measuring.merge(name, done, partial=partial or classes is not None)
    if replaceable(path, table, force=force):
        table.save(path, compress=True)
    print(
        f"{name}: {int(table.measured.sum()):,} of {len(table.truth):,} cells, {path.stat().st_size / 1e6:.2f} MB -> {path}"
    )


def proxies(
    table: Annotated[
        str,
        typer.Argument(
            autocompletion=complete.tables, help="Table whose cells are scored; of a space that networks are built of."
        ),
    ],
    scores: Annotated[
        str,
        typer.Option(metavar="NAME,NAME,...", help="Zero-cost scores; all that the table does not have if left out."),
    ] = "",
    cells: Annotated[
        int | None,
        typer.Option("--classes", "--cells", metavar="N", help="Only so many classes of equal cells, a random sample."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Images: random, or a data set's; the table's own where that is digits, else random."),
    ] = None,
    batch: Annotated[int, typer.Option(help="Images of the batch.", metavar="N", min=2)] = 64,
    seed: Annotated[int, typer.Option(help="Of weights, images and what scores draw.", metavar="N", min=0)] = 0,
    workers: screen.Workers = 1,
    name: Annotated[str, typer.Option(help="Of the new table; NAME-proxies if left out.")] = "",
    to: To = None,
    force: screen.Force = False,
) -> None:
    """Compute zero-cost scores of a table's cells, resumable, and write a table that has them as metrics `proxy/<name>`.

    Examples:
        nasbench-lab tables proxies cifar10-surrogate --classes 20 --scores synflow,naswot
    """
    import numpy as np

    from nasbench_lab.experiments import proxies as scoring
    from nasbench_lab.files import names
    from nasbench_lab.tables import catalog
    from nasbench_lab.tables.formats.named_columns import split

    given = catalog.load(table)
    called = name or f"{given.name.removesuffix('-proxies')}-proxies"
    folder = to or catalog.target_folder()
    path = folder / f"{names.checked(called, 'a table')}.npz"
    settings = scoring.settings_for(given, split(scores), data=data, images=batch, seed=seed)
    shards = folder / "shards" / called
    print(f"Scores go to {shards}; interrupt at any time, the same command goes on from there.", file=sys.stderr)
    with screen.progress("cells") as progress:
        found = scoring.run(settings, scoring.cells_of(given, cells), shards, workers=workers, progress=progress)
    made = scoring.added(given, called, settings, found)
    if replaceable(path, made, force=force):
        made.save(path, compress=True)
    for score in settings.scores:
        values, cpu = (scoring.column(found, what, score) for what in ("values", "cpu"))
        print(
            f"proxy/{score:<12} {int((~np.isnan(values)).sum()):6,} of {len(values):,} cells, {cpu.mean():.4f} CPU s each"
        )
    print(f"{called}: {path.stat().st_size / 1e6:.2f} MB -> {path}")
