"""Runs as files: Parquet, of consecutive seeds, the header in the file's metadata, written atomically.

Columns, one row per answered query, sorted by (seed, order): seed, order, arch, epochs, val (percent), seconds and
finished (simulated), incumbent, further objectives by name, and `decided` (real seconds; the one measured column).
Everything but `decided` is reproduced bit for bit; `sha256` in the metadata covers exactly that, `decided` there the rest.
`ended` there has why runs ended, [first seed, last seed + 1, why] for each stretch of them; in files of before it has a name
for every seed, which is read as well.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded
from nasbench_lab.files import columns as files
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.study.runner import Run
from nasbench_lab.study.runs import MEASURED, Columns, Endings, Header, Runs, Stretch, joined, of
from nasbench_lab.study.study import MOST

__all__ = ["MEASURED", "Foot", "Header", "Rows", "Runs", "columns_of", "decoded", "digest", "encoded", "join", "read"]
__all__ += ["read_foot", "rows", "rows_of", "stored", "together", "write"]
_KEY = b"nasbench_lab"
_INTEGERS = ("seed", "order", "arch", "epochs", "incumbent")
_FLOATS = ("val", "seconds", "finished")
_LARGE = 1 << 18  # rows from which on records are not kept in memory
_GROUP = 1 << 17  # rows that are decoded at once
_FEW, _COLUMNS = 1 << 18, 32  # rows of any file; beyond them a byte each, as no two decisions take the same time


class Rows:
    """Records as columns that grow run by run: plain numbers, where a list of records would keep the garbage collector busy.

    Args:
        objectives: "val", then names of metrics.
    """

    def __init__(self, objectives: tuple[str, ...] = ("val",)) -> None:
        names = (*_INTEGERS[1:], *_FLOATS, MEASURED, *objectives[1:])
        self._columns = {name: array("i" if name in _INTEGERS else "d") for name in names}
        self._counts: dict[int, int] = {}
        self._ended: dict[int, str] = {}
        self._metrics = objectives[1:]

    def add(self, seed: int, run: Run) -> None:
        """One more run, of a larger seed than those before."""
        self._counts[seed], self._ended[seed] = len(run.records), run.ended
        if not run.records:
            return
        orders, results, finished, incumbents, decided = zip(*run.records, strict=True)
        queries, vals, seconds, metrics = zip(*results, strict=True)
        archs, epochs, _ = zip(*queries, strict=True)
        named = {"order": orders, "arch": archs, "epochs": epochs, "incumbent": incumbents}
        named |= {"val": vals, "seconds": seconds, "finished": finished, MEASURED: decided}
        for name, values in named.items():
            self._columns[name].extend(values)
        for name in self._metrics:
            self._columns[name].extend(each.get(name, math.nan) for each in metrics)

    @property
    def ended(self) -> Endings:
        """Why runs ended."""
        return Endings.of(self._ended)

    @property
    def columns(self) -> dict[str, NDArray[Any]]:
        """Name -> (rows,) values."""
        seeds = np.repeat(np.array([*self._counts], dtype=np.int64), np.array([*self._counts.values()], dtype=np.int64))
        found = {"seed": seeds.astype(_seed_kind(self._counts))}
        kinds = dict.fromkeys(_INTEGERS, np.int32)
        return found | {name: np.array(values, kinds.get(name, np.float64)) for name, values in self._columns.items()}


def columns_of(runs: Mapping[int, Run], objectives: tuple[str, ...] = ("val",)) -> dict[str, NDArray[Any]]:
    """Records of several seeds as columns, sorted by (seed, order)."""
    return rows_of(runs, objectives).columns


def rows_of(runs: Mapping[int, Run], objectives: tuple[str, ...] = ("val",)) -> Rows:
    """The same, with why they ended."""
    rows = Rows(objectives)
    for seed in sorted(runs):
        rows.add(seed, runs[seed])
    return rows


def _seed_kind(seeds: Iterable[int]) -> type[np.signedinteger[Any]]:
    """Of 32 bits, or of 64 where a seed needs them."""
    return np.int64 if max(seeds, default=0) > np.iinfo(np.int32).max else np.int32


def digest(columns: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of all columns but the measured one; of columns in parts a part at a time."""
    sha = hashlib.sha256()
    for name in sorted(columns):
        if name != MEASURED:
            pieces = list(columns.pieces(name)) if isinstance(columns, Columns) else [columns[name]]
            if name == "seed":  # the same for the runs of a block and for one of them
                kind = _seed_kind([int(piece[-1]) for piece in pieces if piece.size])
                pieces = [piece.astype(kind) for piece in pieces]
            size = sum(len(piece) for piece in pieces)
            sha.update(f"{name} {pieces[0].dtype.str} {(size,)}".encode())
            for piece in pieces:
                sha.update(np.ascontiguousarray(piece).data if piece.size else b"")
    return sha.hexdigest()


