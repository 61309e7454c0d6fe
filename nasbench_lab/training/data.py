"""What a training needs of its data: the interface, device-resident images, augmentation on the device.

Images are (n, channels, H, W); labels (n,) int64. Sets of stored images keep uint8 on the device (a tenth of a
second to copy, 150 MB for CIFAR-10) and are normalised batch by batch.
"""

from __future__ import annotations

from typing import Protocol

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

    def normalise(self, images: Tensor) -> Tensor:
        """What the network is fed, float32."""


def _state(seed: int, tag: int, epoch: int) -> int:
    return int(np.random.SeedSequence(seed, spawn_key=(tag, epoch)).generate_state(1, np.uint64)[0] >> 1)


def epoch_generator(seed: int, epoch: int, device: torch.device) -> torch.Generator:
    """The generator of an epoch's augmentation, on the device."""
    return torch.Generator(device=device).manual_seed(_state(seed, _AUGMENT, epoch))


def augment(images: Tensor, generator: torch.Generator, *, flip: bool, crop: int) -> Tensor:
    """Random mirror and random crop after zero padding, one draw per image, on the images' device.

    Args:
        images: (B, channels, H, W) float, normalised. Deviation: the padding is the mean colour; the benchmark pads
            before normalising, with black.
        crop: padding on every side; 0 leaves the position alone.
    """
    if not flip and not crop:
        return images
    count, _, height, width = images.shape
    columns = torch.arange(width, device=images.device).expand(count, width)
    rows = torch.arange(height, device=images.device).expand(count, height)
    if flip:
        mirrored = torch.rand(count, 1, generator=generator, device=images.device) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
    if crop:
        images = functional.pad(images, (crop,) * 4)
        shift = torch.randint(2 * crop + 1, (2, count, 1), generator=generator, device=images.device)
        rows, columns = rows + shift[0], columns + shift[1]
    index = torch.arange(count, device=images.device)
    picked = images.permute(0, 2, 3, 1)[index[:, None, None], rows[:, :, None], columns[:, None, :]]
    return picked.permute(0, 3, 1, 2)


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
        generator = torch.Generator().manual_seed(_state(seed, _ORDER, epoch))
        order = torch.randperm(self.train_size, generator=generator).to(self.device)
        images, labels = self._splits["train"]
        return images[order], labels[order]

    def held_out(self, split: str) -> tuple[Tensor, Tensor]:
        """The images of `val` or `test`."""
        if split not in ("val", "test"):
            raise ValueError(f"held-out splits are val and test, got {split!r}")
        return self._splits[split]

    def normalise(self, images: Tensor) -> Tensor:
        """(images - mean) / std per channel, float32."""
        return (images.float() - self._mean) / self._std
