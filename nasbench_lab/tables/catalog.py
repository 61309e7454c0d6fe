"""Tables found by name: a path, `$NASBENCH_LAB_DATA`, the user's data folder, or those embedded in the package."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from nasbench_lab.errors import LabError, offered
from nasbench_lab.files import paths
from nasbench_lab.files.writing import data_folders

if TYPE_CHECKING:
    from nasbench_lab.tables.table import Table

EMBEDDED = Path(__file__).parent / "data"


def folders() -> list[Path]:
    """Where tables are looked for, in order."""
    return [*data_folders(), EMBEDDED]


def target_folder() -> Path:
    """Where imports go unless told otherwise.

    Raises:
        LabError: nothing says where: no variable is set, and no home folder is known.
    """
    there = data_folders()
    if not there:
        raise LabError("no home folder is known to keep tables in; set NASBENCH_LAB_DATA to a folder, or HOME")
    return there[0]


def available() -> dict[str, Path]:
    """Name -> file; an earlier folder hides a later one."""
    found: dict[str, Path] = {}
    for folder in folders():
        for path in sorted(folder.glob("*.npz")) if folder.is_dir() else []:
            if path.is_file() and not path.name.startswith("."):  # no folder, no link to nowhere, no `._x.npz` of a Mac
                found.setdefault(path.stem, path)
    return found


def find(name: str) -> Path:
    """The file of a table.

    Raises:
        LabError: nothing there; says where it looked and what there is.
    """
    if name.endswith(".npz") or os.sep in name:
        path = paths.home(name)
        if not path.is_file():
            raise LabError(f"no such table file: {path}")
        return path.resolve()
    known = available()
    if name in known:
        return known[name]
    looked = ", ".join(str(folder) for folder in folders())
    raise LabError(
        f"no table named {name!r}{offered(name, known, 'available:', 'nasbench-lab tables list')}. Looked in {looked}. "
        "Get one with: nasbench-lab tables fetch nb201, or nasbench-lab tables import FILE"
    )


def located(name: str) -> str:
    """How a process that stands in another folder finds the same table: by absolute path, or by name if it is the package's.

    Raises:
        LabError: no such table.
    """
    path = find(name)
    return path.stem if path.parent == EMBEDDED else str(path)


def load(name: str) -> Table:
    """The table with this name or path; read once per process and file version."""
    path = find(name)
    return _cached(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=16)
def _cached(path: Path, _modified: int) -> Table:
    from nasbench_lab.tables import predicted, stored  # not at the top: listing names and files needs no cells

    return predicted.read(path) if predicted.holds_networks(path) else stored.read(path)


def suite() -> tuple[str, ...]:
    """The measured tables that the package has, by name: what is compared on when nothing is said."""
    from nasbench_lab.tables import headers

    measured = [path.stem for path in EMBEDDED.glob("*.npz") if headers.read(path).kind == "measured"]
    return tuple(sorted(measured, key=lambda name: (name != default(), name))) or (default(),)


def default() -> str:
    """The table `compare` uses when none is named: the measured one if the package has it, else the synthetic one."""
    return "digits" if (EMBEDDED / "digits.npz").is_file() else "toy"
