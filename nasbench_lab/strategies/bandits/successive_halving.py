"""Successive halving: many cells for few epochs, the best share of them for more (Jamieson & Talwalkar, AISTATS 2016).

Brackets follow each other for as long as the budget lasts: `cells` uniform cells begin at the lowest rung, and from
rung to rung only so many go on that each rung costs about the same number of epochs (see `_brackets`).

Deviations: the paper halves (eta 2) and spreads a given budget over one bracket; as in its successors (Hyperband,
ASHA) the factor is `eta`, 3 unless told otherwise, and the bracket is repeated, because the strategy does not know
what an epoch costs. Cells are drawn without replacement. With a single fidelity this is random search.

The recommendation is the best cell at the highest rung reached: survivors are asked for best first, so in the first
bracket it begins each rung with the best cell of the rung below, and from then on fully trained cells are compared.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.strategies.bandits._brackets import Bracket, Bracketed, check_eta, rungs_of, sizes_of


@dataclass
class SuccessiveHalving(Bracketed):
    """Repeated brackets of successive halving.

    Attributes:
        eta: ratio of the epochs of two rungs, about; of as many cells one goes on.
        cells: how many begin a bracket; 0 for as many as leave one for the full training.
    """

    eta: int = 3
    cells: int = 0

    paper = "Jamieson & Talwalkar 2016, arXiv:1502.07943"

    def __post_init__(self) -> None:
        check_eta(self.eta)
        if self.cells < 0:
            raise ValueError(f"cells must be 0 (chosen) or more, got {self.cells}")

    def bracket(self, number: int) -> Bracket:
        rungs = rungs_of(self.task.fidelities, self.eta)
        return Bracket(rungs, sizes_of(rungs, self.cells or -(-rungs[-1] // rungs[0])))
