"""What the header of a table's file says, without its arrays: enough to list the tables at hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.errors import LabError
from nasbench_lab.files import bounded
from nasbench_lab.files.arrays import Archive

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
    """

    kind: str
    dataset: str
    schedules: tuple[int, ...]
    cells: int
    source: str


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
    """How many cells of an older file are complete, whose header does not say so; networks predict all."""
    from nasbench_lab.spaces import cell  # not at the top: it is as costly as all the rest, and newer files need it not

    if "metrics" not in header:
        return cell.SPACE.size
    complete = ~np.isnan(_array(archive, f"{max(map(int, header['schedules']))}/test"))
    for last in header["schedules"]:
        for name in ("val", "seconds"):
            complete &= ~np.isnan(_array(archive, f"{last}/{name}")).any(axis=1)
    if header["about"].get("rows") == "class":
        return cell.SPACE.size if complete.all() else int(complete[cell.SPACE.classes].sum())
    return int(complete.sum())


def _array(archive: Archive, name: str) -> NDArray[np.float64]:
    if (count := math.prod(archive.shape(name))) > _NUMBERS:
        raise ValueError(f"its {name} has {count:,} numbers")
    return np.asarray(archive.read(name), dtype=np.float64)
