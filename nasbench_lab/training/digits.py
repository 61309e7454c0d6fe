"""Cluttered digits: fresh canvases without end from scikit-learn's 1,797 handwritten 8x8 digits.

In the manner of cluttered MNIST (Mnih et al. 2014): a digit at a random place of a larger canvas, among fragments cut
from other digits, plus noise. The base images are split into train, val and test before anything is synthesised, so
that no stroke of a test digit is ever trained on. Canvases are (n, 1, size, size) float32, roughly standardised.

Everything is a function of `(seed, part)`: part `p` of the training stream is drawn from
`SeedSequence(seed, spawn_key=(0, p))`, whatever was drawn before, so a resumed training sees what it would have seen;
val and test canvases are drawn once, from fixed seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor

from nasbench_lab.spaces.frozen import frozen

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

_SIDE = 8  # of a base image
_TRAIN, _VAL, _TEST = 0, 1, 2  # first spawn key of each stream
_SPLIT_SEED = 201
_FIXED_SEED = 2020  # of the val and test canvases: the same for every training


@cache
def base_images() -> Mapping[str, tuple[Floats, Labels]]:
    """The base images by split: 897 train, 450 val, 450 test, stratified; values in [0, 1], (n, 8, 8)."""
    bunch = load_digits()
    images, labels = (bunch.images / 16.0).astype(np.float32), bunch.target.astype(np.int64)
    rest, train = train_test_split(np.arange(len(labels)), test_size=897, stratify=labels, random_state=_SPLIT_SEED)
    val, test = train_test_split(rest, test_size=450, stratify=labels[rest], random_state=_SPLIT_SEED)
    splits = (("train", train), ("val", val), ("test", test))
    return frozen({name: (images[i], labels[i]) for name, i in splits})


@dataclass(frozen=True)
class Clutter:
    """How a canvas is made.

    Args:
        size: height and width of the canvas, a multiple of 4 and at least 8.
        fragments: pieces of other digits per canvas.
        fragment: side of a piece, 1..8.
        noise: standard deviation of the Gaussian noise, in units of full ink.

    Raises:
        ValueError: a number outside these ranges.
    """

    size: int = 12
    fragments: int = 2
    fragment: int = 4
    noise: float = 0.1

    def __post_init__(self) -> None:
        if self.size < _SIDE or self.size % 4:
            raise ValueError(f"size must be a multiple of 4 and at least {_SIDE}, got {self.size}")
        if not 1 <= self.fragment <= _SIDE or self.fragments < 0 or self.noise < 0:
            raise ValueError(f"need 1 <= fragment <= {_SIDE}, fragments >= 0, noise >= 0, got {self}")


def synthesise(split: str, count: int, clutter: Clutter, rng: np.random.Generator) -> tuple[Floats, Labels]:
    """`count` canvases of a split: (count, 1, size, size) float32 and (count,) labels.

    Raises:
        ValueError: no such split.
    """
    base = base_images()
    if split not in base:
        raise ValueError(f"split must be one of {', '.join(base)}, got {split!r}")
    images, labels = base[split]
    chosen = rng.integers(len(images), size=count)
    canvas = np.zeros((count, clutter.size, clutter.size), dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(images, (clutter.fragment, clutter.fragment), axis=(1, 2))
    for _ in range(clutter.fragments):
        other = (chosen + rng.integers(1, len(images), size=count)) % len(images)  # never the digit itself
        corner = rng.integers(windows.shape[1], size=(2, count))
        _paste(canvas, windows[other, corner[0], corner[1]], rng)
    _paste(canvas, images[chosen], rng)
    canvas += np.float32(clutter.noise) * rng.standard_normal(canvas.shape, dtype=np.float32)
    canvas -= np.float32(0.2)
    canvas *= np.float32(3.0)
    return canvas[:, None], labels[chosen]


def _paste(canvas: Floats, patches: Floats, rng: np.random.Generator) -> None:
    """Each (n, s, s) patch at a uniform place of its canvas; where strokes cross, the darker one shows."""
    side, places = patches.shape[1], canvas.shape[1] - patches.shape[1] + 1
    top, left = rng.integers(places, size=(2, len(canvas), 1, 1))
    span = np.arange(side)
    at = (np.arange(len(canvas))[:, None, None], top + span[:, None], left + span)
    canvas[at] = np.maximum(canvas[at], patches)


@cache
def fixed(split: str, count: int, clutter: Clutter) -> tuple[Floats, Labels]:
    """The val or test canvases, the same in every training."""
    tag = {"val": _VAL, "test": _TEST}[split]
    rng = np.random.default_rng(np.random.SeedSequence(_FIXED_SEED, spawn_key=(tag,)))
    return frozen(synthesise(split, count, clutter, rng))


def stream(seed: int, part: int, count: int, clutter: Clutter) -> tuple[Floats, Labels]:
    """Part `part` of the training stream of `seed`: `count` fresh canvases."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_TRAIN, part)))
    return synthesise("train", count, clutter, rng)


class Digits:
    """The digits task as the trainer wants it: an endless stream in parts, fixed val and test canvases.

    Args:
        clutter: how canvases are made.
        part_size: fresh canvases per part ("epoch").
        held_out_size: val and test canvases each; 4,000 leave counting noise of 0.65 points at 78%, the same for
            all cells.
        device: where tensors live.
    """

    name = "digits"
    classes = 10
    inputs = 1

    def __init__(
        self,
        clutter: Clutter | None = None,
        *,
        part_size: int = 4096,
        held_out_size: int = 4000,
        device: torch.device | str = "cpu",
    ) -> None:
        self.clutter = Clutter() if clutter is None else clutter
        self.size, self.train_size, self.device = self.clutter.size, part_size, torch.device(device)
        self._held_out_size = held_out_size
        self._held: dict[str, tuple[Tensor, Tensor]] = {}

    def part(self, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Part `epoch` of the stream of `seed`."""
        return self._tensors(_recent(seed, epoch, self.train_size, self.clutter))

    def held_out(self, split: str) -> tuple[Tensor, Tensor]:
        """The fixed canvases of `val` or `test`; copies of what is on the device, as a tensor cannot be read-only."""
        if split not in self._held:
            self._held[split] = self._tensors(fixed(split, self._held_out_size, self.clutter))
        images, labels = self._held[split]
        return images.clone(), labels.clone()

    def pool(self, seeds: Sequence[int], epoch: int) -> tuple[Tensor, Tensor, Tensor]:
        """The streams of the different seeds, one after another, and where each seed's lies."""
        different = list(dict.fromkeys(seeds))
        images, labels = (torch.cat(parts) for parts in zip(*(self.part(s, epoch) for s in different), strict=True))
        starts = torch.tensor([different.index(seed) * self.train_size for seed in seeds])
        return images, labels, (starts[:, None] + torch.arange(self.train_size)).to(self.device)

    def normalise(self, images: Tensor) -> Tensor:
        """Canvases are made standardised."""
        return images

    def _tensors(self, arrays: tuple[Floats, Labels]) -> tuple[Tensor, Tensor]:
        """Copies, as a tensor cannot be read-only."""
        return torch.tensor(arrays[0], device=self.device), torch.tensor(arrays[1], device=self.device)


@lru_cache(maxsize=32)  # many cells are trained on the stream of one seed, one after another
def _recent(seed: int, part: int, count: int, clutter: Clutter) -> tuple[Floats, Labels]:
    return frozen(stream(seed, part, count, clutter))
