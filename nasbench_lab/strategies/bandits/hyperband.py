"""Hyperband: successive halving from every rung in turn, so that no one has to trust low fidelities (Li et al., JMLR 2018).

With K + 1 rungs, bracket s = K, ..., 0 begins at the rung s steps below the full training with
n = ceil((K + 1) / (s + 1) R / r_0) uniform cells, which is the paper's algorithm 1 where R / r_0 = eta^s: for R = 81
and eta 3 the brackets begin with 81, 34, 15, 8 and 5 cells. After s = 0 they begin again.

Deviations: rungs are fidelities that exist and sizes count epochs (see `_brackets`); cells are drawn without
replacement. With a single fidelity this is random search.

The recommendation is the best cell at the highest rung reached, as in successive halving; brackets with small s then
add cells that were trained in full without having been selected, which is compared fairly.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.strategies.bandits._brackets import Bracket, Bracketed, check_eta, rungs_of, sizes_of


@dataclass
class Hyperband(Bracketed):
    """Brackets of successive halving from the most to the least aggressive, again and again.

    Attributes:
        eta: ratio of the epochs of two rungs, about; of as many cells one goes on.
    """

    eta: int = 3

    paper = "Li et al. 2018, arXiv:1603.06560"

    def __post_init__(self) -> None:
        check_eta(self.eta)

    def bracket(self, number: int) -> Bracket:
        rungs = rungs_of(self.task.fidelities, self.eta)
        steps = len(rungs) - 1 - number % len(rungs)  # the paper's s
        own = rungs[len(rungs) - 1 - steps :]
        cells = -(-len(rungs) * own[-1] // ((steps + 1) * own[0]))
        return Bracket(own, sizes_of(own, cells))
