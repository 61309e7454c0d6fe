"""`nasbench-lab tables ...`: the benchmarks at hand."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nasbench_lab.cli import complete, screen
from nasbench_lab.cli.commands import Commands
from nasbench_lab.errors import LabError

if TYPE_CHECKING:
    from nasbench_lab.tables.table import Table

tables_app = Commands(
    help="The benchmarks at hand: list, describe, fetch, import, export, measure, score without training."
)


@tables_app.command("list")
def tables_list(as_json: screen.AsJson = False) -> None:
    """The tables at hand and where they lie; only their headers are read.

    Examples:
        nasbench-lab tables list
    """
    from rich.table import Table as Grid

    rows = list(_listed())
    if as_json:
        screen.print_json(rows)
        return
    grid = Grid("table", "kind", "dataset", "space", "schedules", "cells", "source", "where", box=None, pad_edge=False)
    for row in rows:
        schedules, cells = ", ".join(map(str, row["schedules"])), f"{row['cells']:,}"
        said = [row["kind"], row["dataset"], row["space"], schedules, cells, row["source"]]
        grid.add_row(
            row["table"],
            *(["", "", "", "", "", f"cannot be read: {row['error']}"] if row["error"] else said),
            row["where"],
        )
    screen.console().print(grid, highlight=False, markup=False)


def _listed() -> Iterator[dict[str, Any]]:
    """A row per table; one that cannot be read has nothing but the reason in `error`."""
    from nasbench_lab.tables import catalog, headers

    for name, path in catalog.available().items():
        found, error = headers.Header("", "", (), 0, "", ""), ""
        try:
            found = headers.read(path)
        except LabError as problem:
            error = str(problem)
        where = "embedded" if path.parent == catalog.EMBEDDED else str(path)
        yield {"table": name, **found._asdict(), "where": where, "error": error}


@tables_app.command("info")
def tables_info(
    name: Annotated[str, typer.Argument(autocompletion=complete.tables, help="A table, by name or path.")],
    as_json: screen.AsJson = False,
) -> None:
    """Size, space, optimum, fidelities, trials, noise, local optima, digest and source of a table.

    Examples:
        nasbench-lab tables info digits
    """
    from nasbench_lab.tables import catalog, describe

    facts = describe.table_facts(catalog.load(name))
    if as_json:
        screen.print_json(facts)
    else:
        screen.print_facts(facts)


To = Annotated[
    Path | None, typer.Option("--out", "--to", help="Folder; $NASBENCH_LAB_DATA or the user's data folder if left out.")
]


@tables_app.command("import")
def tables_import(
    path: Annotated[
        Path,
        typer.Argument(
            help="The official file or folder of NAS-Bench-201, NATS-Bench or HW-NAS-Bench (also looked for in "
            "$TORCH_HOME), a raw file of TransNAS-Bench-101 or NAS-Bench-Macro, a tidy .parquet or .csv with columns "
            "<dataset>/<epochs>/<val|test|seconds>, or a .parquet or .csv of your own: then say which columns are what."
        ),
    ],
    name: Annotated[str, typer.Option(help="Of a table of your own; the file's name if left out.")] = "",
    decisions: Annotated[
        str,
        typer.Option(
            metavar="COL,COL,...",
            help="Columns that say what a configuration is. Numbers keep their order. A name with a comma stands in double "
            "quotes.",
        ),
    ] = "",
    val: Annotated[
        str,
        typer.Option(
            metavar="COL[,COL...]", help="Validation scores, which the search sees; several are several trials."
        ),
    ] = "",
    test: Annotated[
        str,
        typer.Option(metavar="COL[,COL...]", help="Test scores; without them trials are split (see docs/tables.md)."),
    ] = "",
    seconds: Annotated[str, typer.Option(metavar="COL", help="Cost of a query; 1 each if left out.")] = "",
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COL[:lower|:higher]",
            help="A further column of numbers, an objective where it says which are better; repeat for several.",
        ),
    ] = None,
    better: Annotated[
        str, typer.Option(help="higher or lower scores are better; higher if left out.", show_default=False)
    ] = "",
    unit: Annotated[str, typer.Option(metavar="TEXT", help="What scores are in; % of percentages.")] = "",
    space: Annotated[
        str,
        typer.Option(
            metavar="NAME|FILE.toml", help="The space that the rows are all of; made of the columns if left out."
        ),
    ] = "",
    to: To = None,
    source: Annotated[str, typer.Option(help="Where the numbers come from; kept in the table's header.")] = "",
    licence: Annotated[str, typer.Option(help="Their licence.")] = "",
    force: screen.Force = False,
    workers: screen.Workers = 2,
) -> None:
    """Turn a file into tables, one per dataset; nothing is run from it or written unless the whole file is right.

    Examples:
        nasbench-lab tables import mine.csv --decisions layers,width --val val_1,val_2 --test test --seconds seconds
        nasbench-lab tables import NATS-tss-v1_0-3ffb9-simple
    """
    from nasbench_lab.tables.formats import importing
    from nasbench_lab.tables.formats.named_columns import Columns, split

    path = importing.locate(path)
    columns = Columns(
        name, split(decisions), split(val), split(test), seconds, tuple(metric or ()), better, unit, space
    )
    with screen.progress("records") as progress, _said("nothing was written"):
        found = importing.read(
            path, source=source, licence=licence, workers=workers, progress=progress, columns=columns
        )
    _install(found.tables, to, force=force or found.added)
    for note in found.notes:
        print(f"note: {note}")


@tables_app.command("fetch")
def tables_fetch(
    name: Annotated[
        str, typer.Argument(help="What to fetch: nb201, transnas (seven tasks, two spaces) or macro (NAS-Bench-Macro).")
    ] = "nb201",
    origin: Annotated[
        str, typer.Option("--from", help="A folder with the files, or the address of a mirror; GitHub if left out.")
    ] = "",
    dataset: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this dataset or task; repeat for several. All if left out."),
    ] = None,
    to: To = None,
    force: screen.Force = False,
) -> None:
    """Download a benchmark's public parts (nb201 25 MB, transnas 8, macro 1; checked by hash) and make tables of them.

    Examples:
        nasbench-lab tables fetch nb201 --dataset cifar10
        nasbench-lab tables fetch transnas
    """
    from nasbench_lab.files.downloads import Unreachable
    from nasbench_lab.tables import catalog
    from nasbench_lab.tables.fetching import offers

    offer = offers.named(name)
    folder = to or catalog.target_folder()
    try:
        with screen.progress("bytes") as progress:
            found = offer.fetch(dataset or offer.datasets, folder / "downloads", origin=origin, progress=progress)
    except Unreachable as error:
        inside = ", ".join(catalog.load(str(path)).label for path in sorted(catalog.EMBEDDED.glob("*.npz")))
        raise LabError(
            f"{error}; or put all files, by their own names, into one folder and say --from FOLDER; --from URL is a mirror.\n"
            f"Tables that are in the package and need no download: {inside}"
        ) from error
    _install(found, folder, force=force)


@tables_app.command("export")
def tables_export(
    names: Annotated[
        list[str], typer.Argument(autocompletion=complete.tables, help="Tables; several only for nats-simple.")
    ],
    format: Annotated[str, typer.Option(help="nats-simple, csv, parquet or syne-tune.")],
    to: Annotated[
        Path | None, typer.Option("--out", "--to", help="File or folder; named after the table, here, if left out.")
    ] = None,
    fill: Annotated[
        bool,
        typer.Option("--fill", help="Of syne-tune: a trial that a cell does not have is the mean of those it has."),
    ] = False,
    force: screen.Force = False,
) -> None:
    """Write a table in a format of other tools.

    Examples:
        nasbench-lab tables export digits --format csv
        nasbench-lab tables export digits --format syne-tune --fill --out exported
    """
    from nasbench_lab.tables import catalog
    from nasbench_lab.tables.formats import exporting

    tables = [catalog.load(name) for name in names]
    for note in exporting.notes(tables, format, to, fill=fill):
        print(f"note: {note}", file=sys.stderr)
    with screen.progress("records") as progress, _said("what was written is not whole"):
        path = exporting.export(tables, format, to, progress=progress, force=force, fill=fill)
    print(f"{', '.join(names)} -> {path}")


@contextmanager
def _said(state: str) -> Iterator[None]:
    """An interruption becomes a message that says what there is now."""
    try:
        yield
    except KeyboardInterrupt:
        raise LabError(f"interrupted; {state}") from None


def _there(path: Path) -> Table | None:
    """The table in a file; None where there is none that can be read."""
    from nasbench_lab.tables import stored

    try:
        return stored.read(path)
    except LabError:
        return None


def replaceable(path: Path, table: Table, *, force: bool) -> bool:
    """Whether a table has yet to be written to a path.

    Raises:
        LabError: something else is there, and nobody forces it.
    """
    from nasbench_lab.files import writing

    there = _there(path)
    if there is not None and there.digest == table.digest:
        return False
    if there is not None and not force:
        then, now = int(there.measured.sum()), int(table.measured.sum())
        raise LabError(
            f"{path} has {then:,} cells and would be replaced by one of {now:,}; nothing was written. "
            "Use --out another folder, or --force"
        )
    writing.not_there([path], force=force)
    return True


def _install(found: Sequence[Table], to: Path | None, *, force: bool) -> None:
    """Write tables, all or none.

    Raises:
        LabError: one is there already with other numbers, and nobody forces it.
    """
    from nasbench_lab.files import names, writing
    from nasbench_lab.tables import catalog

    folder = to or catalog.target_folder()
    if len({table.name for table in found}) < len(found):
        raise LabError(f"two tables are both called {found[0].name!r}; nothing was written")
    paths = {table.name: folder / f"{names.checked(table.name, 'a table')}.npz" for table in found}
    ours = [table.name for table in found if (catalog.EMBEDDED / f"{table.name}.npz").is_file()]
    if ours and not force and folder.absolute() in [each.absolute() for each in writing.data_folders()]:
        raise LabError(
            f"{ours[0]!r} is a table of this package, and yours would be found in its place; nothing was written. "
            "Call it otherwise (--name), or --force"
        )
    changed = [table for table in found if replaceable(paths[table.name], table, force=force)]
    writing.write_together({paths[table.name]: table.content(compress=True) for table in changed})
    for table in found:
        measured = int(table.measured.sum())
        cells = f"{measured:,} cells" if measured == len(table.truth) else f"{measured:,} of {len(table.truth):,} cells"
        print(f"{table.name}: {cells}, schedules {', '.join(map(str, table.schedules))} -> {paths[table.name]}")
