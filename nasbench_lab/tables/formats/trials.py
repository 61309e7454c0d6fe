"""A table's cells as official trainings: for tools that speak the official format, and for `interop.nats_bench`.

Of cifar10, validation becomes x-valid of `cifar10-valid` and test ori-test of `cifar10`; of other datasets they become
x-valid and x-test, and where both are known their mean is ori-test, as the halves are of one size. Where only means
are known, or the single trials a table has are not those behind its means, there is one training with the means, of
seed 0. What a table does not keep (losses, training accuracy) is nan. Its seconds are split into epochs and a
validation pass where two points of them tell these apart; else the pass costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.spaces import cell
from nasbench_lab.tables.formats.collect import LATENCY
from nasbench_lab.tables.formats.official import Curve, Trial
from nasbench_lab.tables.schedule import Schedule, known_mean
from nasbench_lab.tables.table import Table

FloatArray = NDArray[np.float64]
_CLOSE = 1e-5
_FULL_TRAINING, _TEST_PASS = 2.0, 0.4  # cifar10 against cifar10-valid, exactly: 50k / 25k and 10k / 25k images


class Trials:
    """The trainings of a table, cell by cell."""

    def __init__(self, table: Table) -> None:
        cell.needed(table.space, f"table {table.name!r}", "records in NATS-Bench's format are made")
        self.table, self.dataset = table, table.dataset
        self._seeds = {last: _seeds(table, last) for last in table.schedules}

    def of(self, arch: int, last: int) -> list[Trial]:
        """Those of one cell and schedule; none where it was not measured."""
        schedule = self.table.schedule(last)
        if np.isnan(schedule.val[arch]).all():
            return []
        train, passes = clock(self.table, arch, last)
        val, test = self._columns(arch, last)
        if self.dataset != "cifar10":
            return [
                self._trial(self.dataset, seed, last, arch, train, _halves(curve, test.get(seed, np.nan), passes, last))
                for seed, curve in val.items()
            ]
        searched = [
            self._trial("cifar10-valid", seed, last, arch, train, {"x-valid": _split(curve, passes, last)})
            for seed, curve in val.items()
        ]
        scored = [
            self._trial("cifar10", seed, last, arch, _FULL_TRAINING * train, {
                "ori-test": _split(_final(score, last), _TEST_PASS * passes, last)
            })
            for seed, score in test.items()
        ]  # fmt: skip
        return searched + scored

    def means(self, dataset: str, split: str, last: int) -> FloatArray:
        """(A,) accuracy after the last epoch, mean over the trainings that have it, as the official API finds it.

        nan of cells that were not measured; all nan for a set that the table does not have.
        """
        nothing = np.full(self.table.space.size, np.nan)
        schedule, (val_seeds, test_seeds) = self.table.schedules[last], self._seeds[last]
        val = schedule.val_trials[:, -1] if list(val_seeds) != [0] else schedule.val[:, -1:]
        test = schedule.test_trials if list(test_seeds) != [0] else schedule.test[:, None]
        if self.dataset == "cifar10":
            return _mean(
                {("cifar10-valid", "x-valid"): val, ("cifar10", "ori-test"): test}.get((dataset, split), nothing)
            )
        sets = {"x-valid": val, "x-test": test} | ({"ori-test": (val + test) / 2} if split == "ori-test" else {})
        return _mean(sets[split]) if dataset == self.dataset and split in sets else nothing

    def known(self, metric: str) -> FloatArray:
        """(A,) a metric of all cells; nan where the table does not have it."""
        return np.asarray(self.table.metrics.get(metric, np.full(self.table.space.size, np.nan)), dtype=np.float64)

    def _columns(self, arch: int, last: int) -> tuple[dict[int, FloatArray], dict[int, float]]:
        """Seed -> (E,) validation, and seed -> test, of the trials that exist."""
        schedule, (val_seeds, test_seeds) = self.table.schedules[last], self._seeds[last]
        wide, at = np.full(last, np.nan), np.array(schedule.epochs) - 1
        val: dict[int, FloatArray] = {}
        for i, seed in enumerate(val_seeds):
            curve = wide.copy()
            curve[at] = schedule.val_trials[arch, :, i] if list(val_seeds) != [0] else schedule.val[arch]
            if not np.isnan(curve).all():
                val[seed] = curve
        scores = schedule.test_trials[arch] if list(test_seeds) != [0] else schedule.test[arch : arch + 1]
        test = {seed: float(score) for seed, score in zip(test_seeds, scores, strict=True) if not np.isnan(score)}
        return val, test

    def _trial(
        self, dataset: str, seed: int, last: int, arch: int, train: FloatArray, splits: dict[str, Curve]
    ) -> Trial:
        unknown = np.full(last, np.nan)
        return Trial(
            dataset,
            seed,
            last,
            self._metric("params_m", arch),
            self._metric("flops_m", arch),
            self._metric(LATENCY, arch) / 1000,
            Curve(unknown, unknown, train),
            splits,
        )

    def _metric(self, name: str, arch: int) -> float:
        return float(self.table.metrics[name][arch]) if name in self.table.metrics else np.nan


def _seeds(table: Table, last: int) -> tuple[Sequence[int], Sequence[int]]:
    """The seeds of a schedule's validation and test trials; [0] stands for the means."""
    schedule = table.schedules[last]
    names = table.seed_names(last)
    val, test = ([int(name) if name.isdecimal() else i + 1 for i, name in enumerate(names[k])] for k in ("val", "test"))
    val = val if _stand_behind(schedule.val_trials, schedule.val) else [0]
    test = test if _stand_behind(schedule.test_trials, schedule.test) else [0]
    if table.dataset != "cifar10" and val != test:  # one training has both
        return [0], [0]
    return val, test


