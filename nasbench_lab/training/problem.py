"""What is trained on what by which recipe, as one value: hashable, nameable, the same in every process."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any

import torch

from nasbench_lab.core import LabError
from nasbench_lab.files.writing import data_folders
from nasbench_lab.training import networks, sets, synthetic
from nasbench_lab.training.data import Data
from nasbench_lab.training.digits import Clutter, Digits
from nasbench_lab.training.measure import Task
from nasbench_lab.training.network import CIFAR10, CIFAR100, IMAGENET16, Shape
from nasbench_lab.training.networks import CELLS, Networks
from nasbench_lab.training.recipe import SHORT, Recipe

# Stored images: (training images, validation images) of the benchmark's splits, see sets.py; and the skeleton.
_FILES = MappingProxyType(
    {
        "cifar10-valid": (25_000, 25_000, CIFAR10),
        "cifar10": (50_000, 5_000, CIFAR10),
        "cifar100": (50_000, 5_000, CIFAR100),
        "ImageNet16-120": (151_700, 3_000, IMAGENET16),
    }
)
_STORED = MappingProxyType(_FILES | {name: _FILES[name.removeprefix(synthetic.PREFIX)] for name in sets.SYNTHETIC})
NAMES = ("digits", *_STORED)


@dataclass(frozen=True)
class Problem:
    """Data and recipe.

    Args:
        data: one of `NAMES`.
        recipe: everything about a training but configuration and seed.
        part_size, held_out_size: of `digits`: fresh canvases per epoch, canvases in val and in test.
        space: whose networks are trained.

    Raises:
        LabError: no networks are built of this space, not for these data, or not for a batch as small as the last.
    """

    data: str
    recipe: Recipe
    part_size: int = 4096
    held_out_size: int = 4000
    space: str = CELLS.space.name

    def __post_init__(self) -> None:
        found = self.networks
        if self.data != "digits" and not found.stored:
            raise LabError(f"{found.what} are built for the canvases of digits alone, got data {self.data!r}")
        last = self.images % self.recipe.batch or self.recipe.batch
        if last < found.fewest:
            raise LabError(
                f"{found.what} need at least {found.fewest} images in a batch; {self.images} images in batches of "
                f"{self.recipe.batch} leave {last} for the last"
            )

    @property
    def networks(self) -> Networks:
        """How configurations become networks."""
        return networks.named(self.space)

    @property
    def task(self) -> Task:
        """As shards of a table name it; digits only."""
        return Task(self.recipe, Clutter(), self.part_size, self.held_out_size, space=self.space)

    @property
    def images(self) -> int:
        """Training images of one epoch."""
        return self.part_size if self.data == "digits" else _STORED[self.data][0]

    @property
    def held_out(self) -> int:
        """Validation images."""
        return self.held_out_size if self.data == "digits" else _STORED[self.data][1]

    @property
    def shape(self) -> Shape:
        """The skeleton."""
        recipe = self.recipe
        if self.data == "digits":
            return Shape(recipe.channels, recipe.cells, Digits.classes, Digits.inputs, Clutter().size)
        return replace(_STORED[self.data][2], channels=recipe.channels, cells=recipe.cells)

    def digest(self, device: str = "cpu") -> str:
        """SHA-256 of data, recipe and kind of device (CPU and GPU round differently): what a training depends on."""
        content = {"recipe": asdict(self.recipe), "data": self.described, "device": device.partition(":")[0]}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def described(self) -> dict[str, Any]:
        """The data, and the space of other networks than cells, as JSON values."""
        space = {} if self.networks is CELLS else {"space": self.space}  # digests were there before there were others
        if self.data != "digits":
            return {"name": self.data, **space} | ({} if _official(self.data) else {"split": "own"})
        sizes = {"part_size": self.part_size, "held_out_size": self.held_out_size}
        return {"name": self.data, "clutter": asdict(Clutter()), **sizes, **space}

    def load(self, device: str = "cpu") -> Data:
        """The data, on the device.

        Raises:
            LabError: the files are not there, or there is no such device.
        """
        check_device(device, bf16=self.recipe.bf16)
        if self.data == "digits":
            return Digits(Clutter(), part_size=self.part_size, held_out_size=self.held_out_size, device=device)
        return sets.open_data(self.data, device=device)


def make_problem(
    data: str,
    *,
    space: str = CELLS.space.name,
    epochs: int | None = None,
    part_size: int | None = None,
    held_out_size: int | None = None,
) -> Problem:
    """The standard recipe of a space's networks on a data set, with other sizes where given.

    Raises:
        LabError: no such data or space, or a number out of range.
    """
    if data not in NAMES:
        raise LabError(f"no data named {data!r} to train on; there is: {', '.join(NAMES)}")
    if data != "digits" and (part_size or held_out_size):
        raise LabError(f"part_size and held_out_size are options of digits; {data} has the benchmark's splits")
    # The authors' random crop pads the 16x16 images by 2.
    found = networks.named(space)
    recipe = found.digits if data == "digits" else replace(SHORT, crop=2) if data == "ImageNet16-120" else SHORT
    try:
        recipe = recipe if epochs is None else replace(recipe, epochs=epochs)
        sizes = [
            own if size is None else size for size, own in zip((part_size, held_out_size), found.canvases, strict=True)
        ]
        if min(sizes) < 1:
            raise ValueError(f"sizes must be at least 1, got {sizes}")
        return Problem(data, recipe, sizes[0], sizes[1], space)
    except ValueError as error:
        raise LabError(str(error)) from error


def check_device(device: str, *, bf16: bool = False) -> None:
    """Raise a LabError for a device that is not there, that cannot be had now, or that lacks what is asked of it.

    Args:
        device: as it was written.
        bf16: whether it is to compute in bfloat16.
    """
    try:
        place = torch.device(device)
    except RuntimeError:
        raise LabError(f"no such device: {device!r}; use cpu, cuda or cuda:0") from None
    if place.type not in ("cpu", "cuda"):
        raise LabError(f"training runs on cpu and cuda, got {device!r}")
    if place.type == "cpu":
        return
    if not torch.cuda.is_available():
        raise LabError("no CUDA device here; leave --device at cpu")
    if (place.index or 0) >= (count := torch.cuda.device_count()):
        raise LabError(f"no such device: {device!r}; there is {', '.join(f'cuda:{i}' for i in range(count))}")
    try:
        torch.empty(1, device=place)
    except RuntimeError as error:  # taken by somebody whole, full, or its driver does not fit
        why = str(error).partition("\n")[0]
        raise LabError(
            f"{device} cannot be used now: {why}. Wait until it is free, or leave --device at cpu"
        ) from error
    if bf16 and not torch.cuda.is_bf16_supported():
        name = torch.cuda.get_device_name(place)
        raise LabError(f"{device} ({name}) does not compute in bfloat16; leave bf16 out of the recipe")


def _official(name: str) -> bool:
    """Whether the benchmark's own split is at hand, or none is needed; another split is another problem."""
    half = sets.HALVES.get(name)
    return half is None or any((folder / half.file).is_file() for folder in data_folders())
