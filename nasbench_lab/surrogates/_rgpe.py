"""Ranking-weighted Gaussian-process ensemble: one GP per source task and one on the target (Feurer et al. 2018, RGPE).

    mean = sum_i w_i mean_i,    variance = sum_i w_i^2 variance_i

A model's loss is the number of pairs of observed cells that it puts in the wrong order; the target's own model predicts
each cell from the others (`leave_one_out`). w_i is the share of bootstrap samples of the observations in which model i
loses least, ties being split. A source is left out of a fit (the guard against weight dilution) if its median loss lies
above the 95th percentile of the target model's. Up to `_EQUAL` observations all models weigh the same.

Deviations: the paper draws losses from posteriors; predictions are held here and observations resampled, which costs a
matrix product instead of a draw per model. Both cells of a pair are predicted from the others, where the paper holds one
within the sample. Source scores and target scores go through one transform, each within its own task.

Notation: n observations, T sources, S bootstrap samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.surrogates._base import Surrogate, generator
from nasbench_lab.surrogates._pool_gp import PoolGP
from nasbench_lab.surrogates._settled import settled
from nasbench_lab.surrogates.gp import GaussianProcess

_EQUAL = 2
_PERCENTILE = 95.0


class Rgpe(Surrogate):
    """The ensemble, as a surrogate.

    Args:
        target: the model of the target task, not fitted yet; its targets are taken as they are.
        sources: fitted models of the source tasks; with none this is the target's model.
        bootstraps: S.
    """

    def __init__(self, target: GaussianProcess, sources: Sequence[GaussianProcess], *, bootstraps: int = 100) -> None:
        self.target, self.sources, self.bootstraps = target, list(sources), bootstraps
        self.weights: FloatArray = np.full(len(self.sources) + 1, 1.0 / (len(self.sources) + 1))

    def update(
        self,
        archs: NDArray[np.int64],
        y: FloatArray,
        rng: np.random.Generator | None = None,
        *,
        space: Space = cell.SPACE,
        refit: bool = True,
        known: Mapping[str, FloatArray] | None = None,
    ) -> Self:
        """Learn the target's model and the weights; the sources' models stay."""
        self.target.update(archs, y, rng, space=space, refit=refit, known=known)
        for source in self.sources:
            source.believe(np.empty(0, dtype=np.int64), archs, y)
        if self.sources and len(y) > _EQUAL:
            predicted = [source.predict(archs)[0] for source in self.sources]
            predicted.append(leave_one_out(self.target.model_, y))
            self.weights = ranking_weights(np.stack(predicted), y, self.bootstraps, generator(rng))
        return self

    def believe(self, pending: NDArray[np.int64], archs: NDArray[np.int64], y: FloatArray, *_: Any, **__: Any) -> Self:
        """See `Surrogate.believe`: all models take away the variance that the pending cells will take away."""
        for model in (self.target, *self.sources):
            model.believe(pending, archs, y)
        return self

    def predict(self, archs: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation, (m,) each, in units of the target's y."""
        mean, variance = np.zeros(len(archs)), np.zeros(len(archs))
        for weight, model in zip(self.weights.tolist(), (*self.sources, self.target), strict=True):
            if weight > 0:
                its_mean, its_std = model.predict(archs)
                mean += weight * its_mean
                variance += (weight * its_std) ** 2
        return mean, np.sqrt(variance)

    def alike(self, space: Space = cell.SPACE) -> tuple[IntArray, IntArray]:
        """See `Surrogate.alike`: all models have the target's kernel."""
        return self.target.alike(space)


def ranking_weights(predicted: FloatArray, y: FloatArray, bootstraps: int, rng: np.random.Generator) -> FloatArray:
    """(T + 1, n) predictions, the target model's last, and (n,) observations -> (T + 1,) weights that sum to 1."""
    wrong = np.stack([misranked(settled(row), y) for row in predicted])
    counts = rng.multinomial(len(y), np.full(len(y), 1.0 / len(y)), size=bootstraps).astype(np.float64)
    losses = np.einsum("sj,tsj->ts", counts, counts @ wrong)  # (T + 1, S)
    diluting = np.median(losses[:-1], axis=1) > np.percentile(losses[-1], _PERCENTILE)
    losses[:-1][diluting] = np.inf
    least = losses == losses.min(axis=0)
    weights: FloatArray = (least / least.sum(axis=0)).mean(axis=1)
    return weights


def misranked(predicted: FloatArray, y: FloatArray) -> FloatArray:
    """(n, n) 1 for pairs of which exactly one of prediction and observation says that the first is lower."""
    lower = predicted[:, None] < predicted
    return np.asarray(lower != (y[:, None] < y), dtype=np.float64)


def leave_one_out(model: PoolGP, y: FloatArray) -> FloatArray:
    """(n,) the mean at every observed row given all other observations, hyper-parameters and constant mean held.

    With the smoother H = K (K + noise)^-1, whose diagonal is the posterior variance over the noise's, this is
    (mean_i - H_ii y_i) / (1 - H_ii) (Rasmussen & Williams 2006, eq. 5.12, rearranged).
    """
    mean, variance = model.posterior()
    own = np.minimum(variance[model.rows] / model.noise, 1.0 - 1e-9)
    left: FloatArray = (mean[model.rows] - own * y) / (1.0 - own)
    return left
