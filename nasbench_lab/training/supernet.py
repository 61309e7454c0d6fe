"""The supernet: the NAS-Bench-201 skeleton with all five operations on every edge, and weights shared by all 15,625 cells.

One module serves every way the one-shot papers use it. A forward pass is told which operations to compute and, if they
are weighted, by what:

    choices  E = 6 tuples of operations (positions in `cell.OPS`), what each edge computes; the rest is not computed
    gates    (6, 5) weight of every operation, or None: an edge is then the plain sum of what it computes

    softmax mixture   choices = EVERYTHING, gates = softmax(alpha)          DARTS, SETN, DrNAS
    hard sample       choices = path(arch), gates = the straight-through one-hot sample        GDAS
    single path       choices = path(arch)                                 ENAS, random search with parameter sharing, SPOS
    masked sub-space  any choices                                          One-Shot

What reaches no output, or is reached by nothing, is not computed, so a single path is at most six operations a cell.
All convolutions of one kind that leave one node run as one, their batch norms too, and gates are the scale of these
norms: nothing extra to compute.

Batch norm: statistics of the batch at hand, always, as in the papers' search phases; no running ones are kept (Dong &
Yang's code keeps them outside cells, and cells are scored with them there). Norms inside cells have no scale and shift
unless `affine` (Dong & Yang, ICLR 2020). `standalone` gives a path's network with statistics recalibrated on training
images, as single-path one-shot does before a path is scored (Guo et al. 2020).

Shapes: images (B, channels, H, W); logits (B, classes).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nasbench_lab.spaces import cell
from nasbench_lab.training import cost
from nasbench_lab.training.network import Cell, ConvBN, Network, Residual, Shape

Choices = tuple[tuple[int, ...], ...]
EVERYTHING: Choices = (tuple(range(5)),) * 6
_KERNELS = (cell.CONV3, cell.CONV1)


def path(arch: int) -> Choices:
    """One operation per edge: those of a cell."""
    return tuple((op,) for op in cell.ops(arch))


class Plan(NamedTuple):
    """What a cell computes: for every source node, the edges of each operation.

    `edges[source][op]` are edge numbers; `convolutions` how many (3x3, 1x1) there are in all.
    """

    edges: tuple[tuple[tuple[int, ...], ...], ...]
    convolutions: tuple[int, int]


@lru_cache(maxsize=65536)
def plan(choices: Choices) -> Plan:
    """The work that these choices need, without what cannot reach the output.

    Raises:
        ValueError: not six tuples of operations.
    """
    if len(choices) != 6 or any(op not in range(5) for edge in choices for op in edge):
        raise ValueError(f"choices are six tuples of operations 0..4, got {choices}")
    alive = [any(op != cell.NONE for op in edge) for edge in choices]
    live = {e for route in cell.PATHS if all(alive[e] for e in route) for e in route}
    edges = tuple(
        tuple(
            tuple(e for e in sorted(live) if cell.EDGES[e][0] == source and op in choices[e] and op != cell.NONE)
            for op in range(5)
        )
        for source in range(3)
    )
    threes, ones = (sum(len(node[kind]) for node in edges) for kind in _KERNELS)
    return Plan(edges, (threes, ones))


@lru_cache(maxsize=64)
def _counts(shape: Shape) -> tuple[float, float]:
    """Multiply-adds of one image: outside the edges, and of one 1x1 convolution on an edge (all cells)."""
    return float(cost.flops(shape).min()), 3.0 * shape.cells * shape.size**2 * shape.channels**2


def multiply_adds(shape: Shape, choices: Choices) -> float:
    """Of one image's forward pass, counted as in `network.count_flops`."""
    rest, edge = _counts(shape)
    threes, ones = plan(choices).convolutions
    return rest + edge * (9 * threes + ones)


