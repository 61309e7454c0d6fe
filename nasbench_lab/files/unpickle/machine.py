"""Python's pickle machine without the instructions that reach outside, and with bounds."""

from __future__ import annotations

import io
import math
import re
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.files.unpickle.instructions import OPERATIONS
from nasbench_lab.files.unpickle.names import ALLOWED, TODAY, Array, Builder, Name, Names, Shell, Type, as_dtype, as_raw
from nasbench_lab.files.unpickle.source import Source

Seen = Callable[[Any, Any], Any]

_MARGIN = 512
_ALLOWANCE, _COPIES = 1 << 26, 16  # bytes that copies may take: some, and so many for each byte read
_GAPS, _DIGITS = 1 << 16, 1 << 10
_WEIGHT, _DEPTH = 10_000, 40  # of nested tuples: what hashing one may cost
_MARKS = 10_000  # open containers; Python's own pickler gives up long before
_TEXT, _CONTAINER = 150, 64  # bytes that Python needs for a new short string, and for an empty container
_HASHED = 1 << 60  # integers below it are their own hash: nobody can make them collide


def loads(content: bytes, what: str, *, encoding: str = "latin1", names: Names | None = None) -> Any:
    """The object in a pickle of any protocol, of Python 2 or 3; arguments and errors as for `load`."""
    return load(Source(io.BytesIO(content), what), encoding=encoding, names=names)


def load(
    source: Source,
    *,
    encoding: str = "latin1",
    names: Names | None = None,
    persistent: Builder | None = None,
    seen: Seen | None = None,
) -> Any:
    """The next object of a source.

    Args:
        source: stands behind the pickle's last byte afterwards.
        encoding: how Python 2's byte strings are read: "latin1" makes `str` of them, "bytes" leaves them.
        names: further names that may occur, and what is called for them.
        persistent: what makes an object of a persistent id (torch's storages).
        seen: called with every (key, dictionary) that is put into a dictionary; what it returns is put there instead.

    Returns:
        Numbers, strings, bytes, containers, numpy scalars and arrays.

    Raises:
        LabError: a name that is not allowed (nothing of it has then run), or not a whole pickle.
    """
    try:
        return Machine(source, encoding, {**ALLOWED, **(names or {})}, persistent, seen).run()
    except LabError:
        raise
    except (Exception, MemoryError) as error:  # damaged or hostile: any of a dozen types
        reason = str(error) or type(error).__name__
        raise LabError(f"{source.what} cannot be read as a pickle of numbers and arrays: {reason}") from error


