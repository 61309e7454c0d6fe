"""What the header of a table's file says, without its arrays: enough to list the tables at hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.errors import LabError
from nasbench_lab.files import bounded
from nasbench_lab.files.arrays import Archive

if TYPE_CHECKING:
    from nasbench_lab.spaces.space import Space

NB201 = "nas-bench-201"  # the space of files that name none
MEMBERS = ("header", "networks")  # where the header is: of a table, and of networks that predict one
_LARGEST = 1 << 29  # bytes that a file may unpack to; see `table`
_NUMBERS = 1 << 25  # of an array; validation of all cells after each of 200 epochs has 3 million


class Header(NamedTuple):
    """A table as its header describes it.

    Attributes:
        kind: measured, synthetic or predicted.
        dataset: what its cells were trained on.
        schedules: by last epoch, ascending.
        cells: how many are complete.
        source: where the numbers come from.
        space: name of the space.
    """

    kind: str
    dataset: str
    schedules: tuple[int, ...]
    cells: int
    source: str
    space: str


def dataset(name: str, about: Mapping[str, Any]) -> str:
    """What a table's cells were trained on; its name where that is not said, or said to be "none" (made up)."""
    found = str(about.get("dataset") or "none")
    return name if found == "none" else found


def read(path: Path) -> Header:
    """The header of a table's file; what else the file holds is not looked at, nor is its digest checked.

    Raises:
        LabError: not a table of ours, or damaged.
    """
    try:
        with bounded.regular(path) as file:
            archive = Archive(file, limit=_LARGEST)
            header = _header(archive)
            about = header["about"]
            return Header(
                kind=str(about.get("kind", "measured")),
                dataset=dataset(str(header["name"]), about),
                schedules=tuple(sorted(map(int, header["schedules"]))),
                cells=int(header["cells"]) if "cells" in header else _counted(header, archive),
                source=str(about.get("source", "")),
                space=str(header["space"]["name"]) if "space" in header else NB201,
            )
    except Exception as error:  # zipfile, zlib and numpy raise a dozen kinds for a damaged file
        raise LabError(f"{path} is not a nasbench_lab table, or is damaged: {error}") from error


def _header(archive: Archive) -> dict[str, Any]:
    member = next((name for name in MEMBERS if name in archive), "")
    if not member:
        raise ValueError("it has no header")
    found: dict[str, Any] = bounded.parsed(archive.text(member))
    return found


def _counted(header: dict[str, Any], archive: Archive) -> int:
    """How many cells are complete, of a file whose header does not say so; networks predict all of NAS-Bench-201's."""
    if "metrics" not in header:
        return _nb201().size
    complete = ~np.isnan(_array(archive, f"{max(map(int, header['schedules']))}/test"))
    for last in header["schedules"]:
        for name in ("val", "seconds"):
            complete &= ~np.isnan(_array(archive, f"{last}/{name}")).any(axis=1)
    if header["about"].get("rows") != "class":
        return int(complete.sum())
    if "space" not in header:
        classes = _nb201().classes
    elif "space/classes" in archive:
        classes = _array(archive, "space/classes").astype(np.int64)
    else:  # every cell is its own
        return int(complete.sum())
    return int(np.unique(classes, return_counts=True)[1][_by_first(classes)][complete].sum())


def _by_first(classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """(C,) the classes in the order of their first cells, which is that of the rows."""
    return np.argsort(np.unique(classes, return_index=True)[1])


def _nb201() -> Space:
    from nasbench_lab.spaces import cell  # not at the top: it is as costly as all the rest, and newer files need it not

    return cell.SPACE


def _array(archive: Archive, name: str) -> NDArray[np.float64]:
    if (count := math.prod(archive.shape(name))) > _NUMBERS:
        raise ValueError(f"its {name} has {count:,} numbers")
    return np.asarray(archive.read(name), dtype=np.float64)
