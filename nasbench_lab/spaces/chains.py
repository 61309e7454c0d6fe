"""Decisions that share their labels: what a chain of stages, or any set of alike decisions, has in common.

Stages that choose among the same blocks, edges among the same operations, layers among the same widths: how often each
label is taken, and how early, says more of a few results than every decision by itself. Notation: N cells, E decisions.

    counts   (N, K)   per group of alike decisions: how often each label is taken; of ordered ones, the sum of their levels
    places   (N, K)   the same with decisions weighted from -1 (the first of the group) to 1 (the last): where it is taken
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from nasbench_lab.spaces.decisions import Label
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.spaces.space import FloatArray, Space


def alike(space: Space) -> list[list[int]]:
    """Groups of two or more decisions with a choice among the same labels, by their numbers."""
    groups: dict[tuple[bool, frozenset[Label]], list[int]] = {}
    for edge, each in enumerate(space.decisions):
        if len(each.options) > 1:
            groups.setdefault((each.ordered, frozenset(each.options)), []).append(edge)
    return [edges for edges in groups.values() if len(edges) > 1]


@lru_cache(maxsize=8)
def counts(space: Space) -> FloatArray:
    """(N, K) how often labels are taken; K = 0 where no decisions are alike."""
    parts = [_taken(space, edges, np.ones(len(edges))) for edges in alike(space)]
    return frozen(np.concatenate(parts or [_none(space)], axis=1))


@lru_cache(maxsize=8)
def places(space: Space) -> FloatArray:
    """(N, K) how late labels are taken; K = 0 where no decisions are alike."""
    parts = [_taken(space, edges, np.linspace(-1.0, 1.0, len(edges))) for edges in alike(space)]
    return frozen(np.concatenate(parts or [_none(space)], axis=1))


def _none(space: Space) -> FloatArray:
    return np.empty((space.size, 0))


def _taken(space: Space, edges: list[int], weights: FloatArray) -> FloatArray:
    """(N, K) weights of the decisions that take each label, added up; (N, 1) levels times weights of ordered ones."""
    first = space.decisions[edges[0]]
    if first.ordered:
        return space.levels[:, edges] @ weights[:, None]
    out = np.zeros((space.size, len(first.options)))
    for edge, weight in zip(edges, weights.tolist(), strict=True):
        column = np.array([first.number(label) for label in space.decisions[edge].options])
        out[np.arange(space.size), column[space.choices[:, edge]]] += weight
    return out
