"""Measurements of training on one device, for `benchmarks/gpu.py`: what it can do, whether it is right, how fast it is.

Every ratio is of things run in turn in the same process. Seconds are the wall clock's on a GPU, after it has finished,
and the processor's on a CPU. Notation: K candidates trained at once.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nasbench_lab.core import LabError
from nasbench_lab.spaces import cell
from nasbench_lab.training import grouped, memory, sets, synthetic
from nasbench_lab.training.cost import PASSES
from nasbench_lab.training.data import Data, Images
from nasbench_lab.training.digits import Digits
from nasbench_lab.training.engines import make_engine
from nasbench_lab.training.grouped import Job, Run, Settings
from nasbench_lab.training.network import Shape
from nasbench_lab.training.networks import CELLS, Networks
from nasbench_lab.training.problem import Problem, make_problem
from nasbench_lab.training.recipe import DIGITS, SHORT, Recipe
from nasbench_lab.training.seeding import seeded
from nasbench_lab.training.shared import Schedule, SharedWeights
from nasbench_lab.training.supernet import EVERYTHING, path
from nasbench_lab.training.together import footprint

Row = dict[str, Any]
_BLOCK = 90.0  # seconds that a block may take


@dataclass(frozen=True)
class Setting:
    """Networks of one size on their images.

    Attributes:
        recipe: of the trainings. epoch: training images of one; held_out: validation images.
        data: of so many training images, on the device.
        counts: K that are measured. steps: that are timed at once.
    """

    name: str
    recipe: Recipe
    epoch: int
    held_out: int
    data: Callable[[int], Data]
    counts: tuple[int, ...]
    steps: int


def digits(device: str, *, small: bool) -> Setting:
    """The recipe of the embedded table."""
    recipe = replace(DIGITS, engine="torch")
    if small:
        recipe = replace(recipe, channels=4, batch=8)
    counts = (1, 2) if small else (1, 8, 64, 256, 1024)

    def data(images: int) -> Digits:
        return Digits(part_size=images, held_out_size=32 if small else 4000, device=device)

    return Setting("digits", recipe, 4096, 4000, data, counts, 16)


def cifar(device: str, *, small: bool) -> Setting:
    """The benchmark's recipe at full size; on CIFAR-10's images where they are, else on synthetic ones."""
    recipe = replace(SHORT, channels=4, cells=1, batch=8) if small else SHORT
    whole = _small_images(device) if small else _full_images(device)

    def data(images: int) -> Data:
        return _Part(whole, images, max(images, 512))

    return Setting(f"CIFAR size ({whole.name})", recipe, 25_000, 25_000, data, (1, 2) if small else (1, 4, 16, 64), 4)


def _full_images(device: str) -> Images:
    try:
        found = sets.open_data("cifar10-valid", device=device, download=False)
    except LabError:
        found = sets.open_data("synthetic-cifar10-valid", device=device)
    assert isinstance(found, Images)
    return found


def _small_images(device: str) -> Images:
    mean, std = (125.3, 123.0, 113.9), (63.0, 62.1, 66.7)
    made = synthetic.splits(10, mean, std, train=64, test=16)
    train, test = ((torch.tensor(made[n][0]), torch.tensor(made[n][1])) for n in ("train", "test"))
    named, colours = "synthetic images for cifar10-valid, few", {"mean": mean, "std": std}
    return Images(named, train=train, val=test, test=test, classes=10, device=device, **colours)


class _Part:
    """The first images of a set, as a set: of an epoch as many as are timed."""

    def __init__(self, whole: Images, train: int, held: int) -> None:
        self._whole, self._held, self.train_size = whole, held, train
        self.name, self.classes, self.inputs = whole.name, whole.classes, whole.inputs
        self.size, self.device, self.normalise = whole.size, whole.device, whole.normalise

    def part(self, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """The first of an epoch."""
        images, labels, order = self.pool([seed], epoch)
        return images[order[0]], labels[order[0]]

    def pool(self, seeds: Sequence[int], epoch: int) -> tuple[Tensor, Tensor, Tensor]:
        """The same for several seeds."""
        images, labels, order = self._whole.pool(seeds, epoch)
        return images, labels, order[:, : self.train_size]

    def held_out(self, split: str) -> tuple[Tensor, Tensor]:
        """The first that are held out."""
        images, labels = self._whole.held_out(split)
        return images[: self._held], labels[: self._held]


# Time


def settled(device: str) -> float:
    """Seconds on the clock that counts, when all that was asked for is done."""
    if torch.device(device).type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds(run: Callable[[], object], device: str, *, least: float, most: int = 1000) -> float:
    """Median seconds of a call: after one that is not counted, for at least so long, at least three times."""
    run()
    found, begin = list[float](), time.perf_counter()
    while len(found) < 3 or (time.perf_counter() - begin < least and len(found) < most):
        started = settled(device)
        run()
        found.append(settled(device) - started)
    return float(np.median(found))


def _peak(device: str) -> float | None:
    """Largest number of bytes held on a GPU since the last time that this was asked; None on a CPU, where nobody counts."""
    if torch.device(device).type == "cpu":
        return None
    found = float(torch.cuda.max_memory_allocated(device))
    torch.cuda.reset_peak_memory_stats(device)
    return found


# What the device can do


def facts(device: str, *, small: bool) -> Row:
    """Its name, its memory, its measured limits."""
    place = torch.device(device)
    found: Row = {"device": device, "torch": torch.__version__, "python": platform.python_version()}
    if place.type == "cuda":
        known = torch.cuda.get_device_properties(place)
        found |= {"name": known.name, "memory": known.total_memory, "cuda": torch.version.cuda}
        found |= {"multiprocessors": known.multi_processor_count, "cudnn": torch.backends.cudnn.version()}
    else:
        found |= {"name": platform.processor() or platform.machine(), "memory": memory.free(place)}
        found |= {"threads": torch.get_num_threads()}
    found["kernel_us"] = 1e6 * _launches(device)
    found |= _limits(device, small=small)
    return found


def _launches(device: str) -> float:
    """Seconds of an operation on one number: nothing but the call."""
    one = torch.zeros(1, device=device)

    def run() -> None:
        for _ in range(200):
            one.add_(1)

    return seconds(run, device, least=0.2) / 200


def _limits(device: str, *, small: bool) -> Row:
    """Operations and bytes a second: of large products, and of copying a large vector (each byte is read and written)."""
    side, length = (256, 1 << 20) if small else (8192, 1 << 29)
    found: Row = {}
    for name, dtype, tensor32 in (
        ("fp32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("bf16", torch.bfloat16, False),
    ):
        a = torch.randn(side, side, device=device, dtype=torch.float32).to(dtype)
        before = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = tensor32
        try:
            found[f"{name}_flops"] = 2 * side**3 / seconds(partial(torch.matmul, a, a), device, least=0.3)
        finally:
            torch.backends.cuda.matmul.allow_tf32 = before
    source = torch.zeros(length, device=device)
    target = torch.empty_like(source)
    found["bytes"] = 2 * 4 * length / seconds(lambda: target.copy_(source), device, least=0.3)
    return found


# How fast it is


def built(job: Job, data: Data, networks: Networks = CELLS) -> torch.nn.Module:
    shape = Shape(job.recipe.channels, job.recipe.cells, data.classes, data.inputs, data.size)
    with seeded(job.seed):
        return networks.build(job.arch, shape)


def _sample(count: int) -> list[int]:
    """Classes at random, any prefix a sample."""
    _, firsts = np.unique(cell.SPACE.classes, return_index=True)
    return [int(arch) for arch in np.random.default_rng(0).permutation(firsts)[:count]]


def plain_step(setting: Setting, device: str, *, steps: int, candidates: int, least: float) -> Row:
    """The plain loop: seconds of a step of one network, the mean over some, one after another."""
    data = setting.data(steps * setting.recipe.batch)
    found = []
    for arch in _sample(candidates):
        engine = make_engine(arch, data, setting.recipe, 0)
        part = data.part(0, 0)
        found.append(seconds(partial(engine.train, *part, np.full(steps, 0.01), 0), device, least=least) / steps)
    return {"step": float(np.mean(found)), "candidates": candidates}


def group_step(
    setting: Setting,
    device: str,
    count: int,
    settings: Settings,
    *,
    steps: int,
    least: float,
    recipe: Recipe | None = None,
) -> Row:
    """K at once: seconds of a step of all, of validating an image by all, and the largest memory."""
    data, recipe = setting.data(steps * setting.recipe.batch), recipe or setting.recipe
    jobs = [Job(arch, 0, recipe) for arch in _sample(count)]
    networks = [built(job, data) for job in jobs]
    kept, weights = (sum(each) for each in zip(*(footprint(network) for network in networks), strict=True))
    run = Run(jobs, networks, data, settings)
    held = len(data.held_out("val")[0])
    _peak(device)
    step = seconds(lambda: run.epoch(0), device, least=least) / steps
    peak = _peak(device)
    checked = seconds(lambda: run.accuracy("val"), device, least=least / 4) / held
    counted = sum(grouped.needs(network, recipe.batch) for network in networks)
    return {"count": count, "step": step, "validation": checked, "peak": peak, "counted": counted} | {
        "kept": kept * recipe.batch, "weights": weights, "operations": len(run.together._batches),
    }  # fmt: skip


def bound(row: Row, limits: Row, setting: Setting) -> float:
    """Seconds that a step of a group takes at the device's measured limits: the longer of arithmetic and traffic.

    Convolutions of float32 run in TF32 where a GPU has it, as PyTorch has it. Of an operation, what it reads is moved
    twice and what it gives four times, forward and back together; of every weight eight numbers.
    """
    data, recipe = setting.data(setting.recipe.batch), setting.recipe
    shape = Shape(recipe.channels, recipe.cells, data.classes, data.inputs, data.size)
    adds = float(CELLS.flops(shape)[_sample(row["count"])].sum()) * recipe.batch
    traffic = 4 * (2 * row["kept"] + 8 * row["weights"])
    return float(max(2 * PASSES * adds / limits["tf32_flops"], traffic / limits["bytes"]))


def speeds(setting: Setting, device: str, limits: Row, *, small: bool, deadline: float) -> Iterator[Row]:
    """Of the plain loop, then of every K in both ways of convolutions; what fails is a row that says why."""
    steps, least = (2, 0.0) if small else (setting.steps, 0.5)
    plain = plain_step(setting, device, steps=steps, candidates=2 if small else 6, least=least)
    images = setting.recipe.batch / plain["step"]
    yield {"setting": setting.name, "way": "plain loop", "count": 1, "images": images, **plain}
    ways = [Settings("grouped"), Settings("each")]
    if torch.device(device).type == "cuda":
        ways += [replace(each, graphs=True) for each in ways]
    for count in setting.counts:
        for settings in ways:
            if settings.way == "each" and count > 64:
                continue  # a thousand convolutions one by one are what this is to avoid
            row: Row = {
                "setting": setting.name,
                "way": settings.way + (", graph" if settings.graphs else ""),
                "count": count,
            }
            if time.monotonic() > deadline:
                yield row | {"failed": "no time was left"}
                continue
            try:
                row |= group_step(setting, device, count, settings, steps=steps, least=least)
                row["images"] = count * setting.recipe.batch / row["step"]
                row["times_plain"] = row["images"] / images
                row["epoch"] = row["step"] * math.ceil(setting.epoch / setting.recipe.batch)
                row["of_limits"] = bound(row, limits, setting) / row["step"]
            except Exception as error:  # a line in the result, not the end of the run
                row["failed"] = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"
                grouped._forget(torch.device(device))
            yield row


def options(setting: Setting, device: str, *, small: bool, deadline: float) -> Iterator[Row]:
    """What options do to speed and to accuracy: the same candidates trained by the recipe, and with each option."""
    count, least = (2, 0.0) if small else (64, 0.5)
    recipe = replace(setting.recipe, epochs=1 if small else setting.recipe.epochs)
    graphs = [("graph", recipe, Settings(graphs=True))] if torch.device(device).type == "cuda" else []
    compiled = [] if small else [("compile", replace(recipe, compile=True), Settings())]
    tried = [
        ("none", recipe, Settings()), ("another seed", recipe, Settings()), ("bf16", replace(recipe, bf16=True), Settings()),
        ("channels_last", replace(recipe, channels_last=True), Settings()), *graphs, *compiled,
    ]  # fmt: skip
    base: np.ndarray[Any, Any] | None = None
    data = setting.data(4 * recipe.batch if small else setting.epoch)
    for name, own, settings in tried:
        if time.monotonic() > deadline:
            yield {"option": name, "failed": "no time was left"}
            continue
        try:
            jobs = [Job(arch, int(name == "another seed"), own) for arch in _sample(count)]
            begin = settled(device)
            found = dict(grouped.train_all(jobs, data, settings=settings))
            spent = settled(device) - begin
            test = np.array([found[k].test for k in range(count)])
            base = test if base is None else base
            step = group_step(setting, device, count, settings, steps=2 if small else 8, least=least, recipe=own)[
                "step"
            ]
            apart = test - base
            row = {"option": name, "step": step, "seconds": spent, "test": float(test.mean())}
            yield row | {"difference": float(apart.mean()), "spread": float(apart.std())}
        except Exception as error:
            yield {"option": name, "failed": f"{type(error).__name__}: {str(error).partition(chr(10))[0][:200]}"}


def supernet(device: str, *, small: bool) -> Iterator[Row]:
    """Steps of the supernet's modes: a single path, a mixture of everything, and gradients of the architecture alone."""
    problems = [("digits", make_problem("digits", part_size=256, held_out_size=256))]
    if not small:
        problems.append(("CIFAR size", make_problem("synthetic-cifar10-valid")))
    for name, problem in problems:
        weights = SharedWeights(
            _narrow(problem) if small else problem, Schedule(batch=8 if small else 64), seed=0, device=device
        )
        batch = next(weights.batches(0))
        gates = torch.full((6, 5), 0.2, device=device, requires_grad=True)
        modes: dict[str, Callable[[], object]] = {
            "single path": partial(weights.learn, batch.images, batch.labels, path(1462)),
            "mixture": partial(weights.learn, batch.images, batch.labels, EVERYTHING, gates),
            "architecture": partial(weights.gradient, batch.images, batch.labels, EVERYTHING, gates, gates),
        }
        for mode, run in modes.items():
            yield {"setting": name, "mode": mode, "step": seconds(run, device, least=0.0 if small else 1.0)}


