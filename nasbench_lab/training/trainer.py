"""Training one cell's network by a recipe, on CPU or GPU: learning curve, test accuracy, exact resume.

The benchmark's recipe (Dong & Yang, ICLR 2020): SGD with Nesterov momentum 0.9, rate 0.1 falling to 0 along a cosine
(updated every step), weight decay 5e-4, batch 256, random flip and crop with padding 4, 200 or 12 epochs. A recipe is
a frozen value and part of every outcome, so that no deviation can go unseen.

Deterministic for a seed on one device: initial weights, order, augmentation and fresh data depend on (seed, epoch)
alone. That also makes a resumed training exactly the undisturbed one. Accuracies are percentages.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nasbench_lab.training import fused
from nasbench_lab.training.data import Data, augment, epoch_generator
from nasbench_lab.training.network import Network, Shape

ENGINES = ("auto", "torch", "fused")


@dataclass(frozen=True)
class Recipe:
    """Everything about a training but the cell, the data and the seed.

    Args:
        epochs: passes (of `digits`: equal parts of the one pass); validation after each.
        channels: C of the skeleton. cells: N of the skeleton.
        batch: images per step; the last batch of an epoch may be smaller.
        lr: first learning rate. momentum: Nesterov's. weight_decay: on every parameter, as in the benchmark.
        flip: mirror images at random. crop: padding of the random crop, 0 for none.
        bf16: autocast to bfloat16. channels_last: memory layout. compile: `torch.compile` the network.
        engine: `torch`, `fused` (one CPU core, float32; see fused.py), or `auto`: fused where it can run.

    Raises:
        ValueError: a number out of range, an unknown engine, or options the fused engine does not have.
    """

    epochs: int = 200
    channels: int = 16
    cells: int = 5
    batch: int = 256
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    flip: bool = True
    crop: int = 4
    bf16: bool = False
    channels_last: bool = False
    compile: bool = False
    engine: str = "torch"

    def __post_init__(self) -> None:
        if min(self.epochs, self.channels, self.cells, self.batch) < 1:
            raise ValueError(f"epochs, channels, cells and batch must be at least 1, got {self}")
        if self.lr < 0 or not 0 <= self.momentum < 1 or self.weight_decay < 0 or self.crop < 0:
            raise ValueError(f"need lr, weight_decay, crop >= 0 and 0 <= momentum < 1, got {self}")
        if self.engine not in ENGINES:
            raise ValueError(f"engine must be one of {', '.join(ENGINES)}, got {self.engine!r}")
        if self.engine == "fused" and (self.flip or self.crop or self.bf16 or self.compile):
            raise ValueError("the fused engine has no flip, crop, bf16 or compile; use engine='torch'")


FULL = Recipe()
SHORT = Recipe(epochs=12)
DIGITS = Recipe(epochs=6, channels=8, cells=1, batch=32, lr=0.1, flip=False, crop=0, engine="auto")
"""The recipe of the embedded table: one pass over 24,576 fresh canvases in six parts of 4,096, C = 8, N = 1.

Chosen by `benchmarks/digits_pilot.py` (60 random classes x 2 seeds; 40 where marked *; one Zen 5 core shared with other
work). Columns: CPU-seconds a training; median and best final val; seed noise in points; spread / noise; Spearman
between seeds; share of cells within one noise of the best; Spearman with CIFAR-10 / CIFAR-100 at 200 epochs.

    batch  lr    canvas                         CPU s  median  best  noise  spread  seeds  near   C10    C100
    32     0.1   2 fragments of 4, noise 0.1    0.75   80.3    84.0  1.12   4.10    0.843  6.7%   0.708  0.664
    32     0.05  2 fragments of 4, noise 0.1    0.72   80.4    84.2  1.18   3.88    0.809  10.0%  0.725  0.691
    64     0.05  2 fragments of 4, noise 0.1 *  0.83   78.9    83.0  1.22   3.73    0.824  7.5%   0.650  0.643
    64     0.1   2 fragments of 4, noise 0.1 *  0.81   80.0    84.4  1.39   3.81    0.758  5.0%   0.699  0.642
    128    0.1   2 fragments of 4, noise 0.1 *  0.86   76.5    82.1  1.48   3.25    0.782  5.0%   0.646  0.615
    128    0.1   2 fragments of 4, noise 0.05*  0.89   80.5    83.9  1.46   3.25    0.734  15.0%  0.613  0.570
    128    0.1   2 fragments of 4, noise 0.2 *  0.92   66.3    72.1  2.01   2.29    0.661  5.0%   0.559  0.518
    128    0.1   3 fragments of 5, noise 0.1 *  0.91   42.8    49.3  2.61   1.69    0.599  17.5%  0.452  0.369
    32     0.05  3 fragments of 4, noise 0.1    0.91   69.8    75.0  1.72   3.09    0.785  8.3%   0.656  0.604

