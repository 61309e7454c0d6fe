"""Pareto local search: the neighbourhoods of non-dominated cells, one after another (Paquete, Chiarandini & Stützle 2004).

An archive holds the cells that nothing seen dominates. One whose neighbourhood was not searched is drawn at random, all
its neighbours are asked for, and those that nothing dominates enter the archive. A neighbour that was queried before is
looked up without charge.

Deviations: the paper stops when every cell of the archive was searched; here a uniform cell then starts a new archive, as
in local search with restarts. The paper leaves open where it starts: here from one uniform cell. `neighbours=first` is
the variant of Liefooghe et al. 2012 that leaves a neighbourhood as soon as one of it enters the archive; the rest is
searched when the cell is drawn again. With several workers, cells are drawn as workers come free.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from nasbench_lab.core import FloatArray, Query, Result, Strategy
from nasbench_lab.strategies.multi_objective._pareto import Archive, costs_of

Neighbours = Literal["all", "first"]


@dataclass
class MoLocalSearch(Strategy):
    """Pareto local search at the highest fidelity.

    Attributes:
        neighbours: "all" searches a neighbourhood to its end, "first" until one of it enters the archive.
        restarts: start anew when the archive is searched; otherwise the search ends there.
    """

    neighbours: Neighbours = "all"
    restarts: bool = True

    paper = "Paquete et al. 2004, doi:10.1007/978-3-642-17144-4_7"

    def __post_init__(self) -> None:
        if self.neighbours not in get_args(Neighbours):
            raise ValueError(f"neighbours must be one of {', '.join(get_args(Neighbours))}, got {self.neighbours!r}")

    def setup(self) -> None:
        self._known: dict[int, FloatArray | None] = {}
        self._pending: set[int] = set()
        self._begin()

    def _begin(self) -> None:
        """An empty archive."""
        self._archive = Archive(len(self.task.objectives))
        self._untried: dict[int, list[int]] = {}  # cell of the archive -> neighbours to look at
        self._centre = -1
        self._started = False

    def propose(self) -> Query | None:
        while len(self._known) + len(self._pending) < self.task.space.size:
            arch = self._next()
            if arch is None:
                return None
            if arch in self._known:
                self._enter(arch)
            elif arch not in self._pending:
                self._pending.add(arch)
                return Query(arch, self.task.full)
        return None

    def observe(self, result: Result) -> None:
        arch = result.query.arch
        self._pending.discard(arch)
        self._known[arch] = costs_of(result, self.task)
        self._enter(arch)

    def _next(self) -> int | None:
        """The next cell to look at, queried before or not; None to wait, or to end."""
        if not self._untried.get(self._centre):
            open_cells = [arch for arch in self._archive.archs if self._untried[arch]]
            if not open_cells:
                return self._restart()
            self._centre = open_cells[int(self.rng.integers(len(open_cells)))]
        return self._untried[self._centre].pop()

    def _restart(self) -> int | None:
        if self._pending or (self._started and not self.restarts):
            return None
        self._begin()
        self._started = True
        return self.design()

    def _enter(self, arch: int) -> None:
        """Offer a known cell to the archive."""
        costs = self._known[arch]
        if costs is None or not self._archive.add(arch, costs):
            return
        neighbours = self.task.space.neighbours_of(arch)
        self._untried[arch] = [neighbours[i] for i in self.rng.permutation(len(neighbours)).tolist()]
        if self.neighbours == "first":
            self._centre = -1
