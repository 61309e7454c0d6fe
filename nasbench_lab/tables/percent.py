"""Accuracies in percent, told from shares of 1 that stand where they belong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasbench_lab.core import FloatArray, LabError

_TELLING = 100  # known cells of a column whose best tells percentages from shares of 1


def check(
    where: str, epochs: Sequence[int], val: FloatArray, trials: FloatArray, test: FloatArray, tests: FloatArray
) -> None:
    """Refuse shares of 1 among percentages: a whole column of them, or a cell with some of either.

    Args:
        where: of the schedule, for messages.
        epochs, val, trials, test, tests: as in `table.Schedule`.

    Raises:
        LabError: there are some.
    """
    columns = {f"val after epoch {epoch}": val[:, i] for i, epoch in enumerate(epochs)}
    columns |= {"test": test} | {f"test trial {t + 1}": tests[:, t] for t in range(tests.shape[1])}
    columns |= {
        f"val trial {t + 1} after epoch {epoch}": trials[:, i, t]
        for i, epoch in enumerate(epochs)
        for t in range(trials.shape[2])
    }
    for name, values in columns.items():
        known = values[~np.isnan(values)]
        if known.size >= _TELLING and 0 < known.max() <= 1:
            raise LabError(f"{where}: accuracies are percentages, those of {name} are all at most 1: multiply by 100")
    last = np.concatenate([val[:, -1:], test[:, None], trials[:, -1], tests], axis=1)
    low = np.min(np.where(np.isnan(last), np.inf, last), axis=1)
    high = np.max(np.where(np.isnan(last), 0.0, last), axis=1)
    apart = (low > 0) & (low <= 1) & (high > 2)
    mixed = np.flatnonzero(apart & (np.abs(100 * low - high) <= 0.1 * high))
    telling = np.isfinite(low).sum() >= _TELLING
    if telling and mixed.size and 2 * mixed.size >= apart.sum():  # fewer may be chance, where scores differ much
        arch = int(mixed[0])
        raise LabError(
            f"{where}: accuracies are percentages, {mixed.size:,} cells have shares among them, first cell {arch} "
            f"with {low[arch]:g} and {high[arch]:g}"
        )
