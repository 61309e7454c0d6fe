"""The official single files: `NATS-tss-v1_0-3ffb9.pickle.pbz2`, `NATS-sss-v1_0-50262.pickle.pbz2` and `NAS-Bench-201-v1_*.pth`.

One pickle holds all cells (28 GB as Python objects). Here a cell's state is turned into the few rows a table takes as
soon as it is complete, and its dictionaries are emptied, so that the whole is never there at once.
"""

from __future__ import annotations

import bz2
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, unpickle
from nasbench_lab.spaces import cell
from nasbench_lab.tables.formats import official, torch_file
from nasbench_lab.tables.formats.collect import Collector, rows_of

_SMALL, _UNPACKED = 1 << 20, 100  # bytes that any file may unpack to, and so many for each of its own; the real one: 4
_GONE = "this record was read already"


def read_pickle(path: Path) -> Collector:
    """The rows of a `.pickle.pbz2`.

    Raises:
        LabError: unreadable, hostile, or not such a file.
    """
    taker = _Taker(path)
    try:
        limit = _SMALL + _UNPACKED * path.stat().st_size
        with bounded.regular(path) as raw, bz2.open(raw, "rb") as file:
            content = unpickle.load(unpickle.Source(file, str(path), limit=limit), seen=taker.seen)
    except (OSError, EOFError) as error:
        raise LabError(f"{path} cannot be read: {error}") from error
    return taker.finish(content)


def read_torch(path: Path) -> Collector:
    """The rows of a `.pth`; errors as for `read_pickle`."""
    taker = _Taker(path)
    return taker.finish(torch_file.load(path, seen=taker.seen))


class _Taker:
    def __init__(self, path: Path) -> None:
        self._path, self._collector = path, Collector()
        self._read = 0

    def seen(self, key: Any, value: dict[Any, Any]) -> Any:
        """Take a finished state out of the pickle; anything else stays."""
        if _GONE in value:
            raise LabError(f"{self._path}: its records share data, which is not supported")
        if not official.is_state(value):
            return value
        space = official.space_of(value["arch_str"])
        if not self._read:
            self._collector = Collector(space)
        elif space != self._collector.space:
            raise LabError(f"{self._path}: its records are of two spaces")
        self._read += 1
        arch, last = official.arch_of(value), official.schedule_of(key)
        self._collector.add(arch, rows_of(official.trials_of(value, last), last))
        _empty(value)
        return arch

    def finish(self, content: Any) -> Collector:
        """Check what is left of the file."""
        names = content.get("meta_archs") if isinstance(content, Mapping) else None
        if not isinstance(names, list) or not self._collector.archs:
            raise LabError(f"{self._path} is no NAS-Bench-201 file: it must hold meta_archs and arch2infos")
        space = self._collector.space
        if names != list(official.names_of(space)[: len(names)]):
            benchmark = "NAS-Bench-201" if space == cell.SPACE else "NATS-Bench's size space"
            raise LabError(f"{self._path}: its cells are not those of {benchmark} in official order")
        infos = content.get("arch2infos")
        if not isinstance(infos, Mapping):
            raise LabError(f"{self._path} is no NAS-Bench-201 file: its arch2infos is no dictionary")
        for index, schedules in infos.items():
            if not isinstance(schedules, Mapping) or any(arch != index for arch in schedules.values()):
                raise LabError(f"{self._path}: the record of cell {str(index)[:20]} is another cell's")
        return self._collector


def _empty(state: dict[Any, Any]) -> None:
    """Free what the pickle's memo would otherwise hold on to."""
    results = list(state["all_results"].values())
    curves = [part for result in results for part in result.values() if isinstance(part, dict)]
    for part in (*curves, *results, state["all_results"], state):
        part.clear()
        part[_GONE] = None