class SearchCell(nn.Module):
    """A cell with both convolutions on every edge; the other operations have no weights."""

    def __init__(self, channels: int, *, affine: bool) -> None:
        super().__init__()
        self.channels = channels
        self.convs = nn.ModuleDict()
        for op, size in ((cell.CONV3, 3), (cell.CONV1, 1)):
            for e in range(6):
                conv = nn.Conv2d(channels, channels, size, padding=size // 2, bias=False)
                self.convs[f"{op}-{e}"] = conv
        self.norms = nn.ModuleDict()
        if affine:
            for op in _KERNELS:
                for e in range(6):
                    self.norms[f"{op}-{e}"] = nn.BatchNorm2d(channels, track_running_stats=False)

    def forward(self, x: Tensor, work: Plan, gates: Tensor | None) -> Tensor:
        """(B, channels, H, W) -> the same shape; zeros where nothing reaches the output."""
        nodes: list[Tensor | None] = [x, None, None, None]
        for source, edges in enumerate(work.edges):
            value = nodes[source]
            if value is None:
                continue
            if edges[cell.CONV3] or edges[cell.CONV1]:
                rectified = functional.relu(value)
                for op in _KERNELS:
                    if edges[op]:
                        outs = self._convolve(rectified, op, edges[op], gates).chunk(len(edges[op]), dim=1)
                        for e, out in zip(edges[op], outs, strict=True):
                            _add(nodes, e, out)
            for op in (cell.SKIP, cell.POOL):
                if edges[op]:
                    plain = value if op == cell.SKIP else functional.avg_pool2d(value, 3, 1, 1, count_include_pad=False)
                    for e in edges[op]:
                        _add(nodes, e, plain if gates is None else plain * gates[e, op])
        answer = nodes[3]
        return torch.zeros_like(x) if answer is None else answer

    def _convolve(self, x: Tensor, op: int, edges: tuple[int, ...], gates: Tensor | None) -> Tensor:
        """Convolution, norm and gate of several edges at once: (B, channels, H, W) -> (B, edges x channels, H, W)."""
        names = [f"{op}-{e}" for e in edges]
        weight = _joined([self.convs[name] for name in names], "weight")
        scale = None if gates is None else gates[list(edges), op].repeat_interleave(self.channels)
        shift: Tensor | None = None
        if self.norms:
            norms = [self.norms[name] for name in names]
            own, offset = _joined(norms, "weight"), _joined(norms, "bias")
            scale, shift = (own, offset) if scale is None else (own * scale, offset * scale)
        out = functional.conv2d(x, weight, padding=1 if op == cell.CONV3 else 0)
        return functional.batch_norm(out, None, None, scale, shift, training=True)


def _add(nodes: list[Tensor | None], edge: int, value: Tensor) -> None:
    target = cell.EDGES[edge][1]
    present = nodes[target]
    nodes[target] = value if present is None else present + value


def _joined(modules: Sequence[nn.Module], part: str) -> Tensor:
    parts: list[Tensor] = [getattr(module, part) for module in modules]  # not always a Parameter: `functional_call`
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class Supernet(nn.Module):
    """All cells at once; see the module.

    Args:
        shape: the skeleton.
        affine: whether the norms inside cells have scale and shift.

    Weights are drawn from torch's global generator; wrap the call in `torch.random.fork_rng` to leave it untouched.
    """

    def __init__(self, shape: Shape, *, affine: bool = False) -> None:
        super().__init__()
        c = shape.channels
        self.shape, self.affine = shape, affine
        self.stem = ConvBN(shape.inputs, c, 3)
        stages: list[nn.Module] = [SearchCell(c, affine=affine) for _ in range(shape.cells)]
        for width in (2 * c, 4 * c):
            stages.append(Residual(width // 2, width))
            stages.extend(SearchCell(width, affine=affine) for _ in range(shape.cells))
        self.stages = nn.ModuleList(stages)
        self.bn = nn.BatchNorm2d(4 * c)
        self.head = nn.Linear(4 * c, shape.classes)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.track_running_stats = False
                module.running_mean = module.running_var = module.num_batches_tracked = None

    def forward(self, images: Tensor, choices: Choices, gates: Tensor | None = None) -> Tensor:
        """(B, inputs, H, W) images -> (B, classes) logits."""
        work = plan(choices)
        x = self.stem(images)
        for stage in self.stages:
            x = stage(x, work, gates) if isinstance(stage, SearchCell) else stage(x)
        x = functional.relu(self.bn(x))
        out: Tensor = self.head(x.mean(dim=(2, 3)))
        return out

    def standalone(self, arch: int, calibration: Iterable[Tensor] = ()) -> Network:
        """A copy of one path as a network of its own.

        Args:
            arch: the cell.
            calibration: batches of training images, as the network is fed them, whose statistics the norms then keep.

        Returns:
            the network, in evaluation mode if it was calibrated and else in training mode (statistics of the batch).
        """
        device = self.head.weight.device
        with torch.random.fork_rng(devices=[]):  # its weights are drawn, then overwritten
            network = Network(arch, self.shape).to(device)
        own = self.state_dict()
        taken = {name: own[name] for name in network.state_dict() if name in own}
        for number, stage in enumerate(network.stages):
            if isinstance(stage, Cell):
                taken |= _path_weights(own, f"stages.{number}.", stage)
        network.load_state_dict(network.state_dict() | taken)
        batches = list(calibration)
        return _calibrated(network, batches) if batches else network


def _path_weights(own: dict[str, Tensor], prefix: str, stage: Cell) -> dict[str, Tensor]:
    """The weights of a stand-alone cell's edges, by the names they have there."""
    found = {}
    for e in stage.edges:
        name = f"{stage.ops[int(e)]}-{e}"
        found[f"{prefix}edges.{e}.conv.weight"] = own[f"{prefix}convs.{name}.weight"]
        for part in ("weight", "bias"):
            norm = f"{prefix}norms.{name}.{part}"
            if norm in own:
                found[f"{prefix}edges.{e}.bn.{part}"] = own[norm]
    return found


@torch.no_grad()
def _calibrated(network: Network, batches: Sequence[Tensor]) -> Network:
    """Norms with the mean statistics of these batches."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over batches
    network.train()
    for images in batches:
        network(images)
    return network.eval()
