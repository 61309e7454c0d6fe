"""SETN: weights by uniform single paths, a template that says which cells to score (Dong & Yang, ICCV 2019).

Weights learn on the path of one uniform cell per step; alpha learns on the softmax mixture of all operations, whose
weights are then held. After an epoch the cells most probable under softmax(alpha) are scored with the shared weights on
one validation batch each, and the best is the answer. Settings are those of NAS-Bench-201's own runs: 100 cells, batches
of 512 for scoring, 250 epochs.

Deviations: as in the authors' code the most probable cells are scored, where the paper draws them; gradients of weights
are clipped as in the other strategies, where the authors' code for this one does not (`clip=inf`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot._one_shot import Differentiable, best_of, uniform_path
from nasbench_lab.training.shared import Batch


@dataclass
class Setn(Differentiable):
    """Self-evaluated template network.

    Attributes:
        select: cells scored after every epoch.
        score_batch: validation images each is scored on.
    """

    select: int = 100
    score_batch: int = 512

    paper = "Dong & Yang 2019, arXiv:1910.05733"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.select <= cell.SPACE.size or self.score_batch < 1:
            raise ValueError(
                f"need 1 <= select <= {cell.SPACE.size} and score_batch >= 1, got {self.select} and {self.score_batch}"
            )

    def weight_step(self, batch: Batch, number: int, generator: torch.Generator) -> None:
        self.weights.learn(batch.images, batch.labels, uniform_path(self.rng))

    def derive(self, number: int) -> int:
        """The best of drawn cells on one validation batch."""
        log_chances = torch.log_softmax(self.alpha.detach().double(), dim=1).reshape(-1).cpu().numpy()
        chances = cell.SPACE.one_hot @ log_chances
        archs = np.argsort(-chances, kind="stable")[: self.select].tolist()
        return best_of(self.weights, archs, self.score_batch, number)
