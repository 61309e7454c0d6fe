"""Any finite search space, held as arrays: named decisions with labelled options.

A cell of the space is an ``int``, its *index*. Notation used throughout the package:

    N   number of cells           E   number of decisions (edges)      D = sum of options (one-hot width)
    choices      (N, E) int       option taken at every decision
    neighbours   (N, W) int32     all cells one decision away; W = D - E in a product

A space is a *product* (all combinations exist) or *listed* (those that exist are given: constraints, conditional
decisions that collapse, canonical forms only). Indices of a product need not follow the lexicographic order: `order`
maps lexicographic position to index, so that the official, shuffled order of a benchmark is just data.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import cached_property
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.spaces import neighbourhood
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.frozen import ReadOnly, frozen
from nasbench_lab.spaces.whole import whole_number, whole_numbers

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
MOST = 1 << 20  # cells; every one is held
_KEYS = 1 << 62  # combinations up to which a row's number fits 64 bits


class Space:
    """Decisions and the cells that combine their options; a value, compared by content (the name apart).

    Args:
        decisions: `Decision` each, or how many options it has (then unnamed and unordered); each at least 1.
        listed: (N, E) option numbers of the cells that exist, in the order of their indices; all combinations if left out.
        order: of a product, (N,) permutation, `order[lexicographic position] = index`; the identity if left out.
        classes: (N,) class of each cell, equal for cells that are the same thing; every cell its own if left out.
        name: what the space is called in messages and run headers.
        roles: of a four-node cell, what each operation is (see `cells`); empty for any other space.

    Raises:
        ValueError: an option count below 1, names given twice, more than a million cells, a listed cell twice or with an
            option that does not exist, an option that no listed cell takes, or `order` not a permutation of 0..N-1.
    """

    decisions: tuple[Decision, ...]
    options: tuple[int, ...]
    name: str
    size: int
    classes: IntArray
    roles: tuple[str, ...]
    listed: NDArray[np.int16] | None
    _order: IntArray

    def __init__(
        self,
        decisions: Sequence[Decision | int],
        *,
        listed: NDArray[np.integer[Any]] | None = None,
        order: IntArray | None = None,
        classes: IntArray | None = None,
        name: str = "categorical",
        roles: Sequence[str] = (),
    ) -> None:
        made = tuple(_decision(i, each) for i, each in enumerate(decisions))
        options = tuple(len(each.options) for each in made)
        if not options:
            raise ValueError(f"every decision needs at least one option, got options={options}")
        names = [each.name for each in made]
        if len(set(names)) < len(names):
            raise ValueError(f"two decisions have one name: {', '.join(names)}")
        rows = None if listed is None else _listed(listed, made)
        size = math.prod(options) if rows is None else len(rows)
        if size > MOST:
            raise ValueError(f"a space has {MOST:,} cells at most, got {size:,}; list those that exist")
        if rows is not None and order is not None:
            raise ValueError("a listed space is in the order of its list; order= is for products")
        ordered = np.arange(size) if order is None else whole_numbers(order, "order")
        if not np.array_equal(np.sort(ordered), np.arange(size)):
            raise ValueError(f"order must be a permutation of 0..{size - 1}")
        grouped = np.arange(size) if classes is None else whole_numbers(classes, "classes")
        if grouped.shape != (size,):
            raise ValueError(f"classes must have shape ({size},), got {grouped.shape}")
        self.__dict__.update(decisions=made, options=options, name=name, size=size, roles=tuple(roles))
        self.__dict__.update(_order=frozen(ordered), classes=frozen(grouped), listed=frozen(rows))

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: a space is shared by all that search it."""
        raise AttributeError(f"cannot assign to {name!r}: a space is read-only")

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"Space({self.name!r}, options={self.options}, size={self.size})"

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Space) and self._identity == other._identity)

    def __hash__(self) -> int:
        return hash(self._identity)

    @cached_property
    def _identity(self) -> tuple[object, ...]:
        rows = b"" if self.listed is None else self.listed.tobytes()
        digest = hashlib.sha256(self._order.tobytes() + self.classes.tobytes() + rows).hexdigest()
        return self.decisions, self.roles, self.listed is None, digest

    @cached_property
    def _strides(self) -> IntArray:
        """(E,) lexicographic strides, the first decision slowest; of a space whose rows have numbers of 64 bits."""
        steps = [math.prod(self.options[e + 1 :]) for e in range(len(self.options))]
        return frozen(np.array(steps, dtype=np.int64))

    @cached_property
    def choices(self) -> NDArray[Any]:
        """(N, E) option of every decision, row `i` for the cell with index `i`; int8 where that holds them, else int16."""
        kind = np.int8 if max(self.options) <= 128 else np.int16
        if self.listed is not None:
            return frozen(self.listed.astype(kind))
        lexicographic = np.stack(np.unravel_index(np.arange(self.size), self.options), axis=1)
        out = np.empty_like(lexicographic, dtype=kind)
        out[self._order] = lexicographic
        return frozen(out)

    @cached_property
    def levels(self) -> FloatArray:
        """(N, E) place of every option between 0 and 1, see `Decision.levels`."""
        return frozen(np.stack([d.levels[self.choices[:, e]] for e, d in enumerate(self.decisions)], axis=1))

    @cached_property
    def _rows(self) -> tuple[tuple[int, ...], ...]:
        """`choices` as Python tuples: reading one is ten times faster than indexing an array."""
        return tuple(map(tuple, self.choices.tolist()))

    @property
    def index_of_position(self) -> IntArray:
        """(N,) lexicographic position -> index, of a product; `order` as it was given."""
        return self._order

    @cached_property
    def _index(self) -> tuple[int, ...]:
        return tuple(self._order.tolist())

    @cached_property
    def _stride_list(self) -> tuple[int, ...]:
        return tuple(self._strides.tolist())

    @cached_property
    def _places(self) -> ReadOnly[tuple[int, ...], int]:
        """Row -> index, of a listed space."""
        return ReadOnly({row: arch for arch, row in enumerate(self._rows)})

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
        row = self._checked(choices)
        if self.listed is None:
            position: int = sum(map(mul, row, self._stride_list))
            return self._index[position]
        found = self._places.get(tuple(row))
        if found is None:
            raise ValueError(f"no cell of {self.name!r} has the options {tuple(row)}")
        return found

    def indices(self, choices: NDArray[np.integer]) -> IntArray:
        """(..., E) options -> (...) indices; the same as `index`, for arrays.

        Raises:
            ValueError: wrong last axis, an option that does not exist, or options that no cell has.
        """
        found = self.found(choices)
        if self.listed is not None and (found < 0).any():
            self.index(tuple(np.asarray(choices)[found < 0][0].tolist()))  # raises
        return found

    def found(self, choices: NDArray[np.integer]) -> IntArray:
        """As `indices`, with -1 for options that no cell of a listed space has.

        Raises:
            ValueError: wrong last axis, or an option that does not exist.
        """
        rows = whole_numbers(choices, "options")
        if rows.shape[-1:] != (len(self.options),):
            raise ValueError(f"the last axis must have length {len(self.options)}, got shape {rows.shape}")
        if rows.size and ((rows < 0) | (rows >= np.array(self.options))).any():
            raise ValueError(f"options must lie below {self.options} and not be negative")
        if self.listed is not None:
            places = [self._places.get(tuple(row), -1) for row in rows.reshape(-1, len(self.options)).tolist()]
            return np.array(places, dtype=np.int64).reshape(rows.shape[:-1])
        found: IntArray = self._order[rows @ self._strides]
        return found

    def closest(self, choices: Sequence[int], rng: np.random.Generator) -> int:
        """The cell with these options; where there is none, the one that needs the smallest change, of equals any.

        A changed option counts 1, of an ordered decision as far as its level moves. A product draws nothing from `rng`.

        Raises:
            ValueError: wrong number of decisions, or an option that does not exist.
        """
        if self.listed is None:
            return self.index(tuple(choices))
        found = self._places.get(tuple(choices))
        if found is not None:
            return found
        row = self._checked(choices)
        moved = (self.choices != np.array(row)).astype(np.float64)
        for edge, decision in enumerate(self.decisions):
            if decision.ordered:
                moved[:, edge] = np.abs(self.levels[:, edge] - decision.levels[row[edge]])
        distances = moved.sum(axis=1).round(9)
        near = np.flatnonzero(distances == distances.min())
        return int(near[rng.integers(len(near))])

    def _checked(self, choices: Sequence[int]) -> list[int]:
        """One option for every decision.

        Raises:
            ValueError: wrong number of decisions, or an option that does not exist.
        """
        if len(choices) != len(self.options):
            raise ValueError(f"expected {len(self.options)} decisions, got {len(choices)}: {tuple(choices)}")
        row = []
        for edge, (choice, count) in enumerate(zip(choices, self.options, strict=True)):
            if type(choice) is not int:
                choice = whole_number(choice, f"decision {edge}")
            if not 0 <= choice < count:
                raise ValueError(f"decision {edge} must lie in 0..{count - 1}, got {choice}")
            row.append(choice)
        return row

    @cached_property
    def neighbours(self) -> NDArray[np.int32]:
        """(N, W) cells that differ in exactly one decision, decision by decision.

        W is D - E in a product. Cells of a listed space have different numbers of neighbours: W is the most that one
        has, and rows with fewer are filled up **with the cell itself**, behind its neighbours (`neighbours_of` leaves
        it out).
        """
        if self.listed is not None:
            return frozen(neighbourhood.of_listed(self.choices))
        return frozen(neighbourhood.of_product(self.choices, self.options, self._order))

    @cached_property
    def degrees(self) -> IntArray:
        """(N,) how many neighbours a cell has."""
        return frozen((self.neighbours != np.arange(self.size)[:, None]).sum(axis=1).astype(np.int64))

    def neighbours_of(self, arch: int) -> list[int]:
        """The cells one decision away, as a fresh list of ints.

        Raises:
            ValueError: no such cell.
        """
        if type(arch) is not int or not 0 <= arch < self.size:
            arch = self.known_cell(arch)
        found: list[int] = self.neighbours[arch].tolist()
        return found if self.listed is None else found[: int(self.degrees[arch])]

    @cached_property
    def representatives(self) -> IntArray:
        """(N,) the lowest-index member of every cell's class."""
        _, first, number = np.unique(self.classes, return_index=True, return_inverse=True)
        return frozen(first[number.reshape(-1)].astype(np.int64))

    def sample(self, rng: np.random.Generator) -> int:
        """A cell drawn uniformly."""
        return int(rng.integers(self.size))

    def mutate(self, arch: int, rng: np.random.Generator) -> int:
        """One uniformly drawn decision gets one of its other options, uniformly.

        With unequal option counts the decision is drawn first, so neighbours are not equally likely. A decision
        with a single option cannot change and is never drawn; nor, in a listed space, is one that can change to no cell
        that exists. A cell without neighbours becomes any other cell, uniformly.

        Raises:
            ValueError: no such cell, or the space has one cell only.
        """
        if type(arch) is not int or not 0 <= arch < self.size:
            arch = self.known_cell(arch)
        if self.size == 1:
            raise ValueError("a space with a single cell has nothing to mutate")
        if self.listed is not None:
            return self._moved(arch, rng)
        edges = self._mutable_edges
        edge = edges[int(rng.integers(len(edges)))]
        old = self._rows[arch][edge]
        new = int(rng.integers(self.options[edge] - 1))
        new += new >= old
        position = self._position[arch] + (new - old) * self._stride_list[edge]
        return self._index[position]

    def _moved(self, arch: int, rng: np.random.Generator) -> int:
        """`mutate` in a listed space."""
        around = self.neighbours_of(arch)
        if not around:
            other = int(rng.integers(self.size - 1))
            return other + (other >= arch)
        row, by_edge = self._rows[arch], dict[int, list[int]]()
        for other in around:
            edge = next(e for e, option in enumerate(self._rows[other]) if option != row[e])
            by_edge.setdefault(edge, []).append(other)
        edges = list(by_edge)
        there = by_edge[edges[int(rng.integers(len(edges)))]]
        return there[int(rng.integers(len(there)))]

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

    def __reduce__(self) -> tuple[Any, ...]:
        """Content alone: what is derived is computed anew, so that jobs stay small."""
        order = None if self.listed is not None else self._order
        return _rebuilt, (self.decisions, self.listed, order, self.classes, self.name, self.roles)


