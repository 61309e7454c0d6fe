"""Numbers, taken as they are or refused: nothing is rounded, cut off, or read out of a text or a truth value."""

from __future__ import annotations

from contextlib import suppress
from numbers import Real
from operator import index
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def whole_number(value: Any, what: str) -> int:
    """The `int` that a Python or numpy integer is.

    Raises:
        ValueError: anything else: 3.0, "3", True, None.
    """
    if not isinstance(value, (bool, np.bool_)):
        try:
            return index(value)
        except TypeError:
            pass
    raise ValueError(f"{what} must be a whole number, got {value!r}")


def real_number(value: Any, what: str) -> float:
    """The `float` that a Python or numpy number is; it may be infinite or nan.

    Raises:
        ValueError: anything else: "2.5", True, None.
    """
    if not isinstance(value, bool) and isinstance(value, Real):
        with suppress(OverflowError):
            return float(value)
        raise ValueError(f"{what} must be a number that a float can hold, got one of {len(str(value)):,} digits")
    raise ValueError(f"{what} must be a number, got {value!r}")


def whole_numbers(values: ArrayLike, what: str) -> NDArray[np.int64]:
    """The (...) int64 array of an array, or nested sequence, of integers.

    Raises:
        ValueError: an array of anything else, floats that happen to be whole among them; or numbers beyond 64 bits.
    """
    found = np.asarray(values)
    if found.size == 0 and found.dtype.kind in "iuf":  # an empty list has no numbers that could be wrong
        return found.astype(np.int64)
    if found.dtype.kind not in "iu" or (found.dtype == np.uint64 and found.max() > np.iinfo(np.int64).max):
        raise ValueError(f"{what} must be whole numbers, got {found.dtype} {_some(found)}")
    if not isinstance(values, np.ndarray) and _has_truth_values(values):
        raise ValueError(f"{what} must be whole numbers, got a truth value among them")
    return found.astype(np.int64, copy=False)


def cells(archs: ArrayLike) -> NDArray[np.int64]:
    """The (n,) indices of cells.

    Raises:
        ValueError: not a list of whole numbers, or negative ones, which numpy would count from the end.
    """
    found = whole_numbers(archs, "cells")
    if found.ndim != 1:
        raise ValueError(f"cells are a list of whole numbers, got shape {found.shape}")
    if found.size and found.min() < 0:
        raise ValueError(f"cells are numbered from 0, got {found.min()}")
    return found


def _has_truth_values(values: Any) -> bool:
    """Whether a nested sequence holds a bool: numpy makes 1 of a True that stands beside numbers."""
    if isinstance(values, (list, tuple)):
        return any(map(_has_truth_values, values))
    return isinstance(values, (bool, np.bool_))


def _some(values: NDArray[Any]) -> str:
    """The first few values."""
    return np.array2string(values.reshape(-1)[:4], threshold=4, separator=", ")
