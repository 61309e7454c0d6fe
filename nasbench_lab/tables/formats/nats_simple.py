"""Folders of NATS-Bench in fast mode, NATS-tss-v1_0-3ffb9-simple and NATS-sss-v1_0-50262-simple: a pickle per cell, and `meta`.

Read one record at a time, on several processes, by the restricted unpickler. Written as the official package reads it.
"""

from __future__ import annotations

import bz2
import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, unpickle
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.space import Space
from nasbench_lab.tables.formats import official
from nasbench_lab.tables.formats.collect import Row, rows_of

META = "meta.pickle.pbz2"
_NAME = re.compile(r"(\d{1,6})\.pickle\.pbz2")
_RECORD, _META = 1 << 24, 1 << 29  # bytes; real ones have 0.33 and 1.4 million, ours hold tables in `meta`
_SMALL, _UNPACKED = 1 << 20, 100  # bytes that any file may unpack to, and so many for each of its own; real ones: 4
_CHUNK, _FEW = 16, 64
_SCHEDULES = 16  # of one cell; the benchmark has two


def is_folder(path: Path) -> bool:
    """Whether there is such a folder."""
    return path.is_dir() and any(_NAME.fullmatch(name) for name in os.listdir(path))


def space_of(folder: Path, meta: Mapping[str, Any]) -> Space:
    """The space of a folder's networks: what its `meta` lists, or else what the first record is of.

    Raises:
        LabError: unreadable, or another benchmark's.
    """
    if meta:
        return official.space_of(meta["meta_archs"][0])
    first = min(name for name in os.listdir(folder) if _NAME.fullmatch(name))
    content = _read(folder / first, _RECORD)
    states = list(content.values()) if isinstance(content, dict) else []
    return official.space_of(states[0]["arch_str"]) if states and official.is_state(states[0]) else cell.SPACE


def records(folder: Path, space: Space = cell.SPACE) -> dict[int, Path]:
    """Cell -> file, ascending.

    Raises:
        LabError: a file for a cell that does not exist.
    """
    found = {int(match[1]): folder / name for name in os.listdir(folder) if (match := _NAME.fullmatch(name))}
    wrong = [arch for arch in found if arch >= space.size]
    if wrong:
        raise LabError(f"{found[wrong[0]]}: cells are numbered 0..{space.size - 1}")
    return dict(sorted(found.items()))


def read_record(path: Path, arch: int, space: Space = cell.SPACE) -> dict[int, list[official.Trial]]:
    """Last epoch -> trainings of one cell.

    Raises:
        LabError: unreadable, or another cell's.
    """
    content = _read(path, _RECORD)
    few = isinstance(content, dict) and len(content) <= _SCHEDULES
    if not few or not all(official.is_state(state) for state in content.values()):
        raise LabError(f"{path} is no record of NATS-Bench: it must hold a state for every schedule")
    found = {}
    for key, state in content.items():
        if official.space_of(state["arch_str"]) != space:
            raise LabError(f"{path} holds a network of another space than {space.name}")
        if official.arch_of(state) != arch:
            raise LabError(f"{path} holds cell {official.arch_of(state)}, its name says {arch}")
        last = official.schedule_of(key)
        found[last] = official.trials_of(state, last)
    return dict(sorted(found.items()))


def read_meta(folder: Path) -> dict[str, Any]:
    """What `meta` says; its cells must be ours in our order. Empty where there is none.

    Raises:
        LabError: unreadable, or another benchmark's.
    """
    path = folder / META
    if not path.is_file():
        return {}
    content: Any = _read(path, _META)
    names = content.get("meta_archs") if isinstance(content, dict) else None
    space = official.space_of(names[0] if isinstance(names, list) and names else None)
    if names != list(official.names_of(space)):
        benchmark = "NAS-Bench-201" if space == cell.SPACE else "NATS-Bench's size space"
        raise LabError(f"{path}: its cells are not those of {benchmark} in official order")
    return dict(content)


def rows(folder: Path, *, workers: int = 1, space: Space = cell.SPACE) -> Iterator[tuple[int, list[Row]]]:
    """(cell, rows) of all records, in any order; `workers` processes read them."""
    items = list(records(folder, space).items())
    if workers == 1 or len(items) < _FEW:
        for arch, path in items:
            yield arch, _rows(path, arch, space)
        return
    chunks = [items[i : i + _CHUNK] for i in range(0, len(items), _CHUNK)]
    done = Parallel(n_jobs=workers, return_as="generator_unordered", pre_dispatch="2*n_jobs")(
        delayed(_rows_of_many)(chunk, space) for chunk in chunks
    )
    yield from itertools.chain.from_iterable(done)


def _rows_of_many(items: Sequence[tuple[int, Path]], space: Space) -> list[tuple[int, list[Row]]]:
    return [(arch, _rows(path, arch, space)) for arch, path in items]


def _rows(path: Path, arch: int, space: Space) -> list[Row]:
    return [row for last, trials in read_record(path, arch, space).items() for row in rows_of(trials, last)]


def _read(path: Path, limit: int) -> Any:
    try:
        limit = min(limit, _SMALL + _UNPACKED * path.stat().st_size)
        with bounded.regular(path) as raw, bz2.open(raw, "rb") as file:
            return unpickle.load(unpickle.Source(file, str(path), limit=limit))
    except (OSError, EOFError) as error:
        raise LabError(f"{path} cannot be read: {error}") from error
