"""What a score is, and measuring it: a function of an untrained network, one batch and a seed.

A score is a file of this folder with one public class, found by the file's name as other plug-ins are; one of another package
is an entry point in the group `nasbench_lab.training.zero_cost`.

The network is any `nn.Module` that makes logits (B, classes) of images (B, channels, H, W). It is copied: its weights,
gradients, buffers and mode stay as they are, and so do the global generators. Larger is better by convention; a score
that does not exist, as of a cell through which nothing passes, is nan.
"""

from __future__ import annotations

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import nn

from nasbench_lab import loading
from nasbench_lab.training.seeding import seeded
from nasbench_lab.training.zero_cost._batch import Batch

FOLDER = "training/zero_cost"  # of this package, as `loading` takes it


@dataclass(frozen=True)
class Score(ABC):
    """One zero-cost score. It has no parameters: a score with other settings is another score.

    Attributes:
        paper: where it was published.
        uses_images: whether the images, or their labels, of the batch make a difference.
    """

    paper: ClassVar[str] = ""
    uses_images: ClassVar[bool] = True

    @abstractmethod
    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        """The score; inf and nan say that there is none.

        Args:
            network: in training mode, its parameters with gradients; it may be changed in any way.
            batch: images and labels.
            generator: on the CPU, the only randomness.
        """

    @abstractmethod
    def passes(self, images: int, classes: int) -> float:
        """How much work it is, in forward passes of one image; a backward pass counts as two.

        Args:
            images: of the batch.
            classes: logits of the network.
        """


class Measured(NamedTuple):
    """A score, nan where there is none, and the CPU seconds (of all threads) that computing it took."""

    value: float
    seconds: float


def names() -> list[str]:
    """All scores there are, sorted; found by their files, none is imported."""
    return loading.names(FOLDER)


def load(name: str) -> Score:
    """The score of a name.

    Raises:
        LabError: there is none; with the nearest ones.
    """
    score: Score = loading.load(FOLDER, name)()
    return score


def measure(score: Score, network: nn.Module, batch: Batch, *, seed: int) -> Measured:
    """One score of a network; network and global generators are left as they were.

    Args:
        score: which.
        network: with its initial weights.
        batch: on the network's device.
        seed: of what is random in a score: random weights and images (zen, vkdnw), dropout.
    """
    with seeded(seed):
        own = copy.deepcopy(network).train().requires_grad_(True)
        own.zero_grad(set_to_none=True)
        begin = time.process_time()
        with torch.enable_grad():
            value = score.value(own, batch, torch.Generator().manual_seed(seed))
        seconds = time.process_time() - begin
    return Measured(value if math.isfinite(value) else math.nan, seconds)


def measure_all(scores: Iterable[str], network: nn.Module, batch: Batch, *, seed: int) -> dict[str, Measured]:
    """Several scores of a network by name, each from the same weights and the same seed.

    Raises:
        LabError: there is no such score.
    """
    return {name: measure(load(name), network, batch, seed=seed) for name in scores}