def _seal(
    header: Header, ended: Any, columns: Mapping[str, NDArray[Any]], files: Mapping[str, str] | None = None
) -> str:
    """SHA-256 of all that a file says but the measured column; `ended` as it stands there."""
    said = [header, ended, digest(columns), *([files] if files else [])]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def write(
    path: Path,
    header: Header,
    runs: Mapping[int, Run],
    objectives: tuple[str, ...] = ("val",),
    files: Mapping[str, str] | None = None,
) -> None:
    """Write runs, and what of an author's took part in them; the file is there whole or not at all.

    Raises:
        LabError: the folder cannot be written or the disk is full.
    """
    rows = rows_of(runs, objectives)
    write_atomically(path, encoded(header, rows.columns, rows.ended, files or {}))


def path_of(prefix: str, first: int) -> Path:
    """The file of consecutive runs of an id that begin with seed `first`."""
    return Path(f"{prefix}-{first:06d}.parquet")


def encoded(
    header: Header, columns: Mapping[str, NDArray[Any]], ended: Mapping[int, str], files: Mapping[str, str]
) -> bytes:
    """The content of a file of runs: of `read`, the inverse."""
    stretches, taken = [list(stretch) for stretch in Endings.of(ended).stretches], dict(files)
    meta = {
        "header": header,
        "ended": stretches,
        "files": taken,
        "sha256": _seal(header, stretches, columns, taken),
        MEASURED: digest({"measured": columns[MEASURED]}),
    }
    table = pa.table({name: pa.array(columns[name]) for name in columns})
    table = table.replace_schema_metadata({_KEY: json.dumps(meta, sort_keys=True).encode()})
    buffer = pa.BufferOutputStream()
    pq.write_table(table, buffer, compression="zstd", row_group_size=_GROUP)
    content: bytes = buffer.getvalue().to_pybytes()
    return content


def read(path: Path) -> Runs:
    """Read and check runs.

    Raises:
        LabError: not a run file of ours, truncated or altered.
    """
    try:
        size = path.stat().st_size
        table = files.table(path, rows=_FEW + size, numbers=_COLUMNS * (_FEW + size), texts=False)
        runs, good = _parsed(table)
    except Exception as error:  # pyarrow and json raise a dozen kinds for a damaged file
        raise LabError(f"{path} is not a run file, or is damaged: {type(error).__name__}: {error}") from error
    if not good:
        raise LabError(f"{path} is damaged: its content does not match its digest")
    return runs


def decoded(content: bytes, whose: str) -> Runs:
    """The runs of a file that was not written yet, checked; `whose` says where it is from.

    Raises:
        LabError: altered on its way.
    """
    try:
        runs, good = _parsed(pq.read_table(pa.BufferReader(content), use_threads=False))
    except Exception as error:  # see `read`
        raise LabError(f"what {whose} sent back are no runs: {type(error).__name__}: {error}") from error
    if not good:
        raise LabError(f"what {whose} sent back was damaged on its way: its content does not match its digest")
    return runs


def _parsed(table: Any) -> tuple[Runs, bool]:
    """The runs of a Parquet table, and whether they are as they were written."""
    meta = bounded.parsed((table.schema.metadata or {})[_KEY])
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    taken = meta.get("files", {})
    good = meta["sha256"] == _seal(meta["header"], meta["ended"], columns, taken) and _measured_as(meta, columns)
    return of(meta["header"], columns, _endings(meta["ended"]), dict(taken)), good


