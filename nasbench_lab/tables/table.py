"""One tabulated benchmark as arrays, and its file: a `.npz` with a JSON header, read without pickle.

Notation: A cells of the table's space, in its order; F fidelities; T validation trials; S test trials; M metrics.
Scores in the table's unit and direction (accuracies in percent unless it says otherwise), times in simulated seconds,
nan = not measured. A table has one or more *schedules*: trainings of their own, each with its own learning-rate
schedule, named by their last epoch (NAS-Bench-201: 12 and 200; 1 where epochs are not counted).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.files import names
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.spaces import cell, cells, naming, written
from nasbench_lab.spaces.frozen import frozen, thawed
from nasbench_lab.spaces.space import Space
from nasbench_lab.stats.measures import PERCENT, Measure
from nasbench_lab.tables import brought, headers, percent
from nasbench_lab.tables.schedule import SCHEDULE_ARRAYS, FloatArray, Schedule, listed

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
BETTER = ("higher", "lower")
_LARGEST = 1e100  # of scores and seconds: squares of them are finite
_LEAST = 1e-100  # of scores that are not 0: squares of them are not


@dataclass(frozen=True)
class Table:
    """A benchmark: its schedules, its metrics and where they come from; all of it read-only.

    Attributes:
        name: how the catalog and run headers call it.
        schedules: by last epoch, ascending.
        metrics: further (A,) values such as "latency_ms/edgegpu"; nan where there is none.
        about: source, licence, dataset, units, ...; what `tables info` prints.
        space: of its cells.
        unit: of its scores: "%", or any text.
        better: "higher" or "lower" scores.
        digest: SHA-256 of header and arrays.
    """

    name: str
    schedules: Mapping[int, Schedule]
    metrics: Mapping[str, FloatArray]
    about: Mapping[str, Any] = field(default_factory=dict)
    space: Space = cell.SPACE
    unit: str = PERCENT
    better: str = "higher"

    def __post_init__(self) -> None:
        for name in ("schedules", "metrics", "about"):
            object.__setattr__(self, name, frozen(getattr(self, name)))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of header and arrays."""
        return self._digest()

    @property
    def kind(self) -> str:
        """What the numbers are: "measured", "synthetic" (made up) or "predicted" (by a fitted surrogate)."""
        return str(self.about.get("kind", "measured"))

    @property
    def dataset(self) -> str:
        """What the cells were trained on; the table's name where its header does not say, or says "none" (made up)."""
        return headers.dataset(self.name, self.about)

    @classmethod
    def from_frame(
        cls,
        frame: pd.DataFrame,
        *,
        name: str,
        decisions: Sequence[str],
        val: Sequence[str] = (),
        test: Sequence[str] = (),
        seconds: str = "",
        metrics: Sequence[str] | Mapping[str, str] = (),
        better: str = "higher",
        unit: str = "",
        space: Space | None = None,
        source: str = "",
        licence: str = "",
    ) -> Table:
        """The table of a frame with a row per configuration; `brought` says how scores and options are understood.

        Args:
            frame: rows are configurations, each once.
            name: of the table.
            decisions: columns that say what a configuration is, in order.
            val: columns of what the search sees; several are several trials.
            test: columns of what it is scored on; none: the trials that the search does not see, or validation itself.
            seconds: column of what a training and its validation cost; none: every query costs 1.
            metrics: further columns of numbers; with which of their values are better, {"lat": "lower"} or "lat:lower",
                they can be objectives, under the name "lat:lower".
            better: "higher" or "lower" scores.
            unit: of the scores; "%" for percentages.
            space: the space that the rows are all of; made of the columns if left out.
            source, licence: kept in the header.

        Raises:
            LabError: a column that is not there, or holds what it cannot; a configuration that is missing, doubled or
                contradictory; says where.
        """
        found = brought.read(
            frame, name=name, decisions=decisions, val=val, test=test, seconds=seconds, metrics=metrics,
            better=better, unit=unit, space=space, source=source, licence=licence,
        )  # fmt: skip
        return cls(**found).check()

    @property
    def sign(self) -> int:
        """+1 where higher scores are better, -1 where lower ones are: a strategy maximises score times sign."""
        return 1 if self.better == "higher" else -1

    @cached_property
    def measure(self) -> Measure:
        """How its scores are read."""
        return Measure(self.unit, self.better, tested=not self.scored).for_scores(self.truth)

    @property
    def scored(self) -> str:
        """What stands for the test score, in words; empty where the table has test scores."""
        return str(self.about.get("scored", ""))

    @property
    def counts_epochs(self) -> bool:
        """Whether schedules are named by epochs; otherwise there is one, called 1."""
        return bool(self.about.get("counts_epochs", True))

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
    def default_trials(self) -> str:
        """What a query of it is answered with unless the user says otherwise, see `evaluators.tabular`."""
        return str(self.about.get("default_trials", "mean"))

    @property
    def last(self) -> Schedule:
        """The longest schedule; its test accuracy is the truth that strategies are scored on."""
        return self.schedules[max(self.schedules)]

    @property
    def intact(self) -> bool:
        """Whether its numbers are those that its digest was taken of: code in the same process can put others in their place."""
        return self.digest == self._digest()

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
            raise LabError(f"table {self.name!r} has no schedule of {search} epochs; it has {listed(self.schedules)}")
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
        if self.better not in BETTER:
            raise LabError(f"table {self.name!r}: better is {' or '.join(BETTER)}, got {self.better!r}")
        if not self.unit.strip() or not self.unit.isprintable():
            raise LabError(f"table {self.name!r}: the unit is a text that can be printed, got {self.unit!r}")
        for last, schedule in self.schedules.items():
            _check_schedule(f"table {self.name!r}, schedule {last}", last, schedule, self)
        for name, values in self.metrics.items():
            if values.shape != (self.space.size,) or np.isinf(values).any():
                raise LabError(f"table {self.name!r}: metric {name!r} must be ({self.space.size},) without infinities")
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
        by_class = self.about.get("rows") == "class"
        if by_class:
            self._check_rows()
        first = first_of_classes(self.space) if by_class else slice(None)
        arrays: dict[str, NDArray[Any]] = {name: values[first] for name, values in self._arrays()}
        arrays |= self._space_arrays()
        header = self._header() | {"digest": self.digest, "cells": int(self.measured.sum())}
        arrays["header"] = np.frombuffer(json.dumps(header, sort_keys=True).encode(), dtype=np.uint8)
        buffer = io.BytesIO()
        (np.savez_compressed if compress else np.savez)(buffer, allow_pickle=False, **arrays)
        return buffer.getvalue()

    def _check_rows(self) -> None:
        """What a file with a row for each class would lose.

        Raises:
            LabError: members of a class differ.
        """
        member = self.space.representatives
        arrays = [*((name, values) for name, values in self._arrays() if name != "metrics"), *self.metrics.items()]
        for name, values in arrays:
            if not np.array_equal(values, values[member], equal_nan=True):
                raise LabError(
                    f"table {self.name!r} says that it has a row for each class, but {name!r} differs within a class; leave "
                    "'rows' out of its header to keep all cells"
                )

    def _header(self) -> dict[str, Any]:
        schedules = {
            str(last): {"epochs": list(schedule.epochs), "one_run": schedule.one_run}
            for last, schedule in self.schedules.items()
        }
        header: dict[str, Any] = {
            "format": FORMAT,
            "name": self.name,
            "schedules": schedules,
            "metrics": list(self.metrics),
            "about": thawed(self.about),
        }
        if self.space != cell.SPACE:
            header["space"] = written.plain(self.space)
        if (self.unit, self.better) != (PERCENT, "higher"):
            header |= {"unit": self.unit, "better": self.better}
        return header

    def _space_arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the space; none of NAS-Bench-201's, which every file without a space is of."""
        found = {} if self.space == cell.SPACE else written.arrays(self.space)
        return {f"space/{name}": values for name, values in found.items()}

    def _digest(self) -> str:
        return _digest(self._header(), dict(self._arrays()) | self._space_arrays())

    def _arrays(self) -> Iterator[tuple[str, FloatArray]]:
        for last, schedule in self.schedules.items():
            for name in SCHEDULE_ARRAYS:
                yield f"{last}/{name}", getattr(schedule, name)
        empty = np.empty((self.space.size, 0))
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

        One row per cell in the space's order; nan = not measured. With D the dataset, L the last epoch of a schedule and e
        an earlier epoch of it, accuracies in percent or scores in the table's unit, times in simulated seconds:

            index, arch                   index, and of a four-node cell its official string
            one column per decision       labels of the options, of any space but NAS-Bench-201's
            D/L/val, D/L/val/seed<k>      validation accuracy after epoch L: mean of the trials, one trial
            D/L/val@<e>, ../seed<k>       the same after epoch e
            D/L/test, D/L/test/seed<k>    test accuracy after epoch L
            D/L/seconds, D/L/seconds@<e>  training to that epoch and validating once, cumulative
            D/<metric>                    what the table knows beside (params_m, flops_m: millions; latency_ms; energy_mj)

        `frame.attrs` holds name, kind, digest, source, licence and units.
        """
        import pandas as pd

        columns: dict[str, Any] = {"index": np.arange(self.space.size)}
        if cells.is_cell(self.space):
            columns["arch"] = [cells.to_string(self.space, arch) for arch in range(self.space.size)]
        if self.space != cell.SPACE:
            columns |= naming.columns(self.space)
        for last, schedule in self.schedules.items():
            named = _columns(schedule, self.seed_names(last))
            columns |= {f"{self.dataset}/{last}/{name}": values for name, values in named.items()}
        columns |= {f"{self.dataset}/{name}": values for name, values in self.metrics.items()}
        out = pd.DataFrame(columns)
        out.attrs = {"name": self.name, "kind": self.kind, "digest": self.digest}
        out.attrs |= {key: self.about.get(key, "") for key in ("source", "licence")}
        out.attrs["units"] = dict(self.about.get("units", {}))
        out.attrs |= {"unit": self.unit, "better": self.better}
        return out

    def renamed(self, name: str) -> Table:
        """The same numbers under another name."""
        return replace(self, name=name)

    def described(self, title: str, dataset: str) -> Table:
        """The same with a title and the name of its dataset in the header."""
        return replace(self, about={**self.about, "title": title, "dataset": dataset})


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


def first_of_classes(space: Space) -> NDArray[np.int64]:
    """(C,) the lowest-index cell of every class, ascending: what is stored where all members share their values."""
    return np.sort(np.unique(space.classes, return_index=True)[1])


def _digest(header: dict[str, Any], arrays: Mapping[str, FloatArray]) -> str:
    sha = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        sha.update(f"{name} {values.dtype.str} {values.shape}".encode())
        sha.update(values.data if values.size else b"")
    return sha.hexdigest()


def _check_schedule(where: str, last: int, schedule: Schedule, table: Table) -> None:
    count, fidelities, percentages = table.space.size, len(schedule.epochs), table.unit == PERCENT
    if not schedule.epochs or list(schedule.epochs) != sorted(set(schedule.epochs)) or schedule.epochs[-1] != last:
        raise LabError(f"{where}: epochs must ascend to {last}, got {schedule.epochs}")
    shapes = {
        "val": (count, fidelities),
        "seconds": (count, fidelities),
        "test": (count,),
        "val_trials": (count, fidelities, *schedule.val_trials.shape[2:3]),
        "test_trials": (count, *schedule.test_trials.shape[1:2]),
    }
    for name, shape in shapes.items():
        values = getattr(schedule, name)
        if values.shape != shape:
            raise LabError(f"{where}: {name} must have shape {shape}, got {values.shape}")
        least = 0.0 if percentages or name == "seconds" else -_LARGEST
        most = 100.0 if percentages and name != "seconds" else _LARGEST
        if (values < least).any() or (values > most).any() or np.isinf(values).any():
            raise LabError(
                f"{where}: {name} must lie in {least:g}..{most:g}, got {np.nanmin(values):g}..{np.nanmax(values):g}"
            )
        if name != "seconds" and ((np.abs(values) < _LEAST) & (values != 0)).any():
            raise LabError(f"{where}: {name} must be 0 or of size {_LEAST:g} at least; give it in another unit")
    if (np.diff(schedule.seconds, axis=1) < 0).any():
        raise LabError(f"{where}: seconds must not fall from one epoch to the next")
    if np.isnan(schedule.seconds[~np.isnan(schedule.val)]).any():
        raise LabError(f"{where}: a validation score without its cost (seconds is nan)")
    if np.isnan(schedule.test[~np.isnan(schedule.val).any(axis=1)]).any():
        raise LabError(f"{where}: a validation score without a test score")
    if percentages and table.sign > 0:  # errors may all be below 1%
        percent.check(where, schedule.epochs, schedule.val, schedule.val_trials, schedule.test, schedule.test_trials)
