"""Training many configurations at once, on one device: in groups that fit its memory, each as if it were alone.

One by one, small networks leave a GPU idle: it waits for Python between operations of microseconds. A group is one
network (`together`) with as many operations as a single one. Seeds, learning rates and orders of images are each
candidate's own, so a training is what `trainer.train` gives, but for rounding; what has diverged goes on as nan and
harms no other. A group that does not fit is halved. On a CPU `trainer.train` with its fused engine is faster.
"""

from __future__ import annotations

import gc
import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nasbench_lab.training import checkpoint, memory
from nasbench_lab.training.data import Data, of_epoch
from nasbench_lab.training.network import Shape
from nasbench_lab.training.networks import CELLS, Networks
from nasbench_lab.training.recipe import Recipe, rates
from nasbench_lab.training.seeding import seeded
from nasbench_lab.training.together import WAYS, Together, footprint
from nasbench_lab.training.trainer import Outcome

_SHARE = 0.8  # of the free memory that a group may be thought to need
_KEPT = 1.3  # bytes that are needed for a byte of activations, by count: workspaces, gradients on the way


class Job(NamedTuple):
    """One training: recipes of a group may differ in `lr`, `momentum` and `weight_decay`."""

    arch: int
    seed: int
    recipe: Recipe


@dataclass(frozen=True)
class Settings:
    """How groups are run; no accuracy depends on it, but for rounding.

    Attributes:
        way: of convolutions, see `Together`. graphs: replay a step as one CUDA graph.
        most: candidates of a group at most; 0 for as many as memory holds.

    Raises:
        ValueError: no such way, or a negative number.
    """

    way: str = "grouped"
    graphs: bool = False
    most: int = 0

    def __post_init__(self) -> None:
        if self.way not in WAYS or self.most < 0:
            raise ValueError(f"need a way of {', '.join(WAYS)} and most >= 0, got {self}")


PLAIN = Settings()
Wanted = list[tuple[int, Job, nn.Module]]  # position in the list of jobs, the job, its untrained network


def at_once(device: torch.device | str) -> bool:
    """Whether trainings on a device are done many at once."""
    return torch.device(device).type == "cuda"


def train_all(
    jobs: Sequence[Job],
    data: Data,
    *,
    networks: Networks = CELLS,
    settings: Settings = PLAIN,
    checkpoints: Path | None = None,
    dtype: torch.dtype = torch.float32,
) -> Iterator[tuple[int, Outcome]]:
    """Train configurations of a space; each with its position in `jobs`, as soon as its group is done.

    Args:
        jobs: what; the recipe but for what the configuration itself says of training.
        data: on what; its device is where. networks: of the space.
        settings: how.
        checkpoints: a folder; a group's state is kept there after every epoch, and gone on from if it is there.
        dtype: what is computed in.

    Raises:
        RuntimeError, MemoryError: a single network does not fit (`memory.starved`).
        ValueError: a recipe asks for the fused engine, or settings for what the device does not have.
    """
    if settings.graphs and data.device.type != "cuda":
        raise ValueError(f"CUDA graphs run on cuda alone, got {data.device}")
    if any(job.recipe.engine == "fused" for job in jobs):
        raise ValueError("the fused engine trains one network at a time, on a CPU; use engine='torch'")
    pending: dict[Recipe, list[tuple[int, Job]]] = {}
    for number, job in enumerate(jobs):
        own = job._replace(recipe=networks.recipe(job.arch, job.recipe))
        pending.setdefault(_shape_of(own.recipe), []).append((number, own))
    for waiting in pending.values():
        limit = settings.most or len(waiting)
        while waiting:
            group, outcomes = _group(waiting, data, networks, checkpoints, limit, dtype), None
            try:
                outcomes = _train(group, data, networks, settings, checkpoints, dtype)
            except (MemoryError, RuntimeError) as error:
                if len(group) == 1 or not memory.starved(error):
                    raise
            if outcomes is None:  # told outside the handler, which holds on to the failed group's tensors
                limit = len(group) // 2
                _forget(data.device)
                continue
            del waiting[: len(group)]
            yield from ((number, outcome) for (number, _, _), outcome in zip(group, outcomes, strict=True))


def _shape_of(recipe: Recipe) -> Recipe:
    """What recipes of one group have in common."""
    return replace(recipe, lr=0.0, momentum=0.0, weight_decay=0.0)


