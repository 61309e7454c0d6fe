"""Speed and memory of the supernet, by mode, against plain implementations, side by side. `nox -s bench` runs it.

Two plain ones, the same skeleton with the same weights (checked): each operation of each edge is a module of its own,

    all ops   every operation of every edge is computed, weighted or masked, and summed: what is written first
    chosen    only the chosen operations are, one by one, whether or not anything reaches the output through them:
              how NAS-Bench-201's code runs a path or a hard sample (Dong & Yang 2020)

A step is forward, backward and SGD on one batch of 64; gates are learned where the mode has gates. All three are given
the same cells, gates and images one right after the other; ratios are of such groups. CPU: one thread, seconds of the
processor, which a busy machine hardly changes. On a GPU, if there is one, the wall clock's.

Memory, per step: `saved`, the bytes of all distinct storages that autograd keeps for the backward pass, parameters and
images aside (exact, the same on every machine; the mean over the steps), and `peak`, by how much a fresh process grows
at most while it takes these steps (VmHWM after them less VmRSS before, so gradients and the libraries' workspaces
count; the process has taken a step on two images before, so loaded code does not).
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.speed import process
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot.gdas import gumbel_gates
from nasbench_lab.training.network import CIFAR10, Shape
from nasbench_lab.training.supernet import EVERYTHING, Choices, SearchCell, Supernet, path

BATCH = 64
SHAPES = {"digits": Shape(channels=8, cells=1, inputs=1, size=12), "cifar": CIFAR10}
STEPS = {"digits": 20, "cifar": 3}  # of a measurement
PAIRS = {"digits": 7, "cifar": 3}
MODES = ("mixture", "hard sample", "path", "sub-space")
KINDS = ("ours", "all ops", "chosen")


class ReLUConvBN(nn.Module):
    """ReLU-Conv-BN, without scale and shift, with the batch's statistics."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        norm = nn.BatchNorm2d(conv.out_channels, affine=False, track_running_stats=False)
        self.op = nn.Sequential(nn.ReLU(), copy.deepcopy(conv), norm)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.op(x)
        return out


class Zero(nn.Module):
    """The operation `none`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mul(0.0)


class PlainCell(nn.Module):
    """Thirty modules; every node the sum of its inputs."""

    def __init__(self, like: SearchCell, *, everything: bool) -> None:
        super().__init__()
        self.everything = everything
        self.edges = nn.ModuleList(
            nn.ModuleList(self.operation(op, edge, like) for op in range(5)) for edge in range(6)
        )

    @staticmethod
    def operation(op: int, edge: int, like: SearchCell) -> nn.Module:
        if op == cell.NONE:
            return Zero()
        if op == cell.SKIP:
            return nn.Identity()
        if op == cell.POOL:
            return nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        conv = like.convs[f"{op}-{edge}"]
        assert isinstance(conv, nn.Conv2d)
        return ReLUConvBN(conv)

    def forward(self, x: Tensor, choices: Choices, gates: Tensor | None) -> Tensor:
        nodes = [x]
        for target in (1, 2, 3):
            incoming = [(e, s) for e, (s, t) in enumerate(cell.EDGES) if t == target]
            nodes.append(torch.stack([self.edge(e, nodes[s], choices[e], gates) for e, s in incoming]).sum(0))
        return nodes[3]

    def edge(self, e: int, x: Tensor, chosen: tuple[int, ...], gates: Tensor | None) -> Tensor:
        """The chosen operations' sum, of all five computed or of those alone."""
        edge = self.edges[e]
        assert isinstance(edge, nn.ModuleList)
        outs = []
        for op in range(5) if self.everything else chosen:
            out = edge[op](x)
            if gates is not None:
                out = gates[e, op] * out
            elif self.everything:
                out = float(op in chosen) * out
            outs.append(out)
        return torch.stack(outs).sum(0)


class Plain(nn.Module):
    """A supernet with its cells written out."""

    def __init__(self, supernet: Supernet, *, everything: bool) -> None:
        super().__init__()
        self.body = copy.deepcopy(supernet)
        for i, stage in enumerate(self.body.stages):
            if isinstance(stage, SearchCell):
                self.body.stages[i] = PlainCell(stage, everything=everything)

    def forward(self, images: Tensor, choices: Choices, gates: Tensor | None = None) -> Tensor:
        x = self.body.stem(images)
        for stage in self.body.stages:
            x = stage(x, choices, gates) if isinstance(stage, PlainCell) else stage(x)
        out: Tensor = self.body.head(functional.relu(self.body.bn(x)).mean(dim=(2, 3)))
        return out


def network_of(kind: str, shape: Shape) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        supernet = Supernet(shape)
    return supernet if kind == "ours" else Plain(supernet, everything=kind == "all ops")


def drawn(mode: str, number: int, alpha: Tensor) -> tuple[Choices, Tensor | None]:
    """What step `number` of a mode computes: the same for all kinds."""
    rng = np.random.default_rng(number)
    if mode == "mixture":
        return EVERYTHING, torch.softmax(alpha, dim=1)
    if mode == "hard sample":
        gates, chosen = gumbel_gates(alpha, 1.0, torch.Generator(alpha.device).manual_seed(number))
        return tuple((op,) for op in chosen.tolist()), gates
    if mode == "path":
        return path(cell.SPACE.sample(rng)), None
    kept = rng.random((6, 5)) < 0.5
    return tuple(tuple(np.flatnonzero(ops).tolist()) or (cell.NONE,) for ops in kept), None


