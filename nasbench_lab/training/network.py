"""The NAS-Bench-201 network of any cell (Dong & Yang, ICLR 2020), for any width, depth, input and number of classes.

    image -> 3x3 conv, BN -> N cells (C) -> residual /2 -> N cells (2C) -> residual /2 -> N cells (4C)
          -> BN, ReLU -> mean over pixels -> linear

Convolutions inside are ReLU-Conv-BN, the 3x3 average pool does not count padding and has no BN, a skip is the
identity, and weights start as torch draws them: all as in the authors' `TinyNetwork`. Shapes: images (B, channels,
H, W), H and W divisible by 4; logits (B, classes).

Two counts of parameters, both wanted. The benchmark publishes the cost of all six edges, whether or not anything
reaches the output through them: `Network(arch, nominal=True)` builds them all and has exactly `cell.params_m`. An
unreachable edge never changes the function, so by default it is not built, not run and not trained (its weights
would get no gradient); `Network(arch)` then has the parameters of the cell's live edges only. FLOPs are the same
story: the published figure is the multiply-adds of every convolution and of the linear layer, all six edges, plus
one addition per class for the linear bias; BN, ReLU, pooling and sums are not counted. `count_flops` returns that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from nasbench_lab.spaces import cell


@dataclass(frozen=True)
class Shape:
    """The macro skeleton: what is around the cell.

    Args:
        channels: C, width of the first stage.
        cells: N, cells per stage.
        classes: number of labels.
        inputs: channels of the image.
        size: height and width of the image, a multiple of 4 (the residual blocks' pool and stride-2 conv must agree).

    Raises:
        ValueError: a number below 1, or a size not divisible by 4.
    """

    channels: int = 16
    cells: int = 5
    classes: int = 10
    inputs: int = 3
    size: int = 32

    def __post_init__(self) -> None:
        if min(self.channels, self.cells, self.classes, self.inputs, self.size) < 1:
            raise ValueError(f"every number of a shape must be at least 1, got {self}")
        if self.size % 4:
            raise ValueError(f"size must be divisible by 4 (two halvings), got {self.size}")


CIFAR10 = Shape()
CIFAR100 = Shape(classes=100)
IMAGENET16 = Shape(classes=120, size=16)


class ConvBN(nn.Module):
    """Conv-BN of an input that has been through the ReLU already (so that a node's ReLU is shared by its edges)."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        out: Tensor = self.bn(self.conv(x))
        return out


class Cell(nn.Module):
    """One cell: four nodes, each the sum of its incoming edges.

    Args:
        ops: six operations in the order of `cell.EDGES`, as positions in `cell.OPS`.
        channels: width, the same at every node.
    """

    def __init__(self, ops: cell.Ops, channels: int) -> None:
        super().__init__()
        self.ops = tuple(int(op) for op in ops)
        kernels = {cell.CONV1: 1, cell.CONV3: 3}
        self.edges = nn.ModuleDict(
            {str(e): ConvBN(channels, channels, kernels[op]) for e, op in enumerate(self.ops) if op in kernels}
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, H, W) -> the same shape; zeros where no edge reaches the output."""
        nodes: list[Tensor | None] = [x, None, None, None]
        rectified: dict[int, Tensor] = {}
        pooled: dict[int, Tensor] = {}
        for e, (source, target) in enumerate(cell.EDGES):
            value, op = nodes[source], self.ops[e]
            if op == cell.NONE or value is None:
                continue
            if op == cell.POOL:
                if source not in pooled:
                    pooled[source] = functional.avg_pool2d(value, 3, 1, 1, count_include_pad=False)
                value = pooled[source]
            elif op != cell.SKIP:
                if source not in rectified:
                    rectified[source] = functional.relu(value)
                value = self.edges[str(e)](rectified[source])
            present = nodes[target]
            nodes[target] = value if present is None else present + value
        out = nodes[3]
        return torch.zeros_like(x) if out is None else out


class Residual(nn.Module):
    """The block between stages: half the size, twice the channels (the authors' `ResNetBasicblock`, stride 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = ConvBN(inputs, outputs, 3, stride=2)
        self.second = ConvBN(outputs, outputs, 3)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / 2, W / 2)."""
        out: Tensor = self.second(functional.relu(self.first(functional.relu(x))))
        shortcut: Tensor = self.shortcut(functional.avg_pool2d(x, 2, 2))
        return shortcut + out


class Network(nn.Module):
    """The network of one cell.

    Args:
        arch: index of the cell, 0..15624.
        shape: the skeleton; CIFAR-10's by default.
        nominal: also build the edges that nothing reaches (for counting; they are never run to any effect).

    Weights are drawn from torch's global generator; wrap the call in `torch.random.fork_rng` to leave it untouched.

    Raises:
        ValueError: no such cell.
    """

    def __init__(self, arch: int, shape: Shape = CIFAR10, *, nominal: bool = False) -> None:
        super().__init__()
        if not 0 <= arch < cell.SPACE.size:
            raise ValueError(f"a cell's index lies in 0..{cell.SPACE.size - 1}, got {arch}")
        ops = cell.ops(arch) if nominal else tuple(cell.live_choices()[arch].tolist())
        c = shape.channels
        self.shape = shape
        self.stem = ConvBN(shape.inputs, c, 3)
        stages: list[nn.Module] = [Cell(ops, c) for _ in range(shape.cells)]
        for width in (2 * c, 4 * c):
            stages.append(Residual(width // 2, width))
            stages.extend(Cell(ops, width) for _ in range(shape.cells))
        self.stages = nn.Sequential(*stages)
        self.bn = nn.BatchNorm2d(4 * c)
        self.head = nn.Linear(4 * c, shape.classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, inputs, H, W) images -> (B, classes) logits."""
        x = functional.relu(self.bn(self.stages(self.stem(images))))
        out: Tensor = self.head(x.mean(dim=(2, 3)))
        return out


def count_params(network: nn.Module) -> int:
    """Trainable parameters."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def count_flops(network: nn.Module) -> int:
    """Multiply-adds of one image as the benchmark counts them: convolutions, linear layer and its bias.

    torch's counter counts two operations for every multiply-add and leaves the bias out.

    Args:
        network: with the `shape` that it was built for.
    """
    device, shape = next(network.parameters()).device, network.shape
    if not isinstance(shape, Shape):
        raise TypeError(f"the network's shape must be a Shape, got {shape!r}")
    image = torch.zeros(1, shape.inputs, shape.size, shape.size, device=device)
    training = network.training
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network.eval()(image)
    network.train(training)
    return counter.get_total_flops() // 2 + shape.classes
