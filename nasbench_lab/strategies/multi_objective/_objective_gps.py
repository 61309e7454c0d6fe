"""A Gaussian process per objective over the whole space, as costs in units of about 1.

"val" is modelled on canonical features (`surrogates/_canonical`), as `gp_bo` does it; every other objective on one-hot
choices, since isomorphic cells need not cost the same: a convolution that nothing reads has its parameters all the same.
An objective that the task knows of all cells beforehand (`Task.known`, params and FLOPs) needs no model.

Deviation of predictions from latent values: the noise is added, as it is part of the value searched for; see `gp_bo`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from nasbench_lab.core import FloatArray, Task, direction
from nasbench_lab.spaces import cells
from nasbench_lab.surrogates._canonical import pool_of
from nasbench_lab.surrogates._pool_gp import PoolGP
from nasbench_lab.surrogates._targets import TRANSFORMS, standardised

_CERTAIN = 1e-6  # standard deviation of what is known
_DENSE, _GROWTH = (
    10,
    1.3,
)  # hyper-parameters: at every result up to this many, then each time results grow by this factor


class ObjectiveGps:
    """Posteriors of all objectives.

    Args:
        task: names the objectives.
        transform: of `surrogates/_targets`, for "val"; the others are standardised.

    Attributes:
        archs: cells observed.
        targets: (n, m) their costs, transformed, as of the last `predict`.
    """

    def __init__(self, task: Task, transform: str) -> None:
        self._transforms = [TRANSFORMS[transform], *(standardised for _ in task.objectives[1:])]
        self._known = [_known(task, name) for name in task.objectives]
        plain = "one_hot" if cells.is_cell(task.space) else "choices"
        pools = [pool_of(task.space, "canonical" if name == "val" else plain) for name in task.objectives]
        self._rows = [pool.row_of for pool in pools]
        self._gps = [PoolGP(pool.parts) for pool in pools]
        self.archs: list[int] = []
        self._costs: list[FloatArray] = []
        self._refit_at = 2
        self.targets: FloatArray = np.empty((0, len(pools)))

    def add(self, arch: int, costs: FloatArray) -> None:
        """Observe a cell's (m,) costs."""
        self.archs.append(arch)
        self._costs.append(costs)
        for gp, rows, known in zip(self._gps, self._rows, self._known, strict=True):
            if known is None:
                gp.add(int(rows[arch]))

    def predict(self, pending: Sequence[int] = ()) -> tuple[list[FloatArray], list[FloatArray]]:
        """Mean and standard deviation of every cost, (N,) each; the variance that pending cells will take away is gone."""
        costs, refit = np.stack(self._costs), len(self._costs) >= self._refit_at
        if refit:
            count = len(costs)
            self._refit_at = count + 1 if count < _DENSE else math.ceil(count * _GROWTH)
        self.targets = np.stack([-f(-column) for f, column in zip(self._transforms, costs.T, strict=True)], axis=1)
        means, stds = [], []
        for j, known in enumerate(self._known):
            if known is not None:
                # standardised as the observed are: a line through two of them
                scale = float(np.std(costs[:, j]))
                means.append((known - costs[:, j].mean()) / (scale if scale > 1e-12 else 1.0))
                stds.append(np.full(len(known), _CERTAIN))
                continue
            mean, std = self._posterior(j, refit, pending)
            means.append(mean)
            stds.append(std)
        return means, stds

    def _posterior(self, j: int, refit: bool, pending: Sequence[int]) -> tuple[FloatArray, FloatArray]:
        gp, rows = self._gps[j], self._rows[j]
        if refit:
            gp.fit(self.targets[:, j])
        else:
            gp.set_targets(self.targets[:, j])
        mean, variance = gp.posterior([int(rows[arch]) for arch in pending])
        return mean[rows], np.sqrt(variance + gp.noise)[rows]


def _known(task: Task, name: str) -> FloatArray | None:
    """(N,) the costs of all cells, where the task has them."""
    values = task.known.get(name)
    return None if values is None or not np.isfinite(values).all() else -direction(name) * values
