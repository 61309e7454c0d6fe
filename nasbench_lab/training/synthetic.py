"""Images in the place of CIFAR's, where there are no files: of its sizes, splits, classes and channel statistics.

A class is a pattern of blocks, each channel's half of them darker and half lighter by the same, under uniform noise: there is
something to learn, and nothing that an accuracy on CIFAR could be told from. They are for what does not depend on
what is on a picture: time, memory, whether a recipe runs at full size. Sets and outcomes are named `synthetic`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.spaces.frozen import frozen

Split = tuple[NDArray[np.uint8], NDArray[np.int64]]
PREFIX = "synthetic-"
TRAIN, TEST = 50_000, 10_000  # CIFAR's images
_SEED = 1009
_SIDE, _BLOCK = 32, 4
_PATTERN = 0.4  # share of the deviation that is the class's; the rest is noise
_CHUNK = 5_000


@lru_cache(maxsize=1)
def splits(
    classes: int, mean: tuple[float, ...], std: tuple[float, ...], *, train: int, test: int
) -> Mapping[str, Split]:
    """`train` and `test`: images (n, channels, 32, 32) uint8, labels (n,) int64; the same every time.

    Args:
        classes: number of labels.
        mean, std: per channel, in units of 0..255; what is beyond is cut off, which costs less than 1 of either.
        train, test: how many.
    """
    patterns = _patterns(classes, len(mean))
    return frozen({"train": _draw(0, train, patterns, mean, std), "test": _draw(1, test, patterns, mean, std)})


def _patterns(classes: int, channels: int) -> NDArray[np.float32]:
    """(classes, channels, 32, 32) of mean 0 and deviation 1."""
    rng = np.random.default_rng(np.random.SeedSequence(_SEED, spawn_key=(2,)))
    blocks = _SIDE // _BLOCK
    signs = np.tile(np.repeat(np.array([-1, 1], np.float32), blocks**2 // 2), (classes, channels, 1))
    signs = rng.permuted(signs, axis=2).reshape(classes, channels, blocks, blocks)
    return np.asarray(signs.repeat(_BLOCK, axis=2).repeat(_BLOCK, axis=3))


def _draw(
    tag: int, count: int, patterns: NDArray[np.float32], mean: tuple[float, ...], std: tuple[float, ...]
) -> Split:
    rng = np.random.default_rng(np.random.SeedSequence(_SEED, spawn_key=(tag,)))
    labels = rng.integers(len(patterns), size=count)
    images = np.empty((count, *patterns.shape[1:]), np.uint8)
    centre, spread = (np.array(values, np.float32)[:, None, None] for values in (mean, std))
    amplitude = np.float32((3 * (1 - _PATTERN**2)) ** 0.5)  # of uniform noise with the rest of the variance
    for first in range(0, count, _CHUNK):
        here = slice(first, first + _CHUNK)
        noise = rng.random((len(labels[here]), *patterns.shape[1:]), dtype=np.float32)
        standard = np.float32(_PATTERN) * patterns[labels[here]] + amplitude * (2 * noise - 1)
        images[here] = np.clip(np.rint(centre + spread * standard), 0, 255)
    return images, labels