def _stand_behind(trials: FloatArray, means: FloatArray) -> bool:
    """Whether these trials have these means."""
    if not trials.shape[-1]:
        return False
    return bool(np.allclose(known_mean(trials), means, atol=_CLOSE, rtol=0, equal_nan=True))


def clock(table: Table, arch: int, last: int) -> tuple[FloatArray, float]:
    """((E,) seconds of each epoch's training, seconds of one validation pass) of a cell."""
    schedule = table.schedules[last]
    epochs, seconds = np.array(schedule.epochs), schedule.seconds[arch]
    first = float(seconds[0])
    rate = _rate(table, schedule, arch)
    passes = min(max(round(first - epochs[0] * rate, 9), 0.0), first)
    each = np.diff(np.concatenate([[passes], seconds])) / np.diff(np.concatenate([[0], epochs]))
    return np.repeat(each, np.diff(np.concatenate([[0], epochs]))), passes


def _rate(table: Table, schedule: Schedule, arch: int) -> float:
    """Seconds of an epoch, from two points of one schedule or from the ends of two."""
    if len(schedule.epochs) > 1 and schedule.one_run:
        (a, b), (early, late) = schedule.epochs[:2], schedule.seconds[arch, :2]
        return float(late - early) / (b - a)
    ends = _ends(table)
    if len(ends) < 2:
        return float(schedule.seconds[arch, 0]) / schedule.epochs[0]
    (a, early), (b, late) = ends[0], ends[-1]
    return float(late[arch] - early[arch]) / (b - a)


def _ends(table: Table) -> list[tuple[int, FloatArray]]:
    return [(last, schedule.seconds[:, -1]) for last, schedule in sorted(table.schedules.items())]


def _halves(val: FloatArray, test: float, passes: float, last: int) -> dict[str, Curve]:
    """Validation and test images, and both together after the epochs after which both were looked at."""
    scored = _final(test, last)
    sets = {"x-valid": _split(val, passes, last), "x-test": _split(scored, passes, last)}
    both = (val + scored) / 2
    return sets if np.isnan(both).all() else sets | {"ori-test": _split(both, 2 * passes, last)}


def _mean(trials: FloatArray) -> FloatArray:
    """(A,) of (A, T) with nan for what is not there; added up in order, as Python's `sum` does."""
    if trials.ndim == 1:
        return trials
    total, counted = np.zeros(len(trials)), (~np.isnan(trials)).sum(axis=1)
    for column in np.nan_to_num(trials).T:
        total = total + column
    means: FloatArray = np.divide(total, counted, out=np.full(len(trials), np.nan), where=counted > 0)
    return means


def _final(score: float, last: int) -> FloatArray:
    curve = np.full(last, np.nan)
    curve[-1] = score
    return curve


def _split(accuracy: FloatArray, passes: float, last: int) -> Curve:
    return Curve(accuracy, np.full(last, np.nan), np.full(last, passes))
