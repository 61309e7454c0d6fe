"""What the header of a table's file says, without its arrays: enough to list the tables at hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.errors import LabError

MEMBERS = ("header", "networks")  # where the header is: of a table, and of networks that predict one
_BYTES = 1 << 24  # a header has a few thousand
_LARGEST = 1 << 28  # validation of all cells after each of 200 epochs has 25 million


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
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
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


def _header(archive: Any) -> dict[str, Any]:
    member = next((name for name in MEMBERS if name in archive.files), "")
    if not member:
        raise ValueError("it has no header")
    if (size := archive.zip.getinfo(f"{member}.npy").file_size) > _BYTES:
        raise ValueError(f"its header unpacks to {size:,} bytes")
    found: dict[str, Any] = json.loads(archive[member].tobytes())
    return found


def _counted(header: dict[str, Any], archive: Any) -> int:
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


def _array(archive: Any, name: str) -> NDArray[np.float64]:
    if (size := archive.zip.getinfo(f"{name}.npy").file_size) > _LARGEST:
        raise ValueError(f"its {name} unpacks to {size:,} bytes")
    return np.asarray(archive[name], dtype=np.float64)
