"""Cells as rows of numbers: what the surrogates learn from. Notation: A = 15,625 cells of NAS-Bench-201 in official order.

Any other space of four-node cells has the rows of its cells' counterparts among these, by the roles of its operations
(`standing`). Any other space has `plain` rows under the names `one_hot` and `live`: one-hot, and beside it the level of
every ordered decision; under all other names also how often labels are taken that several decisions share
(`chains.counts`). What these are worth: mean Kendall's tau of seven validation columns of such spaces after 40 and 120
cells, without and with them: bayes_linear .459 .473, forest .428 .468, mlp .458 .482, gbdt .441 .471.

Only `one_hot` and `adjacency` look at the cell as written. Everything else looks at its *live* part: an edge that lies
on no path from input to output counts as `none`. Isomorphic cells have equal path features; their op counts may differ,
as the official rule calls `conv(x) + conv(x)` and twice the same `conv(x)` one class.

    path_counts   (A, 40)   input-to-output paths by their op sequence, skips removed; `path_encoding` keeps skips
    multisets     (A, 20)   the same, the order of the operations along a path forgotten
    structure     (A, 24)   depths, widths and operation counts: summaries of `path_counts`, see `STRUCTURE`
    wl            (A, ...)  Weisfeiler-Lehman subtree counts (Ru et al. 2021, NAS-BOWL) of the graph with ops on edges

`path_counts` and the live op counts are the canonical features of `numbers.md` section 5; `structure` is ours. It was
put together on validation columns only (see `strategies/gp_bo.py`, which says how).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np

from nasbench_lab.spaces import cell, cells, chains
from nasbench_lab.spaces.cells import CONV1, CONV3, NONE, POOL, SKIP
from nasbench_lab.spaces.frozen import ReadOnly, frozen
from nasbench_lab.spaces.space import FloatArray, IntArray, Space

Path = tuple[int, ...]
_WORKING = (CONV1, CONV3, POOL)  # the ops a path keeps once its skips are removed
KINDS: tuple[Path, ...] = tuple(kind for length in range(4) for kind in product(_WORKING, repeat=length))  # 40 paths
_LABELS = ("convs", "conv3x3s", "pools", "ops")
STRUCTURE: tuple[str, ...] = (
    *(f"{which} {label} on a path" for label in _LABELS for which in ("most", "fewest")),
    "paths",
    *(f"live {cell.OPS[op]}" for op in (SKIP, *_WORKING)),
    *(f"paths with {n} convs" for n in range(4)),
    *(f"paths with {n} conv3x3s" for n in range(4)),
    *(f"mean {label} per path" for label in _LABELS[:3]),
)
_OWN = ("one_hot", "live")  # what says each decision's option and nothing else
_DEAD = -1.0  # "most" and "fewest" of a cell without any path


def one_hot(space: Space = cell.SPACE, *, live: bool = False) -> FloatArray:
    """(N, D) one-hot rows, decision by decision; with `live` (this cell only) dead edges count as `none`."""
    if not live:
        return space.one_hot
    return np.concatenate([np.eye(5)[column] for column in cell.live_choices().T], axis=1)


def op_counts() -> FloatArray:
    """(A, 5) how many edges carry each op; dead edges count as `none`."""
    return cell.op_counts(live=True).astype(np.float64)


@cache
def path_counts() -> FloatArray:
    """(A, 40) how many input-to-output paths have each op sequence of `KINDS`, skips removed."""
    column = {kind: i for i, kind in enumerate(KINDS)}
    out = np.zeros((cell.SPACE.size, len(KINDS)))
    for edges in cell.PATHS:
        on_path = cell.SPACE.choices[:, edges]
        for ops in product(range(1, 5), repeat=len(edges)):
            cells = (on_path == ops).all(axis=1)
            out[cells, column[tuple(op for op in ops if op != SKIP)]] += 1
    return frozen(out)


def _tally(counted: Sequence[int]) -> FloatArray:
    """(40,) how many ops of a kind of path are among `counted`."""
    return np.array([sum(op in counted for op in kind) for kind in KINDS], dtype=np.float64)


def _grouped(key: Callable[[Path], object]) -> FloatArray:
    """(A, groups) path counts added up over the kinds with an equal key, groups in order of appearance."""
    groups: dict[object, list[int]] = {}
    for i, kind in enumerate(KINDS):
        groups.setdefault(key(kind), []).append(i)
    return np.stack([path_counts()[:, columns].sum(axis=1) for columns in groups.values()], axis=1)


@cache
def multisets() -> FloatArray:
    """(A, 20) path counts with the order of the ops along a path forgotten."""
    return frozen(_grouped(lambda kind: tuple(sorted(kind))))


def path_set() -> FloatArray:
    """(A, 40) which kinds of path there are: 0 or 1."""
    return (path_counts() > 0).astype(np.float64)


@cache
def structure() -> FloatArray:
    """(A, 24) depths, widths and op counts, in the order of `STRUCTURE`."""
    counts = path_counts()
    tallies = [_tally((CONV1, CONV3)), _tally((CONV3,)), _tally((POOL,)), _tally(_WORKING)]
    exists, paths = counts > 0, counts.sum(axis=1)
    columns: list[FloatArray] = []
    for tally in tallies:
        columns.append(np.where(exists, tally, _DEAD).max(axis=1))
        columns.append(np.where(paths > 0, np.where(exists, tally, np.inf).min(axis=1), _DEAD))
    columns.append(paths)
    columns.extend(op_counts()[:, [SKIP, *_WORKING]].T)
    for tally in tallies[:2]:
        columns.extend(counts[:, tally == n].sum(axis=1) for n in range(4))
    columns.extend(counts @ tally / np.maximum(paths, 1) for tally in tallies[:3])
    return frozen(np.stack(columns, axis=1))


@cache
def wl(rounds: int = 1) -> FloatArray:
    """(A, W) Weisfeiler-Lehman features: counts of ops and of the rooted subtrees that feed each node and edge.

    The label of a node after h rounds names everything that reaches it within h edges, as a sorted sum of
    `(parent)op`; rounds 0 to `rounds`, dead edges left out. W grows from 113 to 7,861 with a second round, most of
    them found in a few cells, so one round (NAS-BOWL's H = 1) is the default.
    """
    numbers: dict[str, int] = {}
    rows = [_wl_row(tuple(row), numbers, rounds) for row in cell.live_choices().tolist()]
    out = np.zeros((cell.SPACE.size, len(numbers)))
    for i, row in enumerate(rows):
        np.add.at(out[i], row, 1.0)
    return frozen(out)


def _wl_row(ops: Path, numbers: dict[str, int], rounds: int) -> list[int]:
    """Numbers of all labels of one cell, repeated as often as they occur; new labels are numbered on the way."""
    labels = ["in", "n", "n", "out"]
    found = [cell.OPS[op] for op in ops if op != NONE]
    for _ in range(rounds):
        terms: list[list[str]] = [[], [], [], []]
        for (source, target), op in zip(cell.EDGES, ops, strict=True):
            if op != NONE:
                terms[target].append(f"({labels[source]}){op}")
        labels = [f"{own}[{'+'.join(sorted(t))}]" for own, t in zip(("in", "n", "n", "out"), terms, strict=True)]
        found += [term for node in terms for term in node] + labels
    return [numbers.setdefault(label, len(numbers)) for label in found]


@cache
def adjacency() -> FloatArray:
    """(A, 28 + 30) upper triangle of the ops-on-nodes graph of `cell.adjacency`, then the one-hot ops of its nodes."""
    alive = cell.SPACE.choices != NONE
    arcs = np.zeros((cell.SPACE.size, 8, 8))
    for i, (source, target) in enumerate(cell.EDGES):
        arcs[:, 0, i + 1] = alive[:, i] & (source == 0)
        arcs[:, i + 1, 7] = alive[:, i] & (target == 3)
        for j, (other, _) in enumerate(cell.EDGES):
            if other == target:
                arcs[:, i + 1, j + 1] = alive[:, i] & alive[:, j]
    return frozen(np.concatenate([arcs[:, *np.triu_indices(8, 1)], cell.SPACE.one_hot], axis=1))


def cost() -> FloatArray:
    """(A, 2) parameters and multiply-adds of the CIFAR-10 network, millions; of other datasets, a shift of these."""
    return np.stack([cell.params_m("cifar10"), cell.flops_m("cifar10")], axis=1)


def canonical() -> FloatArray:
    """(A, 94) `structure`, `path_counts` and the one-hot live ops, each column of zero mean and unit spread."""
    return _scaled(np.concatenate([structure(), path_counts(), one_hot(live=True)], axis=1))


def structure_paths() -> FloatArray:
    """(A, 104) `structure`, scaled, and half of `path_counts` and `path_set`: what `gp` weighs them like."""
    return np.concatenate([_scaled(structure()), 0.5 * path_counts(), 0.5 * path_set()], axis=1)


def _scaled(rows: FloatArray) -> FloatArray:
    spread = rows.std(axis=0)
    varies = spread > 1e-12
    scaled: FloatArray = (rows[:, varies] - rows[:, varies].mean(axis=0)) / spread[varies]
    return scaled


FEATURES: Mapping[str, Callable[[], FloatArray]] = ReadOnly(
    {
        "one_hot": one_hot,
        "live": lambda: one_hot(live=True),
        "path": cell.path_encoding,
        "path_counts": path_counts,
        "multisets": multisets,
        "structure": lambda: _scaled(structure()),
        "wl": wl,
        "adjacency": adjacency,
        "cost": lambda: _scaled(cost()),
        "canonical": canonical,
        "structure_paths": structure_paths,
    }
)


class Rows(NamedTuple):
    """Distinct rows of features, and the cells they stand for.

    Attributes:
        values: (R, d) the rows.
        first: (R,) the lowest-index cell of each.
        row_of: (N,) the row of every cell.
    """

    values: FloatArray
    first: IntArray
    row_of: IntArray


def plain(space: Space) -> FloatArray:
    """(N, D + O) one-hot rows, and the levels of the O ordered decisions with more than two options."""
    ordered = _ordered(space)
    return np.concatenate([space.one_hot, space.levels[:, ordered]], axis=1) if ordered else space.one_hot


def plain_decisions(space: Space) -> IntArray:
    """(D + O,) the decision that each column of `plain` is about."""
    return np.array([*np.repeat(np.arange(len(space.options)), space.options), *_ordered(space)], dtype=np.int64)


def _ordered(space: Space) -> list[int]:
    """The decisions whose levels say more than their options do."""
    return [e for e, each in enumerate(space.decisions) if each.ordered and len(each.options) > 2]


@lru_cache(maxsize=8)
def standing(space: Space) -> IntArray:
    """(N,) the NAS-Bench-201 cell whose operations have the same roles, of every cell of a space of cells."""
    if space == cell.SPACE:
        return frozen(np.arange(space.size))
    return frozen(cell.SPACE.indices(cells.kinds(space)))


def of(name: str, space: Space) -> FloatArray:
    """(N, d) rows of a space under a name of `FEATURES`; see the module's docstring."""
    if space == cell.SPACE:
        return FEATURES[name]()
    if cells.is_cell(space):
        return space.one_hot if name == "one_hot" else FEATURES[name]()[standing(space)]
    return plain(space) if name in _OWN else np.concatenate([plain(space), chains.counts(space)], axis=1)


@lru_cache(maxsize=32)
def rows(name: str, space: Space = cell.SPACE) -> Rows:
    """The rows of a space under a name of `FEATURES`; computed once per process.

    Raises:
        ValueError: no such features.
    """
    check(name)
    if cells.is_cell(space):
        return frozen(distinct(of(name, space)))
    every = np.arange(space.size)  # no two have the same options
    return frozen(Rows(of(name, space), every, every))


def check(name: str) -> None:
    """Raises ValueError: no such features."""
    if name not in FEATURES:
        raise ValueError(f"features must be one of {', '.join(FEATURES)}, got {name!r}")


def distinct(values: FloatArray) -> Rows:
    """(N, d) rows, equal ones put together."""
    _, first, row_of = np.unique(values, axis=0, return_index=True, return_inverse=True)
    return Rows(np.ascontiguousarray(values[first]), first.astype(np.int64), row_of.reshape(-1).astype(np.int64))
