"""The NAS-Bench-201 cell (Dong & Yang, ICLR 2020): 4 nodes, 6 edges, 5 operations, 15,625 cells, as arrays.

Edges in official order 0-1, 0-2, 1-2, 0-3, 1-3, 2-3; node 0 is the input, node 3 the output. `SPACE` is the
`Space` in official order (index 0..15624, also NATS-Bench's); only this module knows strings. Notation: A = 15,625.

    ops matrix       (A, 6)  op of every edge, 0 none 1 skip_connect 2 nor_conv_1x1 3 nor_conv_3x3 4 avg_pool_3x3
    reachable        (A, 6)  edge lies on some path from input to output along edges that are not `none`
    classes          (A,)    0..6465, equal for cells the official unique string calls the same

Everything is computed once, on first use, in a few hundred milliseconds.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.errors import LabError
from nasbench_lab.spaces import cells
from nasbench_lab.spaces.frozen import ReadOnly, frozen
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.spaces.whole import whole_number

EDGES, PATHS, ROLES = cells.EDGES, cells.PATHS, cells.ROLES
NONE, SKIP, CONV1, CONV3, POOL = cells.NONE, cells.SKIP, cells.CONV1, cells.CONV3, cells.POOL
CLASSES = 6466
OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_NASLIB_OPS = (1, 0, 3, 2, 4)  # ours -> NASLib's number (0 skip 1 none 2 conv3x3 3 conv1x1 4 avgpool)
_NASLIB_EDGES = (0, 1, 3, 2, 4, 5)  # NASLib's edge order 12 13 14 23 24 34, as positions in EDGES

FloatArray = NDArray[np.float64]
T = TypeVar("T")
Ops = tuple[int, ...]

# params (M) = base + 0.24304 n3x3 + 0.028 n1x1; FLOPs (M) = base + per-edge: exact for the benchmark's macro
# skeleton (C = 16, N = 5), checked against the published figures of all cells.
_PARAMS_BASE = ReadOnly({"cifar10": 0.073306, "cifar100": 0.079156, "ImageNet16-120": 0.080456})
_FLOPS = ReadOnly(
    {
        "cifar10": (7.78305, 35.38944, 3.93216),
        "cifar100": (7.7889, 35.38944, 3.93216),
        "ImageNet16-120": (1.9534, 8.84736, 0.98304),
    }
)


def _official_order() -> IntArray:
    """Lexicographic position -> official index; the shuffle is the one of the authors' generator (seed 88)."""
    positions = list(range(5**6))
    random.Random(88).shuffle(positions)  # positions[i] = lexicographic position of official index i
    return np.argsort(np.array(positions))


def canonical_string(ops: Ops) -> str:
    """The official unique string, see `cells.canonical`; 6,466 distinct ones over the space."""
    return cells.canonical(ops, OPS, ROLES)


def _make_space() -> Space:
    return cells.make(dict(zip(OPS, ROLES, strict=True)), name="nas-bench-201", order=_official_order())


SPACE = _make_space()


def needed(space: Space, whose: str, what: str) -> None:
    """Refuse another space where NAS-Bench-201's cells alone will do.

    Args:
        space: that is there.
        whose: "table 'mine'", as the sentence's subject.
        what: is for these cells, with its verb: "networks are built".

    Raises:
        LabError: it is another space.
    """
    if space != SPACE:
        raise LabError(f"{whose} is of the space {space.name!r}; {what} for {SPACE.name} alone")


@cache
def class_members() -> tuple[tuple[int, ...], ...]:
    """The cells of every class, ascending; 6,466 tuples."""
    members: list[list[int]] = [[] for _ in range(int(SPACE.classes.max()) + 1)]
    for arch, number in enumerate(SPACE.classes.tolist()):
        members[number].append(arch)
    return tuple(tuple(m) for m in members)


def representatives() -> IntArray:
    """(A,) the lowest-index member of every cell's class: the one that is trained for all of them."""
    return SPACE.representatives


def ops(arch: int) -> Ops:
    """The six operations of a cell, as positions in `OPS`."""
    return SPACE.row(arch)


def to_string(arch: int) -> str:
    """The official string, `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
    return cells.to_string(SPACE, arch)


def from_string(text: str) -> int:
    """The index of an official string.

    Raises:
        ValueError: not the string of a NAS-Bench-201 cell; says which part is wrong.
    """
    return cells.from_string(SPACE, text)


def to_naslib(arch: int) -> Ops:
    """NASLib's op tuple: edges 12 13 14 23 24 34; 0 skip, 1 none, 2 conv3x3, 3 conv1x1, 4 avgpool."""
    row = ops(arch)
    return tuple(_NASLIB_OPS[row[edge]] for edge in _NASLIB_EDGES)


def from_naslib(row: Ops) -> int:
    """The index of NASLib's op tuple.

    Raises:
        ValueError: not six numbers in 0..4.
    """
    row = tuple(whole_number(op, "an op of NASLib's tuple") for op in row)
    if len(row) != 6 or any(op not in range(5) for op in row):
        raise ValueError(f"NASLib's op tuple is six numbers in 0..4, got {tuple(row)}")
    found = [0] * 6
    for op, edge in zip(row, _NASLIB_EDGES, strict=True):
        found[edge] = _NASLIB_OPS.index(op)
    return SPACE.index(found)


