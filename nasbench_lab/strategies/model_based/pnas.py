"""Progressive search: cells by growing complexity, a predictor chooses which are worth training (PNAS; Liu et al. 2018).

Complexity is the number of decisions that are not option 0 (`none` in the NAS-Bench-201 cell; in a listed space, not that
of the cell closest to all zeros). All cells of complexity 1 are trained, a predictor is fitted, the cells of the level are
expanded by one more operation, the `beam` best by prediction are trained, and so on. Deviations: isomorphic cells are
trained once (the authors remove duplicates too); the predictor is the MLP ensemble of the paper's "MLP-ensemble" kind, on
canonical features, and is fitted to all cells trained so far; after the last level, rounds of ten cells go on with the best
predicted of all that was ever expanded and of the mutants of the five best, as the space is not exhausted by then and a
budget has to be used. A fit has 60 steps of the optimiser at twice the surrogate's rate: chosen as in `bananas`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from nasbench_lab import extras, loading
from nasbench_lab.core import FloatArray, Query, Result, Strategy
from nasbench_lab.surrogates._base import predictions
from nasbench_lab.surrogates._estimators import written
from nasbench_lab.surrogates._settled import settled

_PARENTS = 5
_ROUND = 10  # cells trained with one predictor after the last level


@dataclass
class Pnas(Strategy):
    """Progressive search.

    Attributes:
        beam: cells trained per level; few, so that the first levels leave most of a budget of 50 queries (chosen on `digits`).
        surrogate: the predictor, any of `surrogates/`.
    """

    beam: int = 3
    surrogate: str = "mlp:steps=60,learning_rate=0.02"

    paper = "Liu et al. 2018, arXiv:1712.00559"

    @property
    def requires(self) -> tuple[str, ...]:
        """What the surrogate computes with."""
        return extras.required(loading.build("surrogates", self.surrogate))

    def __post_init__(self) -> None:
        if self.beam < 1:
            raise ValueError(f"beam must be at least 1, got {self.beam}")
        self.surrogate = written(self.surrogate)
        loading.build("surrogates", self.surrogate)

    def setup(self) -> None:
        self._scores: dict[int, float] = {}
        self._asked: set[int] = set()
        self._classes: set[int] = set()  # of cells asked for
        self._pending: set[int] = set()
        self._queue: list[int] = []
        self._expanded: set[int] = set()  # cells ever considered
        self._level = 0
        root = self.task.space.closest((0,) * len(self.task.space.options), self.rng)
        self._root = self.task.space.row(root)
        self._frontier: list[int] = [root]

    def propose(self) -> Query | None:
        if not self._queue:
            if self._pending:
                return None
            self._queue = self._round()
        if not self._queue:
            return None
        arch = self._queue.pop(0)
        self._asked.add(arch)
        self._pending.add(arch)
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        self._pending.discard(result.query.arch)
        if result.val == result.val:
            self._scores[result.query.arch] = result.val

    def _round(self) -> list[int]:
        """The next cells to train: a level, or after the last one the best of everything considered."""
        self._level += 1
        if self._level > len(self.task.space.options):
            return self._beyond()
        candidates = sorted({child for parent in self._frontier for child in self._grown(parent)})
        self._expanded |= set(candidates)
        of_class: dict[int, list[int]] = {}
        for arch in candidates:
            of_class.setdefault(int(self.task.space.classes[arch]), []).append(arch)
        fresh = [number for number in of_class if number not in self._classes]
        count = len(fresh) if self._level == 1 else self.beam
        ranked = self._ranked([of_class[number][0] for number in fresh])[:count]
        chosen = {int(self.task.space.classes[arch]) for arch in ranked}
        self._classes |= chosen
        known = {
            number for number in of_class if number in self._classes
        }  # classes met on an earlier level lead on as well
        self._frontier = [arch for number in sorted(known) for arch in of_class[number]]
        return ranked or self._round()

    def _grown(self, arch: int) -> list[int]:
        """The cells with one more operation."""
        row = self.task.space.row(arch)
        grown = [
            (*row[:edge], option, *row[edge + 1 :])
            for edge, count in enumerate(self.task.space.options)
            if row[edge] == self._root[edge]
            for option in range(count)
            if option != row[edge]
        ]
        found = self.task.space.found(np.array(grown, dtype=np.int64).reshape(-1, len(row)))
        children: list[int] = found[found >= 0].tolist()
        return children

    def _beyond(self) -> list[int]:
        """The best predicted of all cells considered and of the best ones' mutants; uniform ones when these are used up."""
        best = sorted(self._scores, key=lambda arch: -self._scores[arch])[:_PARENTS]
        self._expanded |= {neighbour for arch in best for neighbour in self.task.space.neighbours_of(arch)}
        left = np.array(sorted(self._expanded - self._asked), dtype=np.int64)
        fresh = left[~np.isin(self.task.space.classes[left], list(self._classes))].tolist()
        if not fresh:
            rest = np.setdiff1d(np.arange(self.task.space.size), list(self._asked)).tolist()
            return [rest[i] for i in self.rng.permutation(len(rest))[:_ROUND].tolist()]
        chosen, used = [], set()
        for arch in self._ranked(fresh):
            number = int(self.task.space.classes[arch])
            if number not in used:
                used.add(number)
                chosen.append(arch)
            if len(chosen) == _ROUND:
                break
        self._classes |= used
        return chosen

    def _ranked(self, archs: list[int]) -> list[int]:
        """Cells by prediction, best first; in random order while nothing can be fitted."""
        order = self.rng.permutation(len(archs)).tolist()
        shuffled = [archs[i] for i in order]
        if len(self._scores) < 2 or not archs:
            return shuffled
        model: Any = loading.build("surrogates", self.surrogate)
        known = np.array(list(self._scores), dtype=np.int64)
        y: FloatArray = np.array(list(self._scores.values()))
        model.update(known, y, self.rng, space=self.task.space, known=self.task.known)
        mean = predictions(model, np.array(shuffled, dtype=np.int64))[0]
        order = np.argsort(-settled(mean, float(np.std(y)) or 1.0), kind="stable")
        return [shuffled[i] for i in order.tolist()]
