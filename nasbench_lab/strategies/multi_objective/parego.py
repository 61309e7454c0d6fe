"""ParEGO: one Gaussian process on a randomly weighted sum of all objectives, anew for every query (Knowles, IEEE TEC 2006).

Costs are scaled to [0, 1] by what was seen; a weight vector is drawn from the evenly spaced ones; a cell's cost is the
augmented Chebyshev function max_j w_j c_j + 0.05 sum_j w_j c_j, and the cell of highest expected improvement is next.

Deviations: acquisition is maximised exactly over all cells, not by a genetic algorithm; log EI, and predictive rather than
latent spread, as in `gp_bo`; the model learns from all results (the paper takes a sample of them when there are many);
hyper-parameters are refitted ever more rarely, on whatever weights are drawn then. Initial cells are uniform, 10 rather
than the paper's 11 d - 1 = 65 of a Latin hypercube. With several workers, pending cells count as
observed with what is expected of them. With one objective this is `gp_bo` with another kernel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nasbench_lab.core import FloatArray, Query, Result, Strategy
from nasbench_lab.spaces import cells
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.multi_objective._pareto import costs_of, unasked
from nasbench_lab.surrogates._acquisition import log_expected_improvement
from nasbench_lab.surrogates._canonical import pool_of
from nasbench_lab.surrogates._kernels import Part
from nasbench_lab.surrogates._pool_gp import PoolGP
from nasbench_lab.surrogates._settled import best
from nasbench_lab.surrogates._targets import blended

_RHO = 0.05
_STEPS = 10  # weights are multiples of 1 / 10, the paper's s for two objectives
_DENSE, _GROWTH = 10, 1.3  # refits: at every result up to this many, then each time results grow by this factor


@dataclass
class Parego(Strategy):
    """Bayesian optimisation of random scalarisations at the highest fidelity.

    Attributes:
        initial: cells of the common design before the model decides.
    """

    initial: int = 10

    paper = "Knowles 2006, doi:10.1109/TEVC.2005.851274"

    def __post_init__(self) -> None:
        if self.initial < 1:
            raise ValueError(f"initial must be at least 1, got {self.initial}")

    def setup(self) -> None:
        self._asked: set[int] = set()
        self._pending: list[int] = []
        self._costs: list[FloatArray] = []
        self._gp = PoolGP(_parts(self.task.space))
        self._refit_at = 2

    def propose(self) -> Query | None:
        early = len(self._asked) < self.initial or len(self._costs) < 2
        size = self.task.space.size
        arch = unasked(self.design, self._asked, size) if early or len(self._asked) == size else self._chosen()
        if arch is None:
            return None
        self._asked.add(arch)
        self._pending.append(arch)
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        arch = result.query.arch
        if arch in self._pending:
            self._pending.remove(arch)
        costs = costs_of(result, self.task)
        if costs is not None:
            self._costs.append(costs)
            self._gp.add(arch)

    def _chosen(self) -> int:
        """The unasked cell of highest expected improvement under new weights; of equals one at random."""
        targets = blended(-chebyshev(np.stack(self._costs), self._weights()))
        count = len(targets)
        if count >= self._refit_at:
            self._gp.fit(targets)
            self._refit_at = count + 1 if count < _DENSE else math.ceil(count * _GROWTH)
        else:
            self._gp.set_targets(targets)
        mean, variance = self._gp.posterior(self._pending)
        values = log_expected_improvement(mean, np.sqrt(variance + self._gp.noise), float(targets.max()))
        values[list(self._asked)] = -np.inf
        return best(values, self.rng)

    def _weights(self) -> FloatArray:
        """(m,) a uniform one of the vectors of multiples of 1 / `_STEPS` that sum to 1: bars among stars."""
        m = len(self.task.objectives)
        bars = np.sort(self.rng.permutation(_STEPS + m - 1)[: m - 1])
        stars = np.diff(np.concatenate([[-1], bars, [_STEPS + m - 1]])) - 1
        weights: FloatArray = stars / _STEPS
        return weights


def chebyshev(costs: FloatArray, weights: FloatArray) -> FloatArray:
    """(n, m) costs, scaled by their range -> (n,) augmented Chebyshev values (Knowles 2006, eq. 2)."""
    low, high = costs.min(axis=0), costs.max(axis=0)
    weighted = weights * (costs - low) / np.where(high > low, high - low, 1.0)
    value: FloatArray = weighted.max(axis=1) + _RHO * weighted.sum(axis=1)
    return value


@lru_cache(maxsize=4)
def _parts(space: Space) -> tuple[Part, ...]:
    """What accuracy follows and what costs follow: canonical structure and one-hot choices, a row per cell."""
    pool = pool_of(space)
    if not cells.is_cell(space):  # what accuracy follows knows the choices already
        return pool.parts
    plain = pool_of(space, "one_hot")
    structure = pool.parts[0]
    rows = Part(structure.name, frozen(structure.features[pool.row_of]), ard=True, variance=structure.variance)
    return (rows, *plain.parts)
