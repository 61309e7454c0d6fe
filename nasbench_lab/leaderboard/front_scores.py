"""How near the exact front runs came: what their archives reach, over queries and over seconds.

An archive is every cell that a run has queried at the highest fidelity without failing, scored on test error and the other
objectives, which no search has seen (test) or need have asked for (`fronts` says how it is measured). R runs, C checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray, direction
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.stats.fronts import Target
from nasbench_lab.study.store import Runs

IntArray = NDArray[np.int64]
SHARES = frozen(np.array([0.0, 1.0]))  # what a share of the possible hypervolume can be, for its interval


def target_of(
    truth: FloatArray, metrics: Mapping[str, FloatArray], objectives: tuple[str, ...], top: float = 100.0
) -> Target | None:
    """The front that runs with these objectives are scored against; None with one objective, or without a metric of one.

    Args:
        truth: (N,) test score, larger is better; the first cost is `top` minus it, the error of an accuracy in percent.
        metrics: (N,) values by name.
        objectives: "val", then names of metrics.
        top: `Measure.top` of the scores.
    """
    names = objectives[1:]
    if not names or any(name not in metrics for name in names):
        return None
    return Target(np.stack([top - truth, *(-direction(name) * metrics[name] for name in names)], axis=1))


class Reached:
    """What the archives of several runs reach.

    Args:
        runs: records of one strategy on one task.
        target: the exact front.
        full: epochs at which a query counts.
    """

    def __init__(self, runs: Runs, target: Target, full: int) -> None:
        self.runs, self.target, self.full = runs, target, full

    @cached_property
    def cells(self) -> list[IntArray]:
        """Per run (n,) the cell of every query, -1 where it does not count."""
        columns = self.runs.columns
        counts = (columns["epochs"] == self.full) & ~np.isnan(columns["val"])
        cells = np.where(counts, columns["arch"], -1).astype(np.int64)
        return np.split(cells, self.runs.offsets[1:-1]) if len(self.runs.seeds) else []

    @cached_property
    def _curves(self) -> list[FloatArray]:
        """Per run (n + 1,) share of the possible hypervolume after 0 to n queries."""
        return [np.concatenate([[0.0], self.target.curve(cells)]) for cells in self.cells]

    def at_queries(self, queries: IntArray) -> FloatArray:
        """(R, C) share of the possible hypervolume after so many queries; a shorter run keeps its last."""
        wanted = np.asarray(queries, dtype=np.int64)
        return np.stack([curve[np.minimum(wanted, len(curve) - 1)] for curve in self._curves])

    def at_seconds(self, seconds: FloatArray) -> FloatArray:
        """(R, C) the same at simulated times."""
        finished = np.split(self.runs.columns["finished"], self.runs.offsets[1:-1])
        pairs = zip(self._curves, finished, strict=True)
        return np.stack([curve[np.searchsorted(times, seconds, side="right")] for curve, times in pairs])

    @property
    def hypervolume(self) -> FloatArray:
        """(R,) share of the possible hypervolume at the end."""
        return np.array([curve[-1] for curve in self._curves])

    @property
    def igd_plus(self) -> FloatArray:
        """(R,) at the end."""
        return np.array([self.target.igd_plus(cells) for cells in self._counted])

    @property
    def epsilon(self) -> FloatArray:
        """(R,) at the end."""
        return np.array([self.target.epsilon(cells) for cells in self._counted])

    @property
    def archives(self) -> list[FloatArray]:
        """Per run (k, m) the normalised points at the end that no other dominates."""
        return [self.target.archive(cells) for cells in self._counted]

    @property
    def _counted(self) -> list[IntArray]:
        return [cells[cells >= 0] for cells in self.cells]
