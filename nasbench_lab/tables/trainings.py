"""Tables whose cells were trained several times: search and score from different trainings, and what their noise is.

A training that was lucky in validation was often lucky in test as well: where one training answers the search and is scored, or
both see the mean of the same ones, a strategy that picks lucky cells is scored too high. `Trainings` takes them apart.

Notation: A cells; F fidelities; T trainings, nan where a cell has fewer; C rows that were trained apart (classes, or cells).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray, noise_stream
from nasbench_lab.errors import LabError
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.stats.repeated import Noise, Repeated
from nasbench_lab.tables.schedule import Schedule, known_mean
from nasbench_lab.tables.table import Table

_FEW = 16  # rows that are drawn one by one in less time than all are
TRIAL = 0  # the noise stream of "which training"; fidelities are >= 1, so it is never one of theirs


def drawn(known: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """(A, T) which trials exist -> (A,) one of every cell for the runs of a seed, uniform among those that exist."""
    draw = noise_stream(seed, TRIAL).random(len(known))
    wanted = np.floor(draw * known.sum(axis=1)).astype(int) + 1
    return np.asarray(np.argmax(np.cumsum(known, axis=1) >= wanted[:, None], axis=1), dtype=np.int64)


@dataclass(frozen=True)
class Trainings:
    """Trainings of which both is known, what a search sees and what it is scored on.

    Attributes:
        seen: (A, F, T) validation after every fidelity, in the table's direction.
        scored: (A, T) the score at the end of the same training.
        row: (A,) what a cell was trained as: members of a class share their trainings, so one of them is drawn for all.
    """

    seen: FloatArray
    scored: FloatArray
    row: NDArray[np.int64]

    @cached_property
    def first(self) -> NDArray[np.int64]:
        """(C,) a cell of every row."""
        return frozen(np.unique(self.row, return_index=True)[1])

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """(A, T) those that were run to the end."""
        return frozen(~np.isnan(self.scored) & ~np.isnan(self.seen).any(axis=1))

    def drawn(self, seed: int) -> NDArray[np.int64]:
        """(A,) which training answers the runs of a seed; as `drawn` of a cell of every row has it."""
        return self._of_rows(seed).take(self.row)

    def _of_rows(self, seed: int) -> NDArray[np.int64]:
        """(C,) the same of every row."""
        counts, begin, order = self._order
        wanted = (noise_stream(seed, TRIAL).random(len(counts)) * counts).astype(np.int64)
        found: NDArray[np.int64] = order.take(begin + wanted)
        return found

    @cached_property
    def _order(self) -> tuple[NDArray[np.int64], ...]:
        """(C,) how many trainings of a row there are and where they begin in the last, (C * T,), their numbers row by row."""
        known = self.known[self.first]
        begin = np.arange(len(known)) * known.shape[1]
        return frozen((known.sum(axis=1), begin, np.argsort(~known, axis=1, kind="stable").ravel()))

    @cached_property
    def _begin(self) -> NDArray[np.int64]:
        """(A,) where a cell's trainings begin in an (A, T) array."""
        return frozen(np.asarray(np.arange(len(self.scored)) * self.scored.shape[1], dtype=np.int64))

    @cached_property
    def _seen(self) -> FloatArray:
        """(F, A * T) `seen`, a fidelity a row."""
        return frozen(np.ascontiguousarray(self.seen.swapaxes(0, 1)).reshape(self.seen.shape[1], -1))

    def answers(self, column: int, seed: int) -> FloatArray:
        """(A,) what one training of every cell says at a fidelity, the same training at every fidelity."""
        values: FloatArray = self._seen[column].take(self._begin + self.drawn(seed))
        return values

    @cached_property
    def _others(self) -> FloatArray:
        """(A, T) mean score of the trainings of a cell but one; nan for one that is not there."""
        known, places = self.known, np.arange(self.known.shape[1])
        rest = [known_mean(np.where(known & (places != one), self.scored, np.nan)) for one in places]
        return frozen(np.where(known, np.stack(rest, axis=1), np.nan))

    def held_out(self, seed: int) -> FloatArray:
        """(A,) mean score of the trainings that do not answer the runs of a seed."""
        values: FloatArray = self._others.take(self._begin + self.drawn(seed))
        return values

    def held_out_of(self, seed: int, cells: NDArray[np.int64]) -> FloatArray:
        """The same of some cells, in their shape."""
        values: FloatArray = self._others[cells, self._of_some(seed, self.row[cells])]
        return values

    def shares_of(self, seed: int, row: int) -> FloatArray:
        """(T,) what each training of a row counts in the scores of the runs of a seed."""
        counts, begin, order = self._order
        numbers = order[begin[row] : begin[row] + counts[row]]
        others = np.zeros(self.known.shape[1])
        others[numbers] = 1.0 / (counts[row] - 1.0)
        others[self._of_some(seed, np.array(row))] = 0.0
        return others

    def _of_some(self, seed: int, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which training answers the runs of a seed, for rows of any shape; drawn for those alone where they are few."""
        flat = rows.ravel().tolist()
        distinct = sorted(set(flat))
        if len(distinct) > _FEW:
            return self._of_rows(seed)[rows]
        counts, begin, order = self._order
        stream, at, found = noise_stream(seed, TRIAL), 0, dict[int, int]()
        skipping: Any = stream.bit_generator
        for row in distinct:
            skipping.advance(row - at)  # a draw of a row is one number of the stream
            found[row] = order[begin[row] + int(stream.random() * counts[row])]
            at = row + 1
        return np.array([found[row] for row in flat], dtype=np.int64).reshape(rows.shape)

    @cached_property
    def mean(self) -> FloatArray:
        """(A,) mean score of all trainings of a cell, those that a run searches and those that it does not."""
        return frozen(known_mean(np.where(self.known, self.scored, np.nan)))

    @property
    def possible(self) -> FloatArray:
        """(A * T,) all scores that a run can have; nan for trainings that are not there."""
        return self._others.ravel()


def of(table: Table, schedule: Schedule) -> Trainings:
    """The trainings of a table that can both answer a search on this schedule and score it.

    Raises:
        LabError: it has none, or a cell has one alone; says which.
    """
    what = f"trials='split' cannot be had of table {table.name!r}"
    if table.scored and len(table.schedules) == 1 and len(schedule.epochs) == 1 and schedule.test_trials.shape[1]:
        own = schedule.val_trials[:, 0] if schedule.val_trials.shape[2] else schedule.val[:, :1]
        pooled = frozen(np.concatenate([own, schedule.test_trials], axis=1))  # the same score of different trainings
        return _checked(Trainings(pooled[:, None, :], pooled, _rows(table)), what)
    if schedule is not table.last:
        raise LabError(
            f"{what}: the schedule searched and the one scored were trained apart already; use trials='sample' or 'mean'"
        )
    names = table.seed_names(schedule.epochs[-1])
    if not table.about.get("seeds") or not schedule.val_trials.shape[2] or names["val"] != names["test"]:
        raise LabError(f"{what}: it does not say which validation and which test score are of one training")
    return _checked(Trainings(schedule.val_trials, schedule.test_trials, _rows(table)), what)


def _rows(table: Table) -> NDArray[np.int64]:
    """(A,) which row a cell was trained as: its class, or itself."""
    if table.about.get("rows") != "class":
        return frozen(np.arange(table.space.size))
    return frozen(np.asarray(np.unique(table.space.classes, return_inverse=True)[1], dtype=np.int64))


def _checked(found: Trainings, what: str) -> Trainings:
    alone = int((found.known.sum(axis=1) < 2).sum())
    if alone:
        raise LabError(f"{what}: {alone:,} of {len(found.scored):,} cells have fewer than two trainings")
    return found


def split_where_it_can(table: Table) -> Table:
    """The table with `trials="split"` as its own policy, where every cell has two trainings or more: no luck is then shared."""
    try:
        of(table, table.last)
    except LabError:
        return table
    return replace(table, about={**table.about, "default_trials": "split"})


def noise(table: Table, split: Trainings | None = None) -> Noise | None:
    """What the repeats of a measured table's score say, of a split one of all its trainings.

    None where there are too few repeats, or the table was not measured.
    """
    return _noise(_Asked(table, split))


class _Asked:
    """A table and whether it is split, as a key: by its numbers."""

    def __init__(self, table: Table, split: Trainings | None) -> None:
        self.table, self.split = table, split
        self._key = table.digest, split is None

    def __hash__(self) -> int:
        return hash(self._key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Asked) and other._key == self._key


@lru_cache(maxsize=8)
def _noise(asked: _Asked) -> Noise | None:
    table, split = asked.table, asked.split
    trials = table.sign * (table.last.test_trials if split is None else np.where(split.known, split.scored, np.nan))
    if table.kind != "measured" or trials.shape[1] < 2:
        return None
    row = _rows(table)
    first = np.unique(row, return_index=True)[1]
    own = trials[first]
    alone = np.isnan(own).all(axis=1)
    own[alone, 0] = (table.sign * table.truth)[first][alone]  # known as a mean only: counted as one training
    if np.isnan(own).all(axis=1).any() or not Repeated.enough((~np.isnan(own)).sum(axis=1) > 1):
        return None
    return Noise(Repeated(own), row)
