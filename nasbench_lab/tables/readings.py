"""How others read NAS-Bench-201: named departures from "search sees validation, only the scorer sees test".

They exist to replay published protocols and to see what they change (`nasbench-lab audit`, docs/audit.md, where every
tool, version and file is named). None is ever a default: a reading is chosen by name, `--evaluator
tabular:reading=search-on-test`, makes other runs, and stands in the header of every run, in headings and in every row.

A reading makes another table of a table; two readings concern records instead and are applied by `rereading`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nasbench_lab.core import FloatArray, LabError
from nasbench_lab.spaces.frozen import ReadOnly
from nasbench_lab.tables.schedule import Schedule
from nasbench_lab.tables.table import Table

_MIXED = ("cifar100", "ImageNet16-120")  # datasets whose ori-test is validation and test together


class Reading(NamedTuple):
    """One way to read a table.

    Attributes:
        what: what is read as what, in a few words; shown wherever the reading is used.
        read: the table so read; raises `LabError` where the table lacks what it takes.
    """

    what: str
    read: Callable[[Table], Table]


def named(name: str) -> Reading:
    """A reading by name.

    Raises:
        LabError: no such reading.
    """
    if name not in READINGS:
        raise LabError(f"no reading named {name!r}; allowed: {', '.join(READINGS)}")
    return READINGS[name]


def ori_test(table: Table, schedule: Schedule) -> FloatArray:
    """(A,) NAS-Bench-201's split "ori-test": the test set, or on CIFAR-100 and ImageNet16-120 validation and test together.

    On those two it is exactly the mean of `x-valid` and `x-test`, as their test sets were split in halves.
    """
    dataset = str(table.about.get("dataset") or table.name)
    return (schedule.val[:, -1] + schedule.test) / 2 if dataset in _MIXED else schedule.test


def _validation_as_test(table: Table) -> Table:
    return _every(table, lambda schedule: replace(schedule, test=schedule.val[:, -1]))


def _search_on_test(table: Table) -> Table:
    def change(schedule: Schedule) -> Schedule:
        seen = ori_test(table, schedule)
        return _only_last(schedule, seen[:, None], np.empty((*seen.shape, 1, 0)), test=seen)

    return _every(table, change)


def _mixed_test(table: Table) -> Table:
    if ori_test(table, table.last) is table.last.test:
        raise LabError(f"on {table.name!r} the split ori-test is the test set alone")
    return _every(table, lambda schedule: replace(schedule, test=ori_test(table, schedule)))


def _short_single_test(table: Table) -> Table:
    """The first trial there is, after the shortest schedule, scores; where only means are known there was one trial."""
    short = table.schedules[min(table.schedules)]
    trials = short.test_trials
    first = np.where(np.isnan(trials[:, 0]), short.test, trials[:, 0]) if trials.shape[1] else short.test
    if len(table.schedules) == 1 and trials.shape[1] == 0:
        raise LabError(f"table {table.name!r} has one schedule and no single trials")
    return _every(table, lambda schedule: replace(schedule, test=first) if schedule is table.last else schedule)


def _best_seed(table: Table) -> Table:
    trials = table.last.test_trials
    if trials.shape[1] < 2:
        raise LabError(f"table {table.name!r} has not several test trials of a cell")
    best = np.nanmax(trials, axis=1)
    return _every(table, lambda schedule: replace(schedule, test=best) if schedule is table.last else schedule)


def _filled_seeds(table: Table) -> Table:
    """Every query returns one trial of ori-test, drawn from all seeds; one that was not trained holds the others' mean."""
    trials = table.last.test_trials
    dataset = str(table.about.get("dataset") or table.name)
    if dataset in _MIXED or not np.isnan(trials).any():
        raise LabError(f"table {table.name!r} has no trials of ori-test, or none is missing")
    filled = np.where(np.isnan(trials), table.last.test[:, None], trials)

    def change(schedule: Schedule) -> Schedule:
        if schedule is not table.last:
            return schedule
        return _only_last(schedule, schedule.test[:, None], filled[:, None, :], test=schedule.test)

    return _every(table, change)


def _as_it_is(table: Table) -> Table:
    return table


def _every(table: Table, change: Callable[[Schedule], Schedule]) -> Table:
    return replace(table, schedules={last: change(schedule) for last, schedule in table.schedules.items()})


def _only_last(schedule: Schedule, val: FloatArray, trials: FloatArray, *, test: FloatArray) -> Schedule:
    """A schedule whose one fidelity is its last epoch."""
    return replace(
        schedule,
        epochs=schedule.epochs[-1:],
        seconds=schedule.seconds[:, -1:],
        val=val,
        val_trials=trials,
        test=test,
    )


FILLED = "filled-seeds"  # its queries return single trials
RUNNING_MAXIMUM, REAL_TIME = "running-max-test", "real-time-added"  # of records: see `rereading`
READINGS: Mapping[str, Reading] = ReadOnly(
    {
        "validation-as-test": Reading("the validation score is reported as test accuracy", _validation_as_test),
        "search-on-test": Reading("search sees ori-test, and ori-test is reported", _search_on_test),
        "mixed-test": Reading("ori-test, half of it validation, is reported as test accuracy", _mixed_test),
        "short-single-test": Reading(
            "one trial of the shortest schedule is reported as test accuracy", _short_single_test
        ),
        RUNNING_MAXIMUM: Reading("the best test accuracy of all cells tried is reported", _as_it_is),
        "best-seed": Reading("the best seed of a cell is reported as its accuracy", _best_seed),
        FILLED: Reading("search sees trials of ori-test, missing ones filled with the others' mean", _filled_seeds),
        REAL_TIME: Reading("real seconds of deciding are added to simulated time", _as_it_is),
    }
)
