"""What a pickle is read on: a stack, a memo, and what instructions do with them, with bounds on all of it."""

from __future__ import annotations

import math
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.files.unpickle.names import TODAY, Array, Builder, Name, Names, Shell, Type, as_dtype, as_raw
from nasbench_lab.files.unpickle.source import Source

Seen = Callable[[Any, Any], Any]

_ALLOWANCE, _COPIES = 1 << 26, 16  # bytes that copies may take: some, and so many for each byte read
_GAPS, _DIGITS = 1 << 16, 1 << 10
_WEIGHT, _DEPTH = 10_000, 40  # of nested tuples: what hashing one may cost
_CONTAINER = 64  # bytes that Python needs for an empty container
_HASHED = 1 << 60  # integers below it are their own hash: nobody can make them collide


_EMPTY = object()
_ATOMS = {str, int, float, bool, type(None), bytes}


class Machine:
    """Python's pickle machine without the instructions that reach outside."""

    source: Source
    stack: list[Any]

    def __init__(
        self, source: Source, encoding: str, names: Names, persistent: Builder | None, seen: Seen | None
    ) -> None:
        self.source, self._encoding, self._names = source, encoding, names
        self._persistent, self._seen = persistent, seen
        self.stack = []
        self.marks: list[list[Any]] = []
        self.memo: list[Any] = []
        self.texts: dict[bytes, str] = {}
        self._nested: dict[int, tuple[int, int, Any]] = {}
        self._gaps, self._spent, self._begin, self._large = 0, 0, source.consumed, False

    def number(self, size: int) -> int:
        """The next bytes as a number, little-endian."""
        return int.from_bytes(self.source.take(size), "little")

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.spend(_CONTAINER)
        self.stack.append(value)

    def marked(self) -> list[Any]:
        """Take everything above the last mark."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def spend(self, size: int) -> None:
        """Count bytes that are made of bytes already there."""
        self._spent += size
        if self._spent > _ALLOWANCE + _COPIES * (self.source.consumed - self._begin):
            raise ValueError("it asks for more memory than its size explains")

    def recall(self, index: int) -> Any:
        """What stands in the memo there."""
        value = self.memo[index] if index < len(self.memo) else _EMPTY
        if value is _EMPTY:
            raise ValueError(f"it refers to memo entry {index}, which there is not")
        return value

    def get(self, index: int) -> None:
        """Put a value of the memo on the stack."""
        self.stack.append(self.recall(index))

    def put(self, index: int) -> None:
        """Remember what is on top; entries come in order, with few gaps, or memory would be had for the asking."""
        memo, value = self.memo, self.stack[-1]
        if index > len(memo):
            self._gaps += index - len(memo)
            if index < 0 or self._gaps > _GAPS:
                raise ValueError(f"its memo entries are out of order ({index} after {len(memo)})")
            memo += [_EMPTY] * (index - len(memo))
        if type(value) is Array:
            value.slots.append(index)
        if index == len(memo):
            memo.append(value)
        else:
            memo[index] = value

    def find(self, module: str, name: str) -> None:
        """Put what a name stands for on the stack, if it is on the list."""
        module = TODAY.get(module, module)
        if (module, name) not in self._names:
            self.refuse(f"{module}.{name}")
        self.stack.append(Name(f"{module}.{name}", self._names[module, name]))

    def refuse(self, name: str) -> None:
        """End the reading: a name that is not on the list."""
        raise LabError(
            f"{self.source.what} asks for {name[:100]!r}, which is not among numbers, strings, containers "
            "and numpy arrays; it may be hostile and was not read"
        )

    def call(self, named: Any, arguments: Any) -> None:
        """Put what a named builder makes of its arguments on the stack."""
        if type(named) is not Name or not isinstance(arguments, tuple):
            raise ValueError("it calls what is not callable")
        self.spend(_CONTAINER)
        self.stack.append(named.build(self, *arguments))

    def build(self, state: Any) -> None:
        """Give the object on the stack its state."""
        target = self.stack[-1]
        if type(target) is Type:
            target.set(state)
        elif type(target) is Shell:
            target.state = state
        elif type(target) is Array:
            made = self.array(state)
            for slot in target.slots:
                self.memo[slot] = made
            self.stack[-1] = made
        else:
            raise ValueError(f"no attribute can be set on a {type(target).__name__.strip('_').lower()}")

    def array(self, state: Any) -> NDArray[Any]:
        """Give an array its shape, kind and bytes."""
        _, shape, kind, fortran, content = state
        if type(kind) is Type and kind.kind == "O8":  # only where the caller allowed it
            if type(content) is not list or not all(type(item) is str for item in content):
                raise ValueError("arrays of objects are read only if these are strings")
            if math.prod(_checked(shape)) != len(content):
                raise ValueError(f"an array of strings does not have {len(content)} of them")
            self.spend(8 * len(content))
            return np.array([*content, None], dtype=object)[:-1].reshape(shape, order="F" if fortran else "C")
        return self.filled(content, kind, shape, "F" if fortran else "C")

    def filled(self, content: Any, kind: Any, shape: Any, order: str) -> NDArray[Any]:
        """The array of exactly these bytes."""
        dtype, raw = as_dtype(kind), as_raw(content)
        if math.prod(_checked(shape)) * dtype.itemsize != len(raw):
            raise ValueError(f"an array of {shape} {dtype} does not have {len(raw)} bytes"[:200])
        self.spend(len(raw))
        if dtype.kind == "U" and (np.frombuffer(raw, dtype.str[0] + "u4") > sys.maxunicode).any():
            raise ValueError("a string holds what is no character")
        flat = np.frombuffer(bytearray(raw), dtype) if raw else np.empty(0, dtype)
        return flat.reshape(shape, order="F" if order == "F" else "C")

    def tuple(self, items: list[Any]) -> None:
        """Put the values above, as a tuple, on the stack."""
        made = tuple(items)
        self.spend(_CONTAINER)
        self._weigh(made, items)
        self.stack.append(made)

    def _weigh(self, made: Any, items: Any) -> None:
        """Bound what hashing (and freeing) a nested tuple can cost: it grows with every reference, not with bytes."""
        inner = [item for item in items if type(item) in (tuple, frozenset)]
        if not inner:
            return
        known = [self._nested.get(id(item), (len(item), 1, None)) for item in inner]
        weight, depth = len(made) + sum(entry[0] for entry in known), 1 + max(entry[1] for entry in known)
        if weight > _WEIGHT or depth > _DEPTH:
            raise ValueError("its tuples are nested beyond all reason")
        self._nested[id(made)] = weight, depth, made

    def hashable(self, keys: list[Any]) -> list[Any]:
        """Keys of a dictionary or set: plain, and none that could be made to collide."""
        kinds = set(map(type, keys))
        if kinds == {str} or (kinds <= {str, bytes, int, bool, type(None)} and not self._large):
            return keys
        for key in keys:
            _check_key(key)
        return keys

    def pairs(self, items: list[Any]) -> None:
        """Put keys and values into the dictionary on the stack."""
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict) or len(items) % 2:
            raise ValueError("it puts items into what is no dictionary")
        keys, values = self.hashable(items[::2]), items[1::2]
        if self._seen is not None and dict in set(map(type, values)):
            values = [self._seen(k, v) if type(v) is dict else v for k, v in zip(keys, values, strict=True)]
        target.update(zip(keys, values, strict=True))

    def extend(self, items: list[Any]) -> None:
        """Append values to the list on the stack."""
        if type(self.stack[-1]) is not list:
            raise ValueError("it appends to what is no list")
        self.stack[-1].extend(items)

    def add(self, items: list[Any]) -> None:
        """Add values to the set on the stack."""
        if type(self.stack[-1]) is not set:
            raise ValueError("it adds to what is no set")
        self.stack[-1].update(self.hashable(items))

    def frozen(self, items: list[Any]) -> frozenset[Any]:
        """Put the values above the mark, as a frozen set, on the stack."""
        self.spend(64 * len(items))
        made = frozenset(self.hashable(items))
        self._weigh(made, items)
        return made

    def old_string(self, raw: bytes) -> None:
        """Put a string of protocol 0 to 2 on the stack."""
        self.stack.append(raw if self._encoding == "bytes" else raw.decode(self._encoding))

    def large(self, raw: bytes) -> None:
        """Put a whole number of so many bytes on the stack."""
        if len(raw) > _DIGITS:
            raise ValueError(f"a number of {len(raw)} bytes is not read")
        self._large = self._large or len(raw) > 7
        self.spend(_CONTAINER)
        self.stack.append(int.from_bytes(raw, "little", signed=True))

    def text_number(self, line: bytes) -> None:
        """Put a number that is written as text on the stack."""
        if line in (b"00", b"01"):
            self.stack.append(line == b"01")
            return
        if len(line) > _DIGITS:
            raise ValueError(f"a number of {len(line)} digits is not read")
        self._large = True
        self.stack.append(int(line.removesuffix(b"L")))

    def persist(self, key: Any) -> None:
        """Put what a persistent name stands for on the stack."""
        if self._persistent is None:
            raise ValueError("it refers to persistent objects, which there are not")
        self.stack.append(self._persistent(self, key))


def _checked(shape: Any) -> tuple[int, ...]:
    """A shape that is one; huge sides are no harm, as their product must fit the bytes."""
    sides = type(shape) is tuple and len(shape) <= 16 and all(type(side) is int for side in shape)
    return shape if sides and all(0 <= side < 1 << 63 for side in shape) else (1 << 63,)


def _check_key(key: Any) -> None:
    if type(key) is tuple or type(key) is frozenset:
        for item in key:
            _check_key(item)
    elif isinstance(key, np.integer):
        _check_key(int(key))
    elif type(key) not in _ATOMS:
        raise ValueError(f"a {type(key).__name__} is no key of a dictionary or set here")
    elif type(key) in (int, float) and not -_HASHED < key < _HASHED:
        raise ValueError("so large a number is no key of a dictionary or set here")
