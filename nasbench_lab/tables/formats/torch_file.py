"""What `torch.save` wrote, read without torch and without running anything: the zip format and the one before 1.6.

Storages become arrays and tensors views on them; a storage's length is believed only if the file has the bytes.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, unpickle

_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_KINDS = {
    "Double": "f8", "Float": "f4", "Half": "f2", "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1",
    "Bool": "b1",
}  # fmt: skip
Storage = NDArray[Any]


def load(path: Path, *, seen: Callable[[Any, Any], Any] | None = None) -> Any:
    """The object in the file; `seen` as for `unpickle.load`.

    Raises:
        LabError: not such a file, damaged, or it asks for more than numbers, strings, containers and tensors.
    """
    try:
        with bounded.regular(path) as file:
            if zipfile.is_zipfile(file):
                with zipfile.ZipFile(file) as archive:
                    return _load_zip(archive, path, seen)
            file.seek(0)
            return _load_legacy(file, path, seen)
    except LabError:
        raise
    except Exception as error:  # zipfile, zlib and struct raise a dozen kinds for a damaged file
        raise LabError(f"{path} cannot be read as a file of torch: {error}") from error


def _load_zip(archive: zipfile.ZipFile, path: Path, seen: Any) -> Any:
    main = next((item for item in archive.infolist() if item.filename.endswith("data.pkl")), None)
    if main is None:
        raise LabError(f"{path} is no file of torch: it has no data.pkl")
    folder = main.filename.removesuffix("data.pkl")
    size = path.stat().st_size
    for item in archive.infolist():
        if item.file_size > size:  # torch does not compress
            raise LabError(f"{path}: {item.filename[:60]!r} unpacks to more than the file has; it was not read")
    storages: dict[str, Storage] = {}

    def storage(machine: Any, key: Any) -> Storage:
        dtype, name, count = _identity(key)
        if name not in storages:
            machine.spend(count * dtype.itemsize)
            content = archive.read(f"{folder}data/{name}")
            if len(content) != count * dtype.itemsize:
                raise ValueError("a storage has another size than it says")
            storages[name] = np.frombuffer(content, dtype)
        return storages[name]

    with archive.open(main) as file:
        return unpickle.load(unpickle.Source(file, str(path)), names=_NAMES, persistent=storage, seen=seen)


def _load_legacy(file: IO[bytes], path: Path, seen: Any) -> Any:
    source, size = unpickle.Source(file, str(path)), path.stat().st_size
    if unpickle.load(source) != _MAGIC or unpickle.load(source) != _PROTOCOL:
        raise LabError(f"{path} is no file of torch")
    if unpickle.load(source).get("little_endian") is not True:
        raise LabError(f"{path} was written on a big-endian machine, which is not read")
    storages: dict[str, Storage] = {}

    def storage(machine: Any, key: Any) -> Storage:
        dtype, name, count = _identity(key)
        if name not in storages:
            if count * dtype.itemsize > size:
                raise ValueError("a storage is larger than the file")
            machine.spend(count * dtype.itemsize)
            storages[name] = np.zeros(count, dtype)
        return storages[name]

    found = unpickle.load(source, names=_NAMES, persistent=storage, seen=seen)
    for name in unpickle.load(source):  # their bytes follow, each after its length
        count = int.from_bytes(source.take(8), "little")
        if name not in storages or count != len(storages[name]):
            raise LabError(f"{path} is damaged: a storage has another length than it was announced with")
        storages[name][:] = np.frombuffer(source.take(storages[name].nbytes), storages[name].dtype)
    return found


def _identity(key: Any) -> tuple[np.dtype[Any], str, int]:
    if type(key) is not tuple or len(key) not in (5, 6) or key[0] != "storage":
        raise ValueError("a persistent object is no storage")
    kind, name, count = key[1], key[2], key[4]
    if type(name) is not str or not name.isalnum() or type(count) is not int or count < 0:
        raise ValueError("a storage needs a name and a length")
    letter = _KINDS.get(str(getattr(kind, "name", "")).removeprefix("torch.").removesuffix("Storage"))
    if letter is None:
        raise ValueError("a storage of such numbers is not read")
    return np.dtype(f"<{letter}"), name, count


def _tensor(_: Any, storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> NDArray[Any]:
    """`torch._utils._rebuild_tensor_v2`: a view, inside its storage."""
    if type(storage) is not np.ndarray or storage.ndim != 1:
        raise ValueError("a tensor has no storage")
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > 16 or not all(type(n) is int and n >= 0 for n in numbers):
        raise ValueError("a tensor needs an offset, sizes and strides")
    if math.prod(size) > len(storage):  # a step of 0 would make any size of one number
        raise ValueError("a tensor has more numbers than its storage")
    last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
    if math.prod(size) and last >= len(storage):
        raise ValueError("a tensor reaches outside its storage")
    steps = [step * storage.itemsize for step in stride]
    if not math.prod(size):
        return np.empty(size if math.prod(max(side, 1) for side in size) < 1 << 40 else (0,), storage.dtype)
    return np.lib.stride_tricks.as_strided(storage[offset:], size, steps, writeable=False)


def _parameter(_: Any, tensor: Any, *rest: Any) -> Any:
    return tensor


_NAMES: unpickle.Names = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    **{("torch", f"{kind}Storage"): unpickle.shell(f"torch.{kind}Storage") for kind in _KINDS},
}
