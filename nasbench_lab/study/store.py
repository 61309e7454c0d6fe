"""Runs on disk: one Parquet file per block of seeds, its header in the file's metadata, written atomically.

Columns, one row per answered query, sorted by (seed, order): seed, order, arch, epochs, val (percent), seconds and
finished (simulated), incumbent, further objectives by name, and `decided` (real seconds; the one measured column).
Everything but `decided` is reproduced bit for bit; `sha256` in the metadata covers exactly that, `decided` there the rest.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray, LabError
from nasbench_lab.files import bounded
from nasbench_lab.files import columns as files
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.study.runner import Run

Header = dict[str, Any]
_KEY = b"nasbench_lab"
_INTEGERS = ("seed", "order", "arch", "epochs", "incumbent")
_FLOATS = ("val", "seconds", "finished")
MEASURED = "decided"  # not part of what is reproduced
_FEW, _COLUMNS = 1 << 18, 32  # rows of any file; beyond them a byte each, as no two decisions take the same time


@dataclass(frozen=True)
class Runs:
    """Records of several runs of one strategy on one task, as columns.

    Attributes:
        header: what was run.
        columns: name -> (rows,) values, sorted by (seed, order).
        seeds: (R,) the seeds, ascending.
        offsets: (R + 1,) rows offsets[i]:offsets[i + 1] belong to seeds[i].
        ended: seed -> why the run ended.
        files: what of an author's took part; see `sources.taken`.
    """

    header: Header
    columns: Mapping[str, NDArray[Any]]
    seeds: NDArray[np.int64]
    offsets: NDArray[np.int64]
    ended: Mapping[int, str]
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(R,) queries answered in each run."""
        return np.diff(self.offsets)

    def incumbents_at_queries(self, queries: NDArray[np.int64]) -> NDArray[np.int64]:
        """(R, len(queries)) incumbent after so many queries; a shorter run keeps its last; -1 where there is none."""
        positions = np.minimum(np.asarray(queries)[None, :], self.counts[:, None]) - 1
        return self._incumbents(positions)

    def incumbents_at_seconds(self, seconds: FloatArray) -> NDArray[np.int64]:
        """(R, len(seconds)) incumbent at simulated times; -1 before the first result."""
        finished = self.columns["finished"]
        positions = np.stack([np.searchsorted(finished[a:b], seconds, side="right") - 1 for a, b in self._bounds()])
        return self._incumbents(positions)

    def first(self, hit: NDArray[np.bool_]) -> FloatArray:
        """(R,) number of queries until `hit[incumbent]` first holds; inf where it never does."""
        good = hit[self.columns["incumbent"]] & (self.columns["incumbent"] >= 0)
        out = np.full(len(self.seeds), np.inf)
        for i, (a, b) in enumerate(self._bounds()):
            where = np.flatnonzero(good[a:b])
            out[i] = where[0] + 1 if where.size else np.inf
        return out

    def total(self, column: str) -> FloatArray:
        """(R,) sum of a column over each run."""
        sums = np.concatenate([[0.0], np.cumsum(self.columns[column], dtype=np.float64)])
        return np.diff(sums[self.offsets])

    def last(self, column: str) -> FloatArray:
        """(R,) last value of a column in each run; nan for a run without records."""
        values = np.full(len(self.seeds), np.nan)
        some = self.counts > 0
        values[some] = self.columns[column][self.offsets[1:][some] - 1]
        return values

    def only(self, seeds: Iterable[int]) -> Runs:
        """The runs of some seeds."""
        wanted = sorted(set(seeds))
        if wanted == self.seeds.tolist():
            return self
        rows = np.isin(self.columns["seed"], wanted)
        columns = {name: values[rows] for name, values in self.columns.items()}
        return _runs(self.header, columns, {seed: self.ended[seed] for seed in wanted}, self.files)

    def _incumbents(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        if not len(self.columns["incumbent"]):
            return np.full(positions.shape, -1)
        rows = np.clip(self.offsets[:-1, None] + positions, 0, len(self.columns["incumbent"]) - 1)
        return np.where(positions >= 0, self.columns["incumbent"][rows], -1)

    def _bounds(self) -> Iterable[tuple[int, int]]:
        return zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True)


def columns_of(runs: Mapping[int, Run], objectives: tuple[str, ...] = ("val",)) -> dict[str, NDArray[Any]]:
    """Records of several seeds as columns, sorted by (seed, order)."""
    rows = [(seed, record) for seed in sorted(runs) for record in runs[seed].records]
    queries = [record.result.query for _, record in rows]
    values: dict[str, list[Any]] = {
        "seed": [seed for seed, _ in rows],
        "order": [record.order for _, record in rows],
        "arch": [query.arch for query in queries],
        "epochs": [query.epochs for query in queries],
        "incumbent": [record.incumbent for _, record in rows],
        "val": [record.result.val for _, record in rows],
        "seconds": [record.result.seconds for _, record in rows],
        "finished": [record.finished for _, record in rows],
        MEASURED: [record.decided for _, record in rows],
    }
    for name in objectives[1:]:
        values[name] = [record.result.metrics.get(name, np.nan) for _, record in rows]
    kinds = dict.fromkeys(_INTEGERS, np.int32) | {"seed": _seed_kind(runs)}
    return {name: np.array(column, dtype=kinds.get(name, np.float64)) for name, column in values.items()}