_EMPTY = object()
_ATOMS = {str, int, float, bool, type(None), bytes}
_INTEGER_RUN = re.compile(rb"(?:K.G.{8})++", re.DOTALL)
_INTEGER_PAIR = np.dtype([("_", "u1"), ("key", "u1"), ("__", "u1"), ("value", ">f8")])
_TEXT_RUN = re.compile(rb"(?:\x8c.[\w@-]++\x94G.{8})++", re.DOTALL)
_TEXT_PAIR = re.compile(rb"\x8c(.)([\w@-]++)\x94G(.{8})", re.DOTALL)


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
        self._marks: list[list[Any]] = []
        self._memo: list[Any] = []
        self._texts: dict[bytes, str] = {}
        self._nested: dict[int, tuple[int, int, Any]] = {}
        self._gaps, self._spent, self._begin, self._large = 0, 0, source.consumed, False

    def run(self) -> Any:
        """Read up to STOP. What occurs by the million is written out here, the rest is looked up in `OPERATIONS`."""
        source, memo, texts, float_of = self.source, self._memo, self._texts, struct.Struct(">d").unpack_from
        stack, data, pos = self.stack, source.data, source.pos
        while True:
            if pos + _MARGIN > len(data) and not source.ended:
                source.pos = pos
                source.more()
                data, pos = source.data, 0
            if pos >= len(data):
                raise EOFError("it ends before it is complete")
            code = data[pos]
            pos += 1
            if code == 0x94:  # MEMOIZE
                if type(stack[-1]) is Array:
                    stack[-1].slots.append(len(memo))
                memo.append(stack[-1])
            elif code == 0x8C:  # SHORT_BINUNICODE
                if (run := _TEXT_RUN.match(data, pos - 1)) and run.end() - pos > 200:
                    source.pos = pos - 1
                    stack += self._text_pairs(run.end())
                    pos = source.pos
                    continue
                end = pos + 1 + data[pos]
                raw = data[pos + 1 : end]
                if len(data) < end:
                    raise EOFError("it ends inside a string")
                text = texts.get(raw)
                if text is None:
                    self.spend(_TEXT)
                    text = texts[raw] = raw.decode("utf-8", "surrogatepass")
                stack.append(text)
                pos = end
            elif code == 0x47:  # BINFLOAT
                stack.append(float_of(data, pos)[0])
                pos += 8
            elif code == 0x4B:  # BININT1
                if (run := _INTEGER_RUN.match(data, pos - 1)) and run.end() - pos > 100:
                    pairs = np.frombuffer(data, _INTEGER_PAIR, (run.end() - pos + 1) // 11, pos - 1)
                    mixed: list[Any] = [None] * (2 * len(pairs))
                    mixed[::2], mixed[1::2] = pairs["key"].tolist(), pairs["value"].tolist()
                    stack += mixed
                    pos = run.end()
                    continue
                stack.append(data[pos])
                pos += 1
            elif code == 0x58 and data[pos + 1 : pos + 4] == b"\0\0\0" and pos + 260 < len(data):  # a short BINUNICODE
                end = pos + 4 + data[pos]
                raw = data[pos + 4 : end]
                text = texts.get(raw)
                if text is None:
                    self.spend(_TEXT)
                    text = texts[raw] = raw.decode("utf-8", "surrogatepass")
                stack.append(text)
                pos = end
            elif (
                code == 0x72
                and int.from_bytes(data[pos : pos + 4], "little") == len(memo)
                and type(stack[-1]) is not Array
            ):
                memo.append(stack[-1])  # LONG_BINPUT in order
                pos += 4
            elif code == 0x68:  # BINGET
                stack.append(self._get(data[pos]))
                pos += 1
            elif code == 0x28:  # MARK
                self._marks.append(stack)
                stack = []
                if len(self._marks) > _MARKS:
                    raise ValueError("its containers are nested beyond all reason")
            elif code == 0x2E:  # STOP
                source.pos = pos
                return stack.pop()
            elif code in OPERATIONS:
                self.stack, source.pos = stack, pos
                OPERATIONS[code](self)
                stack, data, pos = self.stack, source.data, source.pos
            else:
                raise ValueError(f"{bytes([code])!r} is no instruction of such a pickle")

    def _text_pairs(self, end: int) -> list[Any]:
        """A run of (string, remembered, number): the keys and values of one curve."""
        data, pos, texts = self.source.data, self.source.pos, self._texts
        pairs = _TEXT_PAIR.findall(data[pos:end])
        if any(len(raw) != length[0] for length, raw, _ in pairs):
            raise ValueError("a string has another length than it says")
        self.spend(_TEXT * sum(raw not in texts for _, raw, _ in pairs))
        keys = [texts.get(raw) or texts.setdefault(raw, raw.decode("ascii")) for _, raw, _ in pairs]
        values = np.frombuffer(b"".join([value for _, _, value in pairs]), ">f8").tolist()
        mixed: list[Any] = [None] * (2 * len(pairs))
        mixed[::2], mixed[1::2] = keys, values
        self.source.pos = end
        self._memo += keys
        return mixed

    # What instructions share

    def number(self, size: int) -> int:
        return int.from_bytes(self.source.take(size), "little")

    def push(self, value: Any) -> None:
        self.spend(_CONTAINER)
        self.stack.append(value)

    def marked(self) -> list[Any]:
        items, self.stack = self.stack, self._marks.pop()
        return items

    def spend(self, size: int) -> None:
        """Count bytes that are made of bytes already there."""
        self._spent += size
        if self._spent > _ALLOWANCE + _COPIES * (self.source.consumed - self._begin):
            raise ValueError("it asks for more memory than its size explains")

    def _get(self, index: int) -> Any:
        value = self._memo[index] if index < len(self._memo) else _EMPTY
        if value is _EMPTY:
            raise ValueError(f"it refers to memo entry {index}, which there is not")
        return value

    def get(self, index: int) -> None:
        self.stack.append(self._get(index))

    def put(self, index: int) -> None:
        """Remember what is on top; entries come in order, with few gaps, or memory would be had for the asking."""
        memo, value = self._memo, self.stack[-1]
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
        module = TODAY.get(module, module)
        if (module, name) not in self._names:
            self.refuse(f"{module}.{name}")
        self.stack.append(Name(f"{module}.{name}", self._names[module, name]))

    def refuse(self, name: str) -> None:
        raise LabError(
            f"{self.source.what} asks for {name[:100]!r}, which is not among numbers, strings, containers "
            "and numpy arrays; it may be hostile and was not read"
        )

    def call(self, named: Any, arguments: Any) -> None:
        if type(named) is not Name or not isinstance(arguments, tuple):
            raise ValueError("it calls what is not callable")
        self.spend(_CONTAINER)
        self.stack.append(named.build(self, *arguments))

    def build(self, state: Any) -> None:
        target = self.stack[-1]
        if type(target) is Type:
            target.set(state)
        elif type(target) is Shell:
            target.state = state
        elif type(target) is Array:
            made = self.array(state)
            for slot in target.slots:
                self._memo[slot] = made
            self.stack[-1] = made
        else:
            raise ValueError(f"no attribute can be set on a {type(target).__name__.strip('_').lower()}")

    def array(self, state: Any) -> NDArray[Any]:
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
        target = self.stack[-1]
        if type(target) not in (dict, OrderedDict) or len(items) % 2:
            raise ValueError("it puts items into what is no dictionary")
        keys, values = self.hashable(items[::2]), items[1::2]
        if self._seen is not None and dict in set(map(type, values)):
            values = [self._seen(k, v) if type(v) is dict else v for k, v in zip(keys, values, strict=True)]
        target.update(zip(keys, values, strict=True))

    def extend(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            raise ValueError("it appends to what is no list")
        self.stack[-1].extend(items)

    def add(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not set:
            raise ValueError("it adds to what is no set")
        self.stack[-1].update(self.hashable(items))

    def frozen(self, items: list[Any]) -> frozenset[Any]:
        self.spend(64 * len(items))
        made = frozenset(self.hashable(items))
        self._weigh(made, items)
        return made

    def old_string(self, raw: bytes) -> None:
        self.stack.append(raw if self._encoding == "bytes" else raw.decode(self._encoding))

    def large(self, raw: bytes) -> None:
        if len(raw) > _DIGITS:
            raise ValueError(f"a number of {len(raw)} bytes is not read")
        self._large = self._large or len(raw) > 7
        self.spend(_CONTAINER)
        self.stack.append(int.from_bytes(raw, "little", signed=True))

    def text_number(self, line: bytes) -> None:
        if line in (b"00", b"01"):
            self.stack.append(line == b"01")
            return
        if len(line) > _DIGITS:
            raise ValueError(f"a number of {len(line)} digits is not read")
        self._large = True
        self.stack.append(int(line.removesuffix(b"L")))

    def persist(self, key: Any) -> None:
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
