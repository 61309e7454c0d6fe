"""Sets of images by name, with the benchmark's splits.

    name             train    val      test    of
    digits           endless  4,000    4,000   scikit-learn's digits; nothing to download
    cifar10-valid    25,000   25,000   10,000  CIFAR-10: what the benchmark searches on
    cifar10          50,000   (5,000)  10,000  CIFAR-10: what it is scored on; val is a part of train
    cifar100         50,000   5,000    5,000   CIFAR-100, its test images halved
    ImageNet16-120   151,700  3,000    3,000   ImageNet16's first 120 classes, its test images halved
    synthetic-...    as theirs                 images made up for cifar10-valid, cifar10 and cifar100; see synthetic.py

`cifar10` trains on everything, so nothing is left to validate on, and the benchmark has no validation there either.
Ours is 5,000 training images as they are stored: it shows whether a training works, and no test image is looked at. Do
not search or tune on it; its outcomes are named `cifar10, val of train`.

The benchmark's splits are lists of indices in three files of AutoDL-Projects' `configs/nas-benchmark`, which are not
ours to ship. If they lie in one of the folders they are used. If not, a split of the same sizes is drawn from a fixed
seed, and the name says `own split`: accuracies then differ from the benchmark's by what other images make, in standard
errors of one accuracy 0.2 points on cifar10-valid (at 90%), 0.6 on cifar100 (at 70%), 0.9 on ImageNet16-120 (at 45%).

Channel means and deviations are the authors'. Their random crop pads ImageNet16 by 2, not 4: `Recipe(crop=2)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, paths
from nasbench_lab.files.writing import data_folders
from nasbench_lab.training import cifar, imagenet16, synthetic
from nasbench_lab.training.data import Data, Images
from nasbench_lab.training.digits import Digits

SYNTHETIC = tuple(synthetic.PREFIX + name for name in ("cifar10-valid", "cifar10", "cifar100"))
NAMES = ("digits", "cifar10-valid", "cifar10", "cifar100", "ImageNet16-120", *SYNTHETIC)
_SEED = 201
_SPLIT = 1 << 22  # bytes of a list of indices; the longest has half a million
_VAL_OF_TRAIN = 5000
Indices = NDArray[np.int64]


class _Halves(NamedTuple):
    """An official split: its file, the names of its two lists, and how the list of `val` begins (a fact of AutoDL)."""

    file: str
    other: str
    val: str
    begins: tuple[int, ...]


HALVES = MappingProxyType(
    {
        "cifar10-valid": _Halves("cifar-split.txt", "train", "valid", (1, 2, 3, 4, 6, 8, 9, 10, 12, 14)),
        "cifar100": _Halves("cifar100-test-split.txt", "xtest", "xvalid", (1, 3, 4, 5, 8, 10, 13, 14, 15, 16)),
        "ImageNet16-120": _Halves(
            "imagenet-16-120-test-split.txt", "xtest", "xvalid", (1, 2, 3, 6, 7, 8, 9, 12, 16, 18)
        ),
    }
)
_CIFAR10 = ((125.3, 123.0, 113.9), (63.0, 62.1, 66.7))
_COLOURS = MappingProxyType(
    {  # mean and standard deviation of red, green, blue, in units of 0..255
        "cifar10": _CIFAR10,
        "cifar10-valid": _CIFAR10,
        "cifar100": ((129.3, 124.1, 112.4), (68.2, 65.4, 70.4)),
        "ImageNet16-120": ((122.68, 116.66, 104.01), (63.22, 61.26, 65.09)),
    }
)


def open_data(
    name: str,
    *,
    device: torch.device | str = "cpu",
    folder: Path | str | None = None,
    download: bool = True,
    base_url: str = cifar.BASE_URL,
    progress: Callable[[int, int], None] | None = None,
) -> Data:
    """A set of images, whole on a device.

    Args:
        name: one of `NAMES`.
        device: where the images are kept.
        folder: where files are looked for first and downloaded to; then come `$NASBENCH_LAB_DATA` and the user's
            data folder.
        download: whether CIFAR may be downloaded; `base_url` is where from.
        progress: called with (bytes so far, bytes in all) while downloading.

    Raises:
        LabError: no such name, files that are missing, damaged or not the published ones, no network, a full disk.
    """
    if name not in NAMES:
        raise LabError(f"no image set named {name!r}; there are {', '.join(NAMES)}")
    if name == "digits":
        return Digits(device=device)
    folders = [*([paths.home(folder)] if folder is not None else []), *data_folders()]
    if name == "ImageNet16-120":
        return _assemble(name, imagenet16.load(folders), imagenet16.CLASSES, folders, device)
    if name in SYNTHETIC:
        real = name.removeprefix(synthetic.PREFIX)
        classes = cifar.ARCHIVES[real.removesuffix("-valid")].classes
        made = synthetic.splits(classes, *_COLOURS[real], train=synthetic.TRAIN, test=synthetic.TEST)
        return _assemble(real, made, classes, [], device, label="synthetic images for {}")
    source = name.removesuffix("-valid")
    splits = cifar.load(source, folders, base_url=base_url, download=download, progress=progress)
    return _assemble(name, splits, cifar.ARCHIVES[source].classes, folders, device)


def _assemble(
    name: str,
    splits: Mapping[str, cifar.Split],
    classes: int,
    folders: Sequence[Path],
    device: torch.device | str,
    label: str = "{}",
) -> Images:
    train, test = splits["train"], splits["test"]
    if name == "cifar10":
        known, val = "cifar10, val of train", (train[0][:_VAL_OF_TRAIN], train[1][:_VAL_OF_TRAIN])
    else:
        whole = train if name == "cifar10-valid" else test
        rest, chosen, official = halves(name, len(whole[0]), folders)
        known, val = name if official else f"{name}, own split", (whole[0][chosen], whole[1][chosen])
        other = (whole[0][rest], whole[1][rest])
        train, test = (other, test) if whole is train else (train, other)
    mean, std = _COLOURS[name]
    tensors = {split: _tensors(part) for split, part in (("train", train), ("val", val), ("test", test))}
    return Images(label.format(known), **tensors, classes=classes, mean=mean, std=std, device=device)


def _tensors(split: cifar.Split) -> tuple[Tensor, Tensor]:
    """Copies: what was read is kept for the next, and a tensor cannot be read-only."""
    return torch.tensor(split[0]), torch.tensor(split[1])


def halves(name: str, count: int, folders: Sequence[Path]) -> tuple[Indices, Indices, bool]:
    """The rest, the validation half (both ascending), and whether they are the benchmark's own.

    Args:
        name: one of `HALVES`. count: images to be halved.
        folders: where the official file is looked for, in order.

    Raises:
        LabError: a file of that name that is not the official split of as many images.
    """
    path = next((f / HALVES[name].file for f in folders if (f / HALVES[name].file).is_file()), None)
    if path is not None:
        return *_official(path, HALVES[name], count), True
    order = np.random.default_rng(np.random.SeedSequence(_SEED, spawn_key=(count,))).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :]), False


def _official(path: Path, halves: _Halves, count: int) -> tuple[Indices, Indices]:
    """A file `{"NAME": ["int", ["0", "5", ...]], ...}` with two lists that share nothing and leave nothing out."""
    try:
        content = bounded.read_json(path, _SPLIT)
        rest, val = (np.array([int(i) for i in content[key][1]], np.int64) for key in (halves.other, halves.val))
    except OSError as error:
        raise LabError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise LabError(f"{path} is not a split of the benchmark: {error}") from error
    whole = np.array_equal(np.sort(np.concatenate([rest, val])), np.arange(count)) and len(rest) == len(val)
    if not whole or tuple(val[: len(halves.begins)]) != halves.begins:
        raise LabError(
            f"{path} is not the benchmark's split: two lists of {count // 2} that share nothing, {halves.val} beginning "
            f"{', '.join(map(str, halves.begins))}. Without the file a split is drawn from a fixed seed"
        )
    return rest, val
