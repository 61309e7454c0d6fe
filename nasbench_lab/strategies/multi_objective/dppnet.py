"""DPP-Net: progressive search, a predictor, and Pareto selection at every step (Dong et al., ECCV 2018).

Cells grow one decision at a time. Undecided decisions hold a default (skip in four-node cells, so that a cell in the
making is a network; the first option elsewhere; of a listed space, what the closest cell has), and level l are the cells
with l decisions taken. At every
level the children of the last beam are predicted for all objectives, the best `beam` of them by non-dominated rank and
crowding are trained, and the predictor learns from them.

Deviations: the paper grows layers of a dense block and stops after the last; here a new round starts from level 1 with
what was learned, until the budget ends. The predictor is a Gaussian process (or any surrogate) where the paper's is
recurrent, and it predicts the other objectives too, where the task does not know them beforehand, since here only a
query tells them. While nothing is known, cells of the first level are drawn at random. Once a level is asked for, its
results are waited for, with several workers too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench_lab import extras, loading
from nasbench_lab.core import FloatArray, Query, Result, Strategy
from nasbench_lab.strategies.multi_objective._objective_gps import ObjectiveGps
from nasbench_lab.strategies.multi_objective._pareto import costs_of, crowded_order, unasked
from nasbench_lab.surrogates._estimators import written
from nasbench_lab.surrogates._settled import settled

_FAST = "pool_gp"


@dataclass
class Dppnet(Strategy):
    """Progressive search at the highest fidelity.

    Attributes:
        beam: cells trained at a level.
        predictor: "pool_gp", a Gaussian process per objective, or any of `surrogates/`, fitted anew at every level.
    """

    beam: int = 10
    predictor: str = _FAST

    paper = "Dong et al. 2018, arXiv:1806.08198"

    @property
    def requires(self) -> tuple[str, ...]:
        """What the predictor computes with."""
        return () if self.predictor == _FAST else extras.required(loading.build("surrogates", self.predictor))

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise ValueError(f"beam must be at least 1, got {self.beam}")
        self.predictor = written(self.predictor)
        if self.predictor != _FAST:  # refused now, not in the middle of a study
            loading.build("surrogates", self.predictor)

    def setup(self) -> None:
        space = self.task.space
        default = space.roles.index("skip") if "skip" in space.roles else 0
        root = space.closest((default,) * len(space.options), self.rng)
        self._level_of = (space.choices != space.choices[root]).sum(axis=1)
        self._level = 0
        self._asked: set[int] = set()
        self._pending: set[int] = set()
        self._queue: list[int] = []
        self._beam: list[int] = []
        self._known: dict[int, FloatArray] = {}
        self._gps = ObjectiveGps(self.task, "blended")

    def propose(self) -> Query | None:
        if not self._queue and not self._pending:
            self._queue = self._next_beam()
        if not self._queue:
            return None
        arch = self._queue.pop(0)
        self._asked.add(arch)
        self._pending.add(arch)
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        arch = result.query.arch
        self._pending.discard(arch)
        costs = costs_of(result, self.task)
        if costs is not None:
            self._known[arch] = costs
            self._gps.add(arch, costs)

    def _next_beam(self) -> list[int]:
        """The cells to train at the next level that has any; uniform ones if no level has; none at the end."""
        levels = len(self.task.space.options)
        for _ in range(levels):
            self._level = self._level % levels + 1
            candidates = self._children()
            if candidates:
                self._beam = self._selected(candidates)
                return list(self._beam)
        arch = unasked(self.design, self._asked, self.task.space.size)
        return [] if arch is None else [arch]

    def _children(self) -> list[int]:
        """Cells of this level not asked for that add a decision to a cell of the last beam; all of them at level 1."""
        at_level = self._level_of == self._level
        if self._level == 1:
            return [arch for arch in np.flatnonzero(at_level).tolist() if arch not in self._asked]
        parents = [arch for arch in self._beam if arch in self._known] or self._beam
        near = np.unique(self.task.space.neighbours[parents]) if parents else np.empty(0, dtype=np.int32)
        return [arch for arch in near[at_level[near]].tolist() if arch not in self._asked]

    def _selected(self, candidates: list[int]) -> list[int]:
        """The best `beam` candidates as predicted; at random while there is nothing to learn from."""
        known = len(self._known) >= 2
        order = crowded_order(self._predicted(candidates)) if known else self.rng.permutation(len(candidates))
        return [candidates[i] for i in order[: self.beam].tolist()]

    def _predicted(self, candidates: list[int]) -> FloatArray:
        """(n, m) expected costs, in any unit that keeps their order."""
        if self.predictor == _FAST:
            return np.stack([settled(mean[candidates]) for mean in self._gps.predict()[0]], axis=1)
        archs, costs = np.array(list(self._known)), np.stack(list(self._known.values()))
        model = loading.build("surrogates", self.predictor)
        chosen = np.array(candidates)
        columns = [-model.fit(archs, -column, self.rng, space=self.task.space).predict(chosen)[0] for column in costs.T]
        units = [float(np.std(column)) or 1.0 for column in costs.T]
        return np.stack([settled(each, unit) for each, unit in zip(columns, units, strict=True)], axis=1)
