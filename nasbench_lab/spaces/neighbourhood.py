"""Cells one decision away, for all cells at once. Notation as in `space`: N cells, E decisions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Neighbours = NDArray[np.int32]


def of_product(choices: NDArray[Any], options: tuple[int, ...], order: NDArray[np.int64]) -> Neighbours:
    """(N, D - E) neighbours in a product, decision by decision: the option moved on by 1, 2, ... round its options."""
    strides = np.cumprod((1, *options[:0:-1]))[::-1]
    positions = choices.astype(np.int64) @ strides
    columns = []
    for edge, (count, stride) in enumerate(zip(options, strides.tolist(), strict=True)):
        here = choices[:, edge].astype(np.int64)
        for shift in range(1, count):
            columns.append(order[positions + ((here + shift) % count - here) * stride])
    return _side_by_side(columns, len(choices))


def of_listed(choices: NDArray[Any]) -> Neighbours:
    """(N, W) neighbours among listed cells; rows with fewer than W are filled up with the cell itself, behind them."""
    columns = [column for edge in range(choices.shape[1]) for column in _beside(choices, edge)]
    wide = _side_by_side(columns, len(choices))
    own = wide == np.arange(len(wide), dtype=np.int32)[:, None]
    first = np.take_along_axis(wide, np.argsort(own, axis=1, kind="stable"), axis=1)
    return first[:, : int((~own).sum(axis=1).max(initial=0))]


def _beside(choices: NDArray[Any], edge: int) -> list[NDArray[np.int64]]:
    """The columns of one decision: the cells with which all others are shared, the cell itself where none is left."""
    cells, others = np.arange(len(choices)), np.delete(choices, edge, axis=1)
    alone = not others.shape[1]
    group = np.zeros(len(cells)) if alone else np.unique(others, axis=0, return_inverse=True)[1].reshape(-1)
    ranked = np.lexsort((choices[:, edge], group))  # members of a group side by side, options ascending
    starts = np.flatnonzero(np.diff(group[ranked], prepend=-1))
    sizes = np.diff(starts, append=len(cells))
    first, size = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    found = []
    for shift in range(1, int(sizes.max())):
        place = first + (cells - first + shift) % size
        column = np.empty_like(cells)
        column[ranked] = np.where(shift < size, ranked[place], ranked)
        found.append(column)
    return found


def _side_by_side(columns: list[NDArray[np.int64]], count: int) -> Neighbours:
    return np.stack(columns, axis=1).astype(np.int32) if columns else np.empty((count, 0), dtype=np.int32)
