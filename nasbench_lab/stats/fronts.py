"""Fronts of several objectives on arrays: exact front, hypervolume, IGD+, epsilon, attainment. Imports nothing of ours.

Every cost is smaller-is-better and one row of `costs` (N, m) is one cell; nan: the cell has no value and is left out.
Before anything is measured, costs are normalised min-max over the whole space, so that the best value of a cost is 0, the
worst 1, and the reference point is (1, ..., 1). That point also stands for an archive without cells.

Hypervolume (Zitzler & Thiele 1998), IGD+ (Ishibuchi et al. 2015), additive epsilon (Zitzler et al. 2003) and the
empirical attainment function (Grunert da Fonseca et al. 2001) are computed by `moocore` (Fonseca et al. 2006), in C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import moocore
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def non_dominated(costs: FloatArray) -> NDArray[np.bool_]:
    """(N, m) -> (N,) whether no other row is at most as large in every cost and smaller in one; equal rows all stay.

    A row with a nan is not on the front and keeps nobody off it.
    """
    costs = np.asarray(costs, dtype=np.float64)
    known = ~np.isnan(costs).any(axis=1)
    out = np.zeros(len(costs), dtype=bool)
    if known.any():
        out[known] = moocore.is_nondominated(costs[known], keep_weakly=True)
    return out


def normalised(costs: FloatArray) -> FloatArray:
    """(N, m) min-max over the cells that have all values; nan rows stay nan, a cost that never changes becomes 0.

    Raises:
        ValueError: no cell has all values.
    """
    costs = np.asarray(costs, dtype=np.float64)
    known = ~np.isnan(costs).any(axis=1)
    if not known.any():
        raise ValueError(f"no cell has a value for all {costs.shape[1]} costs")
    low, high = costs[known].min(axis=0), costs[known].max(axis=0)
    scaled: FloatArray = (costs - low) / np.where(high > low, high - low, 1.0)
    scaled[~known] = np.nan
    return scaled


def hypervolume(points: FloatArray) -> float:
    """(n, m) normalised points -> volume between them and the reference (1, ..., 1)."""
    points = np.asarray(points, dtype=np.float64)
    return float(moocore.hypervolume(points, ref=np.ones(points.shape[1]))) if len(points) else 0.0


def igd_plus(points: FloatArray, front: FloatArray) -> float:
    """Mean over the front (f, m) of the distance to the nearest of `points` (n, m), counting only what is worse."""
    return float(moocore.igd_plus(_or_reference(points), ref=front))


def epsilon(points: FloatArray, front: FloatArray) -> float:
    """The least number by which `points` (n, m) must be moved in every cost to cover the front (f, m)."""
    return float(moocore.epsilon_additive(_or_reference(points), ref=front))


def _or_reference(points: FloatArray) -> FloatArray:
    return points if len(points) else np.ones((1, points.shape[1]))


def attainment(archives: Sequence[FloatArray], at: FloatArray) -> FloatArray:
    """Empirical attainment: the share of archives, each (n, m), that reach every point of `at` (p, m) -> (p,)."""
    reached = [(archive[:, None, :] <= at[None, :, :]).all(axis=2).any(axis=0) for archive in archives]
    return np.asarray(np.mean(reached, axis=0), dtype=np.float64)


def attainment_front(archives: Sequence[FloatArray], share: float) -> FloatArray:
    """The best points reached by at least a share of archives, 0.5 for the median front; (p, m), by the first cost.

    Two or three costs only, as in `moocore.eaf`; archives without points count as runs that reach nothing.

    Raises:
        ValueError: no archives, a share outside (0, 1], or more than three costs.
    """
    if not archives or not 0 < share <= 1 or not 2 <= archives[0].shape[1] <= 3:
        raise ValueError(f"need archives of 2 or 3 costs and a share in (0, 1], got {len(archives)} and {share}")
    filled = [_or_reference(archive) for archive in archives]
    sets = np.repeat(np.arange(1, len(filled) + 1), [len(archive) for archive in filled])
    found = moocore.eaf(np.concatenate(filled), sets, percentiles=[100.0 * share])[:, :-1]
    return np.asarray(found[np.lexsort(found.T[::-1])], dtype=np.float64)


@dataclass(frozen=True)
class Target:
    """The exact front of an enumerable space, and how near archives of its cells come.

    Attributes:
        costs: (N, m) smaller is better; nan where a cell has no value.
    """

    costs: FloatArray

    @cached_property
    def points(self) -> FloatArray:
        """(N, m) normalised costs."""
        return normalised(self.costs)

    @cached_property
    def cells(self) -> IntArray:
        """(F,) the cells of the exact front, by the last cost."""
        found = np.flatnonzero(non_dominated(self.costs))
        return found[np.lexsort(self.costs[found].T)]

    @property
    def size(self) -> int:
        """Points on the exact front: cells with equal costs are one."""
        return len(np.unique(self.costs[self.cells], axis=0))

    @cached_property
    def possible(self) -> float:
        """Normalised hypervolume of the exact front."""
        return hypervolume(self.points[self.cells])

    def costs_at(self, points: FloatArray) -> FloatArray:
        """(p, m) normalised points -> costs, as `costs` has them."""
        known = self.costs[~np.isnan(self.costs).any(axis=1)]
        low = known.min(axis=0)
        costs: FloatArray = low + points * (known.max(axis=0) - low)
        return costs

    def archive(self, cells: IntArray) -> FloatArray:
        """Cells queried (n,), in any order and repeated at will -> (k, m) normalised points that none of them dominates."""
        points = self.points[np.unique(np.asarray(cells, dtype=np.int64))]
        return points[non_dominated(points)]

    def reached(self, cells: IntArray) -> float:
        """Hypervolume of the cells queried, as a share of the possible."""
        return hypervolume(self.archive(cells)) / self.possible

    def curve(self, cells: IntArray) -> FloatArray:
        """(n,) cells in order of query, -1 for a query that does not count -> (n,) share reached after each."""
        out = np.zeros(len(cells))
        kept, volume = np.empty((0, self.costs.shape[1])), 0.0
        for i, cell in enumerate(np.asarray(cells).tolist()):
            point = self.points[cell]
            if cell >= 0 and not np.isnan(point).any() and not (kept <= point).all(axis=1).any():
                kept = np.concatenate([kept[~(point <= kept).all(axis=1)], point[None]])
                volume = hypervolume(kept)
            out[i] = volume
        return out / self.possible

    def igd_plus(self, cells: IntArray) -> float:
        """IGD+ of some points: mean distance by which the front is missed (Ishibuchi et al. 2015)."""
        return igd_plus(self.archive(cells), self.points[self.cells])

    def epsilon(self, cells: IntArray) -> float:
        """Additive epsilon of some points: the largest distance by which the front is missed."""
        return epsilon(self.archive(cells), self.points[self.cells])
