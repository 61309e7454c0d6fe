"""A finite categorical search space, held as arrays.

A cell of the space is an ``int``, its *index*. Notation used throughout the package:

    N   number of cells           E   number of decisions (edges)      D = sum of options (one-hot width)
    choices      (N, E) int8      option taken at every decision
    neighbours   (N, D - E) int32 all cells one decision away

Indices need not follow the lexicographic order: `order` maps lexicographic position to index, so that the
official, shuffled order of a benchmark is just data.
"""

from __future__ import annotations

import hashlib
import math
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.spaces.whole import whole_number, whole_numbers

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class Space:
    """All combinations of `len(options)` decisions, decision `e` having `options[e]` options.

    Args:
        options: number of options of each decision; each at least 1.
        order: (N,) permutation, `order[lexicographic position] = index`; the identity if left out.
        classes: (N,) class of each cell, equal for cells that are the same thing; every cell its own if left out.
        name: what the space is called in messages and run headers.

    Raises:
        ValueError: an option count below 1, or `order` not a permutation of 0..N-1.
    """

    options: tuple[int, ...]
    name: str
    size: int
    classes: IntArray
    _order: IntArray

    def __init__(
        self,
        options: tuple[int, ...],
        *,
        order: IntArray | None = None,
        classes: IntArray | None = None,
        name: str = "categorical",
    ) -> None:
        options = tuple(whole_number(count, "a decision's number of options") for count in options)
        if not options or min(options) < 1:
            raise ValueError(f"every decision needs at least one option, got options={options}")
        size = math.prod(options)
        ordered = np.arange(size) if order is None else whole_numbers(order, "order")
        if not np.array_equal(np.sort(ordered), np.arange(size)):
            raise ValueError(f"order must be a permutation of 0..{size - 1}")
        grouped = np.arange(size) if classes is None else whole_numbers(classes, "classes")
        if grouped.shape != (size,):
            raise ValueError(f"classes must have shape ({size},), got {grouped.shape}")
        self.__dict__.update(options=options, name=name, size=size)
        self.__dict__.update(_order=frozen(ordered), classes=frozen(grouped))

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a space is shared by all that search it."""
        raise AttributeError(f"cannot assign to {name!r}: a space is read-only")

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"Space({self.name!r}, options={self.options}, size={self.size})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @cached_property
    def _identity(self) -> tuple[object, ...]:
        digest = hashlib.sha256(self._order.tobytes() + self.classes.tobytes()).hexdigest()
        return self.options, self.name, digest

    @cached_property
    def _strides(self) -> IntArray:
        """(E,) lexicographic strides, the first decision slowest."""
        steps = [int(np.prod(self.options[e + 1 :])) for e in range(len(self.options))]
        return frozen(np.array(steps, dtype=np.int64))

    @cached_property
    def choices(self) -> NDArray[np.int8]:
        """(N, E) option of every decision, row `i` for the cell with index `i`."""
        lexicographic = np.stack(np.unravel_index(np.arange(self.size), self.options), axis=1)
        out = np.empty_like(lexicographic, dtype=np.int8)
        out[self._order] = lexicographic
        return frozen(out)

    @cached_property
    def _rows(self) -> tuple[tuple[int, ...], ...]:
        """`choices` as Python tuples: reading one is ten times faster than indexing an array."""
        return tuple(map(tuple, self.choices.tolist()))

    @cached_property
    def _index(self) -> tuple[int, ...]:
        return tuple(self._order.tolist())

    @cached_property
    def _stride_list(self) -> tuple[int, ...]:
        return tuple(self._strides.tolist())

    def known_cell(self, arch: Any) -> int:
        """The index of a cell, if it is one.

        Raises:
            ValueError: not a whole number in 0..N-1.
        """
        found = whole_number(arch, "a cell")
        if not 0 <= found < self.size:
            raise ValueError(f"cells are 0..{self.size - 1}, got {arch}")
        return found

    def row(self, arch: int) -> tuple[int, ...]:
        """The options of one cell, length E.

        Raises:
            ValueError: no such cell.
        """
        return self._rows[arch if type(arch) is int and 0 <= arch < self.size else self.known_cell(arch)]

    def index(self, choices: tuple[int, ...] | list[int]) -> int:
        """The index of the cell with these options.

        Raises:
            ValueError: wrong number of decisions, or an option that does not exist.
        """
        if len(choices) != len(self.options):
            raise ValueError(f"expected {len(self.options)} decisions, got {len(choices)}: {tuple(choices)}")
        position = 0
        for edge, (choice, count) in enumerate(zip(choices, self.options, strict=True)):
            if type(choice) is not int:
                choice = whole_number(choice, f"decision {edge}")
            if not 0 <= choice < count:
                raise ValueError(f"decision {edge} must lie in 0..{count - 1}, got {choice}")
            position += choice * self._stride_list[edge]
        return self._index[position]

    def indices(self, choices: NDArray[np.integer]) -> IntArray:
        """(..., E) options -> (...) indices; the same as `index`, for arrays.

        Raises:
            ValueError: wrong last axis, or an option that does not exist.
        """
        rows = whole_numbers(choices, "options")
        if rows.shape[-1:] != (len(self.options),):
            raise ValueError(f"the last axis must have length {len(self.options)}, got shape {rows.shape}")
        if rows.size and ((rows < 0) | (rows >= np.array(self.options))).any():
            raise ValueError(f"options must lie below {self.options} and not be negative")
        found: IntArray = self._order[rows @ self._strides]
        return found

    @cached_property
    def neighbours(self) -> NDArray[np.int32]:
        """(N, D - E) cells that differ in exactly one decision, decision by decision, options ascending."""
        columns = []
        for edge, count in enumerate(self.options):
            for shift in range(1, count):
                changed = self.choices.astype(np.int64)
                changed[:, edge] = (changed[:, edge] + shift) % count
                columns.append(self.indices(changed))
        width = len(columns)
        return frozen(np.stack(columns, axis=1).astype(np.int32) if width else np.empty((self.size, 0), dtype=np.int32))

    @cached_property
    def _neighbour_rows(self) -> tuple[tuple[int, ...], ...]:
        return tuple(map(tuple, self.neighbours.tolist()))

    def neighbours_of(self, arch: int) -> list[int]:
        """The cells one decision away, as a fresh list of ints.

        Raises:
            ValueError: no such cell.
        """
        return list(
            self._neighbour_rows[arch if type(arch) is int and 0 <= arch < self.size else self.known_cell(arch)]
        )

    def sample(self, rng: np.random.Generator) -> int:
        """A cell drawn uniformly."""
        return int(rng.integers(self.size))

    def mutate(self, arch: int, rng: np.random.Generator) -> int:
        """One uniformly drawn decision gets one of its other options, uniformly.

        With unequal option counts the decision is drawn first, so neighbours are not equally likely. A decision
        with a single option cannot change and is never drawn.

        Raises:
            ValueError: no such cell, or the space has one cell only.
        """
        if type(arch) is not int or not 0 <= arch < self.size:
            arch = self.known_cell(arch)
        edges = self._mutable_edges
        if not edges:
            raise ValueError("a space with a single cell has nothing to mutate")
        edge = edges[int(rng.integers(len(edges)))]
        old = self._rows[arch][edge]
        new = int(rng.integers(self.options[edge] - 1))
        new += new >= old
        position = self._position[arch] + (new - old) * self._stride_list[edge]
        return self._index[position]

    @cached_property
    def _mutable_edges(self) -> tuple[int, ...]:
        return tuple(edge for edge, count in enumerate(self.options) if count > 1)

    @cached_property
    def _position(self) -> tuple[int, ...]:
        """Index -> lexicographic position."""
        return tuple(np.argsort(self._order).tolist())

    @cached_property
    def one_hot(self) -> NDArray[np.float64]:
        """(N, D) one-hot rows, decision by decision."""
        blocks = [np.eye(count)[self.choices[:, e]] for e, count in enumerate(self.options)]
        return frozen(np.concatenate(blocks, axis=1))
