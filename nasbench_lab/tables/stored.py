"""Tables from their files, within bounds, checked; `Table.save` writes them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray, LabError
from nasbench_lab.files import bounded
from nasbench_lab.files.arrays import Archive
from nasbench_lab.spaces import cell, written
from nasbench_lab.spaces.space import Space
from nasbench_lab.tables.schedule import SCHEDULE_ARRAYS, Schedule
from nasbench_lab.tables.table import FORMAT, Table, first_of_classes

_UNPACKED = 1 << 29  # bytes; a table of 200 epochs and three trials has 125 million
_NUMBERS = 1 << 26  # of all arrays, a row for every cell: four such tables


def read(path: Path) -> Table:
    """Read and check a table file.

    Raises:
        LabError: not a table of ours, damaged, or values out of range; says which.
    """
    if not path.is_file():
        raise LabError(f"no such table file: {path}")
    try:
        with path.open("rb") as file:
            return read_file(file, str(path))
    except OSError as error:
        raise LabError(f"cannot read {path}: {error.strerror or error}") from error


def read_file(file: BinaryIO, path: str) -> Table:
    """The same from an open file, called `path` in errors."""
    try:
        archive = Archive(file, limit=_UNPACKED)
        header = bounded.parsed(archive.text("header"))
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for a damaged file
        raise LabError(f"{path} is not a nasbench_lab table, or is damaged: {error}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        found = header.get("format") if isinstance(header, dict) else type(header).__name__
        raise LabError(f"{path}: table format {found!r}, this version reads {FORMAT}; import it again")
    try:
        table = _assemble(header, archive)
    except Exception as error:  # see above
        raise LabError(f"{path}: damaged, or header and arrays do not fit together: {error!r}"[:400]) from error
    if table.digest != header.get("digest"):
        raise LabError(f"{path}: damaged or edited; its digest is {table.digest[:12]}, its header says otherwise")
    if header.get("cells", cells := int(table.measured.sum())) != cells:  # older files do not say; not in the digest
        raise LabError(f"{path}: damaged or edited; {cells:,} cells are complete, its header says otherwise")
    return table.check()


def _assemble(header: dict[str, Any], archive: Archive) -> Table:
    space = _space(header, archive)
    by_class = header["about"].get("rows") == "class"
    listed = [f"{int(last)}/{name}" for last in header["schedules"] for name in SCHEDULE_ARRAYS]
    wide = sum(space.size * math.prod(archive.shape(name)[1:]) for name in [*listed, "metrics"])
    if wide > _NUMBERS:  # rows by class, and numbers of one byte, become many times what they are in the file
        raise ValueError(f"it holds {wide:,} numbers, a table has {_NUMBERS:,} at most")
    full = {name: _unpack(archive.read(name), space, by_class) for name in [*listed, "metrics"]}
    schedules = {
        int(last): Schedule(
            epochs=tuple(int(e) for e in spec["epochs"]),
            one_run=bool(spec["one_run"]),
            **{name: full[f"{int(last)}/{name}"] for name in SCHEDULE_ARRAYS},
        )
        for last, spec in header["schedules"].items()
    }
    metrics = {name: full["metrics"][:, i] for i, name in enumerate(header["metrics"])}
    measure = {name: str(header[name]) for name in ("unit", "better") if name in header}
    return Table(header["name"], schedules, metrics, header["about"], space, **measure)


def _space(header: dict[str, Any], archive: Archive) -> Space:
    """The space a file says that it is of; NAS-Bench-201's where it says none."""
    if "space" not in header:
        return cell.SPACE
    named = [name for name in written.ARRAYS if f"space/{name}" in archive]
    if any(math.prod(archive.shape(f"space/{name}")) > _NUMBERS for name in named):
        raise ValueError("its space is larger than one can be")
    return written.made(header["space"], {name: archive.read(f"space/{name}") for name in named})


def _unpack(values: NDArray[Any], space: Space, by_class: bool) -> FloatArray:
    first = first_of_classes(space) if by_class else np.empty(0, dtype=np.int64)
    rows = len(first) if by_class else space.size
    if values.dtype.kind not in "fiu" or values.shape[:1] != (rows,):
        raise ValueError(f"expected {rows} rows of numbers, got {values.dtype} {values.shape}")
    if by_class:
        place = np.empty(int(space.classes.max()) + 1, dtype=np.int64)
        place[space.classes[first]] = np.arange(rows)
        values = values[place[space.classes]]
    return np.ascontiguousarray(values, dtype=np.float64)