def _rebuilt(
    decisions: tuple[Decision, ...], listed: Any, order: Any, classes: IntArray, name: str, roles: tuple[str, ...]
) -> Space:
    return Space(decisions, listed=listed, order=order, classes=classes, name=name, roles=roles)


def _decision(number: int, given: Decision | int) -> Decision:
    if isinstance(given, Decision):
        return given
    count = whole_number(given, "a decision's number of options")
    if count < 1:
        raise ValueError(f"every decision needs at least one option, got {count}")
    return Decision(f"decision {number}", tuple(range(count)))


def _listed(given: NDArray[np.integer[Any]], decisions: tuple[Decision, ...]) -> NDArray[np.int16]:
    """The rows of a listed space, checked."""
    rows = whole_numbers(given, "listed options")
    if rows.ndim != 2 or rows.shape[1] != len(decisions) or not len(rows):
        raise ValueError(f"listed must be (N, {len(decisions)}) with at least one cell, got shape {rows.shape}")
    _, first, counts = np.unique(rows, axis=0, return_index=True, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"a cell is listed twice: row {int(first[np.argmax(counts > 1)])}, {rows[first[np.argmax(counts > 1)]]}"
        )
    for edge, decision in enumerate(decisions):
        taken = np.unique(rows[:, edge])
        if taken[0] < 0 or taken[-1] >= len(decision.options):
            raise ValueError(
                f"decision {decision.name!r} has {len(decision.options)} options, a listed cell has another"
            )
        if len(taken) < len(decision.options):
            unused = sorted(set(range(len(decision.options))) - set(taken.tolist()))
            raise ValueError(f"decision {decision.name!r}: no listed cell takes {decision.options[unused[0]]!r}")
    return rows.astype(np.int16)
