"""The chain: layers of one kind, one after another, and the learning rate they are trained with; 864 configurations.

Every decision is made once for the whole network, and one of them is about its training, so that architecture and
training are searched jointly. The image is a canvas of the digits task, `SIDE` x `SIDE` pixels of one channel.

    num_layers    3 4 5 6          layers before the head (mean over what is left of the map, then linear)
    layer_type    conv pool fc     convolution, maximum over a window, linear on the flattened map
    filter_size   3 5 7            side of a filter or window
    num_filters   4 8 16           channels of a convolution; fc has `UNITS` units for each
    stride        1 2              of every convolution or window
    lr            .01 .03 .1 .3    first learning rate

`layers` says what is built of a configuration, for any; two with the same layers and learning rate are one class:

- **conv**: with zeros around the map, so that a map of side n leaves with side ceil(n / stride). Where n is 1 there is
  nothing to stride over: the stride is 1. A filter longer than 2n - 1 would reach beyond the map wherever it stands: it is
  2n - 1 long. (12, 6, 3, 2, 1, 1, 1 are the sides of six layers with stride 2.)
- **pool**: num_filters is ignored. With nothing (minus infinity) around the map, the maximum of maxima is a maximum
  over a larger window: layers with radius r (filter_size = 2r + 1) and strides s are one with the radii r + r s + r s^2
  + ... added up and the strides multiplied, which is what is built. Where its radius is SIDE - 1 or more, every window is
  the whole canvas, and one value is left.
- **fc**: filter_size and stride are ignored.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import NamedTuple

import numpy as np

from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space

SIDE = 12
UNITS = 8  # of fc, for each of num_filters: a filter's map has many values, a unit has one
KINDS = ("conv", "pool", "fc")
_DECISIONS = (
    Decision("num_layers", (3, 4, 5, 6), ordered=True),
    Decision("layer_type", KINDS),
    Decision("filter_size", (3, 5, 7), ordered=True),
    Decision("num_filters", (4, 8, 16), ordered=True),
    Decision("stride", (1, 2), ordered=True),
    Decision("lr", (0.01, 0.03, 0.1, 0.3), ordered=True),
)


class Layer(NamedTuple):
    """One layer that is built; what a kind ignores is 0.

    Attributes:
        kind: one of `KINDS`.
        filters: channels that leave it; of fc, units.
        window: side of a filter or window, odd. stride: from one place to the next.
        side: of the map that leaves it.
    """

    kind: str
    filters: int
    window: int
    stride: int
    side: int


class Configuration(NamedTuple):
    """The labels of a configuration, in the order of the decisions."""

    num_layers: int
    layer_type: str
    filter_size: int
    num_filters: int
    stride: int
    lr: float


@cache
def space() -> Space:
    """The space; index = the options' numbers, the first decision slowest."""
    product = Space(_DECISIONS)
    numbers: dict[tuple[tuple[Layer, ...], float], int] = {}
    keys = [(layers(row), row.lr) for row in map(_configuration, product.choices.tolist())]
    return Space(_DECISIONS, classes=np.array([numbers.setdefault(key, len(numbers)) for key in keys]), name="chain")


def configuration(arch: int) -> Configuration:
    """The labels of one configuration.

    Raises:
        ValueError: no such configuration.
    """
    return _configuration(list(space().row(arch)))


def _configuration(row: list[int]) -> Configuration:
    return Configuration(*(each.options[option] for each, option in zip(_DECISIONS, row, strict=True)))  # type: ignore[arg-type]


@lru_cache(maxsize=1024)
def layers(given: Configuration) -> tuple[Layer, ...]:
    """The layers that are built of a configuration, first to last, on a canvas of `SIDE` x `SIDE`."""
    if given.layer_type == "fc":
        return (Layer("fc", UNITS * given.num_filters, 0, 0, 1),) * given.num_layers
    return (_pool(given),) if given.layer_type == "pool" else _convolutions(given)


def _convolutions(given: Configuration) -> tuple[Layer, ...]:
    found, side = list[Layer](), SIDE
    for _ in range(given.num_layers):
        window, stride = min(given.filter_size, 2 * side - 1), given.stride if side > 1 else 1
        side = -(-side // stride)
        found.append(Layer("conv", given.num_filters, window, stride, side))
    return tuple(found)


def _pool(given: Configuration) -> Layer:
    strides = [given.stride**i for i in range(given.num_layers)]
    radius, stride = given.filter_size // 2 * sum(strides), strides[-1] * given.stride
    if radius >= SIDE - 1:
        radius, stride = SIDE - 1, SIDE
    return Layer("pool", 0, 2 * radius + 1, stride, -(-SIDE // stride))
