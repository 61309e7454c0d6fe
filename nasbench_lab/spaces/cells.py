"""Four-node cells with any set of operations: strings, isomorphism classes, and their place among NAS-Bench-201's.

A cell has 4 nodes and 6 edges 0-1, 0-2, 1-2, 0-3, 1-3, 2-3 (node 0 the input, node 3 the output); every edge carries
one operation. What an operation *is* says its role: `none` (nothing passes), `skip` (identity), `1x1`, `3x3` (convolutions),
`pool`. NAS-Bench-201 has one of each (Dong & Yang, ICLR 2020), TransNAS-Bench-101's micro space all but pooling (Duan et
al., CVPR 2021).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import IntArray, Space

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
PATHS = ((3,), (0, 4), (1, 5), (0, 2, 5))  # input-to-output paths, as positions in EDGES
ROLES = ("none", "skip", "1x1", "3x3", "pool")
NONE, SKIP, CONV1, CONV3, POOL = range(5)


def make(operations: Mapping[str, str], *, name: str, order: IntArray | None = None) -> Space:
    """The space of all cells with these operations.

    Args:
        operations: label -> role, in the order of the options.
        name: of the space.
        order: see `Space`.

    Raises:
        ValueError: a role that there is not.
    """
    labels, roles = tuple(operations), tuple(operations.values())
    decisions = [Decision(f"{a}-{b}", labels) for a, b in EDGES]
    checked_roles(roles, decisions)
    classes = _classes(labels, roles, order)
    return Space(decisions, order=order, classes=classes, name=name, roles=roles)


def checked_roles(roles: Sequence[str], decisions: Sequence[Decision]) -> None:
    """Raises ValueError: not six decisions with the same operations, not one role for each of these, or one that there is not."""
    if len(decisions) != len(EDGES) or len({each.options for each in decisions}) > 1:
        raise ValueError("roles are of a four-node cell: six decisions with the same operations")
    count = len(decisions[0].options)
    if len(roles) != count or any(role not in ROLES for role in roles):
        raise ValueError(f"a cell has a role for each of its {count} operations, of {', '.join(ROLES)}; got {roles}")


def numbered(space: Space, text: str) -> int | None:
    """The cell whose index a text is; None where it is no number.

    Raises:
        ValueError: an index that there is not.
    """
    if not re.fullmatch(r"-?(0|[1-9][0-9]*)", text):  # "007" may be a label
        return None
    arch = int(text)
    if not 0 <= arch < space.size:
        raise ValueError(f"a cell's index lies in 0..{space.size - 1}, got {arch}")
    return arch


def is_cell(space: Space) -> bool:
    """Whether a space is one of four-node cells."""
    return bool(space.roles)


def labels_of(space: Space) -> tuple[str, ...]:
    """The names of a cell's operations."""
    return tuple(map(str, space.decisions[0].options))


def kinds(space: Space) -> NDArray[np.int8]:
    """(N, 6) role of every edge's operation, as positions in `ROLES`."""
    found: NDArray[np.int8] = np.array([ROLES.index(role) for role in space.roles], dtype=np.int8)[space.choices]
    return found


def canonical(ops: Sequence[int], labels: Sequence[str], roles: Sequence[str]) -> str:
    """The official unique string: equal for two cells iff the benchmark calls them isomorphic.

    A node is the sorted sum of its incoming `(parent)@op`; a skip is the parent itself; `none`, or a dead parent,
    is `#` (NATS-Bench's `to_unique_str(consider_zero=True)`). 6,466 distinct strings of NAS-Bench-201, 1,236 of
    TransNAS-Bench-101's micro space.
    """
    nodes = ["0"]
    for node in (1, 2, 3):
        terms = []
        for (source, target), op in zip(EDGES, ops, strict=True):
            if target != node:
                continue
            if roles[op] == "none" or nodes[source] == "#":
                terms.append("#")
            elif roles[op] == "skip":
                terms.append(nodes[source])
            else:
                terms.append(f"({nodes[source]})@{labels[op]}")
        nodes.append("+".join(sorted(terms)))
    return nodes[-1]


def _classes(labels: Sequence[str], roles: Sequence[str], order: IntArray | None) -> IntArray:
    """(N,) class numbers, in order of the first (lowest-index) member."""
    count = len(labels) ** len(EDGES)
    places = range(count) if order is None else order.tolist()
    strings = [""] * count
    for place, ops in zip(places, product(range(len(labels)), repeat=len(EDGES)), strict=True):
        strings[place] = canonical(ops, labels, roles)
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(s, len(numbers)) for s in strings])


def to_string(space: Space, arch: int) -> str:
    """A cell as NAS-Bench-201 writes it, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
    return string_of([labels_of(space)[op] for op in space.row(arch)])


def string_of(names: Sequence[str]) -> str:
    """The same of the names of six operations."""
    nodes = (names[:1], names[1:3], names[3:])
    return "+".join("|" + "|".join(f"{name}~{i}" for i, name in enumerate(node)) + "|" for node in nodes)


def from_string(space: Space, text: str) -> int:
    """The index of such a string.

    Raises:
        ValueError: not the string of a cell of this space; says which part is wrong.
    """
    labels, found = labels_of(space), list[int]()
    nodes = text.strip().split("+")
    if len(nodes) != 3:
        raise ValueError(f"a cell string has 3 nodes joined by '+', got {len(nodes)} in {text!r}")
    for node, part in enumerate(nodes, start=1):
        edges = part[1:-1].split("|")
        if len(edges) != node or not (part.startswith("|") and part.endswith("|")):
            raise ValueError(f"node {node} needs {node} edges written |op~0|...|, got {part!r}")
        for source, edge in enumerate(edges):
            name, _, parent = edge.partition("~")
            if name not in labels or parent != str(source):
                raise ValueError(
                    f"edge {source}->{node} must be 'op~{source}' with op in {', '.join(labels)}, got {edge!r}"
                )
            found.append(labels.index(name))
    return space.index(found)


def canonical_of(space: Space, arch: int) -> str:
    """`canonical` of a cell."""
    return canonical(space.row(arch), labels_of(space), space.roles)


def describe(space: Space, arch: int) -> dict[str, Any]:
    """The operations of a cell, by edge."""
    labels = labels_of(space)
    return {f"{a}-{b}": labels[op] for (a, b), op in zip(EDGES, space.row(arch), strict=True)}