def _seed_kind(seeds: Iterable[int]) -> type[np.signedinteger[Any]]:
    """Of 32 bits, or of 64 where a seed needs them."""
    return np.int64 if max(seeds, default=0) > np.iinfo(np.int32).max else np.int32


def digest(columns: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of all columns but the measured one."""
    sha = hashlib.sha256()
    if "seed" in columns:  # the same for the runs of a block and for one of them
        columns = {**columns, "seed": columns["seed"].astype(_seed_kind(columns["seed"].tolist()))}
    for name in sorted(columns):
        if name != MEASURED:
            sha.update(f"{name} {columns[name].dtype.str} {columns[name].shape}".encode())
            sha.update(np.ascontiguousarray(columns[name]).data if columns[name].size else b"")
    return sha.hexdigest()


def _seal(
    header: Header,
    ended: Mapping[str, str],
    columns: Mapping[str, NDArray[Any]],
    files: Mapping[str, str] | None = None,
) -> str:
    """SHA-256 of all that a file says but the measured column."""
    said = [header, ended, digest(columns), *([files] if files else [])]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def write(
    path: Path,
    header: Header,
    runs: Mapping[int, Run],
    objectives: tuple[str, ...] = ("val",),
    files: Mapping[str, str] | None = None,
) -> None:
    """Write a block of runs, and what of an author's took part in them; the file is there whole or not at all.

    Raises:
        LabError: the folder cannot be written or the disk is full.
    """
    columns = columns_of(runs, objectives)
    ended = {str(seed): runs[seed].ended for seed in sorted(runs)}
    taken = dict(files or {})
    meta = {
        "header": header,
        "ended": ended,
        "files": taken,
        "sha256": _seal(header, ended, columns, taken),
        MEASURED: digest({"measured": columns[MEASURED]}),
    }
    table = pa.table({name: pa.array(values) for name, values in columns.items()})
    table = table.replace_schema_metadata({_KEY: json.dumps(meta, sort_keys=True).encode()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    write_atomically(path, buffer.getvalue())


def read(path: Path) -> Runs:
    """Read and check a block of runs.

    Raises:
        LabError: not a run file of ours, truncated or altered.
    """
    try:
        size = path.stat().st_size
        table = files.table(path, rows=_FEW + size, numbers=_COLUMNS * (_FEW + size), texts=False)
        meta = bounded.parsed((table.schema.metadata or {})[_KEY])
        columns = {name: table.column(name).to_numpy() for name in table.column_names}
        taken = meta.get("files", {})
        good = meta["sha256"] == _seal(meta["header"], meta["ended"], columns, taken) and _measured_as(meta, columns)
        ended = {int(seed): str(why) for seed, why in meta["ended"].items()}
        runs = _runs(meta["header"], columns, ended, dict(taken))
    except Exception as error:  # pyarrow and json raise a dozen kinds for a damaged file
        raise LabError(f"{path} is not a run file, or is damaged: {type(error).__name__}: {error}") from error
    if not good:
        raise LabError(f"{path} is damaged: its content does not match its digest")
    return runs


def _measured_as(meta: Mapping[str, Any], columns: Mapping[str, NDArray[Any]]) -> bool:
    """Whether the measured column is as it was written; files of before have no digest of it, and nothing in its place."""
    if MEASURED not in meta:
        return set(meta) == {"header", "ended", "sha256"}
    return bool(meta[MEASURED] == digest({"measured": columns[MEASURED]}))


def read_header(path: Path) -> Header:
    """The header alone, without reading or checking records.

    Raises:
        LabError: not a run file of ours.
    """
    try:
        header: Header = bounded.parsed(files.metadata(path)[_KEY])["header"]
    except Exception as error:  # see `read`
        raise LabError(f"{path} is not a run file, or is damaged: {type(error).__name__}: {error}") from error
    return header


def _runs(header: Header, columns: dict[str, NDArray[Any]], ended: Mapping[int, str], files: Mapping[str, str]) -> Runs:
    seeds = np.array(sorted(ended), dtype=np.int64)
    offsets = np.concatenate([np.searchsorted(columns["seed"], seeds), [len(columns["seed"])]])
    return Runs(header, columns, seeds, offsets, ended, files)


def join(blocks: list[Runs]) -> Runs:
    """Blocks of one strategy on one task as one, in order of seed."""
    blocks = sorted(blocks, key=lambda block: int(block.seeds[0]))
    columns = {name: np.concatenate([block.columns[name] for block in blocks]) for name in blocks[0].columns}
    ended = {seed: why for block in blocks for seed, why in block.ended.items()}
    files = {name: sha for block in blocks for name, sha in block.files.items()}
    return _runs(blocks[0].header, columns, ended, files)