def _narrow(problem: Problem) -> Problem:
    return replace(problem, recipe=replace(problem.recipe, channels=4))


def whole_block(device: str, fastest: Row | None, *, small: bool) -> Row:
    """A block of `tables train digits`: so many classes trained the fastest way, validated after every part, and tested.

    Fewer parts where the steps that were measured say that all six would take longer than `_BLOCK` seconds.
    """
    count = 2 if small else 1024
    recipe = replace(DIGITS, epochs=1, channels=4) if small else DIGITS
    data = Digits(part_size=64 if small else 4096, held_out_size=32 if small else 4000, device=device)
    settings = Settings()
    if fastest is not None:
        settings = Settings(fastest["way"].partition(",")[0], graphs="graph" in fastest["way"])
        part = (fastest["epoch"] + 4000 * fastest["validation"]) * count / fastest["count"]
        recipe = replace(recipe, epochs=max(1, min(recipe.epochs, int(_BLOCK / part))))
    begin = settled(device)
    jobs = [Job(arch, 777, recipe) for arch in _sample(count)]
    found = [outcome for _, outcome in grouped.train_all(jobs, data, settings=settings)]
    spent = settled(device) - begin
    test = float(np.mean([outcome.test for outcome in found]))
    return {"count": count, "seconds": spent, "epochs": recipe.epochs, "of_epochs": DIGITS.epochs, "test": test}