def parse(text: str | int) -> int:
    """A cell from what a user types: an index, an official string, or six comma-separated ops (names or numbers).

    Raises:
        ValueError: none of these; says what is allowed.
    """
    text = str(text).strip()
    if (arch := cells.numbered(SPACE, text)) is not None:
        return arch
    if "|" in text:
        return from_string(text)
    parts = [part.strip() for part in text.split(",")]
    known = {name: i for i, name in enumerate(OPS)} | {str(i): i for i in range(5)}
    if len(parts) == 6 and all(part in known for part in parts):
        return SPACE.index([known[part] for part in parts])
    raise ValueError(
        f"not a cell: {text!r}. Give an index 0..{SPACE.size - 1}, an official string |op~0|+|..., "
        f"or six ops separated by commas ({', '.join(OPS)})"
    )


def adjacency(arch: int) -> tuple[NDArray[np.int8], list[str]]:
    """NAS-Bench-101 style graph: ops on nodes. Returns an (8, 8) upper-triangular matrix and its 8 labels.

    Node 0 is the input, nodes 1..6 the six edges of the cell in official order, node 7 the output; there is an arc
    where one edge's end is the next one's start. `none` edges stay as isolated nodes, so the shape never changes.
    """
    row = ops(arch)
    matrix = np.zeros((8, 8), dtype=np.int8)
    for i, (source, target) in enumerate(EDGES):
        if row[i] == NONE:
            continue
        if source == 0:
            matrix[0, i + 1] = 1
        if target == 3:
            matrix[i + 1, 7] = 1
        for j, (other, _) in enumerate(EDGES):
            if other == target and row[j] != NONE:
                matrix[i + 1, j + 1] = 1
    return matrix, ["input", *(OPS[op] for op in row), "output"]


def from_adjacency(matrix: NDArray[np.int8], labels: list[str]) -> int:
    """The inverse of `adjacency` (the labels carry the whole cell; the matrix is checked against them).

    Raises:
        ValueError: labels that are not a cell's, or a matrix that does not belong to them.
    """
    if len(labels) != 8 or any(label not in OPS for label in labels[1:7]):
        raise ValueError(f"expected 'input', six ops, 'output', got {labels}")
    arch = SPACE.index([OPS.index(label) for label in labels[1:7]])
    if not np.array_equal(adjacency(arch)[0], matrix):
        raise ValueError(f"the matrix is not the one of {to_string(arch)}")
    return arch


@cache
def reachable() -> NDArray[np.bool_]:
    """(A, 6) whether an edge carries anything from input to output."""
    alive = SPACE.choices != NONE
    out: NDArray[np.bool_] = np.zeros(alive.shape, dtype=np.bool_)
    for path in PATHS:
        whole = alive[:, path].all(axis=1)
        for edge in path:
            out[:, edge] |= whole
    return frozen(out)


@cache
def live_choices() -> NDArray[np.int8]:
    """(A, 6) ops with every edge that carries nothing set to `none`."""
    return frozen(np.where(reachable(), SPACE.choices, np.int8(NONE)).astype(np.int8))


def _path_numbers(ops_on_path: NDArray[np.int64]) -> IntArray:
    """(A, length) ops -> number of the op sequence in base 5."""
    return ops_on_path @ (5 ** np.arange(ops_on_path.shape[1])[::-1])


@cache
def path_encoding() -> FloatArray:
    """(A, 155) BANANAS' path encoding (White et al. 2021): which op sequences run from input to output.

    Columns: 5 sequences of length one, 25 of length two, 125 of length three, lexicographic. A path over a `none`
    edge does not exist. Skips are kept, so the 155 columns include sequences the space can express twice.
    """
    offsets = {1: 0, 2: 5, 3: 30}
    out = np.zeros((SPACE.size, 155))
    choices = SPACE.choices.astype(np.int64)
    for path in PATHS:
        exists = (choices[:, path] != NONE).all(axis=1)
        columns = offsets[len(path)] + _path_numbers(choices[:, path])
        out[np.flatnonzero(exists), columns[exists]] = 1.0
    return frozen(out)


def op_counts(*, live: bool = False) -> IntArray:
    """(A, 5) how many of the six edges carry each op; with `live`, dead edges count as `none`."""
    choices = live_choices() if live else SPACE.choices
    return np.stack([(choices == op).sum(axis=1) for op in range(5)], axis=1)


def params_m(dataset: str) -> FloatArray:
    """(A,) trainable parameters, millions, of the benchmark's network (C = 16, N = 5).

    Raises:
        ValueError: a dataset with no published skeleton.
    """
    counts = op_counts()
    return _of(_PARAMS_BASE, dataset) + 0.24304 * counts[:, CONV3] + 0.028 * counts[:, CONV1]


def flops_m(dataset: str) -> FloatArray:
    """(A,) multiply-adds of one forward pass, millions (the benchmark's own count).

    Raises:
        ValueError: a dataset with no published skeleton.
    """
    base, conv3, conv1 = _of(_FLOPS, dataset)
    counts = op_counts()
    return base + conv3 * counts[:, CONV3] + conv1 * counts[:, CONV1]


def _of(by_dataset: Mapping[str, T], dataset: str) -> T:
    if dataset not in by_dataset:
        raise ValueError(f"params and FLOPs are known for {', '.join(by_dataset)}, got {dataset!r}")
    return by_dataset[dataset]
