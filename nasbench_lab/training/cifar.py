"""CIFAR-10 and CIFAR-100, binary versions (Krizhevsky 2009): found, or downloaded, checked by SHA-256 and read.

The archives are tar files of records, one a picture: one label byte (CIFAR-100: two, coarse then fine; the fine one
is used), then 3,072 bytes, channel by channel, row by row. There is no pickle in them. Members are read by name
straight out of the archive; nothing is unpacked. What comes out: images (n, 3, 32, 32) uint8, labels (n,) int64.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, downloads
from nasbench_lab.files.downloads import Report
from nasbench_lab.spaces.frozen import frozen

BASE_URL = "https://www.cs.toronto.edu/~kriz/"
PIXELS = 3 * 32 * 32
_MEMBER = 50_000 * (2 + PIXELS)  # bytes of the largest member, the training images of CIFAR-100
Split = tuple[NDArray[np.uint8], NDArray[np.int64]]


@dataclass(frozen=True)
class Archive:
    """One published archive.

    Args:
        file: its name. sha256: of the whole file (many sources agree; the site itself gives the MD5).
        size: of the whole file, in bytes.
        train, test: members, in order.
        labels: label bytes of a record; the last one counts.
        classes: number of labels.
    """

    file: str
    sha256: str
    size: int
    train: tuple[str, ...]
    test: str
    labels: int
    classes: int


ARCHIVES = MappingProxyType(
    {
        "cifar10": Archive(
            "cifar-10-binary.tar.gz",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",  # MD5 c32a1d4ab5d03f1284b67883e8d87530
            170_052_171,
            tuple(f"cifar-10-batches-bin/data_batch_{i}.bin" for i in range(1, 6)),
            "cifar-10-batches-bin/test_batch.bin",
            labels=1,
            classes=10,
        ),
        "cifar100": Archive(
            "cifar-100-binary.tar.gz",
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",  # MD5 03b5dce01913d631647c71ecec9e9cb8
            168_513_733,
            ("cifar-100-binary/train.bin",),
            "cifar-100-binary/test.bin",
            labels=2,
            classes=100,
        ),
    }
)


def load(
    name: str,
    folders: Sequence[Path],
    *,
    base_url: str = BASE_URL,
    download: bool = True,
    progress: Report | None = None,
) -> Mapping[str, Split]:
    """`train` and `test` of an archive; the last one read stays in memory.

    Args:
        name: `cifar10` or `cifar100`.
        folders: where the archive is looked for, in order; the first is where a download goes.
        base_url: where it is downloaded from, unless `download` is False.
        progress: called with (bytes so far, bytes in all) while downloading.

    Raises:
        LabError: it is nowhere and cannot be downloaded, or is not the published file.
    """
    archive = ARCHIVES[name]
    path = next((f / archive.file for f in folders if (f / archive.file).is_file()), None)
    if path is None and not download:
        raise LabError(f"no {archive.file} in {', '.join(map(str, folders))}, and it was not to be downloaded")
    path = path or fetch(archive, folders[0], base_url=base_url, progress=progress)
    try:
        return _read(archive, path, path.stat().st_mtime_ns)
    except OSError as error:
        raise LabError(f"cannot read {path}: {error.strerror or error}") from error


def fetch(archive: Archive, folder: Path, *, base_url: str = BASE_URL, progress: Report | None = None) -> Path:
    """Download an archive, whole or not at all; three attempts.

    Raises:
        LabError: no network or no such file, wrong content, or nowhere to write.
    """
    published = downloads.Published(archive.file, base_url + archive.file, archive.sha256, archive.size)
    return downloads.fetch(published, folder, progress=progress)


@lru_cache(maxsize=1)  # 184 MB; a second of unpacking
def _read(archive: Archive, path: Path, _modified: int) -> Mapping[str, Split]:
    with bounded.regular(path) as file:
        if (size := os.fstat(file.fileno()).st_size) > archive.size:
            raise LabError(f"{path} is not the published file: it has {size:,} bytes, not {archive.size:,}")
        found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != archive.sha256:
            short = f"its SHA-256 is {found[:12]}..., not {archive.sha256[:12]}..."
            raise LabError(f"{path} is not the published file: {short} Delete it to have it downloaded")
        file.seek(0)
        try:
            contents = _members(file, {*archive.train, archive.test})
        except (tarfile.TarError, EOFError, zlib.error, ValueError) as error:
            raise LabError(f"{path} is damaged: {error}") from error
    splits = {"train": archive.train, "test": (archive.test,)}
    read = {split: [contents.get(member) for member in members] for split, members in splits.items()}
    return frozen({split: _records(archive, path, found) for split, found in read.items()})


def _members(file: Any, wanted: set[str]) -> dict[str, bytes]:
    contents: dict[str, bytes] = {}
    with tarfile.open(fileobj=file, mode="r:gz") as tar:
        for member in tar:
            if member.name in wanted and member.isreg():  # a link could lead anywhere
                stream = tar.extractfile(member)
                contents[member.name] = b"" if stream is None else bounded.all_of(stream, _MEMBER)
    return contents


def _records(archive: Archive, path: Path, contents: list[bytes | None]) -> Split:
    size = archive.labels + PIXELS
    if any(content is None or not content or len(content) % size for content in contents):
        raise LabError(f"{path} is damaged: a member is missing or is not made of records of {size} bytes")
    records = np.frombuffer(b"".join(c for c in contents if c is not None), np.uint8).reshape(-1, size)
    labels = records[:, archive.labels - 1].astype(np.int64)
    if labels.max() >= archive.classes:
        raise LabError(f"{path} is damaged: a label is {labels.max()}, allowed are 0..{archive.classes - 1}")
    return np.ascontiguousarray(records[:, archive.labels :]).reshape(-1, 3, 32, 32), labels
