"""One-Shot: a supernet trained with path dropout ranks uniform cells (Bender et al., ICML 2018).

Phases, dropout and scoring: see `_ranked`. As in the paper the dropout rate grows linearly and cells are then sampled
independently of one another.

Deviations: an edge is the mean of its operations, where the paper's choice blocks concatenate and mix them; norms take
the statistics of the whole batch, not of ghost batches; the best cell is the answer, where the paper trains the ten best
from scratch.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.strategies.one_shot._ranked import PathDropout


@dataclass
class OneShotRandom(PathDropout):
    """Random search on a trained supernet."""

    paper = "Bender et al. 2018, PMLR 80"

    def search(self, count: int) -> None:
        for _ in range(count):
            self.score(self.task.space.sample(self.rng))
