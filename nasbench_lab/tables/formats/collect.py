"""Official records -> tables: which numbers a search may see, which score it, and what each costs.

The rule against leakage: validation is `x-valid` and nothing else, at the epochs where it was recorded (on cifar10 it
is that of the training on 25k images, `cifar10-valid`); test is `ori-test` of the training on 50k images on cifar10,
`x-test` elsewhere. `ori-test` of cifar100 and ImageNet16-120 contains x-valid and x-test, so it is never read. Cost is
what the official API charges: the training up to an epoch plus one pass over the validation images (rounded to
8 decimals, so that a table survives export and import).

Notation: A cells of the space, E epochs of a schedule, seeds in ascending order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.errors import counted
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.space import Space
from nasbench_lab.tables.formats.official import DATASETS, Trial, name_of
from nasbench_lab.tables.schedule import Schedule, known_mean
from nasbench_lab.tables.table import Table

FloatArray = NDArray[np.float64]
Curves = dict[int, FloatArray]  # cell -> (E,)
UNITS = {"val": "percent", "test": "percent", "seconds": "simulated seconds", "params_m": "millions", "flops_m": "millions",
         "latency_ms": "ms", "energy_mj": "mJ"}  # fmt: skip
LATENCY = "latency_ms/nats_bench"  # the benchmark's own: a batch of 256 images
_SEARCHED = 12  # epochs that a search of sizes is answered with, where they are there
_COLUMNS = 1024  # of one number per cell: datasets x schedules x (seeds and metrics); the real file has 48
_NUMBERS = 1 << 26  # in all tables of an import; the real file has 16 million
_SMALLER = "cifar10, {} epochs: test is that of the training on 25k images, the only one there"


class Row(NamedTuple):
    """What a table takes from the trainings of one cell on one dataset with one schedule.

    `val` seed -> (E,); `test` seed -> percent; `seconds` (E,) cumulative; `metrics` name -> value.
    """

    dataset: str
    last: int
    val: Mapping[int, FloatArray]
    test: Mapping[int, float]
    seconds: FloatArray
    metrics: Mapping[str, float]
    note: str = ""


def rows_of(trials: Iterable[Trial], last: int) -> list[Row]:
    """The rows of one cell and schedule, one for every dataset it was trained on."""
    by_dataset: dict[str, list[Trial]] = {}
    for trial in trials:
        by_dataset.setdefault(trial.dataset, []).append(trial)
    rows = []
    for dataset in dict.fromkeys(name.removesuffix("-valid") for name in by_dataset):
        scored, test = by_dataset.get(dataset, []), "x-test" if dataset != "cifar10" else "ori-test"
        searched = by_dataset.get("cifar10-valid", []) if dataset == "cifar10" else scored
        row = _row(dataset, last, searched, scored or searched, test)
        rows.append(row if scored else row._replace(note=_SMALLER.format(last)))
    return rows


def _row(dataset: str, last: int, searched: list[Trial], scored: list[Trial], test: str) -> Row:
    val = {trial.seed: trial.splits["x-valid"].accuracy for trial in searched if "x-valid" in trial.splits}
    costs = [_cumulative(trial) for trial in searched if "x-valid" in trial.splits]
    seconds = np.full(last, np.nan)
    if costs:
        seconds = np.round(np.maximum.accumulate(np.stack(costs).mean(axis=0)), 8)
    tests = {trial.seed: float(trial.splits[test].accuracy[-1]) for trial in scored if test in trial.splits}
    latencies = [trial.latency for trial in scored if trial.latency > 0]
    metrics = {
        "params_m": _agreed([trial.params_m for trial in scored], scored),
        "flops_m": _agreed([trial.flops_m for trial in scored], scored),
        LATENCY: round(1000 * sum(latencies) / len(latencies), 9) if latencies else np.nan,
        "trials": float(len(scored)),
    }
    return Row(dataset, last, val, tests, seconds, metrics)


def _cumulative(trial: Trial) -> FloatArray:
    """(E,) seconds of training to each epoch and validating once."""
    passes = trial.splits["x-valid"].seconds
    return np.cumsum(trial.train.seconds) + np.cumsum(passes) / np.arange(1, trial.epochs + 1)


def _agreed(values: list[float], trials: list[Trial]) -> float:
    """The mean; where trials disagree, that of seed 888, as the official API since 1.6 (some files were migrated)."""
    seeds = [trial.seed for trial in trials]
    if len({f"{value:.5f}" for value in values}) > 1 and 888 in seeds:
        return values[seeds.index(888)]
    return sum(values) / len(values)


class Collector:
    """Takes the rows of all cells, in any order, and makes the tables."""

    def __init__(self, space: Space = cell.SPACE) -> None:
        self.space = space
        self.archs: set[int] = set()
        self._notes: set[str] = set()
        self._val: dict[tuple[str, int], dict[int, Curves]] = {}
        self._test: dict[tuple[str, int], dict[int, FloatArray]] = {}
        self._seconds: dict[tuple[str, int], Curves] = {}
        self._metrics: dict[tuple[str, int], dict[str, FloatArray]] = {}
        self._columns, self._numbers = 0, 0

    def add(self, arch: int, rows: Iterable[Row]) -> None:
        """The rows of one cell."""
        self.archs.add(arch)
        for row in rows:
            key = row.dataset, row.last
            self._notes |= {row.note} - {""}
            for seed, curve in row.val.items():
                self._val.setdefault(key, {}).setdefault(seed, {})[arch] = curve
            for seed, score in row.test.items():
                self._place(self._test.setdefault(key, {}), seed)[arch] = score
            self._seconds.setdefault(key, {})[arch] = row.seconds
            for name, value in row.metrics.items():
                self._place(self._metrics.setdefault(key, {}), name)[arch] = value

    def _place(self, arrays: dict[Any, FloatArray], key: Any) -> FloatArray:
        """A column of one number per cell."""
        if key not in arrays:
            self._columns += 1
            if self._columns > _COLUMNS:
                raise LabError(f"these records have more than {_COLUMNS} datasets, schedules and seeds; not imported")
            arrays[key] = np.full(self.space.size, np.nan)
        return arrays[key]

    def tables(self, about: Mapping[str, Any]) -> tuple[list[Table], list[str]]:
        """The tables, checked, and what is to be said about them.

        Raises:
            LabError: nothing was added, or the numbers cannot be right.
        """
        datasets = {dataset for dataset, _ in self._seconds}
        found, notes = [], [*self._missing(), *sorted(self._notes)]
        for dataset in sorted(datasets, key=lambda name: (name not in DATASETS, *_position(name))):
            table = self._table(dataset, about, notes)
            if table is not None:
                found.append(table.check())
        if not found:
            raise LabError("there is no training with a validation score in it")
        return found, notes

    def _missing(self) -> list[str]:
        missing = np.setdiff1d(np.arange(self.space.size), np.array(sorted(self.archs), dtype=np.int64))
        if not missing.size:
            return []
        first = int(missing[0])
        return [
            f"{missing.size:,} of {self.space.size:,} cells are not in it, first {first} {name_of(self.space, first)}"
        ]

    def _table(self, dataset: str, about: Mapping[str, Any], notes: list[str]) -> Table | None:
        schedules, seeds = {}, {}
        for last in sorted(last for name, last in self._seconds if name == dataset):
            names = {
                kind: [str(seed) for seed in sorted(arrays.get((dataset, last), ()))]
                for kind, arrays in (("val", self._val), ("test", self._test))
            }
            schedule = self._schedule(dataset, last, notes)
            if schedule is not None:
                schedules[last], seeds[str(last)] = schedule, names
        if not schedules:
            return None
        own = self._metrics[dataset, max(schedules)]
        metrics = {name: values for name, values in own.items() if not np.isnan(values).all()}
        told = {**about, "dataset": dataset, "seeds": seeds, "units": UNITS}
        if self.space == cell.SPACE:
            return Table(dataset, schedules, metrics, told)
        search = {"default_search": _SEARCHED} if _SEARCHED in schedules else {}
        return Table(f"{self.space.name}-{dataset}", schedules, metrics, told | search, self.space)

    def _schedule(self, dataset: str, last: int, notes: list[str]) -> Schedule | None:
        key = dataset, last
        if not (self._val.get(key) and self._test.get(key)):
            what = "validation" if not self._val.get(key) else "test"
            notes.append(f"{dataset}, {last} epochs: left out, it has no {what} score")
            return None
        found, tests = self._val.pop(key), _stacked(self._test.pop(key))
        kept = _known_in_all(found, last)
        if not kept[-1]:
            notes.append(
                f"{dataset}, {last} epochs: left out, some cells have no validation score after the last epoch"
            )
            return None
        self._numbers += self.space.size * int(kept.sum()) * (len(found) + 2)
        if self._numbers > _NUMBERS:  # what a few records say is laid out for all cells
            raise LabError(f"these records make tables of more than {_NUMBERS:,} numbers; not imported")
        curves = np.stack([_dense(found[seed], kept, self.space.size) for seed in sorted(found)], axis=2)
        unscored = ~np.isnan(curves[:, -1]).all(axis=1) & np.isnan(tests).all(axis=1)
        if unscored.any():
            curves[unscored] = np.nan
            notes.append(
                f"{dataset}, {last} epochs: {counted(int(unscored.sum()), 'cell', 'has')} no test score, left out"
            )
        return Schedule(
            epochs=tuple((np.flatnonzero(kept) + 1).tolist()),
            val=known_mean(curves),
            val_trials=curves,
            test=known_mean(tests),
            test_trials=tests,
            seconds=_dense(self._seconds[key], kept, self.space.size),
        )


def _position(name: str) -> tuple[int, str]:
    return (DATASETS.index(name) if name in DATASETS else 0), name


def _known_in_all(curves: Mapping[int, Curves], last: int) -> NDArray[np.bool_]:
    """(last,) epochs after which every cell with any score has one, of whichever seed."""
    known: dict[int, NDArray[np.bool_]] = {}
    for own in curves.values():
        for arch, curve in own.items():
            known[arch] = ~np.isnan(curve) | known.get(arch, False)
    kept = np.ones(last, dtype=np.bool_)
    some = [each for each in known.values() if each.any()]
    for each in some:
        kept &= each
    return kept


def _dense(curves: Curves, kept: NDArray[np.bool_], size: int) -> FloatArray:
    """(A, kept) from the cells that are there; nan elsewhere."""
    out = np.full((size, int(kept.sum())), np.nan)
    for arch, curve in curves.items():
        out[arch] = curve[kept]
    return out


def _stacked(arrays: dict[int, FloatArray]) -> FloatArray:
    """(A, T) in ascending order of seeds."""
    return np.stack([arrays[seed] for seed in sorted(arrays)], axis=1)
