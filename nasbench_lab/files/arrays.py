"""`.npz` archives of plain arrays: every member's header is looked at before memory is taken for what it says.

Decompression without end, shapes that no bytes stand behind, objects, names that occur twice: an error, and early.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

Array = NDArray[Any]
_MEMBERS = 4096
_HEADER = 1 << 12  # bytes that a member has beside its numbers
_TEXT = 1 << 22  # bytes of a header; those in the package have some 2,000
_CHUNK = 1 << 20
_KINDS = "biufU"


class Archive:
    """The members of an open archive; nothing is read until it is asked for.

    Args:
        file: seekable.
        limit: bytes that all members may unpack to.

    Raises:
        ValueError, zipfile.BadZipFile, OSError, ...: no such archive, or larger.
    """

    def __init__(self, file: IO[bytes], *, limit: int) -> None:
        self._zip = zipfile.ZipFile(file)
        items = self._zip.infolist()
        self._items = {item.filename.removesuffix(".npy"): item for item in items}
        if len(items) > _MEMBERS or len(self._items) < len(items):
            raise ValueError(f"it has {len(items):,} members, or one twice")
        if (size := sum(item.file_size for item in items)) > limit:
            raise ValueError(f"it unpacks to {size:,} bytes, which is more than such a file can hold")

    def __contains__(self, name: str) -> bool:
        return name in self._items

    @property
    def names(self) -> list[str]:
        """Of all members, without `.npy`."""
        return list(self._items)

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of an array that is there, without reading it.

        Raises:
            LookupError: there is none of this name.
            ValueError, ...: damaged, or of a type that is not read.
        """
        with self._zip.open(self._items[name]) as member:
            return self._described(name, member)[0]

    def text(self, name: str) -> str:
        """The JSON of a member that holds it as bytes or as one string; errors as for `shape`."""
        if self._items[name].file_size > _TEXT:
            raise ValueError(f"{name!r} has {self._items[name].file_size:,} bytes, which is too many for a header")
        found = self.read(name)
        return found.tobytes().decode() if found.dtype == np.uint8 else str(found)

    def read(self, name: str) -> Array:
        """One array; errors as for `shape`."""
        with self._zip.open(self._items[name]) as member:
            shape, fortran, dtype = self._described(name, member)
            flat = np.empty(math.prod(shape), dtype)
            raw, done = flat.view(np.uint8), 0
            while done < len(raw) and (part := member.read(min(_CHUNK, len(raw) - done))):
                raw[done : done + len(part)] = np.frombuffer(part, np.uint8)
                done += len(part)
            if done < len(raw) or member.read(1):  # the checksum is compared at the end
                raise ValueError(f"{name!r} has more or fewer bytes than it says")
        return flat.reshape(shape, order="F" if fortran else "C")

    def _described(self, name: str, member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        readers: dict[tuple[int, int], Callable[..., Any]] = {
            (1, 0): npy.read_array_header_1_0,
            (2, 0): npy.read_array_header_2_0,
        }
        shape, fortran, dtype = readers[npy.read_magic(member)](member, max_header_size=_HEADER)
        if dtype.kind not in _KINDS or dtype.fields is not None or dtype.subdtype is not None:
            raise ValueError(f"{name!r} holds {dtype}, which is not read")
        here, said = self._items[name].file_size, math.prod(shape) * dtype.itemsize
        if min(shape, default=0) < 0 or not said <= here <= said + _HEADER:
            raise ValueError(f"{name!r} says that it is {shape} {dtype}, and has {here:,} bytes"[:200])
        return shape, fortran, dtype
