"""Where `interop.nats_bench` finds the trainings of a cell: tables, a folder of official records, an official dictionary.

Each source says of a cell and schedule all its trainings, and of all cells at once what a search for the best one needs.
All of them can be pickled; what was read is read again afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from nasbench_lab.core import FloatArray, LabError
from nasbench_lab.interop.results import mean_cost
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.space import Space
from nasbench_lab.tables.formats import nats_simple, official
from nasbench_lab.tables.formats.official import DATASETS, Trial
from nasbench_lab.tables.formats.trials import Trials
from nasbench_lab.tables.table import Table

Record = Mapping[int, Sequence[Trial]]  # by the schedule's last epoch


class Trainings(Protocol):
    """What a source of trainings is."""

    space: Space
    archs: list[int]  # of which there are some
    lasts: list[int]
    datasets: tuple[str, ...]
    name: str

    def of(self, arch: int) -> Record:
        """All trainings of a cell."""
        ...

    def scored(self, dataset: str, split: str, last: int, archs: Sequence[int]) -> tuple[FloatArray, ...]:
        """(n,) each: mean accuracy after the last epoch, FLOPs and parameters in millions; nan where they are not known."""
        ...


class OfTables:
    """Tables of different datasets.

    Raises:
        LabError: none, or two of one dataset.
    """

    space = cell.SPACE

    def __init__(self, tables: Sequence[Table]) -> None:
        self._found = [Trials(table) for table in tables]
        self.datasets = tuple(source.dataset for source in self._found)
        if not self.datasets or len(set(self.datasets)) < len(self.datasets):
            raise LabError(f"the official API has one table per dataset, got {', '.join(self.datasets) or 'none'}")
        self.lasts = sorted({last for table in tables for last in table.schedules})
        self.archs = np.flatnonzero(np.logical_or.reduce([table.measured for table in tables])).tolist()
        self.name = ", ".join(table.label for table in tables)

    @property
    def tables(self) -> list[Table]:
        """As given."""
        return [each.table for each in self._found]

    def of(self, arch: int) -> Record:
        """See `Trainings.of`."""
        return {
            last: [trial for each in self._found if last in each.table.schedules for trial in each.of(arch, last)]
            for last in self.lasts
        }

    def scored(self, dataset: str, split: str, last: int, archs: Sequence[int]) -> tuple[FloatArray, ...]:
        """See `Trainings.scored`; all cells at once."""
        for each in self._found:
            if each.dataset == dataset.removesuffix("-valid") and last in each.table.schedules:
                found = each.means(dataset, split, last), each.known("flops_m"), each.known("params_m")
                return tuple(values[list(archs)] for values in found)
        return tuple(np.full(len(archs), np.nan) for _ in range(3))


class OfRecords:
    """Official records: of a folder, each read when it is asked for, or of a dictionary that was read whole.

    Raises:
        LabError: no such records, or another benchmark's.
    """

    def __init__(self, source: Path | Mapping[Any, Any]) -> None:
        self._kept: dict[int, Record] = {}
        self.datasets: tuple[str, ...] = DATASETS
        if isinstance(source, Mapping):
            self._files: dict[int, Path] = {}
            self._states = _states(source)
            self.space, self.name = _space_of(self._states), "a dictionary"
            self.archs = sorted(self._states)
        else:
            if not nats_simple.is_folder(source):
                raise LabError(f"{source} holds no records of NATS-Bench")
            self.space, self.name = nats_simple.space_of(source, nats_simple.read_meta(source)), str(source)
            self._states, self._files = {}, nats_simple.records(source, self.space)
            self.archs = list(self._files)
        self.lasts = [12, 200] if self.space == cell.SPACE else [1, 12, 90]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_kept": {}}

    def of(self, arch: int) -> Record:
        """See `Trainings.of`.

        Raises:
            LabError: there is no record of this cell, or it is damaged.
        """
        if arch not in self._kept:
            if len(self._kept) > _KEPT:
                self._kept.clear()
            self._kept[arch] = self._read(arch)
        return self._kept[arch]

    def _read(self, arch: int) -> Record:
        if arch in self._files:
            return nats_simple.read_record(self._files[arch], arch, self.space)
        if arch not in self._states:
            raise LabError(f"cell {arch} is not in {self.name}")
        lasts = {official.schedule_of(key): state for key, state in self._states[arch].items()}
        return {last: official.trials_of(state, last) for last, state in sorted(lasts.items())}

    def scored(self, dataset: str, split: str, last: int, archs: Sequence[int]) -> tuple[FloatArray, ...]:
        """See `Trainings.scored`; record by record."""
        rows = [_scored([t for t in self.of(arch).get(last, ()) if t.dataset == dataset], split) for arch in archs]
        return tuple(np.array(rows, dtype=np.float64).reshape(-1, 3).T)


_KEPT = 4096  # records


def _scored(trials: Sequence[Trial], split: str) -> tuple[float, float, float]:
    if not trials:
        return np.nan, np.nan, np.nan
    sets = [trial.train if split == "train" else trial.splits.get(split) for trial in trials]
    scores = [float("nan") if curve is None else float(curve.accuracy[-1]) for curve in sets]
    return sum(scores) / len(scores), mean_cost(trials, "flops_m"), mean_cost(trials, "params_m")


def _states(source: Mapping[Any, Any]) -> Mapping[int, Mapping[str, Any]]:
    """Cell -> schedule -> state, of what the official packages keep in one file.

    Raises:
        LabError: something else.
    """
    states = source.get("arch2infos")
    if not isinstance(states, Mapping) or not states or not all(isinstance(each, Mapping) for each in states.values()):
        raise LabError("a dictionary of NATS-Bench has meta_archs, arch2infos and evaluated_indexes")
    if not all(official.is_state(state) for each in states.values() for state in each.values()):
        raise LabError("arch2infos of a dictionary of NATS-Bench has a state for every cell and schedule")
    if wrong := [
        arch for arch, each in states.items() if any(official.arch_of(state) != arch for state in each.values())
    ]:
        raise LabError(f"the dictionary's record of cell {wrong[0]} is another cell's")
    return states


def _space_of(states: Mapping[int, Mapping[str, Any]]) -> Space:
    return official.space_of(next(iter(next(iter(states.values())).values()))["arch_str"])
