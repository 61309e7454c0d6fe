"""Records of several runs of one strategy on one task, as columns, and what is asked of them.

R runs, ascending by seed. Few runs are in memory; of many, `Joined` keeps parts whose columns are read as they are asked for,
so that a question costs the memory of a part and of its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray

Header = dict[str, Any]
IntArray = NDArray[np.int64]
MEASURED = "decided"  # real seconds: the one column that is not reproduced


class Stretch(NamedTuple):
    """Seeds `first .. stop - 1`, whose runs all ended for one reason."""

    first: int
    stop: int
    why: str


class Endings(Mapping[int, str]):
    """Seed -> why its run ended, kept as stretches: a million runs that end alike are one of them."""

    def __init__(self, stretches: Iterable[Stretch]) -> None:
        found: list[Stretch] = []
        for each in sorted(stretches):
            if found and (found[-1].stop, found[-1].why) == (each.first, each.why):
                found[-1] = found[-1]._replace(stop=each.stop)
            else:
                found.append(each)
        self.stretches = tuple(found)

    @classmethod
    def of(cls, ended: Mapping[int, str]) -> Endings:
        """Those of any mapping."""
        if isinstance(ended, Endings):
            return ended
        alike = groupby(enumerate(sorted(ended)), key=lambda each: (each[1] - each[0], ended[each[1]]))
        found = (([seed for _, seed in seeds], why) for (_, why), seeds in alike)
        return cls(Stretch(seeds[0], seeds[-1] + 1, why) for seeds, why in found)

    @property
    def seeds(self) -> IntArray:
        """(R,) ascending."""
        return np.concatenate(
            [np.empty(0, np.int64), *(first + np.arange(stop - first) for first, stop, _ in self.stretches)]
        )  # the last stop may be 2^63, which is no whole number of 64 bits

    @property
    def ranges(self) -> list[range]:
        """The seeds as few ranges, ascending."""
        return merged(range(first, stop) for first, stop, _ in self.stretches)

    def __getitem__(self, seed: int) -> str:
        for first, stop, why in self.stretches:
            if first <= seed < stop:
                return why
        raise KeyError(seed)

    def __iter__(self) -> Iterator[int]:
        return (seed for first, stop, _ in self.stretches for seed in range(first, stop))

    def __len__(self) -> int:
        return sum(stop - first for first, stop, _ in self.stretches)

    def within(self, seeds: range) -> Endings:
        """Those of consecutive seeds."""
        cut = (Stretch(max(first, seeds.start), min(stop, seeds.stop), why) for first, stop, why in self.stretches)
        return Endings(each for each in cut if each.first < each.stop)


def merged(ranges: Iterable[range]) -> list[range]:
    """The numbers of ranges as few ranges, ascending."""
    found: list[range] = []
    for each in sorted((each for each in ranges if each), key=lambda each: each.start):
        if found and each.start <= found[-1].stop:
            found[-1] = range(found[-1].start, max(found[-1].stop, each.stop))
        else:
            found.append(each)
    return found


def lacking(wanted: range, there: Iterable[range]) -> list[range]:
    """What of consecutive numbers is not in ranges, as few ranges, ascending."""
    found, at = [], wanted.start
    for each in merged(there):
        if at < min(each.start, wanted.stop):
            found.append(range(at, min(each.start, wanted.stop)))
        at = max(at, each.stop)
    return [*found, range(at, wanted.stop)] if at < wanted.stop else found


@dataclass(frozen=True)
class Runs:
    """Records of several runs of one strategy on one task, as columns.

    Attributes:
        header: what was run.
        columns: name -> (rows,) values, sorted by (seed, order).
        seeds: (R,) the seeds, ascending.
        offsets: (R + 1,) rows offsets[i]:offsets[i + 1] belong to seeds[i].
        ended: seed -> why the run ended.
        files: what of an author's took part; see `sources.taken`.
    """

    header: Header
    columns: Mapping[str, NDArray[Any]]
    seeds: IntArray
    offsets: IntArray
    ended: Mapping[int, str]
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> IntArray:
        """(R,) queries answered in each run."""
        return np.diff(self.offsets)

    def incumbents_at_queries(self, queries: IntArray) -> IntArray:
        """(R, len(queries)) incumbent after so many queries; a shorter run keeps its last; -1 where there is none."""
        positions = np.minimum(np.asarray(queries)[None, :], self.counts[:, None]) - 1
        return self._incumbents(positions)

    def incumbents_at_seconds(self, seconds: FloatArray) -> IntArray:
        """(R, len(seconds)) incumbent at simulated times; -1 before the first result."""
        finished = self.columns["finished"]
        bounds = zip(self.offsets[:-1].tolist(), self.offsets[1:].tolist(), strict=True)
        positions = np.stack([np.searchsorted(finished[a:b], seconds, side="right") - 1 for a, b in bounds])
        return self._incumbents(positions)

    def first(self, hit: NDArray[np.bool_]) -> FloatArray:
        """(R,) number of queries until `hit[incumbent]` first holds; inf where it never does."""
        incumbents = self.columns["incumbent"]
        rows = np.flatnonzero(hit[incumbents] & (incumbents >= 0))
        out = np.full(len(self.seeds), np.inf)
        if rows.size:
            next_hit = np.searchsorted(
                rows, self.offsets[:-1]
            )  # the first hit from a run's first row on, if it is its own
            at = rows[np.minimum(next_hit, len(rows) - 1)]
            own = (at >= self.offsets[:-1]) & (at < self.offsets[1:])
            out[own] = (at - self.offsets[:-1] + 1)[own]
        return out

    def total(self, column: str) -> FloatArray:
        """(R,) sum of a column over each run."""
        sums = np.concatenate([[0.0], np.cumsum(self.columns[column], dtype=np.float64)])
        return np.diff(sums[self.offsets])

    def last(self, column: str) -> FloatArray:
        """(R,) last value of a column in each run; nan for a run without records."""
        values = np.full(len(self.seeds), np.nan)
        some = self.counts > 0
        values[some] = self.columns[column][self.offsets[1:][some] - 1]
        return values

    def only(self, seeds: Iterable[int]) -> Runs:
        """The runs of some seeds."""
        wanted = np.unique(np.fromiter(seeds, np.int64))
        if np.array_equal(wanted, self.seeds):
            return self
        rows = np.isin(self.columns["seed"], wanted)
        columns = {name: values[rows] for name, values in self.columns.items()}
        kept = merged(range(seed, seed + 1) for seed in wanted.tolist())
        endings = Endings.of(self.ended)
        return of(self.header, columns, Endings(s for each in kept for s in endings.within(each).stretches), self.files)

    def each(self, change: Callable[[Runs], Runs]) -> Runs:
        """The same with something made of the runs, a part at a time where there are parts."""
        return change(self)

    def _incumbents(self, positions: IntArray) -> IntArray:
        incumbents = self.columns["incumbent"]
        if not len(incumbents):
            return np.full(positions.shape, -1)
        rows = np.clip(self.offsets[:-1, None] + positions, 0, len(incumbents) - 1)
        return np.where(positions >= 0, incumbents[rows], -1)


def of(header: Header, columns: Mapping[str, NDArray[Any]], ended: Mapping[int, str], files: Mapping[str, str]) -> Runs:
    """Runs whose records are in these columns."""
    endings = Endings.of(ended)
    seeds, column = endings.seeds, columns["seed"]
    offsets = np.concatenate([np.searchsorted(column, seeds), [len(column)]])
    return Runs(header, columns, seeds, offsets, endings, files)


class Columns(Mapping[str, NDArray[Any]]):
    """Columns of parts one behind the other; joined when they are asked for, and not kept."""

    def __init__(self, parts: Sequence[Mapping[str, NDArray[Any]]]) -> None:
        self._parts = parts

    def __getitem__(self, name: str) -> NDArray[Any]:
        return np.concatenate(list(self.pieces(name)))

    def pieces(self, name: str) -> Iterator[NDArray[Any]]:
        """A column, part by part."""
        return (part[name] for part in self._parts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts[0])

    def __len__(self) -> int:
        return len(self._parts[0])


@dataclass(frozen=True)
class Joined(Runs):
    """Runs in parts, ascending by seed and disjoint; see `joined`. What is asked is asked of every part."""

    parts: tuple[Runs, ...] = ()

    def incumbents_at_queries(self, queries: IntArray) -> IntArray:
        """As of `Runs`."""
        return np.concatenate([part.incumbents_at_queries(queries) for part in self.parts])

    def incumbents_at_seconds(self, seconds: FloatArray) -> IntArray:
        """As of `Runs`."""
        return np.concatenate([part.incumbents_at_seconds(seconds) for part in self.parts])

    def first(self, hit: NDArray[np.bool_]) -> FloatArray:
        """As of `Runs`."""
        return np.concatenate([part.first(hit) for part in self.parts])

    def total(self, column: str) -> FloatArray:
        """As of `Runs`."""
        return np.concatenate([part.total(column) for part in self.parts])

    def last(self, column: str) -> FloatArray:
        """As of `Runs`."""
        return np.concatenate([part.last(column) for part in self.parts])

    def only(self, seeds: Iterable[int]) -> Runs:
        """As of `Runs`."""
        wanted = np.unique(np.fromiter(seeds, np.int64))
        if np.array_equal(wanted, self.seeds):
            return self
        own = ((part, np.intersect1d(wanted, part.seeds).tolist()) for part in self.parts)
        return joined([part.only(some) for part, some in own if some])

    def each(self, change: Callable[[Runs], Runs]) -> Runs:
        """As of `Runs`."""
        return joined([change(part) for part in self.parts])


def joined(parts: Sequence[Runs]) -> Runs:
    """Disjoint parts of one strategy on one task as one, in order of seed."""
    if len(parts) == 1:
        return parts[0]
    parts = sorted(parts, key=lambda part: int(part.seeds[0]))
    counts = np.concatenate([part.counts for part in parts])
    return Joined(
        parts[0].header,
        Columns([part.columns for part in parts]),
        np.concatenate([part.seeds for part in parts]),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        Endings(stretch for part in parts for stretch in Endings.of(part.ended).stretches),
        {name: sha for part in parts for name, sha in part.files.items()},
        tuple(parts),
    )
