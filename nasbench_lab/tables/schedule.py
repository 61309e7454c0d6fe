"""One training schedule of all cells of a table, as arrays. Notation as in `table`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.spaces.frozen import frozen

FloatArray = NDArray[np.float64]
SCHEDULE_ARRAYS = ("val", "val_trials", "test", "test_trials", "seconds")


@dataclass(frozen=True)
class Schedule:
    """One training schedule of all cells; its arrays are read-only.

    Attributes:
        epochs: the F epochs at which validation was measured, ascending.
        val: (A, F) mean validation score over the trials that exist.
        val_trials: (A, F, T) single trials; T = 0 where only means were published.
        test: (A,) mean test score after the last epoch; of a table without test scores what it is scored on instead,
            see `Table.scored`.
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
        for name in SCHEDULE_ARRAYS:
            object.__setattr__(self, name, frozen(getattr(self, name)))

    def column(self, epochs: int) -> int:
        """The position of a fidelity.

        Raises:
            LabError: not one of `epochs`.
        """
        if epochs not in self.epochs:
            raise LabError(f"no score after {epochs} epochs; this schedule has {listed(self.epochs)}")
        return self.epochs.index(epochs)


def known_mean(values: FloatArray) -> FloatArray:
    """Mean over the last axis of what is not nan; nan where all is nan, without numpy's warning."""
    known = ~np.isnan(values)
    counts = known.sum(axis=-1)
    sums = np.where(known, values, 0.0).sum(axis=-1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def listed(values: Any) -> str:
    """Some values for messages: all of few, the ends of many."""
    items = [str(v) for v in values]
    return ", ".join(items) if len(items) <= 12 else f"{items[0]}, {items[1]}, ..., {items[-1]}"
