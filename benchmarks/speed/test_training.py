"""Speed of training against the textbook loop, side by side: `nox -s bench -- benchmarks/speed/test_training.py`.

The textbook loop is what one writes first: a Dataset of images, transformed one by one, in a DataLoader; modules that
run every operation of the cell as it is drawn, unreachable edges and zeros included; `loss.item()` every step. It is
written out below, with nothing of ours in it but the cell's six operations. Same net (checked), same images, same
recipe. On the CPU one thread, canvases drawn beforehand for both, and the processor's seconds, which a busy machine
hardly changes; on a GPU the wall clock's. Every ratio is of two epochs run one right after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from nasbench_lab.spaces import cell
from nasbench_lab.training import fused
from nasbench_lab.training.data import Data, Images
from nasbench_lab.training.digits import Digits, stream
from nasbench_lab.training.engines import make_engine
from nasbench_lab.training.network import Network, Shape
from nasbench_lab.training.recipe import DIGITS, FULL, Recipe, rates

ARCHS = [0, 11, 284, 1462]
PAIRS = 7
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


# The textbook, after the authors' own code in structure: one module per operation, one per edge.


class ReLUConvBN(nn.Module):
    """ReLU-Conv-BN."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        self.op = nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.op(x)
        return out


class Zero(nn.Module):
    """The operation `none`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul(0.0)


def operation(op: int, channels: int) -> nn.Module:
    if op == cell.NONE:
        return Zero()
    if op == cell.SKIP:
        return nn.Identity()
    if op == cell.POOL:
        return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
    return ReLUConvBN(channels, channels, 1 if op == cell.CONV1 else 3)


class TextbookCell(nn.Module):
    """Six edges, each run; every node the sum of its inputs."""

    def __init__(self, ops: cell.Ops, channels: int) -> None:
        super().__init__()
        self.edges = nn.ModuleDict(
            {f"{source}{target}": operation(op, channels) for (source, target), op in zip(cell.EDGES, ops, strict=True)}
        )

    def forward(self, x: Tensor) -> Tensor:
        nodes = [x]
        for target in (1, 2, 3):
            nodes.append(torch.stack([self.edges[f"{s}{target}"](nodes[s]) for s in range(target)]).sum(0))
        return nodes[-1]


class TextbookResidual(nn.Module):
    """The block between stages."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(ReLUConvBN(inputs, outputs, 3, 2), ReLUConvBN(outputs, outputs, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x) + self.shortcut(x)
        return out


