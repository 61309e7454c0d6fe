"""One tabulated benchmark as arrays, and its file: a `.npz` with a JSON header, read without pickle.

Notation: A = 15,625 cells in official order; F fidelities; T validation trials; S test trials; M metrics.
Accuracies in percent, times in simulated seconds, nan = not measured. A table has one or more *schedules*: trainings
of their own, each with its own learning-rate schedule, named by their last epoch (NAS-Bench-201: 12 and 200).
"""

from __future__ import annotations

import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, names
from nasbench_lab.files.arrays import Archive
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.frozen import frozen, thawed
from nasbench_lab.tables import headers, percent

if TYPE_CHECKING:
    import pandas as pd

FloatArray = NDArray[np.float64]
FORMAT = 1
CLASSES = 6466
_UNPACKED = 1 << 29  # bytes; a table of 200 epochs and three trials has 125 million
_NUMBERS = 1 << 26  # of all arrays, a row for every cell: four such tables
_SCHEDULE_ARRAYS = ("val", "val_trials", "test", "test_trials", "seconds")


@dataclass(frozen=True)
class Schedule:
    """One training schedule of all cells; its arrays are read-only.

    Attributes:
        epochs: the F epochs at which validation was measured, ascending.
        val: (A, F) mean validation accuracy over the trials that exist.
        val_trials: (A, F, T) single trials; T = 0 where only means were published.
        test: (A,) mean test accuracy after the last epoch.
        test_trials: (A, S) single trials; S = 0 where only means were published.
        seconds: (A, F) cumulative cost of training to that epoch and validating once.
        one_run: the epochs are points of one training run, so going on from one to the next costs the difference.
    """

    epochs: tuple[int, ...]
    val: FloatArray
    test: FloatArray
    seconds: FloatArray
    val_trials: FloatArray
    test_trials: FloatArray
    one_run: bool = True

    def __post_init__(self) -> None:
        for name in _SCHEDULE_ARRAYS:
            object.__setattr__(self, name, frozen(getattr(self, name)))

    def column(self, epochs: int) -> int:
        """The position of a fidelity.

        Raises:
            LabError: not one of `epochs`.
        """
        if epochs not in self.epochs:
            raise LabError(f"no score after {epochs} epochs; this schedule has {_listed(self.epochs)}")
        return self.epochs.index(epochs)


