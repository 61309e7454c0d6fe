"""Bayesian optimisation with a Gaussian process over the whole space (fast exact GP on canonical features).

A cell's score is transformed ("blended" of `surrogates/_targets`) and modelled as a function of its canonical features
(`surrogates/_canonical`) plus an independent part of its own: what separates two trainings of one network. In a finite
table that part belongs to the score that is searched for, so acquisition functions use the predictive spread with it,
and a second member of a good class can be worth a query.

How the defaults were chosen. Objective: queries until the maximum of a *validation* column is found; columns C10 and
C100 x 12 and 200 epochs, and two sums of their ranks; seeds from 10,000 on, 8 to 24 each. In this order, keeping what was
better on average: features (35.7 mean queries with op and path counts, one Matern-5/2 each and 10 initial cells; 31.8
with `structure`), initial cells (10: 32.9, 4: 25.8, 2: 22.3, 1: 24.6), predictive rather than latent spread (22.3, 33.0),
prior medians and widths (22.4 to 18.8), targets (17.9), weight of `structure` (16.8). On 50 fresh seeds from 20,000 on: 19.1.
No test accuracy was looked at until all was frozen, and nothing was changed afterwards. Caveat: the
best cell of C100's and of C10's 200-epoch validation is also best on test, so the columns are near the reported ones.

With several workers, cells being evaluated count as observed with what is expected of them (GP-BUCB's hallucinations,
Desautels et al. 2014; "kriging believer"), which takes their variance away.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nasbench_lab import loading
from nasbench_lab.core import FloatArray, Query, Result, Strategy, Surrogate
from nasbench_lab.surrogates._acquisition import (
    expected_improvement,
    log_expected_improvement,
    upper_confidence_bound,
)
from nasbench_lab.surrogates._canonical import pool_of
from nasbench_lab.surrogates._pool_gp import PoolGP
from nasbench_lab.surrogates._targets import TRANSFORMS

Acquisition = Literal["log_ei", "ei", "ucb", "thompson"]
Candidates = Literal["pool", "mutation"]
_FAST = "pool_gp"
_THOMPSON_ROWS = 512  # a joint sample is drawn at the rows with the highest upper confidence bounds
_PARENTS, _CHILDREN = 10, 200  # candidates="mutation": best cells seen, and mutants of them (naszilla's numbers)


@dataclass
class GpBo(Strategy):
    """Gaussian-process search at the highest fidelity.

    Attributes:
        initial: cells of the common design before the model decides.
        acquisition: "log_ei" and "ei" choose alike up to rounding; "ucb" is mean + `beta` std; "thompson" maximises
            one joint posterior sample.
        candidates: "pool" scores every cell not yet asked for, "mutation" one-edge mutants of the best ten seen.
        targets: transform of the scores, see `surrogates/_targets`.
        surrogate: "pool_gp", the fast GP, or any of `surrogates/` as `name:key=value`, fitted anew for every query.
        beta: of "ucb".
        dense: hyper-parameters are refitted at every result up to this many, then each time results grow by `growth`.
        growth: see `dense`.
    """

    initial: int = 2
    acquisition: Acquisition = "log_ei"
    candidates: Candidates = "pool"
    targets: str = "blended"
    surrogate: str = _FAST
    beta: float = 2.0
    dense: int = 20
    growth: float = 1.2

    family = "model-based"
    paper = "Jones et al. 1998; Ament et al. 2023, arXiv:2310.20708"

    def __post_init__(self) -> None:
        if self.initial < 1 or self.growth <= 1.0 or self.beta < 0:
            raise ValueError(
                f"need initial >= 1, growth > 1, beta >= 0, got {self.initial}, {self.growth}, {self.beta}"
            )
        for value, allowed in ((self.acquisition, Acquisition), (self.candidates, Candidates)):
            if value not in get_args(allowed):
                raise ValueError(f"allowed are {', '.join(get_args(allowed))}, got {value!r}")
        if self.targets not in TRANSFORMS:
            raise ValueError(f"targets must be one of {', '.join(TRANSFORMS)}, got {self.targets!r}")

    def setup(self) -> None:
        pool = pool_of(self.task.space)
        self._row_of = pool.row_of
        self._asked = np.zeros(self.task.space.size, dtype=bool)
        self._pending: list[int] = []
        self._archs: list[int] = []
        self._scores: list[float] = []
        self._gp = PoolGP(pool.parts)
        self._refit_at = 1

    def propose(self) -> Query | None:
        asked = int(self._asked.sum())
        if asked == len(self._asked):
            return None
        arch = self._designed() if asked < self.initial or not self._scores else self._chosen()
        self._asked[arch] = True
        self._pending.append(arch)
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        arch = result.query.arch
        if arch in self._pending:
            self._pending.remove(arch)
        if result.val != result.val:  # a failure teaches nothing, and is not asked for again
            return
        self._archs.append(arch)
        self._scores.append(result.val)
        if self.surrogate == _FAST:
            self._gp.add(int(self._row_of[arch]))

    def _designed(self) -> int:
        """The next cell of the common design that was not asked for."""
        while self._asked[arch := self.design()]:
            pass
        return arch

    def _chosen(self) -> int:
        """The candidate with the highest acquisition value; of equals, which members of a class are, one at random."""
        targets = TRANSFORMS[self.targets](np.array(self._scores))
        values = self._fast_values(targets) if self.surrogate == _FAST else self._surrogate_values(targets)
        values = np.where(self._candidates(), values, -np.inf)
        best = np.flatnonzero(values == values.max())
        return int(best[int(self.rng.integers(len(best)))])

    def _candidates(self) -> NDArray[np.bool_]:
        """(N,) cells that may be asked for; all unasked ones where no mutant is left."""
        free = ~self._asked
        if self.candidates == "pool":
            return free
        order = np.argsort(-np.array(self._scores), kind="stable")[:_PARENTS].tolist()
        parents = [self._archs[i] for i in order]
        mutants = [self.task.space.mutate(parents[i % len(parents)], self.rng) for i in range(_CHILDREN)]
        chosen = np.zeros_like(free)
        chosen[mutants] = True
        return chosen & free if (chosen & free).any() else free

    def _fast_values(self, targets: FloatArray) -> FloatArray:
        """(N,) acquisition values under the fast GP, refitted when it is due."""
        count = len(targets)
        if count >= self._refit_at:
            self._gp.fit(targets)
            self._refit_at = count + 1 if count < self.dense else math.ceil(count * self.growth)
        else:
            self._gp.set_targets(targets)
        mean, variance = self._gp.posterior([int(self._row_of[arch]) for arch in self._pending])
        std = np.sqrt(variance + self._gp.noise)
        if self.acquisition != "thompson":
            return self._acquire(mean, std, float(targets.max()))[self._row_of]
        rows = np.argsort(-(mean + 3.0 * std), kind="stable")[:_THOMPSON_ROWS]
        root = np.linalg.cholesky(self._gp.covariance(rows) + self._gp.noise * np.eye(len(rows)))
        values = np.full(len(mean), -np.inf)
        values[rows] = mean[rows] + root @ self.rng.standard_normal(len(rows))
        return values[self._row_of]

    def _surrogate_values(self, targets: FloatArray) -> FloatArray:
        """(N,) acquisition values under any other surrogate, fitted anew; pending cells are told what is expected."""
        model: Surrogate = loading.build("surrogates", self.surrogate)
        archs, everything = np.array(self._archs, dtype=np.int64), np.arange(self.task.space.size)
        model.fit(archs, targets, self.rng)
        if self._pending:
            pending = np.array(self._pending, dtype=np.int64)
            expected = model.predict(pending)[0]
            model.fit(np.concatenate([archs, pending]), np.concatenate([targets, expected]), self.rng)
        mean, std = model.predict(everything)
        if self.acquisition == "thompson":
            return mean + std * self.rng.standard_normal(len(mean))
        return self._acquire(mean, np.maximum(std, 1e-9), float(targets.max()))

    def _acquire(self, mean: FloatArray, std: FloatArray, best: float) -> FloatArray:
        if self.acquisition == "ucb":
            return upper_confidence_bound(mean, std, self.beta)
        improvement = log_expected_improvement if self.acquisition == "log_ei" else expected_improvement
        return improvement(mean, std, best)
