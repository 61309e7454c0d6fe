"""One-shot search in two phases: train the supernet, then rank cells by their accuracy with its weights.

While the weights are trained there is no ranking, and the answer is the seed's first design cell; from then on it is the
best cell scored so far. A cell is scored once, on the same validation images as all others.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np
import torch

from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot._one_shot import Kept, OneShot, Stateful
from nasbench_lab.training.supernet import Choices


@dataclass
class Ranked(OneShot):
    """Base: a subclass writes `train` (one epoch) and `search` (one round of scoring).

    Attributes:
        select: cells scored in all.
        per_round: of them, in one round.
        score_images: validation images a cell is scored on.
        calibration: batches of training images whose statistics a cell's norms take first; 0: those of the batch at hand.
    """

    select: int = 1000
    per_round: int = 50
    score_images: int = 1000
    calibration: int = 0

    answers_while_training = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.select, self.per_round, self.score_images) < 1 or self.calibration < 0:
            raise ValueError(f"need select, per_round, score_images >= 1 and calibration >= 0, got {self}")

    @property
    def rounds(self) -> int:
        return self.epochs + -(-self.select // self.per_round)

    def begin(self) -> None:
        self._first = self.design()
        self._kept = Kept(ranking={})

    def advance(self, number: int) -> int:
        if number < self.epochs:
            self.train(number)
            return self._first
        done = (number - self.epochs) * self.per_round
        self.search(min(self.per_round, self.select - done))
        return max(self.ranking.items(), key=lambda item: item[1])[0]

    @abstractmethod
    def train(self, number: int) -> None:
        """One epoch of the supernet."""

    @abstractmethod
    def search(self, count: int) -> None:
        """`score` at least one and at most `count` further cells."""

    def score(self, arch: int) -> float:
        """Validation accuracy with the shared weights, %; computed and charged once per cell."""
        ranking = self.ranking
        if arch not in ranking:
            images, labels = self.weights.validation(self.score_images)
            calibration = self.weights.calibration(self.calibration) if self.calibration else ()
            ranking[arch] = self.accuracy(arch, images, labels, calibration)
        return ranking[arch]

    @property
    def ranking(self) -> dict[int, float]:
        """Cells scored so far, in that order, and their scores."""
        found: dict[int, float] = self._kept["ranking"]
        return found

    def parts(self) -> dict[str, Stateful]:
        return {"kept": self._kept}


@dataclass
class PathDropout(Ranked):
    """Ranked cells of a supernet trained with path dropout (Bender et al. 2018).

    Every step leaves out each operation with probability r^(1/k) times the share of the training that is done, k being
    the number of operations that enter its node; an edge is the mean of those that are left.

    Attributes:
        drop: r, the probability that a node gets nothing, in the end.
    """

    drop: float = 0.15

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.drop < 1:
            raise ValueError(f"drop must lie in [0, 1), got {self.drop}")

    def train(self, number: int) -> None:
        """One epoch with paths dropped at random (Bender et al. 2018)."""
        for step, batch in enumerate(self.weights.batches(number)):
            choices = self.masked(number, step)
            gates = torch.zeros(6, 5, device=batch.images.device)
            for e, left in enumerate(choices):
                gates[e, list(left)] = 1 / max(1, len(left))
            self.weights.learn(batch.images, batch.labels, choices, gates)

    def masked(self, number: int, step: int) -> Choices:
        """What is left of all operations in one step."""
        done = (number + step / self.weights.steps) / self.epochs
        entering = np.array([4 * target for _, target in cell.EDGES])  # node t has t edges of four operations
        chance = done * self.drop ** (1 / entering)
        kept = self.rng.random((6, 5)) >= chance[:, None]
        return tuple(tuple(op for op in range(1, 5) if row[op]) for row in kept)
