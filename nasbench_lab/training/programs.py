"""What a network does, as a list of operations: so that the same operations of many networks can be done at once.

Value 0 of a program is the image, value i what its i-th operation (from 1) gives; the last one's are the logits. Values
are maps (C, H, W) of one image; vectors are maps of one pixel. `slot` says when an operation is due: one reads values
of earlier slots alone, and operations of one slot that are alike in `kind` are done together, whoever's they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from torch import nn

from nasbench_lab.spaces import cell
from nasbench_lab.training.chain_network import ChainNetwork
from nasbench_lab.training.network import Cell, ConvBN, Network, Residual

Map = tuple[int, int, int]


class Kind(NamedTuple):
    """What two operations must have in common to be done as one.

    Attributes:
        what: conv, linear, avg, max, mean, sum, zero, or norm (nothing but the norm).
        window, stride, padding: of conv, avg and max; else 0.
        reads: maps that go in. gives: the map that comes out.
        norm: batch norm afterwards. bias: of a linear layer. before, after: ReLU of what is read, and of what is given.
    """

    what: str
    reads: tuple[Map, ...]
    gives: Map
    window: int = 0
    stride: int = 0
    padding: int = 0
    norm: bool = False
    bias: bool = False
    before: bool = False
    after: bool = False


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation of one network; `layer` and `norm` hold its weights, by their names `layer_name` and `norm_name`."""

    slot: int
    kind: Kind
    reads: tuple[int, ...]
    layer: nn.Module | None = None
    norm: nn.Module | None = None


Program = list[Operation]


def trained(program: Program) -> list[bool]:
    """Whether the loss depends on an operation: what a cell that passes nothing on cuts off gets no gradient, not even 0."""
    found = [False] * len(program) + [True]
    for number in range(len(program), 0, -1):
        operation = program[number - 1]
        if found[number] and operation.kind.what != "zero":
            for read in operation.reads:
                found[read] = True
    return found[1:]


def program(network: nn.Module) -> Program:
    """The operations of a network.

    Raises:
        TypeError: one that is none of ours.
    """
    if isinstance(network, Network):
        return _of_cells(network)
    if isinstance(network, ChainNetwork):
        return _of_chain(network)
    raise TypeError(f"only networks of cells and chains can be trained together, got {type(network).__name__}")


class _Writer:
    """A program being written: `slot` is that of the next operation."""

    def __init__(self, image: Map) -> None:
        self.maps, self.program, self.slot = [image], Program(), 0

    def write(
        self, what: str, reads: tuple[int, ...], gives: Map, *, slot: int | None = None, layer: nn.Module | None = None,
        norm: nn.Module | None = None, **more: Any,
    ) -> int:  # fmt: skip
        """An operation; returns the number of what it gives."""
        kind = Kind(what, tuple(self.maps[read] for read in reads), gives, norm=norm is not None, **more)
        self.program.append(Operation(self.slot if slot is None else slot, kind, reads, layer, norm))
        self.maps.append(gives)
        return len(self.program)

    def conv(self, conv: nn.Conv2d, norm: nn.Module | None, read: int, **more: Any) -> int:
        _, height, width = self.maps[read]
        window, stride, padding = (int(n[0]) for n in (conv.kernel_size, conv.stride, conv.padding))
        below, across = ((side + 2 * padding - window) // stride + 1 for side in (height, width))
        more |= {"window": window, "stride": stride, "padding": padding}
        return self.write("conv", (read,), (conv.out_channels, below, across), layer=conv, norm=norm, **more)

    def pool(self, what: str, read: int, window: int, stride: int, padding: int, **more: Any) -> int:
        channels, *sides = self.maps[read]
        height, width = ((side + 2 * padding - window) // stride + 1 for side in sides)
        more |= {"window": window, "stride": stride, "padding": padding}
        return self.write(what, (read,), (channels, height, width), **more)

    def head(self, head: nn.Linear, read: int) -> None:
        """Mean over pixels and linear layer; at the same slots in networks of any depth."""
        channels = self.maps[read][0]
        if self.maps[read][1:] != (1, 1):
            read = self.write("mean", (read,), (channels, 1, 1), slot=1 << 20)
        self.write("linear", (read,), (head.out_features, 1, 1), slot=(1 << 20) + 1, layer=head, bias=True)


def _of_cells(network: Network) -> Program:
    shape, writer = network.shape, _Writer((network.shape.inputs, network.shape.size, network.shape.size))
    x = writer.conv(network.stem.conv, network.stem.bn, 0)
    writer.slot += 1
    for stage in network.stages:
        x = _cell(writer, stage, x) if isinstance(stage, Cell) else _residual(writer, stage, x)
    x = writer.write("norm", (x,), writer.maps[x], norm=network.bn, after=True)
    assert writer.maps[x][0] == 4 * shape.channels
    writer.head(network.head, x)
    return writer.program


def _cell(writer: _Writer, module: Cell, x: int) -> int:
    """What leaves node s is due at slot 2 s, the sum at node s at 2 s - 1."""
    base, nodes, pooled = writer.slot, [x], dict[int, int]()
    for target in (1, 2, 3):
        incoming = []
        for e, (source, end) in enumerate(cell.EDGES):
            op, value = module.ops[e], nodes[source] if source < len(nodes) else -1
            if end != target or op == cell.NONE or value < 0:
                continue
            writer.slot = base + 2 * source
            if op == cell.POOL:
                if source not in pooled:
                    pooled[source] = writer.pool("avg", value, 3, 1, 1)
                value = pooled[source]
            elif op != cell.SKIP:
                edge = module.edges[str(e)]
                assert isinstance(edge, ConvBN)
                value = writer.conv(edge.conv, edge.bn, value, before=True)
            incoming.append(value)
        writer.slot = base + 2 * target - 1
        if len(incoming) > 1:
            incoming = [writer.write("sum", tuple(incoming), writer.maps[x])]
        nodes.append(incoming[0] if incoming else -1)
    if nodes[3] < 0:
        nodes[3] = writer.write("zero", (x,), writer.maps[x])
    writer.slot = base + 6
    return nodes[3]


def _residual(writer: _Writer, module: nn.Module, x: int) -> int:
    assert isinstance(module, Residual)
    first = writer.conv(module.first.conv, module.first.bn, x, before=True)
    halved = writer.pool("avg", x, 2, 2, 0)
    writer.slot += 1
    second = writer.conv(module.second.conv, module.second.bn, first, before=True)
    shortcut = writer.conv(module.shortcut, None, halved)
    writer.slot += 1
    out = writer.write("sum", (shortcut, second), writer.maps[second])
    writer.slot += 1
    return out


def _of_chain(network: ChainNetwork) -> Program:
    writer, x, modules = _Writer((network.shape.inputs, network.shape.size, network.shape.size)), 0, [*network.layers]
    for module, following in zip(modules, [*modules[1:], None], strict=True):
        if isinstance(module, nn.MaxPool2d):
            pool: Any = module  # typed as numbers or pairs; here they are numbers
            x = writer.pool("max", x, pool.kernel_size, pool.stride, pool.padding)
        elif isinstance(module, nn.Conv2d):
            x = writer.conv(module, following, x, after=True)
        elif isinstance(module, nn.Linear):
            x = writer.write("linear", (x,), (module.out_features, 1, 1), layer=module, norm=following, after=True)
        writer.slot += 1
    writer.head(network.head, x)
    return writer.program
