"""What a training needs of its data: the interface, device-resident images, augmentation on the device.

Images are (n, channels, H, W); labels (n,) int64. Sets of stored images keep uint8 on the device (a tenth of a
second to copy, 150 MB for CIFAR-10) and are normalised batch by batch.

What is random is drawn on the CPU, by a generator of its own for every (seed, epoch), and moved once an epoch: three
bytes an image. So a seed means the same on any device, which generators of devices do not offer, and no step draws,
moves or waits. (A hash of the image's number, computed on the device, would save the copy, and be ours to keep right.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_ORDER, _AUGMENT = 10, 11  # spawn keys


class Data(Protocol):
    """A classification task. `part` and `held_out` are pure: the same arguments give the same images."""

    name: str
    classes: int
    inputs: int
    size: int
    train_size: int
    device: torch.device

    def part(self, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """The training images of one epoch, in the order they are to be seen; `train_size` of them."""

    def held_out(self, split: str) -> tuple[Tensor, Tensor]:
        """The images of `val` or `test`."""

    def pool(self, seeds: Sequence[int], epoch: int) -> tuple[Tensor, Tensor, Tensor]:
        """The same for several seeds: images (m, ...), labels (m,), and (len(seeds), train_size) positions in them."""

    def normalise(self, images: Tensor) -> Tensor:
        """What the network is fed, float32."""


def _state(seed: int, tag: int, epoch: int) -> int:
    return int(np.random.SeedSequence(seed, spawn_key=(tag, epoch)).generate_state(1, np.uint64)[0] >> 1)


class Augmentation(NamedTuple):
    """What is done to each of n images: random mirror, and random crop after zero padding; of several seeds (..., n).

    Attributes:
        mirror: (..., n) bool, or None for no mirrors.
        shift: (2, ..., n) uint8 rows and columns of the crop's corner in the padded image, or None for no crops.
        crop: padding on every side. Deviation: the padding is the mean colour, as images are normalised; the benchmark
            pads before that, with black.
    """

    mirror: Tensor | None
    shift: Tensor | None
    crop: int

    def of(self, first: int, last: int) -> Augmentation:
        """That of images first, ..., last - 1."""
        mirror = None if self.mirror is None else self.mirror[..., first:last]
        return Augmentation(mirror, None if self.shift is None else self.shift[..., first:last], self.crop)

    def __call__(self, images: Tensor) -> Tensor:
        """(n, channels, H, W) float, normalised -> the same shape, on their device; several seeds' one after another."""
        if self.mirror is None and self.shift is None:
            return images
        count, _, height, width = images.shape
        columns = torch.arange(width, device=images.device).expand(count, width)
        rows = torch.arange(height, device=images.device).expand(count, height)
        if self.mirror is not None:
            columns = torch.where(self.mirror.reshape(-1, 1), width - 1 - columns, columns)
        if self.shift is not None:
            images = functional.pad(images, (self.crop,) * 4)
            rows, columns = (x + self.shift[i].reshape(-1, 1) for i, x in enumerate((rows, columns)))
        index = torch.arange(count, device=images.device)
        picked = images.permute(0, 2, 3, 1)[index[:, None, None], rows[:, :, None], columns[:, None, :]]
        return picked.permute(0, 3, 1, 2)


def augmentation(state: int, count: int, *, flip: bool, crop: int, device: torch.device) -> Augmentation:
    """Drawn for `count` images on the CPU, and moved.

    Args:
        state: of the generator.
        flip: whether images are mirrored at random. crop: padding of the random crop; 0 leaves the position alone.
    """
    generator = torch.Generator().manual_seed(state)
    mirror = torch.rand(count, generator=generator) < 0.5 if flip else None
    shift = torch.randint(2 * crop + 1, (2, count), generator=generator).to(torch.uint8) if crop else None
    mirror, shift = (None if drawn is None else drawn.to(device) for drawn in (mirror, shift))
    return Augmentation(mirror, shift, crop)


def of_epoch(data: Data, seeds: Sequence[int], epoch: int, *, flip: bool, crop: int) -> Augmentation:
    """The augmentation of an epoch's training images: (n,) of one seed, (len(seeds), n) of several."""
    each = [
        augmentation(_state(seed, _AUGMENT, epoch), data.train_size, flip=flip, crop=crop, device=data.device)
        for seed in seeds
    ]
    if len(each) == 1:
        return each[0]
    mirror = torch.stack([a.mirror for a in each if a.mirror is not None]) if flip else None
    shift = torch.stack([a.shift for a in each if a.shift is not None], dim=1) if crop else None
    return Augmentation(mirror, shift, crop)


class Images:
    """A stored set of images, whole on the device.

    Args:
        name: what it is called in records.
        train, val, test: (images (n, channels, H, W) uint8, labels (n,) int64).
        classes: number of labels.
        mean, std: per channel, in units of 0..255.

    Raises:
        ValueError: images that are not square uint8, or labels outside 0..classes-1.
    """

    def __init__(
        self,
        name: str,
        *,
        train: tuple[Tensor, Tensor],
        val: tuple[Tensor, Tensor],
        test: tuple[Tensor, Tensor],
        classes: int,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        device: torch.device | str = "cpu",
    ) -> None:
        self.name, self.classes, self.device = name, classes, torch.device(device)
        for images, labels in (train, val, test):
            if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[2] != images.shape[3]:
                raise ValueError(f"images must be (n, channels, side, side) uint8, got {images.shape} {images.dtype}")
            outside = len(labels) > 0 and not 0 <= int(labels.min()) <= int(labels.max()) < classes
            if len(labels) != len(images) or outside:
                raise ValueError(f"need one label in 0..{classes - 1} per image, got {len(labels)} for {len(images)}")
        splits = {"train": train, "val": val, "test": test}
        self._splits = {k: (x.to(self.device), y.to(self.device)) for k, (x, y) in splits.items()}
        self.train_size, self.inputs, self.size = len(train[0]), int(train[0].shape[1]), int(train[0].shape[2])
        self._mean = torch.tensor(mean, device=self.device).view(1, -1, 1, 1)
        self._std = torch.tensor(std, device=self.device).view(1, -1, 1, 1)

    def part(self, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """All training images in the order of this epoch."""
        images, labels, order = self.pool([seed], epoch)
        return images[order[0]], labels[order[0]]

    def pool(self, seeds: Sequence[int], epoch: int) -> tuple[Tensor, Tensor, Tensor]:
        """All training images, and every seed's order of them."""
        orders = [
            torch.randperm(self.train_size, generator=torch.Generator().manual_seed(_state(seed, _ORDER, epoch)))
            for seed in seeds
        ]
        return *self._splits["train"], torch.stack(orders).to(self.device)

    def held_out(self, split: str) -> tuple[Tensor, Tensor]:
        """The images of `val` or `test`."""
        if split not in ("val", "test"):
            raise ValueError(f"held-out splits are val and test, got {split!r}")
        return self._splits[split]

    def normalise(self, images: Tensor) -> Tensor:
        """(images - mean) / std per channel, float32."""
        return (images.float() - self._mean) / self._std
