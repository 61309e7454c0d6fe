"""`nasbench-lab report` and `nasbench-lab query`: pages of results folders, and one cell in words and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasbench_lab.cli import complete, screen
from nasbench_lab.errors import LabError

if TYPE_CHECKING:
    from nasbench_lab.tables.table import Table


def report(
    folder: Annotated[
        Path | None,
        typer.Argument(help="A results folder; with --all the folder that holds them, results/ if left out."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The page; report.html in the results folder if left out.")] = None,
    charts: Annotated[
        list[str] | None,
        typer.Option(metavar="FORMAT", help="Write every chart as a file too: svg, png or pdf; repeat for several."),
    ] = None,
    force: screen.Force = False,
    all_: Annotated[
        bool, typer.Option("--all", help="The pages of all results folders, and one that lists them.")
    ] = False,
) -> None:
    """Write a results folder as one HTML page that needs nothing else: no network, no other file.

    Examples:
        nasbench-lab report results/compare
        nasbench-lab report results/compare --charts pdf
        nasbench-lab report --all
    """
    from nasbench_lab.report import publish

    if all_ and (out or charts):
        raise LabError("--all writes report.html into every folder; --out and --charts are for one folder")
    if folder is None and not all_:
        raise LabError("which results folder? nasbench-lab report DIR, or --all")
    if all_:
        written = publish.write_all(folder or Path("results"))
    else:
        assert folder is not None  # checked above
        written = publish.write_report(folder, out, formats=charts or (), force=force)
    for path in written:
        print(f"{path}  {path.stat().st_size / 1024:,.0f} KB")


def query(
    arch: Annotated[
        str,
        typer.Argument(
            help="Index, labels of all decisions separated by commas, or the string of a four-node cell: in NAS-Bench-201 "
            "0..15624, six ops, or the official string."
        ),
    ],
    table: Annotated[
        str | None,
        typer.Option(metavar="TABLE", autocompletion=complete.tables, help="Table; the embedded one if left out."),
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="Draw the cell into this file.")] = None,
    force: screen.Force = False,
    every: Annotated[bool, typer.Option("--every-table", help="Ranks on every table at hand.")] = False,
    as_json: screen.AsJson = False,
) -> None:
    """Everything known of one cell: its options, class, costs, all scores with their ranks, its best neighbours.

    Examples:
        nasbench-lab query 1462
        nasbench-lab query "|nor_conv_3x3~0|+|nor_conv_3x3~0|skip_connect~1|+|none~0|skip_connect~1|nor_conv_3x3~2|" --table toy
    """
    from nasbench_lab.tables import catalog, describe

    chosen = catalog.load(table or catalog.default())
    facts = describe.cell_facts(arch, chosen)
    around = len(chosen.space.neighbours_of(facts["cell"]))
    if as_json:
        facts["neighbours"] = describe.neighbours(facts["cell"], chosen, shown=around)
        facts["neighbours_by"] = describe.neighbours_by(chosen)
    else:
        best = describe.neighbours(facts["cell"], chosen, shown=5)
        facts["neighbours"] = {f"the best of {around} by": describe.neighbours_by(chosen)} | best if around else "none"
    if every:
        others = (catalog.load(name) for name in catalog.available())
        facts["elsewhere"] = describe.elsewhere(facts["cell"], chosen.space, others)
    if svg:
        _draw(facts["cell"], chosen, svg, force=force)
    if as_json:
        screen.print_json(describe.plain(facts))
    else:
        screen.print_facts(facts)


def _draw(arch: int, table: Table, path: Path, *, force: bool) -> None:
    """A cell as a picture.

    Raises:
        LabError: its space is not of four-node cells, or the file cannot be written.
    """
    from nasbench_lab.files import writing
    from nasbench_lab.spaces import cells, drawing

    if not cells.is_cell(table.space):
        raise LabError(f"only four-node cells are drawn; table {table.name!r} is of the space {table.space.name!r}")
    writing.not_there([path], force=force)
    writing.write_atomically(path, drawing.cell_svg(arch, space=table.space).encode())
