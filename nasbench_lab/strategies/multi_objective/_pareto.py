"""What strategies for several objectives share: costs, fronts by rank, crowding, archives.

Every objective becomes a cost, smaller is better (`core.direction` says which are turned round); m objectives, n cells.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray, Result, Task, direction

IntArray = NDArray[np.intp]


def costs_of(result: Result, task: Task) -> FloatArray | None:
    """(m,) costs of an answer; None if it failed or an objective has no value."""
    values = [result.val, *(result.metrics.get(name, np.nan) for name in task.objectives[1:])]
    costs = np.array([-direction(name) * value for name, value in zip(task.objectives, values, strict=True)])
    return costs if np.isfinite(costs).all() else None


def dominates(costs: FloatArray) -> NDArray[np.bool_]:
    """(n, m) -> (n, n), [i, j]: i is at most as large as j in every cost and smaller in one."""
    left, right = costs[:, None, :], costs[None, :, :]
    return np.asarray((left <= right).all(axis=2) & (left < right).any(axis=2))


def ranks(costs: FloatArray) -> IntArray:
    """(n, m) -> (n,) 0 for cells that nothing dominates, 1 for those that only such cells dominate, and so on."""
    out = np.full(len(costs), -1)
    dominators = dominates(costs)
    rank = 0
    while (out < 0).any():
        front = (out < 0) & ~dominators[out < 0].any(axis=0)
        out[front] = rank
        rank += 1
    return out


def crowding(costs: FloatArray) -> FloatArray:
    """(n, m) one front -> (n,) crowding distance (Deb et al. 2002, section III-B); infinite at the ends of every cost."""
    out = np.zeros(len(costs))
    for column in costs.T:
        order = np.argsort(column, kind="stable")
        spread = column[order[-1]] - column[order[0]]
        out[order[[0, -1]]] = np.inf
        if spread > 0:
            out[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / spread
    return out


def crowded_order(costs: FloatArray) -> IntArray:
    """(n, m) -> (n,) positions by the crowded comparison: lower rank first, then the less crowded, then the earlier."""
    rank, distance = ranks(costs), np.zeros(len(costs))
    for level in range(int(rank.max(initial=-1)) + 1):
        front = np.flatnonzero(rank == level)
        distance[front] = crowding(costs[front])
    return np.lexsort((-distance, rank))


class Archive:
    """Cells that none of the cells added so far dominates.

    Attributes:
        archs: (k) the cells, in order of entering.
        costs: (k, m) theirs.
    """

    def __init__(self, width: int) -> None:
        self.archs: list[int] = []
        self.costs: FloatArray = np.empty((0, width))

    def add(self, arch: int, costs: FloatArray) -> bool:
        """Whether the cell entered: nothing there dominates it or equals it in every cost; what it dominates leaves."""
        if (self.costs <= costs).all(axis=1).any():
            return False
        stay = np.flatnonzero(~(costs <= self.costs).all(axis=1))
        self.archs = [self.archs[i] for i in stay.tolist()] + [arch]
        self.costs = np.concatenate([self.costs[stay], costs[None]])
        return True


def unasked(design: Callable[[], int], asked: Collection[int], size: int) -> int | None:
    """The next cell of the design that was not asked for; None once all `size` cells were."""
    if len(asked) >= size:
        return None
    while (arch := design()) in asked:
        pass
    return arch
