"""Local search: hill climbing over one-edge changes with random restarts (White et al., UAI 2021; den Ottelander et al. 2021).

A neighbour that was queried before is never asked for again: it is moved to if better, else skipped, without charge.
With several workers, neighbours are tried side by side and any result above the current centre becomes the centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from nasbench_lab.core import Query, Result, Strategy


@dataclass
class LocalSearch(Strategy):
    """Hill climbing at the highest fidelity.

    Attributes:
        improvement: "first" moves to the first better neighbour in random order; "best" tries all and moves to the
            best of them (the variant of White et al.).
        restarts: go on from a uniform cell when a local optimum is reached; otherwise the search ends there.
    """

    improvement: Literal["first", "best"] = "first"
    restarts: bool = True

    paper = "White et al. 2021, arXiv:2005.02960"
    learns_from_any = True

    def setup(self) -> None:
        self._scores: dict[int, float] = {}
        self._pending: set[int] = set()
        self._untried: list[int] = []
        self._centre_score = -math.inf
        self._best_neighbour: tuple[float, int] = (-math.inf, -1)
        self._started = False

    def propose(self) -> Query | None:
        while len(self._scores) + len(self._pending) < self.task.space.size:
            arch = self._next()
            if arch is None:
                return None
            if arch in self._pending:
                continue
            if arch in self._scores:
                self._consider(arch)
                continue
            self._pending.add(arch)
            return Query(arch, self.task.full)
        return None

    def observe(self, result: Result) -> None:
        arch = result.query.arch
        self._pending.discard(arch)
        self._scores[arch] = result.score
        self._consider(arch)

    def _next(self) -> int | None:
        """The next cell to look at, queried before or not; None to wait, or to end."""
        if self._untried:
            return self._untried.pop()
        if self._pending:
            return None
        score, arch = self._best_neighbour
        if score > self._centre_score:  # "best": all neighbours are known now
            self._move(arch)
            return self._next()
        if self._started and not self.restarts:
            return None
        self._started = True
        self._centre_score, self._best_neighbour = -math.inf, (-math.inf, -1)
        return self.design()

    def _consider(self, arch: int) -> None:
        score = self._scores[arch]
        climbing = self.improvement == "best" and self._centre_score > -math.inf
        if climbing:
            self._best_neighbour = max(self._best_neighbour, (score, arch), key=lambda pair: pair[0])
        elif score > self._centre_score:
            self._move(arch)

    def _move(self, arch: int) -> None:
        self._centre_score = self._scores[arch]
        self._best_neighbour = (-math.inf, -1)
        neighbours = self.task.space.neighbours_of(arch)
        self._untried = [neighbours[i] for i in self.rng.permutation(len(neighbours)).tolist()]
