"""Many at once against one by one on this machine's CPU: `nox -s bench -- benchmarks/speed/test_together.py`.

Nothing of a GPU follows from it (`benchmarks/gpu.py` measures one). One by one is the torch engine, in turn with a group of the
same candidates on the same images, and the fused kernels beside them where they run; one thread, the processor's seconds,
every ratio of rounds run one right after the other. Memory: how much a fresh process grows at most meanwhile.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks.speed import process
from nasbench_lab.spaces import cell
from nasbench_lab.training import fused
from nasbench_lab.training.data import Data, Images
from nasbench_lab.training.digits import Digits
from nasbench_lab.training.engines import make_engine
from nasbench_lab.training.grouped import Job, Run, Settings
from nasbench_lab.training.recipe import DIGITS, SHORT, Recipe

STEPS = {"digits": 4, "cifar": 1}
COUNTS = {"digits": (2, 16, 64), "cifar": (4,)}
RECIPES = {"digits": replace(DIGITS, engine="torch"), "cifar": replace(SHORT, cells=1, batch=64)}
ROUNDS = 3


def data_of(setting: str, recipe: Recipe) -> Data:
    """Of a few steps."""
    images = STEPS[setting] * recipe.batch
    if setting == "digits":
        return Digits(part_size=images, held_out_size=32)
    pictures = torch.randint(256, (images, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    part = pictures, torch.arange(images) % 10
    return Images("random", train=part, val=part, test=part, classes=10, mean=(125.0,) * 3, std=(63.0,) * 3)


def runs(setting: str, count: int, kinds: tuple[str, ...]) -> dict[str, Callable[[], object]]:
    """Training all candidates for the steps, each way."""
    recipe = RECIPES[setting]
    data, steps = data_of(setting, recipe), STEPS[setting]
    archs = np.random.default_rng(0).integers(cell.SPACE.size, size=count).tolist()
    part, rates, found = data.part(0, 0), np.full(steps, 0.01), dict[str, Callable[[], object]]()
    for kind in kinds:
        if kind in ("one by one", "fused"):
            own = replace(recipe, engine="fused" if kind == "fused" else "torch")
            each = [partial(make_engine(arch, data, own, 0).train, *part, rates, 0) for arch in archs]
            found[kind] = partial(_all, each)
        else:
            jobs = [Job(arch, 0, recipe) for arch in archs]
            networks = [make_engine(arch, data, recipe, 0).network for arch in archs]  # type: ignore[union-attr]
            found[kind] = partial(Run(jobs, networks, data, Settings(kind)).epoch, 0)
    return found


def _all(calls: Sequence[Callable[[], object]]) -> None:
    for call in calls:
        call()


def kinds_of(setting: str) -> tuple[str, ...]:
    """Those that are compared; the fused kernels have no crop."""
    return ("one by one", "grouped", "each", *(["fused"] if setting == "digits" and fused.library() else []))


pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.mark.benchmark(group="candidates trained at once, on a CPU")
@pytest.mark.parametrize(("setting", "count"), [(s, k) for s, counts in COUNTS.items() for k in counts])
def test_together(benchmark: Any, setting: str, count: int) -> None:
    ways = runs(setting, count, kinds_of(setting))
    for run in ways.values():
        run()
    seconds: dict[str, list[float]] = {kind: [] for kind in ways}
    for _ in range(ROUNDS):
        for kind, run in ways.items():
            begin = time.process_time()
            run()
            seconds[kind].append((time.process_time() - begin) / STEPS[setting])
    benchmark.pedantic(ways["grouped"], rounds=1)
    for kind, found in seconds.items():
        ratios = np.array(seconds["one by one"]) / np.array(found)
        facts: dict[str, Any] = {
            "ms_a_step": round(1e3 * float(np.median(found)), 1),
            "times_one_by_one": _quantiles(ratios),
        }
        if kind in ("one by one", "grouped"):
            facts["peak_mb"] = process.fresh("benchmarks.speed.test_together", setting, str(count), kind)
        benchmark.extra_info[kind] = facts


@pytest.mark.benchmark(group="a 3x3 convolution of every candidate, forward and backward, on a CPU")
@pytest.mark.parametrize(("count", "images", "channels", "side"), [(8, 32, 8, 12), (32, 32, 8, 12), (4, 64, 16, 32)])
def test_convolutions(benchmark: Any, count: int, images: int, channels: int, side: int) -> None:
    """Grouped, each by itself, `torch.func.vmap` over candidates, and products of unfolded images."""
    x = torch.randn(images, count * channels, side, side, requires_grad=True)
    weight = torch.randn(count * channels, channels, 3, 3, requires_grad=True)
    mapped = torch.func.vmap(partial(functional.conv2d, padding=1), in_dims=(1, 0), out_dims=1)

    def each() -> Tensor:
        pairs = zip(x.chunk(count, dim=1), weight.chunk(count), strict=True)
        return torch.cat([functional.conv2d(a, w, padding=1) for a, w in pairs], dim=1)

    def products() -> Tensor:
        columns = functional.unfold(x, 3, padding=1).view(images, count, 9 * channels, side**2)
        return torch.einsum("koc,bkcl->bkol", weight.view(count, channels, -1), columns)

    ways: dict[str, Callable[[], Tensor]] = {
        "grouped": lambda: functional.conv2d(x, weight, padding=1, groups=count),
        "each": each,
        "vmap": lambda: mapped(
            x.view(images, count, channels, side, side), weight.view(count, channels, channels, 3, 3)
        ),
        "products": products,
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS + 1):
        for name, run in ways.items():
            begin = time.process_time()
            torch.autograd.grad(run().square().sum(), (x, weight))
            if turn:
                seconds[name].append(time.process_time() - begin)
    benchmark.pedantic(ways["grouped"], rounds=1)
    benchmark.extra_info |= {f"{name}, ms": round(1e3 * float(np.median(found)), 1) for name, found in seconds.items()}


def _quantiles(ratios: np.ndarray[Any, Any]) -> list[float]:
    return [round(float(q), 2) for q in np.quantile(ratios, (0, 0.5, 1))]


def peak(setting: str, count: str, kind: str) -> int:
    """MB by which this process, fresh, grows at most while it builds and trains."""
    torch.set_num_threads(1)
    for run in runs(setting, 1, (kind,)).values():
        run()

    def work() -> None:
        for run in runs(setting, int(count), (kind,)).values():
            run()

    return process.grown(work)


if __name__ == "__main__":
    print(peak(*sys.argv[1:]))
