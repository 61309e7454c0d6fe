"""The spaces that networks are built of: what training, its costs and its tables need to know of each, as one value.

Everything else about training (data, trainer, cache, shards, tables, validation) is the same for all of them, and asks
here. A further space is a value more in `NETWORKS`. Notation: A configurations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from nasbench_lab.core import LabError
from nasbench_lab.spaces import cell, chain
from nasbench_lab.spaces.frozen import ReadOnly
from nasbench_lab.spaces.space import Space
from nasbench_lab.training import chain_network, cost
from nasbench_lab.training.chain_network import ChainNetwork
from nasbench_lab.training.network import Network, Shape
from nasbench_lab.training.recipe import CHAIN, DIGITS, Recipe

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Networks:
    """How the configurations of a space become networks, and what these cost.

    Attributes:
        space: of the configurations; of a class the lowest-index member is trained for all.
        build: (index, shape) -> the untrained network, weights from torch's global generator; it has its `shape`.
        flops: shape -> (A,) multiply-adds of one image.
        params: shape -> (A,) trainable parameters.
        digits: the standard recipe on the digits. canvases: of a part, and of val and test each, that go with it.
        training: decisions that are fields of the recipe, and not of the network.
        skeleton: whether the recipe's `channels` and `cells` shape the networks.
        stored: whether they can be built for other images than the digits' canvases.
        fewest: images that a batch needs.
        what: what they are called, in the plural. counted: of what parameters and multiply-adds are.
        table: the embedded table of the digits.
    """

    space: Space
    build: Callable[[int, Shape], nn.Module]
    flops: Callable[[Shape], FloatArray]
    params: Callable[[Shape], FloatArray]
    digits: Recipe
    canvases: tuple[int, int]
    training: tuple[str, ...]
    skeleton: bool
    stored: bool
    fewest: int
    what: str
    counted: str
    table: str

    def recipe(self, arch: int, base: Recipe) -> Recipe:
        """The recipe of one configuration: the base with what the configuration itself says of training."""
        row, own = self.space.row(arch), dict[str, Any]()
        for each, option in zip(self.space.decisions, row, strict=True):
            if each.name in self.training:
                own[each.name] = each.options[option]
        return replace(base, **own) if own else base

    def described(self, recipe: Recipe) -> str:
        """What a recipe is, in half a line."""
        parts = [f"C={recipe.channels}, N={recipe.cells}"] if self.skeleton else []
        rate = "lr of each configuration" if "lr" in self.training else f"lr {recipe.lr:g}"
        return ", ".join([*parts, f"batch {recipe.batch}", rate])


CELLS = Networks(
    cell.SPACE, Network, cost.flops, cost.params,
    digits=DIGITS, canvases=(4096, 4000), training=(), skeleton=True, stored=True, fewest=1, what="cells",
    counted="the class's lowest-index cell, edges that are run only", table="digits",
)  # fmt: skip
CHAINS = Networks(
    chain.space(), ChainNetwork, chain_network.flops, chain_network.params,
    digits=CHAIN, canvases=(1536, 2000), training=("lr",), skeleton=False, stored=False, fewest=2, what="chains",
    counted="the layers that are built", table="chain",
)  # fmt: skip
NETWORKS: Mapping[str, Networks] = ReadOnly({each.space.name: each for each in (CELLS, CHAINS)})


def named(name: str) -> Networks:
    """The networks of the space with this name.

    Raises:
        LabError: none are built of it.
    """
    if name not in NETWORKS:
        raise LabError(f"no networks are built of a space {name!r}; they are of {', '.join(NETWORKS)}")
    return NETWORKS[name]


def of_space(space: Space, whose: str) -> Networks:
    """The networks of a space.

    Args:
        space: compared by content.
        whose: "table 'mine'", as the sentence's subject.

    Raises:
        LabError: none are built of it.
    """
    found = next((each for each in NETWORKS.values() if each.space == space), None)
    if found is None:
        raise LabError(f"{whose} is of the space {space.name!r}; networks are built for {' and '.join(NETWORKS)} alone")
    return found
