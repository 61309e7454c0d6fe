"""Graph network on a cell's operations, an ensemble trained at once (Shi et al. 2020, BONAS; Ning et al. 2020, GATES).

Nodes are the input, the six operations and the output, arcs lead from one to the next (`cell.adjacency`); operations on
no path from input to output count as `none` and stay apart. Notation: M members, B graphs, V nodes, w units.

    H' = relu(H W + A H F + A' H G + b)     A (B, V, V) arcs into a node, A' arcs out of it; H (B, V, w)
    readout: the output node beside the mean of all nodes, then one linear layer

As BONAS: graph convolutions whose readout feeds a regression. As GATES: information flows along the directed graph.
Deviations: both directions, sums over arcs instead of means (how many paths meet matters), an ensemble instead of
Bayesian regression on the embedding; an absolute loss on transformed scores. Members, withheld rows and calibrated
spread are those of `mlp`. Another space than four-node cells is the complete graph of its decisions, each with its
option. In float64, as training amplifies rounding errors: they must stay below what choices are compared in (`_settled`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import cell, cells, encodings
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.surrogates._rows import RowModel, added_noise, folds, spaced
from nasbench_lab.surrogates._scale import check_targets

_CHUNK = 512  # graphs predicted at once


@dataclass
class GraphNetworks(RowModel):
    """An ensemble of graph networks.

    Attributes:
        members: networks; at least 2.
        width: units of a node.
        layers: rounds of messages; three reach from the input to the output of any cell.
        targets: transform of the scores, a name of `_targets.TRANSFORMS` (blended, rank_gauss, standardised, ...), or none.
        steps: of AdamW, for all networks at once.
        batch: graphs of a step.
        learning_rate: at the start; it falls to 0 along a half cosine.
        weight_decay: decoupled, of the weights.
    """

    members: int = 4
    width: int = 32
    layers: int = 3
    targets: str = "blended"
    steps: int = 250
    batch: int = 50
    learning_rate: float = 0.01
    weight_decay: float = 0.01

    requires = ("torch",)

    features = "live"  # no field: cells with equal live operations are equal graphs

    def __post_init__(self) -> None:
        check_targets(self.targets)
        least = {"members": 2, "width": 1, "layers": 1, "steps": 1, "batch": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} must be at least {value}, got {getattr(self, name)}")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            got = f"{self.learning_rate} and {self.weight_decay}"
            raise ValueError(f"need learning_rate > 0 and weight_decay >= 0, got {got}")

    def _rows(self, space: Space) -> encodings.Rows:
        self.nodes_, self.arcs_ = map(torch.tensor, _graphs(space))  # its own: a tensor cannot be read-only
        return super()._rows(space)

    def _learn(self, rows: IntArray, targets: FloatArray, rng: np.random.Generator) -> None:
        withheld = folds(rows, self.members, rng)
        use = torch.from_numpy((withheld != np.arange(self.members)[:, None]).astype(np.float64))
        goal = torch.from_numpy(np.asarray(targets, dtype=np.float64))
        self.weights_ = self._first_weights(rng)
        for weight in self.weights_:
            weight.requires_grad_(True)
        optimiser = torch.optim.AdamW(self.weights_, lr=self.learning_rate, weight_decay=self.weight_decay)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, self.steps)
        nodes, arcs = self.nodes_[rows], self.arcs_[rows]
        each, order = max(len(rows) // self.batch, 1), np.arange(0)
        for step in range(self.steps):
            if step % each == 0:
                order = rng.permutation(len(rows))
            batch = torch.from_numpy(order[step % each :: each])
            errors = (self._forward(nodes[batch], arcs[batch]) - goal[batch]).abs()
            optimiser.zero_grad(set_to_none=True)
            ((errors * use[:, batch]).sum() / len(batch)).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
        self.weights_ = [weight.detach() for weight in self.weights_]
        self.noise_ = self._noise(rows, targets, withheld)

    def _first_weights(self, rng: np.random.Generator) -> list[Tensor]:
        """Of every layer (M, 3 in, w) and (M, 1, w), then of the readout (M, 2 w, 1)."""
        found = []
        for inputs, units in pairwise([self.nodes_.shape[2], *[self.width] * self.layers]):
            spread = np.sqrt(2.0 / (3 * inputs))
            found += [rng.standard_normal((self.members, 3 * inputs, units)) * spread]
            found += [rng.uniform(-0.1, 0.1, (self.members, 1, units))]
        found.append(rng.standard_normal((self.members, 2 * self.width, 1)) * np.sqrt(0.05 / self.width))
        return [torch.from_numpy(values.astype(np.float64)) for values in found]

    def _forward(self, nodes: Tensor, arcs: Tensor) -> Tensor:
        """(M, B) targets of graphs: nodes (B, V, d), arcs (B, V, V)."""
        graphs, size, _ = nodes.shape
        hidden = nodes.expand(self.members, -1, -1, -1)
        for weight, bias in zip(self.weights_[:-1:2], self.weights_[1:-1:2], strict=True):
            flat = hidden.permute(1, 2, 0, 3).reshape(graphs, size, -1)  # (B, V, M d): one product for all members
            messages = [flat, torch.bmm(arcs, flat), torch.bmm(arcs.transpose(1, 2), flat)]
            stacked = torch.stack([m.view(graphs, size, self.members, -1) for m in messages], dim=3)
            rows = stacked.permute(2, 0, 1, 3, 4).reshape(self.members, graphs * size, -1)
            hidden = torch.relu(torch.baddbmm(bias, rows, weight)).view(self.members, graphs, size, -1)
        read = torch.cat([hidden[:, :, -1], hidden.mean(dim=2)], dim=2)
        return torch.bmm(read, self.weights_[-1])[:, :, 0]

    def _by_member(self, rows: IntArray) -> FloatArray:
        """(M, m) targets at rows."""
        parts = []
        with torch.no_grad():
            for start in range(0, len(rows), _CHUNK):
                some = rows[start : start + _CHUNK]
                parts.append(self._forward(self.nodes_[some], self.arcs_[some]).numpy())
        return np.concatenate(parts, axis=1).astype(np.float64)

    def _noise(self, rows: IntArray, targets: FloatArray, withheld: IntArray) -> float:
        """See `added_noise`."""
        squares = (self._by_member(rows)[withheld, np.arange(len(rows))] - targets) ** 2
        return added_noise(squares, 2.0 * self._by_member(spaced(self.row_of_)).var(axis=0))

    def _moments(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        found = self._by_member(rows)
        return found.mean(axis=0), np.sqrt(found.var(axis=0) + self.noise_)


@lru_cache(maxsize=4)
def _graphs(space: Space) -> tuple[FloatArray, FloatArray]:
    """Nodes (R, V, d) and arcs (R, V, V), arcs[:, i, j] from j to i, of the distinct rows of a space."""
    rows = encodings.rows("live", space).values
    nodes, arcs = _cell_graphs(rows) if cells.is_cell(space) else _complete_graphs(rows, space)
    return frozen((nodes.astype(np.float64), arcs.astype(np.float64)))


def _cell_graphs(live: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Of one-hot live operations (R, 30): 8 nodes, 5 operations, input and output; the last node is the output."""
    ops = live.reshape(-1, 6, 5)
    nodes = np.zeros((len(ops), 8, 7))
    nodes[:, 1:7, :5] = ops
    nodes[:, 0, 5] = nodes[:, 7, 6] = 1.0
    alive = ops[:, :, cell.NONE] == 0
    arcs = np.zeros((len(ops), 8, 8))
    for i, (source, target) in enumerate(cell.EDGES):
        arcs[:, i + 1, 0] = alive[:, i] & (source == 0)
        arcs[:, 7, i + 1] = alive[:, i] & (target == 3)
        for j, (other, _) in enumerate(cell.EDGES):
            if other == target:
                arcs[:, j + 1, i + 1] = alive[:, i] & alive[:, j]
    return nodes, arcs


def _complete_graphs(rows: FloatArray, space: Space) -> tuple[FloatArray, FloatArray]:
    """A node for every decision, with its part of the row; every node hears the mean of the others."""
    count = len(space.options)
    nodes = rows[:, None, :] * (encodings.plain_decisions(space) == np.arange(count)[:, None])
    arcs = np.broadcast_to((1.0 - np.eye(count)) / max(count - 1, 1), (len(rows), count, count))
    return nodes, arcs
