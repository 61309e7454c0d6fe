"""`nasbench-lab tables ...`: the benchmarks at hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nasbench_lab import screen
from nasbench_lab.core import LabError

tables_app = typer.Typer(help="The benchmarks at hand: list, describe, import, measure.", no_args_is_help=True)


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
    screen.console().print(grid)


@tables_app.command("info")
def tables_info(name: str, as_json: screen.AsJson = False) -> None:
    """Size, optimum, fidelities, trials, noise, local maxima, digest and source of a table."""
    from nasbench_lab import describe
    from nasbench_lab.tables import catalog

    facts = describe.table_facts(catalog.load(name))
    if as_json:
        screen.print_json(facts)
    else:
        screen.print_facts(facts)


@tables_app.command("import")
def tables_import(
    file: Annotated[Path, typer.Argument(help="Tidy .parquet or .csv, columns <dataset>/<epochs>/<val|test|seconds>.")],
    to: Annotated[
        Path | None, typer.Option(help="Folder; $NASBENCH_LAB_DATA or the user's data folder if left out.")
    ] = None,
    source: Annotated[str, typer.Option(help="Where the numbers come from; kept in the table's header.")] = "",
    licence: Annotated[str, typer.Option(help="Their licence.")] = "",
) -> None:
    """Turn a tidy file into tables, one per dataset; nothing is written unless the whole file is right."""
    from nasbench_lab.tables import catalog
    from nasbench_lab.tables.tidy import read_tidy

    found = read_tidy(file, source=source, licence=licence)
    folder = to or catalog.target_folder()
    for table in found:
        path = table.save(folder / f"{table.name}.npz")
        print(f"{table.name}: {len(table.truth):,} cells, schedules {', '.join(map(str, table.schedules))} -> {path}")


@tables_app.command("train")
def tables_train(
    name: Annotated[str, typer.Argument(help="Name of the table; NAME.npz is written.")],
    data: Annotated[str, typer.Option(help="What is trained on.")] = "digits",
    seeds: Annotated[str, typer.Option(help="Seeds every class is trained with, separated by commas.")] = "777",
    more: Annotated[str, typer.Option(help="Further seeds, for the best and a random sample.")] = "",
    best: Annotated[int, typer.Option(help="How many best classes by the first seed get further seeds.")] = 500,
    random: Annotated[int, typer.Option(help="How many other classes do.")] = 500,
    classes: Annotated[int | None, typer.Option(help="Only so many classes, a random sample.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Another number of epochs than the recipe's.", min=1)] = None,
    part_size: Annotated[int | None, typer.Option(help="Digits: canvases per epoch.", min=1)] = None,
    held_out_size: Annotated[int | None, typer.Option(help="Digits: canvases in val and test each.", min=1)] = None,
    workers: screen.Workers = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    shards: Annotated[
        Path | None, typer.Option(help="Folder of finished blocks; finished ones are not repeated.")
    ] = None,
    merge: Annotated[Path | None, typer.Option(help="Train nothing: make the table of this folder of shards.")] = None,
    partial: Annotated[bool, typer.Option(help="Allow classes without a training; not searchable.")] = False,
    to: Annotated[
        Path | None, typer.Option(help="Folder; $NASBENCH_LAB_DATA or the user's data folder if left out.")
    ] = None,
) -> None:
    """Measure a table: train classes x seeds in resumable shards, then merge them into one file."""
    from nasbench_lab import measuring
    from nasbench_lab.tables import catalog

    folder = to or catalog.target_folder()
    done = merge
    if done is None:
        sizes = {"epochs": epochs, "part_size": part_size, "held_out_size": held_out_size}
        plan = measuring.plan_of(data, seeds=seeds, more=more, sizes=sizes, best=best, random=random, classes=classes)
        done = shards or folder / "shards" / f"{name}-{plan.problem.digest(device)[:12]}"
        print(
            f"Trainings go to {done}; interrupt at any time, the same command goes on from there.",
            file=sys.stderr,
            flush=True,
        )
        with screen.progress("trainings") as progress:
            measuring.run(plan, done, workers=workers, device=device, progress=lambda a, b, _left: progress(a, b))
    table = measuring.merge(name, done, partial=partial or classes is not None)
    path = table.save(folder / f"{name}.npz", compress=True)
    print(
        f"{name}: {int(table.measured.sum()):,} of {len(table.truth):,} cells, {path.stat().st_size / 1e6:.2f} MB -> {path}"
    )