def textbook_network(arch: int, recipe: Recipe, data: Data) -> nn.Module:
    c, ops = recipe.channels, cell.ops(arch)
    layers: list[nn.Module] = [nn.Conv2d(data.inputs, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)]
    for width in (c, 2 * c, 4 * c):
        if width > c:
            layers.append(TextbookResidual(width // 2, width))
        layers += [TextbookCell(ops, width) for _ in range(recipe.cells)]
    layers += [nn.BatchNorm2d(4 * c), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * c, data.classes)]
    return nn.Sequential(*layers)


class TextbookSet(Dataset[tuple[Tensor, int]]):
    """Images in main memory, normalised, mirrored and cropped one by one as they are asked for."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, recipe: Recipe) -> None:
        self.images, self.labels, self.recipe = images, labels, recipe

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        image = torch.from_numpy(self.images[i])
        if image.dtype == torch.uint8:
            image = image.float().div(255).sub(0.5).div(0.25)
        if self.recipe.flip and torch.rand(()) < 0.5:
            image = image.flip(-1)
        if pad := self.recipe.crop:
            side, (top, left) = image.shape[-1], torch.randint(2 * pad + 1, (2,)).tolist()
            image = functional.pad(image, (pad,) * 4)[:, top : top + side, left : left + side]
        return image, int(self.labels[i])


def textbook(
    arch: int, recipe: Recipe, data: Data, stored: TextbookSet, device: str, workers: int
) -> Callable[[], None]:
    """An epoch of it, ready to run."""
    network = textbook_network(arch, recipe, data).to(device)
    optimizer = torch.optim.SGD(
        network.parameters(), recipe.lr, recipe.momentum, nesterov=True, weight_decay=recipe.weight_decay
    )
    pinned, kept = device != "cpu", workers > 0
    loader = DataLoader(
        stored, recipe.batch, shuffle=True, num_workers=workers, pin_memory=pinned, persistent_workers=kept
    )

    def epoch() -> None:
        network.train()
        total, right = 0.0, 0
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            optimizer.zero_grad()
            logits = network(images)
            loss = functional.cross_entropy(logits, labels)
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
            right += int((logits.argmax(1) == labels).sum().item())

    return epoch


def ours(arch: int, recipe: Recipe, data: Data) -> Callable[[], None]:
    """An epoch of the package's trainer: data, order, augmentation and arithmetic; without validation, as above."""
    engine = make_engine(arch, data, recipe, seed=0)
    steps = -(-data.train_size // recipe.batch)

    def epoch() -> None:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):  # as in trainer.train
            engine.train(*data.part(0, 0), rates(recipe, steps, 0), 0)

    return epoch


def seconds(epoch: Callable[[], None], clock: Callable[[], float]) -> float:
    begin = clock()
    epoch()
    if clock is time.perf_counter:
        torch.cuda.synchronize()
    return clock() - begin


pytestmark = pytest.mark.usefixtures("one_torch_thread")


def compare(
    benchmark: Any,
    images: int,
    mine: Callable[[], None],
    theirs: Callable[[], None],
    pairs: int,
    clock: Callable[[], float],
) -> None:
    """Our epochs through pytest-benchmark; images a second of both and the ratio, lowest, median, highest."""
    mine()
    theirs()
    times = np.array([(seconds(mine, clock), seconds(theirs, clock)) for _ in range(pairs)])
    benchmark.pedantic(mine, rounds=pairs)
    own, other = images / np.median(times, axis=0)
    benchmark.extra_info["images_per_second"] = round(float(own))
    benchmark.extra_info["textbook_images_per_second"] = round(float(other))
    benchmark.extra_info["times_as_fast"] = [
        round(float(q), 2) for q in np.quantile(times[:, 1] / times[:, 0], (0, 0.5, 1))
    ]


@pytest.mark.parametrize("arch", [*ARCHS, 5, 100])
def test_the_textbook_is_the_same_network(arch: int) -> None:
    data = Digits(part_size=32)
    network = Network(arch, Shape(DIGITS.channels, DIGITS.cells, inputs=1, size=data.size), nominal=True)
    other = textbook_network(arch, DIGITS, data)
    images = torch.from_numpy(stream(0, 0, 32, data.clutter)[0])
    with torch.no_grad():
        for mine, theirs in zip(network.parameters(), other.parameters(), strict=True):
            theirs.copy_(mine)
        torch.testing.assert_close(other(images), network(images))


PART = 1024


@pytest.mark.benchmark(
    group="an epoch of 1,024 digits canvases (12x12, C=8, N=1, batch 32) on one core, against the textbook"
)
@pytest.mark.parametrize("engine", ["fused", "torch"])
@pytest.mark.parametrize("arch", ARCHS)
def test_digits_epoch(benchmark: Any, arch: int, engine: str) -> None:
    if engine == "fused" and fused.library() is None:
        pytest.skip("no C++ compiler")
    data, recipe = Digits(part_size=PART), replace(DIGITS, engine=engine)
    images, labels = stream(0, 0, PART, data.clutter)
    theirs = textbook(arch, recipe, data, TextbookSet(images, labels, recipe), "cpu", workers=0)
    compare(benchmark, PART, ours(arch, recipe, data), theirs, PAIRS, time.process_time)


def cifar_shaped(count: int, device: str) -> tuple[Images, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(256, size=(count, 3, 32, 32), dtype=np.uint8), rng.integers(10, size=count)
    split = torch.from_numpy(images), torch.from_numpy(labels)
    colours = {"mean": (127.5,) * 3, "std": (63.75,) * 3}
    data = Images("CIFAR-shaped", train=split, val=split, test=split, classes=10, device=device, **colours)
    return data, images, labels


@gpu
@pytest.mark.benchmark(
    group="an epoch of 25,000 CIFAR-shaped images (C=16, N=5, batch 256) on a GPU, against the textbook"
)
@pytest.mark.parametrize("options", [{}, {"bf16": True, "channels_last": True}], ids=["float32", "bf16"])
@pytest.mark.parametrize("arch", ARCHS)
def test_gpu_epoch(benchmark: Any, arch: int, options: dict[str, Any]) -> None:
    data, images, labels = cifar_shaped(25_000, "cuda")
    recipe = replace(FULL, **options)
    theirs = textbook(arch, FULL, data, TextbookSet(images, labels, FULL), "cuda", workers=4)
    compare(benchmark, len(labels), ours(arch, recipe, data), theirs, 3, time.perf_counter)
    benchmark.extra_info["device"] = torch.cuda.get_device_name()
