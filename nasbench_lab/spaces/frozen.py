"""Values that many share and none can change: arrays over bytes, mappings without assignment, tuples for lists.

A strategy, a surrogate and an evaluator of somebody else run in our process and are handed our arrays. What they could
write to, they would change for every run after theirs, and for the scorer. `setflags(write=False)` is taken back by
whoever holds the array; memory that belongs to a `bytes` object cannot be made writable in numpy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

K = TypeVar("K")
V = TypeVar("V")
T = TypeVar("T")


class ReadOnly(Mapping[K, V]):
    """A mapping that cannot be changed; unlike `MappingProxyType` it can be pickled, and it holds its own copy."""

    __slots__ = ("_values",)
    _values: Mapping[K, V]

    def __init__(self, values: Mapping[K, V]) -> None:
        object.__setattr__(self, "_values", MappingProxyType(dict(values)))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot assign to {name!r}: this mapping is read-only")

    def __getitem__(self, key: K) -> V:
        return self._values[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __or__(self, other: Mapping[K, V]) -> dict[K, V]:
        return {**self, **other}

    def __ror__(self, other: Mapping[K, V]) -> dict[K, V]:
        return {**other, **self}

    def __repr__(self) -> str:
        return repr(dict(self._values))

    def __reduce__(self) -> tuple[type[ReadOnly[K, V]], tuple[dict[K, V]]]:
        return type(self), (dict(self._values),)


def frozen(value: T) -> T:
    """The same value, which nobody can change: arrays (in their own memory order), and what tuples, lists and mappings hold.

    Lists become tuples and mappings `ReadOnly`; anything else is returned as it is, and so is what is frozen already.
    """
    if isinstance(value, np.ndarray):
        return _frozen_array(value)  # type: ignore[return-value]
    if isinstance(value, Mapping) and not isinstance(value, ReadOnly):
        return ReadOnly({key: frozen(item) for key, item in value.items()})  # type: ignore[return-value]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(frozen, value))
    if isinstance(value, (tuple, list)):
        return tuple(map(frozen, value))  # type: ignore[return-value]
    return value


def _frozen_array(array: NDArray[Any]) -> NDArray[Any]:
    if is_frozen(array):
        return array
    if array.size == 0:  # there is nothing to write to
        empty = array.copy()
        empty.setflags(write=False)
        return empty
    order: Any = "F" if array.flags.fnc else "C"
    return np.frombuffer(array.tobytes(order), dtype=array.dtype).reshape(array.shape, order=order)


def is_frozen(array: NDArray[Any]) -> bool:
    """Whether nobody can write to an array, nor make it writable."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return not array.flags.writeable and (isinstance(base, bytes) or array.size == 0)


def thawed(value: Any) -> Any:
    """The opposite of `frozen`, for JSON: dictionaries and lists all the way down."""
    if isinstance(value, Mapping):
        return {key: thawed(item) for key, item in value.items()}
    return [thawed(item) for item in value] if isinstance(value, (tuple, list)) else value
