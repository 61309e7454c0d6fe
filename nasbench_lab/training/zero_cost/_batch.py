"""The batch that scores are computed on: some images of a data set, or random ones. Drawn by a seed and nothing else."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from nasbench_lab.training.data import Data


class Batch(NamedTuple):
    """Images (B, channels, H, W) float32 as a network is fed them, and labels (B,) int64."""

    images: Tensor
    labels: Tensor


def random_batch(count: int, *, inputs: int, size: int, classes: int, seed: int) -> Batch:
    """Independent standard normal pixels, the first two moments of normalised images, with uniform labels.

    Args:
        count: images, B.
        inputs: channels of an image.
        size: its height and width.
        classes: labels are 0..classes-1.
        seed: of both.
    """
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, inputs, size, size, generator=generator)
    return Batch(images, torch.randint(classes, (count,), generator=generator))


def data_batch(data: Data, count: int, *, seed: int) -> Batch:
    """The first training images of a seed, normalised, as a training of that seed would see them first, without augmentation."""
    images, labels = data.part(seed, 0)
    return Batch(data.normalise(images[:count]), labels[:count])
