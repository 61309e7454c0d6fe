"""SPOS: single-path one-shot, uniform paths train the supernet, evolution searches on its weights (Guo et al. 2020).

Every step trains the path of one uniform cell. With `fair=true` (FairNAS, Chu et al., ICCV 2021) a step instead trains as
many paths as there are operations, each operation on each edge exactly once, and moves the weights by the sum of their
gradients. Then evolution, with the paper's settings: 50 cells a generation, half of them by crossover and half by
mutation (each edge with probability 0.1) of the ten best so far, 20 generations. Before a cell is scored its norms take
the statistics of training images (`calibration` batches).

Deviations: weights learn by this package's schedule, where the paper's (on ImageNet) has batches of 1024, rate 0.5 and
label smoothing; the statistics' images are not augmented; no limit on FLOPs; a generation is filled up with uniform cells
when crossover or mutation finds nothing new.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot._one_shot import uniform_path
from nasbench_lab.strategies.one_shot._ranked import Ranked
from nasbench_lab.training import cost
from nasbench_lab.training.shared import Batch

_TRIES = 10  # per cell wanted, before uniform cells fill a generation up


@dataclass
class Spos(Ranked):
    """Single-path one-shot with evolution.

    Attributes:
        parents: the best so far that have children.
        mutation: probability that an edge changes.
        fair: FairNAS' strict fairness instead of uniform paths.
    """

    calibration: int = 8
    parents: int = 10
    mutation: float = 0.1
    fair: bool = False

    paper = "Guo et al. 2020, arXiv:1904.00420"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.parents < 1 or not 0 < self.mutation <= 1:
            raise ValueError(f"need parents >= 1 and 0 < mutation <= 1, got {self.parents} and {self.mutation}")

    def train(self, number: int) -> None:
        for batch in self.weights.batches(number):
            if self.fair:
                self._fair_step(batch)
            else:
                self.weights.learn(batch.images, batch.labels, uniform_path(self.rng))

    def _fair_step(self, batch: Batch) -> None:
        orders = np.stack([self.rng.permutation(5) for _ in range(6)], axis=1).tolist()
        self.weights.optimizer.zero_grad(set_to_none=True)
        for ops in orders:
            choices = tuple((int(op),) for op in ops)
            self.weights.loss(batch.images, batch.labels, choices).backward()  # type: ignore[no-untyped-call]
            self.weights.charge(choices, len(batch.images), cost.PASSES)
        self.weights.step()

    def search(self, count: int) -> None:
        for arch in self._generation(count):
            self.score(arch)

    def _generation(self, count: int) -> list[int]:
        """New cells: half crossed, half mutated from the best so far; uniform ones at first, and where those run out."""
        known = set(self.ranking)
        best = sorted(known, key=lambda arch: (-self.ranking[arch], arch))[: self.parents]
        rows = [cell.SPACE.row(arch) for arch in best]
        found = self._new(lambda: self._crossed(rows), count // 2, known) if rows else []
        found += self._new(lambda: self._mutated(rows), count - len(found), known.union(found)) if rows else []
        return found + self._new(lambda: cell.SPACE.sample(self.rng), count - len(found), known.union(found))

    def _new(self, make: Callable[[], int], wanted: int, known: set[int]) -> list[int]:
        """Up to `wanted` cells that are not known, in a limited number of tries."""
        found: dict[int, None] = {}
        for _ in range(_TRIES * wanted):
            if len(found) == wanted:
                break
            arch = make()
            if arch not in known:
                found[arch] = None
        return list(found)

    def _crossed(self, rows: list[tuple[int, ...]]) -> int:
        one, other = (rows[i] for i in self.rng.integers(len(rows), size=2).tolist())
        take = (self.rng.random(6) < 0.5).tolist()
        return cell.SPACE.index([a if first else b for a, b, first in zip(one, other, take, strict=True)])

    def _mutated(self, rows: list[tuple[int, ...]]) -> int:
        row = rows[int(self.rng.integers(len(rows)))]
        change, fresh = self.rng.random(6) < self.mutation, self.rng.integers(5, size=6)
        return cell.SPACE.index(np.where(change, fresh, row).tolist())
