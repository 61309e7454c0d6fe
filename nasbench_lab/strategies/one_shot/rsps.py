"""Random search with parameter sharing: uniform single paths train the supernet, the best of random cells is the answer.

Li & Talwalkar (UAI 2019), with the settings of NAS-Bench-201's own runs: every step trains the path of one uniform cell;
after an epoch 100 uniform cells are scored on one validation batch each, with the batch's own statistics, and the best
is the answer. (Their runs take 250 epochs; with `epochs=50` one costs as much as DARTS' there. Copies of their settings
differ in the images a cell is scored on, 64 or 256.)

Deviations: the paper evaluates the best cells anew on the whole validation set, in the end; cells may be drawn twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot._one_shot import OneShot, best_of, uniform_path


@dataclass
class Rsps(OneShot):
    """Random search with shared weights.

    Attributes:
        select: cells scored after every epoch.
        score_batch: validation images each is scored on.
    """

    select: int = 100
    score_batch: int = 64

    paper = "Li & Talwalkar 2019, arXiv:1902.07638"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.select < 1 or self.score_batch < 1:
            raise ValueError(f"select and score_batch must be at least 1, got {self.select} and {self.score_batch}")

    def advance(self, number: int) -> int:
        for batch in self.weights.batches(number):
            self.weights.learn(batch.images, batch.labels, uniform_path(self.rng))
        archs = [cell.SPACE.sample(self.rng) for _ in range(self.select)]
        return best_of(self.weights, archs, self.score_batch, number)
