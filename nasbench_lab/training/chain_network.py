"""The networks of the space `chain`: its layers one after another, then the mean over the map and a linear layer.

    image -> layers -> mean over pixels -> linear

A convolution is Conv-BN-ReLU, fc is linear-BN-ReLU on the flattened map (neither has a bias, as BN has one), pool is the
maximum over a window; what is built of a configuration says `spaces.chain.layers`. A chain of nothing but pooling is so
the linear layer of one number, the mean of the pooled ink. Weights start as torch draws them. Images (B, 1, SIDE,
SIDE), logits (B, classes). Multiply-adds are those of convolutions and linear layers, plus one addition per class for
the last layer's bias, as in `network`; and as a chain may be nothing but pooling, a value that a window looks at counts
as one too. (A,) arrays hold one number for each of the A = 864 configurations.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from nasbench_lab.spaces import chain
from nasbench_lab.spaces.chain import Layer
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.training.network import Shape

FloatArray = NDArray[np.float64]


class ChainNetwork(nn.Module):
    """The network of one configuration.

    Args:
        arch: its index, 0..863.
        shape: classes, inputs and size of the images; a chain has neither the width nor the depth of a skeleton.

    Weights are drawn from torch's global generator.

    Raises:
        ValueError: no such configuration, or images of another size than the space is about.
    """

    def __init__(self, arch: int, shape: Shape) -> None:
        super().__init__()
        if shape.size != chain.SIDE:
            raise ValueError(f"the space chain is about images of {chain.SIDE}x{chain.SIDE}, got size {shape.size}")
        self.shape = shape
        parts, channels, side = list[nn.Module](), shape.inputs, shape.size
        for layer in chain.layers(chain.configuration(arch)):
            parts += _built(layer, channels, side)
            channels, side = layer.filters or channels, layer.side
        if layer.kind != "fc":
            parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.layers = nn.Sequential(*parts)
        self.head = nn.Linear(channels, shape.classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, inputs, SIDE, SIDE) images -> (B, classes) logits."""
        out: Tensor = self.head(self.layers(images))
        return out


def _built(layer: Layer, channels: int, side: int) -> list[nn.Module]:
    padding = layer.window // 2
    if layer.kind == "pool":
        return [nn.MaxPool2d(layer.window, layer.stride, padding)]
    if layer.kind == "fc":
        return [
            nn.Flatten(),
            nn.Linear(channels * side**2, layer.filters, bias=False),
            nn.BatchNorm1d(layer.filters),
            nn.ReLU(),
        ]
    conv = nn.Conv2d(channels, layer.filters, layer.window, layer.stride, padding, bias=False)
    return [conv, nn.BatchNorm2d(layer.filters), nn.ReLU()]


@lru_cache(maxsize=8)
def flops(shape: Shape) -> FloatArray:
    """(A,) multiply-adds of one image, in closed form."""
    return frozen(_sums(shape, _multiply_adds, lambda channels: (channels + 1) * shape.classes))


@lru_cache(maxsize=8)
def params(shape: Shape) -> FloatArray:
    """(A,) trainable parameters, in closed form."""
    return frozen(_sums(shape, _weights, lambda channels: (channels + 1) * shape.classes))


def _sums(shape: Shape, of_layer: Callable[[Layer, int, int], int], of_head: Callable[[int], int]) -> FloatArray:
    """(A,) a number of every layer (given with the channels and the side of the map it gets), and of the head, added up."""
    found = np.empty(chain.space().size)
    for arch in range(len(found)):
        total, channels, side = 0, shape.inputs, shape.size
        for layer in chain.layers(chain.configuration(arch)):
            total += of_layer(layer, channels, side)
            channels, side = layer.filters or channels, layer.side
        found[arch] = total + of_head(channels)
    return found


def _multiply_adds(layer: Layer, channels: int, side: int) -> int:
    places = side**2 if layer.kind == "fc" else layer.side**2 * layer.window**2
    return channels * (1 if layer.kind == "pool" else layer.filters) * places


def _weights(layer: Layer, channels: int, side: int) -> int:
    places = side**2 if layer.kind == "fc" else layer.window**2
    return channels * layer.filters * places + 2 * layer.filters  # pooling has no filters