Small batches win: more steps from the same canvases. Between 0.1 and 0.05 the pilot cannot decide; 0.1 is the
benchmark's own.
"""


@dataclass(frozen=True)
class Outcome:
    """What one training gave.

    Args:
        val: validation accuracy after each epoch, %; nan from where it diverged.
        train: accuracy on the training batches of each epoch, as they were seen. loss: mean training loss.
        test: test accuracy at the end, %; nan if it diverged.
        seconds: training and validation, without test, summed over resumed sittings; on CPU the processor's seconds,
            which a busy machine does not change, on GPU the wall clock's.
        engine: what ran it. reason: empty, or why there is no test accuracy.
    """

    arch: int
    seed: int
    data: str
    recipe: Recipe
    engine: str
    device: str
    val: tuple[float, ...]
    train: tuple[float, ...]
    loss: tuple[float, ...]
    test: float
    seconds: float
    reason: str = ""


@dataclass(frozen=True)
class Progress:
    """State after an epoch: `epoch` of `epochs` done, speed of this one, estimated seconds left."""

    epoch: int
    epochs: int
    train: float
    val: float
    images_per_second: float
    seconds_left: float


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

    def __init__(self, network: Network, recipe: Recipe, data: Data, seed: int) -> None:
        self._layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.network: Network = network.to(data.device).to(memory_format=self._layout)  # type: ignore[call-overload]
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
            return self._run(images.contiguous(memory_format=self._layout)).float()

    def train(self, images: Tensor, labels: Tensor, rates: NDArray[np.float64], epoch: int) -> tuple[float, float]:
        recipe, generator = self._recipe, epoch_generator(self._seed, epoch, self._data.device)
        self.network.train()
        loss_sum = torch.zeros((), device=self._data.device)
        right = torch.zeros((), device=self._data.device)
        for step, rate in enumerate(rates):
            batch = slice(step * recipe.batch, (step + 1) * recipe.batch)
            x = augment(self._data.normalise(images[batch]), generator, flip=recipe.flip, crop=recipe.crop)
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
        self.network.eval()
        right = torch.zeros((), device=self._data.device)
        for x, y in zip(torch.split(images, 500), torch.split(labels, 500), strict=True):
            right += (self._logits(self._data.normalise(x)).argmax(1) == y).sum()
        return float(right) / len(images)

    def state(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimizer": self._optimizer.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
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
        return self._fused.accuracy(self._data.normalise(images).numpy(), labels.numpy())

    def state(self) -> dict[str, Any]:
        return {name: torch.from_numpy(array) for name, array in self._arrays().items()}

    def restore(self, state: dict[str, Any]) -> None:
        for name, array in self._arrays().items():
            array[...] = state[name].numpy()

    def _arrays(self) -> dict[str, NDArray[np.float32]]:
        return {"params": self._fused.params, "running": self._fused.running, "velocity": self._fused.velocity}


def make_engine(arch: int, data: Data, recipe: Recipe, seed: int) -> TorchEngine | FusedEngine:
    """The untrained network of `seed` in the engine the recipe asks for.

    Raises:
        ValueError: the fused engine was asked for and cannot run here.
    """
    shape = Shape(recipe.channels, recipe.cells, data.classes, data.inputs, data.size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(arch, shape)
    plain = not (recipe.flip or recipe.crop or recipe.bf16 or recipe.compile)
    possible = plain and data.device.type == "cpu" and fused.supports(network, recipe.batch)
    if recipe.engine == "fused" or (recipe.engine == "auto" and possible and data.train_size % recipe.batch == 0):
        return FusedEngine(network, recipe, data)
    return TorchEngine(network, recipe, data, seed)


def rates(recipe: Recipe, steps: int, epoch: int) -> NDArray[np.float64]:
    """(steps,) learning rates of one epoch: a cosine from `lr` to 0 over all epochs, moved at every step."""
    done = (epoch * steps + np.arange(steps)) / (recipe.epochs * steps)
    return np.asarray(recipe.lr * 0.5 * (1 + np.cos(np.pi * done)))


@dataclass
class _Curves:
    val: list[float] = field(default_factory=list)
    train: list[float] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    seconds: float = 0.0


def train(
    arch: int,
    data: Data,
    recipe: Recipe,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Train one cell.

    Args:
        arch: index of the cell. data: what on; its device is where. seed: weights, order, augmentation, fresh data.
        checkpoint: a file rewritten (atomically) after every epoch; if it is there, training goes on from it.
        progress: called after every epoch.

    Raises:
        ValueError: a checkpoint of another training, or an engine that cannot run this.
    """
    engine = make_engine(arch, data, recipe, seed)
    identity = {"arch": arch, "seed": seed, "data": data.name, "engine": engine.name, **asdict(recipe)}
    curves = _Curves()
    if checkpoint is not None and checkpoint.exists():
        curves = _restore(checkpoint, identity, engine)
    steps = math.ceil(data.train_size / recipe.batch)
    reason = ""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        for epoch in range(len(curves.val), recipe.epochs):
            started = time.perf_counter()
            if not _epoch(engine, data, recipe, seed, epoch, steps, curves):
                reason = f"diverged in epoch {epoch + 1} of {recipe.epochs}: the loss is no longer finite"
                break
            if checkpoint is not None:
                _save(checkpoint, identity, engine, curves)
            if progress is not None:
                progress(_progress(recipe, curves, data.train_size, time.perf_counter() - started))
        test = math.nan if reason else 100 * engine.accuracy(*data.held_out("test"))
    lost = (math.nan,) * (recipe.epochs - len(curves.val))
    return Outcome(
        arch, seed, data.name, recipe, engine.name, str(data.device), val=(*curves.val, *lost),
        train=(*curves.train, *lost), loss=(*curves.loss, *lost), test=test, seconds=curves.seconds, reason=reason,
    )  # fmt: skip


