"""What the allowed names lead to: builders of plain things, none of which can reach outside.

A builder's first argument is the machine, so that the bytes of copies are counted (`spend`), arrays get exactly theirs
(`filled`) and keys are checked (`hashable`).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Builder = Callable[..., Any]
Names = Mapping[tuple[str, str], Builder]

_KIND = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|[SU][1-9][0-9]{0,4}")


class Shell:
    """An object that is not made: the name of its class, what it would have been made of, and its state."""

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, *arguments: Any) -> None:
        self.name, self.arguments, self.state = name, arguments, None


class Name:
    """An allowed name."""

    __slots__ = ("build", "name")

    def __init__(self, name: str, build: Builder) -> None:
        self.name, self.build = name, build


class Type:
    """A `numpy.dtype` in the making: a kind and a byte order."""

    __slots__ = ("kind", "order")

    def __init__(self, kind: str) -> None:
        self.kind, self.order = kind, "|"

    def set(self, state: Any) -> None:
        """Take a state, as an object of this type would."""
        order, composed = as_text(state[1]), state[2:5]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in composed):
            raise ValueError("only plain types are read: no fields, no sub-arrays")
        self.order = order


class Array:
    """An array in the making, until its state arrives; `slots` are the memo entries it then takes."""

    __slots__ = ("slots",)

    def __init__(self) -> None:
        self.slots: list[int] = []


def _make_type(_: Any, kind: Any, align: object = False, copy: object = False) -> Type:
    kind = as_text(kind)
    if not _KIND.fullmatch(kind):
        raise ValueError(f"arrays of {kind[:20]!r} are not read; only booleans, numbers and strings")
    return Type(kind)


def make_type_or_objects(machine: Any, kind: Any, align: object = False, copy: object = False) -> Any:
    """`numpy.dtype` for readers whose files hold arrays of strings as objects; these must then be a list."""
    return Type("O8") if as_text(kind) == "O8" else _make_type(machine, kind)


def _make_array(_: Any, kind: object, shape: object, letter: object) -> Array:
    if not isinstance(kind, Name) or kind.name != "numpy.ndarray":
        raise ValueError("only plain arrays are read")
    return Array()


def _from_buffer(machine: Any, buffer: Any, kind: Any, shape: Any, order: Any, axes: Any = None) -> NDArray[Any]:
    if order == "K" and axes is not None:
        made: NDArray[Any] = machine.filled(buffer, kind, shape, "C")
        if type(axes) is not tuple or sorted(axes) != list(range(made.ndim)):
            raise ValueError("an array's axes are not a permutation")
        return made.transpose(axes)
    made = machine.filled(buffer, kind, shape, order)
    return made


def _make_scalar(machine: Any, kind: Any, content: Any) -> Any:
    return machine.filled(content, kind, (), "C")[()]


def _encode(machine: Any, text: Any, encoding: Any) -> bytes:
    """`_codecs.encode`: how protocols below 3 write bytes."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes are written as latin1")
    machine.spend(len(text))
    return text.encode("latin1")


def _bytes(_: Any) -> bytes:
    """`bytes()`: how protocols below 3 write empty ones. Never of a length: that would be memory for the asking."""
    return b""


def _bytearray(machine: Any, content: Any = b"", encoding: object = "latin1") -> bytearray:
    raw = as_raw(content)
    machine.spend(len(raw))
    return bytearray(raw)


def _set(machine: Any, items: Any = ()) -> set[Any]:
    return set(machine.frozen(_listed(items)))


def _frozenset(machine: Any, items: Any = ()) -> frozenset[Any]:
    made: frozenset[Any] = machine.frozen(_listed(items))
    return made


def _complex(_: Any, real: Any = 0, imaginary: Any = 0) -> complex:
    if not {type(real), type(imaginary)} <= {int, float}:
        raise ValueError("a complex number is made of two numbers")
    return complex(real, imaginary)


def _ordered(machine: Any, pairs: Any = ()) -> OrderedDict[Any, Any]:
    items = _listed(pairs)
    if not all(type(pair) in (list, tuple) and len(pair) == 2 for pair in items):
        raise ValueError("an ordered dictionary is made of pairs")
    machine.spend(100 * len(items))
    return OrderedDict(zip(machine.hashable([pair[0] for pair in items]), [pair[1] for pair in items], strict=True))


def _not_called(_: Any, *arguments: Any) -> Any:
    raise ValueError("it calls what is not callable")


def shell(name: str) -> Builder:
    """What makes a `Shell` of every object of a name: for readers that know what to find in it."""

    def build(_: Any, *arguments: Any) -> Shell:
        return Shell(name, *arguments)

    return build


def _listed(items: Any) -> list[Any]:
    if type(items) not in (list, tuple, set, frozenset):
        raise ValueError("a container is made of a list")
    return list(items)


def as_text(value: Any) -> str:
    """A string, also one of Python 2."""
    if not isinstance(value, str | bytes):
        raise ValueError("a name must be a string")
    return value.decode("latin1") if isinstance(value, bytes) else value


def as_raw(value: Any) -> bytes:
    """An array's content."""
    if isinstance(value, str):  # Python 2's, read as latin1
        return value.encode("latin1")
    if not isinstance(value, bytes | bytearray):
        raise ValueError("an array's content must be bytes")
    return bytes(value)


def as_dtype(kind: Any) -> np.dtype[Any]:
    """The finished type."""
    if type(kind) is not Type or kind.kind == "O8":
        raise ValueError("an array's type must be a dtype")
    return np.dtype(kind.order + kind.kind)


TODAY = {
    "__builtin__": "builtins",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
}
ALLOWED: Names = {
    ("builtins", "set"): _set,
    ("builtins", "frozenset"): _frozenset,
    ("builtins", "complex"): _complex,
    ("builtins", "bytes"): _bytes,
    ("builtins", "bytearray"): _bytearray,
    ("collections", "OrderedDict"): _ordered,
    ("_codecs", "encode"): _encode,
    ("numpy", "dtype"): _make_type,
    ("numpy", "ndarray"): _not_called,
    ("numpy._core.multiarray", "_reconstruct"): _make_array,
    ("numpy._core.multiarray", "scalar"): _make_scalar,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
}
