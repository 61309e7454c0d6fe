"""Gaussian process on a cell's features: exact, hyper-parameters by marginal likelihood, calibrated spread.

The kernel is what fits the space, of several the one with the best marginal likelihood (`_canonical`, `_choice`).
Two engines with one model: "fast" (`_pool_gp`, numpy, extended observation by observation) and "gpytorch" (`_gpytorch`,
the reference). Scores are transformed to targets (`_targets`); predictions are mapped back through the inverse, linear
between the scores seen.

Hyper-parameters are taken as known once found, which makes intervals too narrow when cells are few; variances grow by
1 + `spent` / n for that. Where cells are predicted to be the best they are wider yet, if the errors of such cells, each
left out (Rasmussen & Williams 2006, section 5.4.2), ask for it (`_rows.NineTenths`). Targets, prior and the 8 were chosen
on 200-epoch validation accuracies, split by class, and the widening on validation columns of other spaces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.spaces.whole import cells
from nasbench_lab.surrogates._base import Surrogate, checked
from nasbench_lab.surrogates._canonical import KERNELS, candidates, first_of, pool_of, with_known
from nasbench_lab.surrogates._choice import Choice
from nasbench_lab.surrogates._kernels import Pool
from nasbench_lab.surrogates._pool_gp import PoolGP
from nasbench_lab.surrogates._rows import NINE_TENTHS, NineTenths
from nasbench_lab.surrogates._scale import Scale
from nasbench_lab.surrogates._settled import settled
from nasbench_lab.surrogates._targets import TRANSFORMS

Engine = Literal["fast", "gpytorch"]
_ONE_BELOW = 0.15865525393145707  # probability below -1 standard deviation
_LEAST = (
    0.02  # no spread is below this share of the spread of what was seen: beyond the scores seen, a slope may be flat
)
_LEAST_SHARE = 1e-9  # of a residual that is left when a result decides its own prediction
_JOINT = 512  # a joint sample is drawn at the rows with the highest upper confidence bounds


@dataclass
class GaussianProcess(Surrogate):
    """A Gaussian process over the cells of a space.

    Attributes:
        kernel: canonical (what fits the space), choices, counts, places, one_hot, categorical, path, wl or canonical3,
            see `_canonical`.
        targets: transform of the scores, see `_targets`; "none" takes them as they are.
        engine: "fast" or "gpytorch".
        iterations: steps to the hyper-parameters in `fit`; `update` goes on from where they were, with half as many.
        spent: results that the hyper-parameters cost: variances grow by 1 + spent / n, and by what errors of the best ask for;
            0 takes the model at its word, as acquisition functions do.
        proxies: add a part on what is known of all cells beforehand (zero-cost scores, size), if anything is.
    """

    kernel: str = "canonical"
    targets: str = "blended"
    engine: Engine = "fast"
    iterations: int = 60
    spent: float = 8.0
    proxies: bool = False

    def __post_init__(self) -> None:
        allowed = {"kernel": KERNELS, "targets": ("none", *TRANSFORMS), "engine": get_args(Engine)}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} must be one of {', '.join(values)}, got {getattr(self, name)!r}")
        if self.iterations < 1 or not 0 <= self.spent < np.inf:
            raise ValueError(f"need iterations >= 1 and a finite spent >= 0, got {self.iterations} and {self.spent}")

    @property
    def requires(self) -> tuple[str, ...]:
        """The fast engine is numpy alone."""
        return ("botorch", "gpytorch", "torch") if self.engine == "gpytorch" else ()

    @property
    def uses_known(self) -> bool:  # type: ignore[override]
        """Whether `fit` takes `known`."""
        return self.proxies

    def fit(
        self,
        archs: NDArray[np.int64],
        y: FloatArray,
        rng: np.random.Generator | None = None,
        *,
        space: Space = cell.SPACE,
        known: Mapping[str, FloatArray] | None = None,
    ) -> Self:
        """Learn from `archs` (n,), cell indices, and `y` (n,), finite scores; `rng` is not needed.

        Raises:
            ValueError: fewer than two scores, or one that is not finite.
        """
        archs, y = checked(archs, y)
        self._begin(space, known)
        self.model_.extend(self.row_of_[archs].tolist())
        self._refit(self._targeted(y), self.iterations)
        self._remember(archs)
        return self

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
        """See `Surrogate.update`. The fast engine adds one row per new observation and starts where it was."""
        seen = getattr(self, "archs_", None)
        if self.engine != "fast" or (seen is not None and not np.array_equal(seen, archs[: len(seen)])):
            return self.fit(archs, y, rng, space=space, known=known)
        if seen is None:
            self._begin(space, known)
        for row in self.row_of_[archs[len(self.model_.rows) :]].tolist():
            self.model_.add(row)
        targets = self._targeted(np.asarray(y, dtype=np.float64))
        if refit:
            self._refit(targets, max(self.iterations // 2, 1))
        else:
            self.model_.set_targets(targets)
        self._remember(archs)
        return self

    def _remember(self, archs: NDArray[np.int64]) -> None:
        self.archs_: IntArray = np.array(archs, dtype=np.int64)
        self._pending: list[int] = []
        self._posterior: tuple[FloatArray, FloatArray] | None = None

    def believe(
        self,
        pending: NDArray[np.int64],
        archs: NDArray[np.int64],
        y: FloatArray,
        rng: np.random.Generator | None = None,
        *,
        space: Space = cell.SPACE,
        known: Mapping[str, FloatArray] | None = None,
    ) -> Self:
        """See `Surrogate.believe`. What is expected leaves the mean as it is and takes its variance away, at once."""
        if self.engine != "fast":
            return super().believe(pending, archs, y, rng, space=space, known=known)
        self._pending = self.row_of_[pending].tolist()
        self._posterior = None
        return self

    def _begin(self, space: Space, known: Mapping[str, FloatArray] | None) -> None:
        """A model without observations."""
        pools = self._pools(space, known)
        self.row_of_: IntArray = pools[0].row_of
        self.model_: Any = self._engine(pools[0])
        self.choice_ = Choice([pool.parts for pool in pools])

    def _named(self, space: Space) -> tuple[str, ...]:
        """The kernels that are chosen from; the reference engine has the first."""
        return candidates(space, self.kernel)[: None if self.engine == "fast" else 1]

    def instead(self, space: Space) -> str:
        """See `Surrogate.instead`: a kernel that only four-node cells have."""
        named = self._named(space)
        if self.kernel in ("canonical", *named):
            return ""
        best = f"the likeliest of {', '.join(named)}" if len(named) > 1 else named[0]
        return f"kernel {self.kernel} is for four-node cells; on {space.name}, {best}"

    def _pools(self, space: Space, known: Mapping[str, FloatArray] | None) -> list[Pool]:
        """Those of all kernels that are chosen from."""
        named = self._named(space)
        if self.proxies and known:
            return [with_known(space, kernel, known) for kernel in named]
        return [pool_of(space, kernel) for kernel in named]

    def _engine(self, pool: Pool) -> Any:
        if self.engine == "fast":
            return PoolGP(pool.parts)
        from nasbench_lab.surrogates._gpytorch import TorchGP

        return TorchGP(pool.parts)

    def _refit(self, targets: FloatArray, iterations: int) -> None:
        self.model_ = self.choice_.fit(self.model_, targets, iterations)

    def _targeted(self, y: FloatArray) -> FloatArray:
        self.targets_ = y
        self.inverse_: Callable[[FloatArray], FloatArray] | None = None
        if self.targets != "none":
            scale = Scale(self.targets, y)
            self.least_ = max(_LEAST * float(np.std(y)), 1e-9 * min(1.0, float(np.abs(y).max()) or 1.0))
            self.targets_, self.inverse_ = scale.targets, scale.back
        return self.targets_

    def _moments(self) -> tuple[FloatArray, FloatArray]:
        """(M,) mean and predictive standard deviation of the targets at every row of the pool; computed when asked for."""
        if self._posterior is None:
            mean, variance = self.model_.posterior(self._pending) if self._pending else self.model_.posterior()
            growth = 1.0 + self.spent / len(self.archs_)
            wider = self._widening(mean, growth) if self.spent else 1.0
            self._posterior = mean, np.sqrt((variance + self.model_.noise) * growth * wider)
        return self._posterior

    def _widening(self, mean: FloatArray, growth: float) -> FloatArray:
        """(M,) what variances are multiplied by, at least 1 where the best tenth is predicted, 1 elsewhere.

        With s the posterior variance of f at a row and v the noise, leaving its result out divides its residual by
        1 - s / v, and its predictive variance is v / (1 - s / v).
        """
        rows, noise = self.model_.rows, self.model_.noise
        at, variance = (values[rows] for values in self.model_.posterior())
        share = np.maximum(1.0 - variance / noise, _LEAST_SHARE)
        errors = (self.targets_ - at) / share
        within = NineTenths.of(self.targets_ - errors, errors**2 * share / (noise * growth), NINE_TENTHS)
        return np.where(mean >= within.edge, within.best / NINE_TENTHS, 1.0)

    def predict(self, archs: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Median and spread (half the distance between the 16 and 84% quantiles), (n,) each, in units of y.

        Both are of a new training of the cell, its own noise included.
        """
        if self.inverse_ is None:
            mean, std = self._moments()
            rows = self.row_of_[cells(archs)]
            return mean[rows], std[rows]
        low, middle, high = self.quantiles(archs, (_ONE_BELOW, 0.5, 1.0 - _ONE_BELOW))
        return middle, np.maximum((high - low) / 2.0, self.least_)

    def quantiles(self, archs: NDArray[np.int64], probabilities: tuple[float, ...]) -> tuple[FloatArray, ...]:
        """Quantiles, (n,) each, in units of y: exact under the model, as the transform is monotone."""
        mean, std = self._moments()
        rows = self.row_of_[cells(archs)]
        back = self.inverse_ or (lambda targets: targets)
        return tuple(back(mean[rows] + float(ndtri(p)) * std[rows]) for p in probabilities)

    def sample(self, archs: NDArray[np.int64], rng: np.random.Generator) -> FloatArray:
        """(m,) a joint draw, in units of y, at the 512 rows with the highest bounds mean + 3 std; elsewhere the mean.

        Rows that far below are not where a draw has its maximum. Deviation: what was told by `believe` is not counted.
        """
        if self.engine != "fast":
            return super().sample(archs, rng)
        mean, std = self._moments()
        rows = np.argsort(-settled(mean + 3.0 * std), kind="stable")[:_JOINT]
        root = np.linalg.cholesky(self.model_.covariance(rows) + self.model_.noise * np.eye(len(rows)))
        draw = mean.copy()
        draw[rows] += root @ rng.standard_normal(len(rows))
        values = draw[self.row_of_[cells(archs)]]
        return values if self.inverse_ is None else self.inverse_(values)

    def alike(self, space: Space = cell.SPACE) -> tuple[IntArray, IntArray]:
        """See `Surrogate.alike`: the rows of the pool."""
        if self.proxies:
            return super().alike(space)
        return first_of(space, self.kernel), pool_of(space, self.kernel).row_of
