"""Reading pickles that hold numbers, strings, containers and numpy arrays, and nothing else.

A pickle is a program: it may name any function of any module and have it called. Here a name is looked up in one
short list before anything is done with it; every other name ends the reading with an error that says it. And numpy's
own functions are not on the list either, because a hostile state given to `dtype.__setstate__` corrupts memory: what
the names `numpy.dtype`, `_reconstruct`, `scalar` and `_frombuffer` lead to are stand-ins of ours, which take a kind
(integer, float, complex, boolean, string of a fixed width), a byte order, a shape and exactly the bytes these need.
No stand-in can be changed from inside a pickle.

Memory is not bounded: a file is to be checked against a published hash before it is read.
"""

from __future__ import annotations

import copyreg
import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError

_KIND = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|[SU][1-9][0-9]{0,4}")


def loads(content: bytes, what: str, *, encoding: str = "latin1") -> Any:
    """The object in a pickle of any protocol, of Python 2 or 3.

    Args:
        content: the pickle.
        what: what to call it in errors, usually its path.
        encoding: how Python 2's byte strings are read: "latin1" makes `str` of them, "bytes" leaves them.

    Returns:
        Numbers, strings, bytes, containers, numpy scalars and arrays (arrays perhaps of a private subclass;
        `np.asarray` makes them plain).

    Raises:
        LabError: a name that is not allowed (nothing of it has then run), or not a whole pickle.
    """
    copyreg.clear_extension_cache()  # what is cached there would reach the pickle without being asked for by name
    try:
        return _Reader(io.BytesIO(content), what, encoding).load()
    except LabError:
        raise
    except Exception as error:  # damaged or hostile: any of a dozen types
        reason = str(error) or type(error).__name__
        raise LabError(f"{what} cannot be read as a pickle of numbers and arrays: {reason}") from error


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, what: str, encoding: str) -> None:
        super().__init__(file, encoding=encoding)
        self._what = what

    def find_class(self, module: str, name: str) -> Any:
        module = _TODAY.get(module, module)
        if (module, name) not in _ALLOWED:
            raise LabError(
                f"{self._what} asks for {f'{module}.{name}'[:100]!r}, which is not among numbers, strings, containers "
                "and numpy arrays; it may be hostile and was not read"
            )
        return _ALLOWED[module, name]


class _Stand:
    """What a name leads to. Without a `__dict__`, or the pickle could set attributes on it."""

    __slots__ = ()


class _Type:
    """A `numpy.dtype` in the making: a kind and a byte order."""

    __slots__ = ("_kind", "_order")

    def __init__(self, kind: str) -> None:
        self._kind, self._order = kind, "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order, composed = _text(state[1]), state[2:5]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in composed):
            raise ValueError("only plain types are read: no fields, no sub-arrays")
        self._order = order

    @property
    def real(self) -> np.dtype[Any]:
        return np.dtype(self._order + self._kind)


class _Array(np.ndarray[Any, Any]):
    """An array in the making, until its state arrives."""

    def __setstate__(self, state: Any, /) -> None:
        _, shape, kind, fortran, content = state
        dtype, raw = _real(kind), _raw(content)
        _check_size(raw, shape, dtype)
        super().__setstate__((1, tuple(shape), dtype, bool(fortran), raw))  # type: ignore[arg-type]


class _MakeType(_Stand):
    __slots__ = ()

    def __call__(self, kind: str | bytes, align: object = False, copy: object = False) -> _Type:
        kind = _text(kind)
        if not _KIND.fullmatch(kind):
            raise ValueError(f"arrays of {kind[:20]!r} are not read; only booleans, numbers and strings")
        return _Type(kind)


class _MakeArray(_Stand):
    __slots__ = ()

    def __call__(self, kind: object, shape: object, letter: object) -> _Array:
        if kind is not _NDARRAY:
            raise ValueError("only plain arrays are read")
        return np.ndarray.__new__(_Array, (0,), np.uint8)


class _FromBuffer(_Stand):
    __slots__ = ()

    def __call__(
        self, buffer: Any, kind: Any, shape: Any, order: Any, axes: tuple[int, ...] | None = None
    ) -> NDArray[Any]:
        dtype, raw = _real(kind), bytearray(_raw(buffer))
        _check_size(raw, shape, dtype)
        flat = np.frombuffer(raw, dtype) if raw else np.empty(0, dtype)
        if order == "K" and axes is not None:
            return flat.reshape(shape).transpose(axes)
        return flat.reshape(shape, order=order)


class _MakeScalar(_Stand):
    __slots__ = ()

    def __call__(self, kind: Any, content: Any) -> Any:
        dtype, raw = _real(kind), _raw(content)
        _check_size(raw, (), dtype)
        return np.frombuffer(raw, dtype)[0]


class _Encode(_Stand):
    """`_codecs.encode`: how protocols below 3 write bytes."""

    __slots__ = ()

    def __call__(self, text: str, encoding: str) -> bytes:
        if encoding not in ("latin1", "latin-1"):
            raise ValueError(f"bytes are written as latin1, got {encoding[:20]!r}")
        return text.encode("latin1")


class _Bytes(_Stand):
    """`bytes()`: how protocols below 3 write empty ones. Never of a length: that would be memory for the asking."""

    __slots__ = ()

    def __call__(self) -> bytes:
        return b""


class _Bytearray(_Stand):
    __slots__ = ()

    def __call__(self, content: bytes | str = b"", encoding: str = "latin1") -> bytearray:
        return bytearray(_raw(content))


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)


def _raw(value: Any) -> bytes:
    if isinstance(value, str):  # Python 2's, read as latin1
        return value.encode("latin1")
    if not isinstance(value, bytes | bytearray):
        raise ValueError("an array's content must be bytes")
    return bytes(value)


def _real(kind: Any) -> np.dtype[Any]:
    if not isinstance(kind, _Type):
        raise ValueError("an array's type must be a dtype")
    return kind.real


def _check_size(raw: bytes | bytearray, shape: Any, dtype: np.dtype[Any]) -> None:
    if not all(type(side) is int and side >= 0 for side in shape) or math.prod(shape) * dtype.itemsize != len(raw):
        raise ValueError(f"an array of {str(shape)[:60]} {dtype} does not have {len(raw)} bytes")


_TODAY = {
    "__builtin__": "builtins",
    "numpy.core.multiarray": "numpy._core.multiarray",
    "numpy.core.numeric": "numpy._core.numeric",
}
_NDARRAY = _Stand()
_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("builtins", "set"): set,  # types written in C: nothing can be set on them
    ("builtins", "frozenset"): frozenset,
    ("builtins", "complex"): complex,
    ("builtins", "bytes"): _Bytes(),
    ("builtins", "bytearray"): _Bytearray(),
    ("collections", "OrderedDict"): OrderedDict,
    ("_codecs", "encode"): _Encode(),
    ("numpy", "dtype"): _MakeType(),
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy._core.multiarray", "_reconstruct"): _MakeArray(),
    ("numpy._core.multiarray", "scalar"): _MakeScalar(),
    ("numpy._core.numeric", "_frombuffer"): _FromBuffer(),
}
