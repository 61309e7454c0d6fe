"""ImageNet16-120: the first 120 classes of ImageNet, 16x16 pixels (Chrabaszcz et al. 2017; Dong & Yang 2020).

The published batches are pickles of `data` (n, 768) uint8, channel by channel, and `labels` from 1; they are checked
by their published MD5 (the list is in the authors' `DownsampledImageNet.py`) and read by `unpickle`, which runs
nothing. They cannot be downloaded for you: ImageNet asks for a registration. What comes out: 151,700 training and
6,000 test images (n, 3, 16, 16) uint8, labels (n,) int64 from 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, unpickle
from nasbench_lab.spaces.frozen import frozen

CLASSES = 120
PIXELS = 3 * 16 * 16
_BATCH = 1 << 28  # bytes; the published ones have 0.1 billion
MD5 = MappingProxyType(
    {
        "train_data_batch_1": "27846dcaa50de8e21a7d1a35f30f0e91",
        "train_data_batch_2": "c7254a054e0e795c69120a5727050e3f",
        "train_data_batch_3": "4333d3df2e5ffb114b05d2ffc19b1e87",
        "train_data_batch_4": "1620cdf193304f4a92677b695d70d10f",
        "train_data_batch_5": "348b3c2fdbb3940c4e9e834affd3b18d",
        "train_data_batch_6": "6e765307c242a1b3d7d5ef9139b48945",
        "train_data_batch_7": "564926d8cbf8fc4818ba23d2faac7564",
        "train_data_batch_8": "f4755871f718ccb653440b9dd0ebac66",
        "train_data_batch_9": "bb6dd660c38c58552125b1a92f86b5d4",
        "train_data_batch_10": "8f03f34ac4b42271a294f91bf480f29b",
        "val_data": "3410e3017fdaefba8d5073aaa65e4bd6",
    }
)
Split = tuple[NDArray[np.uint8], NDArray[np.int64]]


def load(folders: Sequence[Path]) -> Mapping[str, Split]:
    """`train` and `test`; they stay in memory.

    Args:
        folders: where the eleven files are looked for, in order, and each folder's `ImageNet16`.

    Raises:
        LabError: they are nowhere, one is missing, or one is not the published file.
    """
    places = [place for folder in folders for place in (folder, folder / "ImageNet16")]
    found = next((place for place in places if (place / "val_data").is_file()), None)
    if found is None:
        raise LabError(
            f"no ImageNet16 in {', '.join(map(str, folders))} (nor in ImageNet16 there). Get the 16x16 batches from "
            "image-net.org/download-images, which asks for a registration, and put them there: "
            "train_data_batch_1 to train_data_batch_10 and val_data"
        )
    return _read(found)


@lru_cache(maxsize=1)  # 121 MB; eleven files of 100 MB to go through
def _read(folder: Path) -> Mapping[str, Split]:
    train = [_batch(folder / name) for name in MD5 if name.startswith("train")]
    images, labels = zip(*train, strict=True)
    return frozen({"train": (np.concatenate(images), np.concatenate(labels)), "test": _batch(folder / "val_data")})


def _batch(path: Path) -> Split:
    """The images of the first 120 classes in one file."""
    try:
        content = bounded.content(path, _BATCH)
    except OSError as error:
        raise LabError(f"cannot read {path}: {error.strerror or error}") from error
    except bounded.TooMuch as error:
        raise LabError(f"{path} is not the published file: {error}") from error
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != MD5[path.name]:
        raise LabError(f"{path} is not the published file: its MD5 is {found}, not {MD5[path.name]}")
    entry = unpickle.loads(content, str(path))
    if not isinstance(entry, dict) or not {"data", "labels"} <= entry.keys():
        raise LabError(f"{path} is no batch of images: it must be a dictionary with data and labels")
    images, labels = np.asarray(entry["data"]), np.asarray(entry["labels"])
    if images.dtype != np.uint8 or images.shape != (len(labels), PIXELS) or labels.dtype.kind not in "iu":
        raise LabError(f"{path} is no batch of 16x16 images: {images.shape} {images.dtype}, labels {labels.shape}")
    kept = (labels >= 1) & (labels <= CLASSES)
    return images[kept].reshape(-1, 3, 16, 16), labels[kept].astype(np.int64) - 1