class Bench:
    """A network that is ready to take steps."""

    def __init__(self, kind: str, mode: str, shape: Shape, device: str = "cpu", batch: int = BATCH) -> None:
        self.mode, self.network = mode, network_of(kind, shape).to(device)
        self.alpha = torch.zeros(6, 5, device=device, requires_grad=True)
        self.images = torch.randn(
            batch, shape.inputs, shape.size, shape.size, generator=torch.Generator().manual_seed(1)
        )
        self.images = self.images.to(device)
        self.labels = torch.arange(batch, device=device) % shape.classes
        self.optimizer = torch.optim.SGD(self.network.parameters(), 0.025, 0.9, nesterov=True, fused=True)
        for p in self.network.parameters():
            self.optimizer.state[p]["momentum_buffer"] = torch.zeros_like(p)

    def loss(self, number: int, images: int = BATCH) -> Tensor:
        choices, gates = drawn(self.mode, number, self.alpha)
        return functional.cross_entropy(self.network(self.images[:images], choices, gates), self.labels[:images])

    def step(self, number: int, images: int = BATCH) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.alpha.grad = None
        self.loss(number, images).backward()
        self.optimizer.step()

    def steps(self, count: int) -> None:
        for number in range(count):
            self.step(number)

    def saved(self, number: int) -> int:
        """Bytes that autograd keeps for the backward pass."""
        kept: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            kept[storage.data_ptr()] = storage.nbytes()
            return tensor.detach()  # an output that its own node held would never be freed

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = self.loss(number)
        assert loss.requires_grad  # the graph, and with it what was saved, is alive until here
        own = {t.untyped_storage().data_ptr() for t in (*self.network.parameters(), self.images, self.alpha)}
        return sum(size for place, size in kept.items() if place not in own)


def peak(kind: str, mode: str, setting: str) -> int:
    """MB by which this process, which should be fresh, grows at most while it takes the steps of a measurement."""
    torch.set_num_threads(1)
    bench = Bench(kind, mode, SHAPES[setting])
    bench.step(0, images=2)
    bench.optimizer.zero_grad(set_to_none=True)
    return process.grown(lambda: bench.steps(STEPS[setting]))


pytestmark = pytest.mark.usefixtures("one_torch_thread")


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize("mode", MODES)
def test_the_plain_ones_compute_the_same(mode: str, kind: str) -> None:
    """Logits, and the gradient of what everything passes through."""
    for number in range(10):
        found = []
        for which in ("ours", kind):
            bench = Bench(which, mode, Shape(channels=4, cells=2, inputs=1, size=8), batch=8)
            bench.network.double()
            bench.images = bench.images.double()
            choices, gates = drawn(mode, number, bench.alpha.double())
            logits = bench.network(bench.images, choices, gates)
            first = next(iter(bench.network.parameters()))  # what does not reach the output has the gradient 0
            (stem,) = torch.autograd.grad(logits.square().sum(), first, materialize_grads=True)
            found.append((logits, stem))
        torch.testing.assert_close(found[0], found[1])


def clock(device: str) -> Callable[[], float]:
    if device == "cpu":
        return time.process_time

    def synchronised() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return synchronised


@pytest.mark.benchmark(
    group="steps of the supernet, batch 64: digits (C=8, N=1, 12x12) and CIFAR size (C=16, N=5, 32x32)"
)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("setting", "device"), [("digits", "cpu"), ("cifar", "cpu"), ("cifar", "cuda")])
def test_steps(benchmark: Any, setting: str, device: str, mode: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a GPU")
    shape, steps, now = SHAPES[setting], STEPS[setting], clock(device)
    kinds = KINDS[:2] if mode == "mixture" else KINDS  # of a mixture everything is chosen
    benches = {kind: Bench(kind, mode, shape, device) for kind in kinds}
    for bench in benches.values():
        bench.step(0)
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(PAIRS[setting]):
        for kind, bench in benches.items():
            begin = now()
            bench.steps(steps)
            seconds[kind].append((now() - begin) / steps)
    benchmark.pedantic(benches["ours"].step, args=(0,), rounds=1)
    for kind in kinds:
        saved = np.mean([benches[kind].saved(number) for number in range(steps)])
        facts = {"steps_per_second": round(1 / float(np.median(seconds[kind])), 2), "saved_mb": round(saved / 2**20, 2)}
        if device == "cpu":
            facts["peak_mb"] = process.fresh("benchmarks.speed.test_supernet", kind, mode, setting)
        if kind != "ours":
            ratios = np.array(seconds[kind]) / np.array(seconds["ours"])
            facts["ours_times_as_fast"] = [round(float(q), 2) for q in np.quantile(ratios, (0, 0.5, 1))]
        benchmark.extra_info[kind] = facts


if __name__ == "__main__":
    print(peak(*sys.argv[1:]))