def _endings(written: Any) -> Endings:
    if isinstance(written, dict):  # of before there were stretches
        return Endings.of({int(seed): str(why) for seed, why in written.items()})
    found = [Stretch(int(first), int(stop), str(why)) for first, stop, why in written]
    if any(each.first >= each.stop or each.stop - each.first > MOST for each in found):
        raise ValueError("it has a stretch of no seeds, or of more than there can be")
    return Endings(found)


class Foot(NamedTuple):
    """What the end of a file says of it, unchecked: header, why its runs ended, and what of an author's took part."""

    header: Header
    ended: Endings
    files: Mapping[str, str]


def read_foot(path: Path) -> Foot:
    """What is written beside the records; none of them is read or checked.

    Raises:
        LabError: not a run file of ours.
    """
    try:
        meta = bounded.parsed(files.metadata(path)[_KEY])
        return Foot(dict(meta["header"]), _endings(meta["ended"]), dict(meta.get("files", {})))
    except Exception as error:  # see `read`
        raise LabError(f"{path} is not a run file, or is damaged: {type(error).__name__}: {error}") from error


def _measured_as(meta: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> bool:
    """Whether the measured column is as it was written; files of before have no digest of it, and nothing in its place."""
    if MEASURED not in meta:
        return set(meta) == {"header", "ended", "sha256"}
    return bool(meta[MEASURED] == digest({"measured": columns[MEASURED]}))


def rows(path: Path) -> int:
    """How many records are in a file, as its end says.

    Raises:
        LabError: not a run file of ours.
    """
    try:
        with bounded.regular(path) as file:
            return int(pq.read_metadata(file).num_rows)
    except Exception as error:  # see `read`
        raise LabError(f"{path} is not a run file, or is damaged: {type(error).__name__}: {error}") from error


class _Kept(Mapping[str, NDArray[Any]]):
    """Columns of a file that was read and checked once: read again as they are asked for, while it is the same file."""

    def __init__(self, path: Path, state: tuple[int, int, int], names: Iterable[str]) -> None:
        self._path, self._state, self._names = path, state, tuple(names)

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            raise KeyError(name)
        try:
            with bounded.regular(self._path) as file:
                same = _state(os.fstat(file.fileno())) == self._state
                found = pq.read_table(file, columns=[name], partitioning=None, use_threads=False) if same else None
        except (OSError, pa.ArrowException) as error:
            raise LabError(f"{self._path} cannot be read any more: {error}; run it again") from error
        if found is None:
            raise LabError(f"{self._path} was changed while it was read; run it again")
        values: NDArray[Any] = found.column(name).to_numpy()
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _state(of_file: os.stat_result) -> tuple[int, int, int]:
    """What tells a file from others that have had its name."""
    return of_file.st_ino, of_file.st_size, of_file.st_mtime_ns


def stored(path: Path) -> Runs:
    """Runs that were read and checked; of a large file the records are not kept in memory (`runs.Joined`).

    Raises:
        LabError: as `read`.
    """
    before = path.stat() if path.is_file() else None
    found = read(path)
    if before is None or len(found.columns["seed"]) < _LARGE:
        return found
    return replace(found, columns=_Kept(path, _state(before), found.columns))


def join(blocks: Sequence[Runs]) -> Runs:
    """Blocks of one strategy on one task as one, in order of seed; what is in memory is joined there."""
    parts, small, rows = list[Runs](), list[Runs](), 0
    for block in sorted(blocks, key=lambda block: int(block.seeds[0])):
        count = int(block.offsets[-1])
        if small and (isinstance(block.columns, _Kept) or rows + count > _LARGE):
            parts, small, rows = [*parts, together(small)], [], 0
        if isinstance(block.columns, _Kept):
            parts.append(block)
        else:
            small, rows = [*small, block], rows + count
    return joined([*parts, together(small)] if small else parts)


def together(blocks: Sequence[Runs]) -> Runs:
    """Blocks in order of seed as one, in memory."""
    if len(blocks) == 1:
        return blocks[0]
    columns = {name: np.concatenate([block.columns[name] for block in blocks]) for name in blocks[0].columns}
    ended = Endings(stretch for block in blocks for stretch in Endings.of(block.ended).stretches)
    return of(blocks[0].header, columns, ended, {name: sha for block in blocks for name, sha in block.files.items()})