@dataclass(frozen=True)
class Table:
    """A benchmark: its schedules, its metrics and where they come from; all of it read-only.

    Attributes:
        name: how the catalog and run headers call it.
        schedules: by last epoch, ascending.
        metrics: further (A,) values such as "latency_ms/edgegpu"; nan where there is none.
        about: source, licence, dataset, units, ...; what `tables info` prints.
        digest: SHA-256 of header and arrays.
    """

    name: str
    schedules: Mapping[int, Schedule]
    metrics: Mapping[str, FloatArray]
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("schedules", "metrics", "about"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of header and arrays."""
        return _digest(self._header(), dict(self._arrays()))

    @property
    def kind(self) -> str:
        """What the numbers are: "measured", "synthetic" (made up) or "predicted" (by a fitted surrogate)."""
        return str(self.about.get("kind", "measured"))

    @property
    def dataset(self) -> str:
        """What the cells were trained on; the table's name where its header does not say, or says "none" (made up)."""
        return headers.dataset(self.name, self.about)

    def __repr__(self) -> str:
        return f"Table({self.label}; schedules {', '.join(map(str, self.schedules))}; {len(self.truth):,} cells)"

    @property
    def label(self) -> str:
        """The name, with its kind where that is not "measured"."""
        return self.name if self.kind == "measured" else f"{self.name} ({self.kind})"

    @property
    def default_search(self) -> int:
        """The schedule searched on unless the user says otherwise: the shortest."""
        return int(self.about.get("default_search", min(self.schedules)))

    @property
    def last(self) -> Schedule:
        """The longest schedule; its test accuracy is the truth that strategies are scored on."""
        return self.schedules[max(self.schedules)]

    @property
    def intact(self) -> bool:
        """Whether its numbers are those that its digest was taken of: code in the same process can put others in their place."""
        return self.digest == _digest(self._header(), dict(self._arrays()))

    @property
    def truth(self) -> FloatArray:
        """(A,) mean test accuracy after the longest schedule. For the scorer only."""
        return self.last.test

    def schedule(self, search: int) -> Schedule:
        """The schedule with this last epoch.

        Raises:
            LabError: the table has no such schedule.
        """
        if search not in self.schedules:
            raise LabError(f"table {self.name!r} has no schedule of {search} epochs; it has {_listed(self.schedules)}")
        return self.schedules[search]

    @cached_property
    def measured(self) -> NDArray[np.bool_]:
        """(A,) cells with every validation score, cost and the test score."""
        known = ~np.isnan(self.truth)
        for schedule in self.schedules.values():
            known &= ~np.isnan(schedule.val).any(axis=1) & ~np.isnan(schedule.seconds).any(axis=1)
        return frozen(known)

    def check(self) -> Table:
        """Shapes, ranges and the nan policy; returns itself.

        Raises:
            LabError: the first thing that is wrong, named.
        """
        names.checked(self.name, "a table")
        if not self.schedules:
            raise LabError(f"table {self.name!r} has no schedule")
        for last, schedule in self.schedules.items():
            _check_schedule(f"table {self.name!r}, schedule {last}", last, schedule)
        for name, values in self.metrics.items():
            if values.shape != (cell.SPACE.size,) or np.isinf(values).any():
                raise LabError(f"table {self.name!r}: metric {name!r} must be ({cell.SPACE.size},) without infinities")
        return self

    def save(self, path: Path, *, compress: bool = False) -> Path:
        """Write atomically: a temporary file in the same folder, then renamed.

        Raises:
            LabError: the folder cannot be written.
        """
        write_atomically(path, self.content(compress=compress))
        return path

    def content(self, *, compress: bool = False) -> bytes:
        """What its file holds."""
        arrays = {name: _pack(values, self.about.get("rows") == "class") for name, values in self._arrays()}
        header = self._header() | {"digest": self.digest, "cells": int(self.measured.sum())}
        arrays["header"] = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
        buffer = io.BytesIO()
        (np.savez_compressed if compress else np.savez)(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    def _header(self) -> dict[str, Any]:
        schedules = {
            str(last): {"epochs": list(schedule.epochs), "one_run": schedule.one_run}
            for last, schedule in self.schedules.items()
        }
        return {
            "format": FORMAT,
            "name": self.name,
            "schedules": schedules,
            "metrics": list(self.metrics),
            "about": thawed(self.about),
        }

    def _arrays(self) -> Iterator[tuple[str, FloatArray]]:
        for last, schedule in self.schedules.items():
            for name in _SCHEDULE_ARRAYS:
                yield f"{last}/{name}", getattr(schedule, name)
        empty = np.empty((cell.SPACE.size, 0))
        yield "metrics", np.stack(list(self.metrics.values()), axis=1) if self.metrics else empty

    def seed_names(self, last: int) -> dict[str, list[str]]:
        """What the trials of a schedule are called, "val" and "test": seeds where they are known, else numbers from 1."""
        schedule, named = self.schedules[last], self.about.get("seeds", {})
        own = named.get(str(last), {"val": sorted(named), "test": sorted(named)})  # or one list for all schedules
        counts = {"val": schedule.val_trials.shape[2], "test": schedule.test_trials.shape[1]}
        found = {}
        for kind, count in counts.items():
            names = [str(name) for name in own.get(kind, [])]
            found[kind] = names if len(names) == count else [str(i + 1) for i in range(count)]
        return found

    def frame(self) -> pd.DataFrame:
        """The table as a pandas frame, for whoever thinks in columns; the same columns that `formats.tidy` reads.

        One row per cell in official order; nan = not measured. With D the dataset, L the last epoch of a schedule and e
        an earlier epoch of it, accuracies in percent, times in simulated seconds:

            index, arch                   official index and string
            D/L/val, D/L/val/seed<k>      validation accuracy after epoch L: mean of the trials, one trial
            D/L/val@<e>, ../seed<k>       the same after epoch e
            D/L/test, D/L/test/seed<k>    test accuracy after epoch L
            D/L/seconds, D/L/seconds@<e>  training to that epoch and validating once, cumulative
            D/<metric>                    what the table knows beside (params_m, flops_m: millions; latency_ms; energy_mj)

        `frame.attrs` holds name, kind, digest, source, licence and units.
        """
        import pandas as pd

        archs = range(cell.SPACE.size)
        columns: dict[str, Any] = {"index": np.array(archs), "arch": [cell.to_string(arch) for arch in archs]}
        for last, schedule in self.schedules.items():
            named = _columns(schedule, self.seed_names(last))
            columns |= {f"{self.dataset}/{last}/{name}": values for name, values in named.items()}
        columns |= {f"{self.dataset}/{name}": values for name, values in self.metrics.items()}
        out = pd.DataFrame(columns)
        out.attrs = {"name": self.name, "kind": self.kind, "digest": self.digest}
        out.attrs |= {key: self.about.get(key, "") for key in ("source", "licence")}
        out.attrs["units"] = dict(self.about.get("units", {}))
        return out

    def renamed(self, name: str) -> Table:
        """The same numbers under another name."""
        return replace(self, name=name)


def _columns(schedule: Schedule, seeds: Mapping[str, list[str]]) -> dict[str, FloatArray]:
    """The columns of a frame that a schedule has, (A,) each."""
    found = {}
    for i, epoch in enumerate(schedule.epochs):
        at = "" if epoch == schedule.epochs[-1] else f"@{epoch}"
        found[f"val{at}"] = schedule.val[:, i]
        found |= {f"val{at}/seed{seed}": schedule.val_trials[:, i, t] for t, seed in enumerate(seeds["val"])}
        found[f"seconds{at}"] = schedule.seconds[:, i]
    found["test"] = schedule.test
    return found | {f"test/seed{seed}": schedule.test_trials[:, t] for t, seed in enumerate(seeds["test"])}


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
    by_class = header["about"].get("rows") == "class"
    listed = [f"{int(last)}/{name}" for last in header["schedules"] for name in _SCHEDULE_ARRAYS]
    wide = sum(cell.SPACE.size * math.prod(archive.shape(name)[1:]) for name in [*listed, "metrics"])
    if wide > _NUMBERS:  # rows by class, and numbers of one byte, become many times what they are in the file
        raise ValueError(f"it holds {wide:,} numbers, a table has {_NUMBERS:,} at most")
    full = {name: _unpack(archive.read(name), by_class) for name in [*listed, "metrics"]}
    schedules = {
        int(last): Schedule(
            epochs=tuple(int(e) for e in spec["epochs"]),
            one_run=bool(spec["one_run"]),
            **{name: full[f"{int(last)}/{name}"] for name in _SCHEDULE_ARRAYS},
        )
        for last, spec in header["schedules"].items()
    }
    metrics = {name: full["metrics"][:, i] for i, name in enumerate(header["metrics"])}
    return Table(header["name"], schedules, metrics, header["about"])


def _pack(values: FloatArray, by_class: bool) -> NDArray[Any]:
    """What is stored: one row per class where all members share their values."""
    return values[np.unique(cell.representatives())] if by_class else values


def _unpack(values: NDArray[Any], by_class: bool) -> FloatArray:
    rows = CLASSES if by_class else cell.SPACE.size
    if values.dtype.kind not in "fiu" or values.shape[:1] != (rows,):
        raise ValueError(f"expected {rows} rows of numbers, got {values.dtype} {values.shape}")
    wide = values[cell.SPACE.classes] if by_class else values
    return np.ascontiguousarray(wide, dtype=np.float64)


def _digest(header: dict[str, Any], arrays: Mapping[str, FloatArray]) -> str:
    sha = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {values.dtype.str} {values.shape}".encode())
        sha.update(values.data if values.size else b"")
    return sha.hexdigest()


def _check_schedule(where: str, last: int, schedule: Schedule) -> None:
    cells, fidelities = cell.SPACE.size, len(schedule.epochs)
    if not schedule.epochs or list(schedule.epochs) != sorted(set(schedule.epochs)) or schedule.epochs[-1] != last:
        raise LabError(f"{where}: epochs must ascend to {last}, got {schedule.epochs}")
    shapes = {
        "val": (cells, fidelities),
        "seconds": (cells, fidelities),
        "test": (cells,),
        "val_trials": (cells, fidelities, *schedule.val_trials.shape[2:3]),
        "test_trials": (cells, *schedule.test_trials.shape[1:2]),
    }
    for name, shape in shapes.items():
        values = getattr(schedule, name)
        if values.shape != shape:
            raise LabError(f"{where}: {name} must have shape {shape}, got {values.shape}")
        top = np.inf if name == "seconds" else 100.0
        if (values < 0).any() or (values > top).any() or np.isinf(values).any():
            raise LabError(f"{where}: {name} must lie in 0..{top:g}, got {np.nanmin(values):g}..{np.nanmax(values):g}")
    if (np.diff(schedule.seconds, axis=1) < 0).any():
        raise LabError(f"{where}: seconds must not fall from one epoch to the next")
    if np.isnan(schedule.seconds[~np.isnan(schedule.val)]).any():
        raise LabError(f"{where}: a validation score without its cost (seconds is nan)")
    if np.isnan(schedule.test[~np.isnan(schedule.val).any(axis=1)]).any():
        raise LabError(f"{where}: a validation score without a test score")
    percent.check(where, schedule.epochs, schedule.val, schedule.val_trials, schedule.test, schedule.test_trials)


def known_mean(values: FloatArray) -> FloatArray:
    """Mean over the last axis of what is not nan; nan where all is nan, without numpy's warning."""
    known = ~np.isnan(values)
    counts = known.sum(axis=-1)
    sums = np.where(known, values, 0.0).sum(axis=-1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def _listed(values: Any) -> str:
    items = [str(v) for v in values]
    return ", ".join(items) if len(items) <= 12 else f"{items[0]}, {items[1]}, ..., {items[-1]}"
