"""Network morphism: hill climbing where children inherit their parent's trained weights (Cai et al. 2018; Elsken et al. 2017).

The first cell is the seed's first design cell, trained for `first_epochs`. Every round, `children` uniform neighbours of
the parent (one edge changed) and the parent itself go on from the parent's weights for `child_epochs` with the rate on a
cosine; the best on validation is the next parent and the answer. Nothing is trained from scratch after the first cell.

Two kinds of change keep the function exactly (Net2Net; Chen et al. 2016), training and evaluating alike:

    none -> convolution     its batch norm starts with scale 0: it adds nothing, and learns from there
    1x1 -> 3x3 convolution  the kernel in the middle, zeros around it

The others keep every weight that has a place in the child and change the function (no change of one edge to a skip or a
pool can keep it, as these have no weights to make them nothing).

Deviations: EAS chooses its changes by a reinforced controller and also widens layers; here neighbours are uniform, as in
Elsken et al.'s hill climbing, and widths are fixed by the space. Theirs makes five changes and trains 17 epochs where this
makes one and trains one. No supernet: each network is a cell's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot._one_shot import OneShot, Stateful
from nasbench_lab.training import cost
from nasbench_lab.training.network import Cell, Network, Shape
from nasbench_lab.training.seeding import seeded
from nasbench_lab.training.supernet import path


@dataclass
class NetworkMorphism(OneShot):
    """Hill climbing by network morphisms.

    Attributes:
        epochs: the number of rounds.
        first_epochs: epochs of the first cell.
        child_epochs: epochs of every network, every round.
        children: neighbours tried every round.
    """

    epochs: int = 8
    learning_rate: float = 0.05
    first_epochs: int = 6
    child_epochs: int = 1
    children: int = 8

    shares_weights = False
    paper = "Cai et al. 2018, arXiv:1707.04873; Elsken et al. 2017, arXiv:1711.04528"

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.first_epochs, self.child_epochs, self.children) < 1:
            raise ValueError(f"first_epochs, child_epochs and children must be at least 1, got {self}")

    @property
    def rounds(self) -> int:
        return 1 + self.epochs

    def begin(self) -> None:
        self.parent = _Parent(self.problem().shape, self.weights.device, self.weights.seed, self.design())

    def advance(self, number: int) -> int:
        if number == 0:
            self._train(self.parent.network, self.parent.arch, self.first_epochs, 0)
            return self.parent.arch
        first = self.first_epochs + (number - 1) * self.child_epochs  # all of a round see the same images
        archs = [self.parent.arch, *(self.task.space.mutate(self.parent.arch, self.rng) for _ in range(self.children))]
        trained = []
        for arch in archs:
            child = inherit(self.parent.network, self.parent.arch, arch)
            self._train(child, arch, self.child_epochs, first)
            trained.append((self._accuracy(child, arch), arch, child))
        _, self.parent.arch, self.parent.network = max(trained, key=lambda entry: entry[0])
        return self.parent.arch

    def _train(self, network: Network, arch: int, epochs: int, first: int) -> None:
        schedule, device = self.weights.schedule, self.weights.device
        optimizer = torch.optim.SGD(
            network.parameters(), schedule.lr, schedule.momentum, nesterov=schedule.momentum > 0,
            weight_decay=schedule.weight_decay, fused=True,
        )  # fmt: skip
        network.train()
        total = epochs * self.weights.steps
        for epoch in range(epochs):
            for step, batch in enumerate(self.weights.batches(first + epoch)):
                done = (epoch * self.weights.steps + step) / total
                for group in optimizer.param_groups:
                    group["lr"] = schedule.lr_end + 0.5 * (schedule.lr - schedule.lr_end) * (
                        1 + math.cos(math.pi * done)
                    )
                optimizer.zero_grad(set_to_none=True)
                with torch.autocast(device.type, dtype=torch.bfloat16, enabled=self.bf16):
                    logits = network(batch.images)
                functional.cross_entropy(logits.float(), batch.labels).backward()  # type: ignore[no-untyped-call]
                if schedule.clip < math.inf:
                    nn.utils.clip_grad_norm_(network.parameters(), schedule.clip)
                optimizer.step()
                self.weights.charge(path(arch), len(batch.images), cost.PASSES)

    @torch.no_grad()
    def _accuracy(self, network: Network, arch: int) -> float:
        images, labels = self.weights.data.held_out("val")
        network.eval()
        right = 0.0
        for x, y in zip(torch.split(images, 500), torch.split(labels, 500), strict=True):
            right += float((network(self.weights.data.normalise(x)).argmax(1) == y).sum())
        self.weights.charge(path(arch), len(images), 1)
        return right / len(images)

    def parts(self) -> dict[str, Stateful]:
        return {"parent": self.parent}


class _Parent:
    """The network that is gone on from, and its cell."""

    def __init__(self, shape: Shape, device: torch.device, seed: int, arch: int) -> None:
        self.shape, self.device, self.arch = shape, device, arch
        self.network = _fresh(arch, shape, device, seed)

    def state_dict(self) -> dict[str, Any]:
        return {"arch": self.arch, "weights": self.network.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.arch = int(state["arch"])
        self.network = _fresh(self.arch, self.shape, self.device, 0)
        self.network.load_state_dict(state["weights"])


def _fresh(arch: int, shape: Shape, device: torch.device, seed: int) -> Network:
    with seeded(seed):
        return Network(arch, shape).to(device)


@torch.no_grad()
def inherit(parent: Network, parent_arch: int, arch: int) -> Network:
    """The network of `arch` with the weights of the parent's that have a place in it; see the module.

    Edges that nothing reached in the parent have no weights there and start fresh, from a seed that is the cell.
    """
    device = next(parent.parameters()).device
    child = _fresh(arch, parent.shape, device, arch)
    theirs, ours = parent.state_dict(), child.state_dict()
    for name, value in ours.items():
        if name in theirs:
            value.copy_(_fitted(theirs[name], value))
    before = cell.ops(parent_arch)
    for stage in child.stages:
        if isinstance(stage, Cell):
            for e, module in stage.edges.items():
                if before[int(e)] == cell.NONE:
                    nn.init.zeros_(module.bn.weight)  # type: ignore[union-attr, arg-type]
    return child


def _fitted(theirs: Tensor, ours: Tensor) -> Tensor:
    """A tensor in the shape of another: 1x1 kernels are padded to 3x3, of 3x3 kernels the middle is taken."""
    if theirs.shape == ours.shape:
        return theirs
    if theirs.shape[-1] < ours.shape[-1]:
        return functional.pad(theirs, (1, 1, 1, 1))
    return theirs[..., 1:2, 1:2]