def _forget(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _group(
    waiting: list[tuple[int, Job]],
    data: Data,
    networks: Networks,
    checkpoints: Path | None,
    limit: int,
    dtype: torch.dtype,
) -> Wanted:
    """The first of those that wait: as many as memory holds, or as an earlier sitting began with."""
    begun = _begun(waiting, data, networks, checkpoints)
    room, needed, found = _SHARE * memory.free(data.device), 0.0, Wanted()
    for number, job in waiting[: min(limit, begun or limit)]:
        shape = Shape(job.recipe.channels, job.recipe.cells, data.classes, data.inputs, data.size)
        with seeded(job.seed):
            network = networks.build(job.arch, shape)
        needed += needs(network, job.recipe.batch, torch.finfo(dtype).bits // 8)
        if found and not begun and needed > room:
            break
        found.append((number, job, network))
    return found


def needs(network: nn.Module, batch: int, size: int = 4) -> float:
    """Bytes that training a network in a group takes, by count.

    Args:
        batch: images a step. size: bytes of a number.
    """
    kept, weights = footprint(network)
    return size * (_KEPT * kept * batch + 6 * weights)


def _members(jobs: Sequence[Job], data: Data, networks: Networks) -> dict[str, Any]:
    """Which trainings a group is, as plain values."""
    members = [[job.arch, job.seed, asdict(job.recipe)] for job in jobs]
    return {"space": networks.space.name, "data": data.name, "members": members}


def _file(folder: Path, jobs: Sequence[Job], data: Data, networks: Networks) -> Path:
    text = json.dumps(_members(jobs, data, networks), sort_keys=True)
    return folder / f"group-{len(jobs)}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.pt"


def _begun(waiting: list[tuple[int, Job]], data: Data, networks: Networks, folder: Path | None) -> int:
    """How many of the first that wait are a group that a checkpoint is of; 0 for none."""
    if folder is None:
        return 0
    jobs = [job for _, job in waiting]
    counts = {int(path.name.split("-")[1]) for path in folder.glob("group-*-*.pt")}
    return max((n for n in counts if n <= len(jobs) and _file(folder, jobs[:n], data, networks).exists()), default=0)


class _Curves:
    """What is measured of a group, (K, epochs) each; nan from where a training diverged."""

    def __init__(self, count: int, epochs: int) -> None:
        self.val, self.train, self.loss = (np.full((count, epochs), np.nan) for _ in range(3))
        self.seconds, self.done = 0.0, 0
        self.diverged = np.full(count, -1)  # epoch, from 0

    def take(self, loss: Any, train: Any, val: Any) -> None:
        """An epoch's, (K,) each."""
        self.diverged[(self.diverged < 0) & ~np.isfinite(loss)] = self.done
        alive = self.diverged < 0
        for curve, values in ((self.val, val), (self.train, train), (self.loss, loss)):
            curve[alive, self.done] = values[alive]
        self.done += 1

    def plain(self) -> dict[str, Any]:
        """For a checkpoint."""
        arrays = {name: getattr(self, name).tolist() for name in ("val", "train", "loss", "diverged")}
        return {**arrays, "seconds": self.seconds, "done": self.done}

    @classmethod
    def of(cls, plain: dict[str, Any]) -> _Curves:
        """The inverse of `plain`."""
        found = cls(0, 0)
        for name, value in plain.items():
            setattr(found, name, np.array(value) if isinstance(value, list) else value)
        return found


def _train(
    group: Wanted, data: Data, networks: Networks, settings: Settings, folder: Path | None, dtype: torch.dtype
) -> list[Outcome]:
    """A group from its first or its last whole epoch to the test."""
    jobs = [job for _, job, _ in group]
    recipe = jobs[0].recipe
    run = Run(jobs, [network for _, _, network in group], data, settings, dtype)
    identity = _members(jobs, data, networks)
    file = None if folder is None else _file(folder, jobs, data, networks)
    curves = _Curves(len(jobs), recipe.epochs)
    if file is not None and file.exists():
        state, measured = checkpoint.load(file, identity)
        run.together.restore(state)
        curves = _Curves.of(measured)
    clock = time.process_time if data.device.type == "cpu" else time.perf_counter
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        while curves.done < recipe.epochs and (curves.diverged < 0).any():
            started = clock()
            loss, right = run.epoch(curves.done)
            curves.take(loss, 100 * right, 100 * run.accuracy("val"))
            curves.seconds += clock() - started
            if file is not None:
                checkpoint.save(file, identity, run.together.state(), curves.plain())
        test = 100 * run.accuracy("test")
    if file is not None:
        file.unlink(missing_ok=True)
    return [_outcome(job, data, curves, k, float(test[k]), settings) for k, job in enumerate(jobs)]


def _outcome(job: Job, data: Data, curves: _Curves, k: int, test: float, settings: Settings) -> Outcome:
    at, epochs = int(curves.diverged[k]), job.recipe.epochs
    reason = "" if at < 0 else f"diverged in epoch {at + 1} of {epochs}: the loss is no longer finite"
    val, train, loss = (tuple(curve[k].tolist()) for curve in (curves.val, curves.train, curves.loss))
    return Outcome(
        job.arch, job.seed, data.name, job.recipe, f"together ({settings.way})", str(data.device), val=val, train=train,
        loss=loss, test=math.nan if reason else test, seconds=curves.seconds / len(curves.diverged), reason=reason,
    )  # fmt: skip


class Run:
    """A group on its data: epochs of training, and accuracies.

    Args:
        jobs: K trainings, recipes alike but for `lr`, `momentum` and `weight_decay`.
        networks: theirs, untrained.
        data: on its device. settings: how. dtype: what is computed in.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        networks: Sequence[nn.Module],
        data: Data,
        settings: Settings = PLAIN,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        recipe = jobs[0].recipe
        self.jobs, self.data, self.recipe, self.settings, self.dtype = list(jobs), data, recipe, settings, dtype
        self.seeds = list(dict.fromkeys(job.seed for job in jobs))
        streams = [self.seeds.index(job.seed) for job in jobs]
        self.together = Together(
            networks,
            streams,
            device=data.device,
            dtype=dtype,
            way=settings.way,
            bf16=recipe.bf16,
            compile=recipe.compile,
        )
        self._streams = torch.tensor(streams, device=data.device)
        self._momentum, self._decay = (
            self._of_each([getattr(job.recipe, name) for job in jobs]) for name in ("momentum", "weight_decay")
        )
        self._captured: _Captured | None = None

    def _of_each(self, values: list[float]) -> Tensor:
        """(K,), or (1,) where all are the same."""
        return torch.tensor(values if len(set(values)) > 1 else values[:1], dtype=self.dtype, device=self.data.device)

    def epoch(self, number: int) -> tuple[Any, Any]:
        """Train for one; (K,) mean losses and shares of right answers."""
        data, recipe = self.data, self.recipe
        images, labels, order = data.pool(self.seeds, number)
        augment = of_epoch(data, self.seeds, number, flip=recipe.flip, crop=recipe.crop)
        steps = math.ceil(data.train_size / recipe.batch)
        same = len({job.recipe.lr for job in self.jobs}) == 1
        cosines = np.stack([rates(job.recipe, steps, number) for job in (self.jobs[:1] if same else self.jobs)], axis=1)
        moved = torch.from_numpy(cosines).to(data.device, self.dtype)
        totals = torch.zeros(2, len(self.jobs), dtype=self.dtype, device=data.device)
        for step in range(steps):
            first = step * recipe.batch
            chosen = order[:, first : first + recipe.batch]
            x = augment.of(first, first + recipe.batch)(data.normalise(images[chosen.flatten()]))
            x = x.view(*chosen.shape, *x.shape[1:]).transpose(0, 1).flatten(1, 2)
            wanted = labels[chosen]
            wanted = wanted if len(wanted) == 1 else wanted[self._streams]
            loss, right = self._step(self._fed(x), wanted, moved[step])
            totals[0] += loss * chosen.shape[1]
            totals[1] += right
        found = totals.double().cpu().numpy() / data.train_size
        return found[0], found[1]

    def _fed(self, images: Tensor) -> Tensor:
        layout = torch.channels_last if self.recipe.channels_last else torch.contiguous_format
        return images.to(self.dtype).contiguous(memory_format=layout)

    def _step(self, images: Tensor, labels: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
        whole = len(images) == self.recipe.batch
        if not (self.settings.graphs and whole):
            return self.together.step(images, labels, rate, self._momentum, self._decay)
        if self._captured is None:
            self._captured = _Captured(self.together, images, labels, rate, self._momentum, self._decay)
        return self._captured(images, labels, rate)

    @torch.no_grad()
    def accuracy(self, split: str) -> Any:
        """(K,) shares of right answers on the images of `val` or `test`."""
        images, labels = self.data.held_out(split)
        right = torch.zeros(len(self.jobs), dtype=torch.float64, device=self.data.device)
        chunk = min(500, max(32, 4 * self.recipe.batch))
        for x, y in zip(torch.split(images, chunk), torch.split(labels, chunk), strict=True):
            fed = self._fed(self.data.normalise(x)).repeat(1, len(self.seeds), 1, 1)
            right += (self.together.logits(self._fed(fed), training=False).argmax(dim=2) == y).sum(dim=1)
        return (right / len(images)).cpu().numpy()


class _Captured:
    """A step as one CUDA graph: what it reads is copied to where it was captured, and the whole is launched at once."""

    def __init__(self, together: Together, images: Tensor, labels: Tensor, rate: Tensor, *same: Tensor) -> None:
        self._together = together
        self._given = [x.clone() for x in (images, labels, rate)]
        before = {k: _copied(v) for k, v in together.state().items()}
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):  # kernels are chosen and memory is taken before anything is recorded
                together.step(*self._given, *same)
        torch.cuda.current_stream().wait_stream(side)
        together.restore(before)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._found = together.step(*self._given, *same)
        together.restore(before)

    def __call__(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        """Losses and right answers, as `Together.step` gives them."""
        for own, new in zip(self._given, given, strict=True):
            own.copy_(new)
        self._graph.replay()
        self._together.steps += 1
        return self._found


def _copied(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    return [tuple(x.clone() for x in each) for each in value] if isinstance(value, list) else value
