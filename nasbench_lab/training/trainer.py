"""Training one network by a recipe, on CPU or GPU: learning curve, test accuracy, exact resume.

Deterministic for a seed on one device: initial weights, order, augmentation and fresh data depend on (seed, epoch)
alone. That also makes a resumed training exactly the undisturbed one. Accuracies are percentages.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from nasbench_lab.training import checkpoint as checkpoints
from nasbench_lab.training.data import Data
from nasbench_lab.training.engines import Engine, make_engine
from nasbench_lab.training.networks import CELLS, Networks
from nasbench_lab.training.recipe import Recipe, rates


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
    networks: Networks = CELLS,
    weights: Mapping[str, Tensor] | None = None,
    checkpoint: Path | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Outcome:
    """Train one configuration of a space.

    Args:
        arch: its index. data: what on; its device is where. seed: weights, order, augmentation, fresh data.
        recipe: how, but for what the configuration itself says of training. networks: of the space.
        weights: state of the same network to start from, in place of the seed's.
        checkpoint: a file rewritten (atomically) after every epoch; if it is there, training goes on from it.
        progress: called after every epoch.

    Raises:
        ValueError: a checkpoint of another training, or an engine that cannot run this.
        LabError: a checkpoint that is damaged.
    """
    recipe = networks.recipe(arch, recipe)
    engine = make_engine(arch, data, recipe, seed, weights, networks)
    identity = {"arch": arch, "seed": seed, "data": data.name, "engine": engine.name, **asdict(recipe)}
    if networks is not CELLS:  # checkpoints were there before there were others
        identity["space"] = networks.space.name
    if weights is not None:
        identity["weights"] = digest(weights)
    curves = _Curves()
    if checkpoint is not None and checkpoint.exists():
        state, measured = checkpoints.load(checkpoint, identity)
        engine.restore(state)
        curves = _Curves(**measured)
    steps = math.ceil(data.train_size / recipe.batch)
    reason = ""
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        for epoch in range(len(curves.val), recipe.epochs):
            started = time.perf_counter()
            if not _epoch(engine, data, recipe, seed, epoch, steps, curves):
                reason = f"diverged in epoch {epoch + 1} of {recipe.epochs}: the loss is no longer finite"
                break
            if checkpoint is not None:
                checkpoints.save(checkpoint, identity, engine.state(), asdict(curves))
            if progress is not None:
                progress(_progress(recipe, curves, data.train_size, time.perf_counter() - started))
        test = math.nan if reason else 100 * engine.accuracy(*data.held_out("test"))
    lost = (math.nan,) * (recipe.epochs - len(curves.val))
    return Outcome(
        arch, seed, data.name, recipe, engine.name, str(data.device), val=(*curves.val, *lost),
        train=(*curves.train, *lost), loss=(*curves.loss, *lost), test=test, seconds=curves.seconds, reason=reason,
    )  # fmt: skip


def digest(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 of weights by name, shortened."""
    sha = hashlib.sha256()
    for name, value in weights.items():
        sha.update(name.encode() + value.cpu().numpy().tobytes())
    return sha.hexdigest()[:16]


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
