"""Finished trainings -> a `Table`: one row per class, one schedule, a trial per seed. Complete or partial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.spaces.space import Space
from nasbench_lab.tables.schedule import Schedule, known_mean
from nasbench_lab.tables.table import Table

FloatArray = NDArray[np.float64]


class Trials(NamedTuple):
    """J finished trainings as columns; accuracies in percent, nan where it diverged.

    `arch` (J,) and `seed` (J,) int; `val` (J, E); `test` (J,); `seconds` (J,) measured.
    """

    arch: NDArray[np.int64]
    seed: NDArray[np.int64]
    val: FloatArray
    test: FloatArray
    seconds: FloatArray


def from_trials(
    name: str,
    trials: Trials,
    space: Space,
    *,
    seconds: FloatArray,
    step: float,
    metrics: Mapping[str, FloatArray],
    about: Mapping[str, Any],
) -> Table:
    """The table of finished trainings.

    Args:
        name: of the table.
        trials: of any members of the classes; of two with the same (class, seed) the first counts.
        space: of the configurations, A in all.
        seconds: (A, E) simulated cost of training to each epoch.
        step: accuracies are multiples of this (100 / held-out images), to which they are rounded.
        metrics: further (A,) values.
        about: goes into the header.

    Returns:
        a table with nan for classes without a finished training; `val_trials` (A, E, T) and `test_trials` (A, T) have
        one column per seed, in ascending order, nan where that seed was not run.
    """
    seeds = np.unique(trials.seed)
    wide, member = np.unique(space.classes, return_inverse=True)[1], space.representatives
    classes, columns = wide[trials.arch], np.searchsorted(seeds, trials.seed)
    _, first = np.unique(np.stack([classes, columns], axis=1), axis=0, return_index=True)
    classes, columns = classes[first], columns[first]
    count = int(wide.max()) + 1
    val = np.full((count, trials.val.shape[1], len(seeds)), np.nan)
    test, measured = np.full((count, len(seeds)), np.nan), np.full((count, len(seeds)), np.nan)
    val[classes, :, columns] = _counted(trials.val[first], step)
    test[classes, columns] = _counted(trials.test[first], step)
    measured[classes, columns] = trials.seconds[first]
    epochs = tuple(range(1, trials.val.shape[1] + 1))
    schedule = Schedule(
        epochs=epochs,
        val=np.round(known_mean(val), 6)[wide],
        val_trials=val[wide],
        test=np.round(known_mean(test), 6)[wide],
        test_trials=test[wide],
        seconds=seconds[member],
    )
    own = {key: values[member] for key, values in metrics.items()}
    own["measured_seconds"] = np.round(known_mean(measured), 2)[wide]
    return Table(name, {epochs[-1]: schedule}, own, {**about, "rows": "class"}, space=space).check()


def _counted(values: FloatArray, step: float) -> FloatArray:
    """Percentages as the counts they are, without the rounding of float32."""
    return np.asarray(np.round(np.round(np.asarray(values, np.float64) / step) * step, 6))
