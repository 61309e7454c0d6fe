"""Who does the arithmetic of a training: plain torch on any device, or the fused kernels on one CPU core.

Both start from the same weights and see the same batches in the same order; they differ by rounding only. Images are
(n, channels, H, W), labels (n,) int64, both on the data's device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nasbench_lab.training import fused
from nasbench_lab.training.data import Data, of_epoch
from nasbench_lab.training.network import Network, Shape
from nasbench_lab.training.networks import CELLS, Networks
from nasbench_lab.training.recipe import Recipe
from nasbench_lab.training.seeding import seeded


class Engine(Protocol):
    """What a training loop needs of whoever does the arithmetic."""

    def train(self, images: Tensor, labels: Tensor, rates: NDArray[np.float64], epoch: int) -> tuple[float, float]:
        """One epoch; returns (mean loss, share right)."""

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Share of right answers."""

    def state(self) -> dict[str, Any]:
        """Everything needed to go on, as tensors."""

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""


class TorchEngine:
    """Plain torch on any device; the reference."""

    name = "torch"

    def __init__(self, network: nn.Module, recipe: Recipe, data: Data, seed: int) -> None:
        self._layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.network: nn.Module = network.to(data.device).to(memory_format=self._layout)  # type: ignore[call-overload]
        self._recipe, self._data, self._seed = recipe, data, seed
        self._run: Callable[[Tensor], Tensor] = torch.compile(self.network) if recipe.compile else self.network
        self._optimizer = torch.optim.SGD(
            self.network.parameters(), recipe.lr, recipe.momentum, nesterov=recipe.momentum > 0,
            weight_decay=recipe.weight_decay,
        )  # fmt: skip

    def _autocast(self) -> AbstractContextManager[Any]:
        kind = self._data.device.type
        return torch.autocast(kind, dtype=torch.bfloat16) if self._recipe.bf16 else nullcontext()

    def _logits(self, images: Tensor) -> Tensor:
        with self._autocast():
            logits = self._run(images.contiguous(memory_format=self._layout))
        return logits.float() if self._recipe.bf16 else logits

    def train(self, images: Tensor, labels: Tensor, rates: NDArray[np.float64], epoch: int) -> tuple[float, float]:
        """One epoch; loss and share of right answers."""
        recipe = self._recipe
        augment = of_epoch(self._data, [self._seed], epoch, flip=recipe.flip, crop=recipe.crop)
        self.network.train()
        loss_sum = torch.zeros((), device=self._data.device, dtype=next(self.network.parameters()).dtype)
        right = torch.zeros((), device=self._data.device)
        for step, rate in enumerate(rates):
            first = step * recipe.batch
            batch = slice(first, first + recipe.batch)
            x = augment.of(first, first + recipe.batch)(self._data.normalise(images[batch]))
            for group in self._optimizer.param_groups:
                group["lr"] = float(rate)
            logits = self._logits(x)
            loss = functional.cross_entropy(logits, labels[batch])
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            self._optimizer.step()
            loss_sum += loss.detach() * len(x)
            right += (logits.detach().argmax(1) == labels[batch]).sum()
        return float(loss_sum) / len(images), float(right) / len(images)

    @torch.no_grad()
    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Share of right answers on some images."""
        self.network.eval()
        right = torch.zeros((), device=self._data.device)
        for x, y in zip(torch.split(images, 500), torch.split(labels, 500), strict=True):
            right += (self._logits(self._data.normalise(x)).argmax(1) == y).sum()
        return float(right) / len(images)

    def state(self) -> dict[str, Any]:
        """Everything the next epoch depends on."""
        return {"network": self.network.state_dict(), "optimizer": self._optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take such a state."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])


class FusedEngine:
    """`fused.Fused` behind the same interface."""

    name = "fused"

    def __init__(self, network: Network, recipe: Recipe, data: Data) -> None:
        self._fused, self._recipe, self._data = fused.Fused(network, recipe.batch), recipe, data

    def train(self, images: Tensor, labels: Tensor, rates: NDArray[np.float64], epoch: int) -> tuple[float, float]:
        """`epoch` is not needed: nothing here is random."""
        if len(images) % self._recipe.batch:
            raise ValueError(f"the fused engine needs whole batches of {self._recipe.batch}, got {len(images)} images")
        x = self._data.normalise(images).numpy()
        decay, momentum = self._recipe.weight_decay, self._recipe.momentum
        return self._fused.train(x, labels.numpy(), rates, momentum=momentum, weight_decay=decay)

    def accuracy(self, images: Tensor, labels: Tensor) -> float:
        """Share of right answers on some images."""
        return self._fused.accuracy(self._data.normalise(images).numpy(), labels.numpy())

    def state(self) -> dict[str, Any]:
        """Everything the next epoch depends on."""
        return {name: torch.from_numpy(array) for name, array in self._arrays().items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take such a state."""
        for name, array in self._arrays().items():
            array[...] = state[name].numpy()

    def _arrays(self) -> dict[str, NDArray[np.float32]]:
        return {"params": self._fused.params, "running": self._fused.running, "velocity": self._fused.velocity}


def make_engine(
    arch: int,
    data: Data,
    recipe: Recipe,
    seed: int,
    weights: Mapping[str, Tensor] | None = None,
    networks: Networks = CELLS,
) -> TorchEngine | FusedEngine:
    """The untrained network of `seed`, or one that has these weights, in the engine the recipe asks for.

    Raises:
        ValueError: the fused engine was asked for and cannot run here, or not these networks.
    """
    shape = Shape(recipe.channels, recipe.cells, data.classes, data.inputs, data.size)
    with seeded(seed):
        network = networks.build(arch, shape)
    if weights is not None:
        network.load_state_dict(weights)
    plain = not (recipe.flip or recipe.crop or recipe.bf16 or recipe.compile)
    if isinstance(network, Network):  # the kernels are of cells alone
        possible = plain and data.device.type == "cpu" and fused.supports(network, recipe.batch)
        if recipe.engine == "fused" or (recipe.engine == "auto" and possible and data.train_size % recipe.batch == 0):
            return FusedEngine(network, recipe, data)
    elif recipe.engine == "fused":
        raise ValueError(f"the fused engine runs cells alone, got {networks.what}; use engine='torch'")
    return TorchEngine(network, recipe, data, seed)
