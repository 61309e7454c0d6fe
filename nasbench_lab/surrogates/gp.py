"""Gaussian process on a cell's features: exact, hyper-parameters by marginal likelihood, calibrated spread.

Two engines with one model: "fast" (`_pool_gp`, numpy) and "gpytorch" (`_gpytorch`, the reference). Scores are
transformed to targets (`_targets`); predictions are mapped back through the inverse, linear between the scores seen.

Hyper-parameters are taken as known once found, which makes intervals too narrow when cells are few; variances grow by
1 + 8 / n for that. Targets, prior and this 8 were chosen on 200-epoch validation accuracies, split by class.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from nasbench_lab import cell
from nasbench_lab.core import FloatArray
from nasbench_lab.surrogates._base import Parameters
from nasbench_lab.surrogates._canonical import KERNELS, pool_of
from nasbench_lab.surrogates._pool_gp import PoolGP
from nasbench_lab.surrogates._targets import TRANSFORMS, Inverse

Engine = Literal["fast", "gpytorch"]
_ONE_BELOW = 0.15865525393145707  # probability below -1 standard deviation
_SPENT = 8.0  # results the hyper-parameters cost: variances grow by 1 + 8 / n


@dataclass
class GaussianProcess(Parameters):
    """A Gaussian process over NAS-Bench-201 cells.

    Attributes:
        kernel: see `_canonical`.
        targets: transform of the scores, see `_targets`.
        engine: "fast" or "gpytorch".
        iterations: of L-BFGS.
    """

    kernel: str = "canonical"
    targets: str = "blended"
    engine: Engine = "fast"
    iterations: int = 60

    def __post_init__(self) -> None:
        allowed = {"kernel": KERNELS, "targets": tuple(TRANSFORMS), "engine": get_args(Engine)}
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} must be one of {', '.join(values)}, got {getattr(self, name)!r}")

    def fit(self, archs: NDArray[np.int64], y: FloatArray, rng: np.random.Generator | None = None) -> Self:
        """Learn from `archs` (n,), cell indices, and `y` (n,), finite scores in percent; `rng` is not needed.

        Raises:
            ValueError: fewer than two scores, or one that is not finite.
        """
        y = np.asarray(y, dtype=np.float64)
        if len(y) < 2 or len(y) != len(archs) or not np.isfinite(y).all():
            raise ValueError(f"a fit needs at least 2 cells with one finite score each, got {len(archs)} and {len(y)}")
        targets = TRANSFORMS[self.targets](y)
        self.inverse_ = Inverse(targets, y)
        pool = pool_of(cell.SPACE, self.kernel)
        self.row_of_ = pool.row_of
        self.model_: Any = self._engine(pool.parts)
        self.model_.extend(pool.row_of[np.asarray(archs)].tolist())
        self.model_.fit(targets, iterations=self.iterations)
        mean, variance = self.model_.posterior()
        self.mean_ = mean
        self.std_ = np.sqrt((variance + self.model_.noise) * (1.0 + _SPENT / len(y)))
        return self

    def _engine(self, parts: Any) -> Any:
        if self.engine == "fast":
            return PoolGP(parts)
        from nasbench_lab.surrogates._gpytorch import TorchGP

        return TorchGP(parts)

    def predict(self, archs: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
        """Median and spread (half the distance between the 16 and 84% quantiles), (n,) each, in units of y.

        Both are of a new training of the cell, its own noise included.
        """
        low, middle, high = self.quantiles(archs, (_ONE_BELOW, 0.5, 1.0 - _ONE_BELOW))
        return middle, np.maximum((high - low) / 2.0, 1e-9)

    def quantiles(self, archs: NDArray[np.int64], probabilities: tuple[float, ...]) -> tuple[FloatArray, ...]:
        """Quantiles, (n,) each, in units of y: exact under the model, as the transform is monotone."""
        rows = self.row_of_[np.asarray(archs)]
        return tuple(self.inverse_(self.mean_[rows] + float(ndtri(p)) * self.std_[rows]) for p in probabilities)