def _epoch(engine: Engine, data: Data, recipe: Recipe, seed: int, epoch: int, steps: int, curves: _Curves) -> bool:
    """One epoch and its validation; False if it diverged."""
    images, labels = data.part(seed, epoch)
    clock = time.process_time if data.device.type == "cpu" else time.perf_counter
    started = clock()
    loss, right = engine.train(images, labels, rates(recipe, steps, epoch), epoch)
    if not math.isfinite(loss):
        curves.seconds += clock() - started
        return False
    curves.val.append(100 * engine.accuracy(*data.held_out("val")))
    curves.train.append(100 * right)
    curves.loss.append(loss)
    curves.seconds += clock() - started
    return True


def _progress(recipe: Recipe, curves: _Curves, images: int, seconds: float) -> Progress:
    done = len(curves.val)
    left = seconds * (recipe.epochs - done)
    return Progress(done, recipe.epochs, curves.train[-1], curves.val[-1], images / max(seconds, 1e-9), left)


def _save(path: Path, identity: dict[str, Any], engine: Engine, curves: _Curves) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        torch.save({"identity": identity, "state": engine.state(), "curves": asdict(curves)}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _restore(path: Path, identity: dict[str, Any], engine: Engine) -> _Curves:
    content = torch.load(path, weights_only=True, map_location="cpu")
    if content["identity"] != identity:
        differing = {k: (content["identity"].get(k), v) for k, v in identity.items() if content["identity"].get(k) != v}
        raise ValueError(f"{path} is the checkpoint of another training (there, here): {differing}")
    engine.restore(content["state"])
    return _Curves(**content["curves"])
