"""The two readings of `tables.readings` that concern records, applied before anything is computed from them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray
from nasbench_lab.study.store import MEASURED, Runs
from nasbench_lab.tables.readings import REAL_TIME, RUNNING_MAXIMUM


def reread(runs: Runs, reading: str, truth: FloatArray, max_seconds: float) -> Runs:
    """Runs as a reading has them: with other incumbents, with a later clock, or as they are.

    Args:
        runs: as recorded.
        reading: its name; "" for none.
        truth: (N,) test accuracy.
        max_seconds: simulated seconds allowed; records that the later clock moves beyond are gone.
    """
    if reading == RUNNING_MAXIMUM:
        return runs.each(lambda part: replace(part, columns={**part.columns, "incumbent": _best_so_far(part, truth)}))
    return runs.each(lambda part: _later(part, max_seconds)) if reading == REAL_TIME else runs


def _best_so_far(runs: Runs, truth: FloatArray) -> NDArray[np.int32]:
    """(rows,) the cell with the best test accuracy among those tried in the run so far."""
    arch, out = runs.columns["arch"], np.empty(len(runs.columns["arch"]), dtype=np.int32)
    for a, b in zip(runs.offsets[:-1].tolist(), runs.offsets[1:].tolist(), strict=True):
        if a < b:
            score = truth[arch[a:b]]
            best = np.maximum.accumulate(score)
            first = np.concatenate([[True], best[1:] > best[:-1]])  # a new best is the cell of its own row
            rows = np.maximum.accumulate(np.where(first, np.arange(b - a), 0))
            out[a:b] = arch[a:b][rows]
    return out


def _later(runs: Runs, max_seconds: float) -> Runs:
    """Every result arrives later by the real seconds spent deciding until then (one worker: the order stays)."""
    sums = np.cumsum(runs.columns[MEASURED], dtype=np.float64)
    before = np.concatenate([[0.0], sums])[np.repeat(runs.offsets[:-1], runs.counts)]
    finished = runs.columns["finished"] + sums - before
    kept = finished <= max_seconds
    columns = {name: values[kept] for name, values in {**runs.columns, "finished": finished}.items()}
    offsets = np.concatenate([[0], np.cumsum(kept)])[runs.offsets].astype(np.int64)
    return replace(runs, columns=columns, offsets=offsets)
