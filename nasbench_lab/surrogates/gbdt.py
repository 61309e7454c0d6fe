"""Gradient-boosted trees with quantile loss: median and the 5 and 95% quantiles (Koenker & Bassett 1978).

Observations are dealt into folds; three boosted models are fitted to all but each, and predictions are the means over
folds. What was left out says how far the outer two must move apart, or together, for 90% to lie between them:
conformalised quantile regression (Romano et al. 2019), cross-fitted, and by as much as it takes there where a cell is
predicted to be among the best (`_rows.NineTenths`). In between and beyond, the distribution is two
halves of normal ones that meet at the median. Trees are scikit-learn's histogram trees, without early stopping, which
would give away a tenth of few observations; leaves are small when observations are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import encodings
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.surrogates._rows import LEAST_NOISE, NINE_TENTHS, NineTenths, RowModel, folds
from nasbench_lab.surrogates._scale import check_targets

_LEVELS = (0.05, 0.5, 0.95)
_HALF = float(np.sqrt(NINE_TENTHS))  # standard deviations from the median to the outer levels


@dataclass
class BoostedTrees(RowModel):
    """Boosted histogram trees.

    Attributes:
        features: the rows it learns from, a name of `spaces.encodings.FEATURES` (structure_paths, path, one_hot, ...).
        iterations: trees of a model.
        learning_rate: of boosting.
        leaves: of a tree, at most.
        min_leaf: observations in a leaf, at least; 0 for a fortieth of them, between 2 and 20.
        folds: models are fitted to all observations but those of one fold; at least 2.
        targets: transform of the scores, a name of `_targets.TRANSFORMS` (blended, rank_gauss, standardised, ...), or none.
    """

    features: str = "structure_paths"
    iterations: int = 60
    learning_rate: float = 0.15
    leaves: int = 15
    min_leaf: int = 0
    folds: int = 3
    targets: str = "blended"

    requires = ("sklearn",)

    def __post_init__(self) -> None:
        encodings.check(self.features)
        check_targets(self.targets)
        least = {"iterations": 1, "leaves": 2, "min_leaf": 0, "folds": 2}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} must be at least {value}, got {getattr(self, name)}")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")

    def _learn(self, rows: IntArray, targets: FloatArray, rng: np.random.Generator) -> None:
        count = min(self.folds, len(np.unique(rows)))
        left_out = folds(rows, count, rng) if count > 1 else np.full(len(rows), -1)
        seed = int(rng.integers(2**31))
        self.models_: list[list[Any]] = []
        self.margin_, self.factor_ = NineTenths(1.0), NineTenths(1.0)  # if nothing can be left out
        levels = np.empty((3, len(rows)))
        with threadpool_limits(1, user_api="openmp"):  # more threads cost more than they save on so few rows
            for fold in range(count):
                out = left_out == fold
                self.models_.append([self._grown(level, rows[~out], targets[~out], seed) for level in _LEVELS])
                if out.any():
                    levels[:, out] = self._raw(self.models_[-1:], rows[out])
        if count > 1:
            self._calibrate(levels, targets)

    def _calibrate(self, levels: FloatArray, targets: FloatArray) -> None:
        """From levels (3, n) of what was left out: the margins, and factors of the spread about the median."""
        low, middle, high = levels
        self.margin_ = NineTenths.of(middle, np.maximum(low - targets, targets - high))
        low, middle, high = self._moved(levels)
        self.factor_ = NineTenths.of(middle, 2.0 * np.abs(targets - middle) / (high - low), 0.1)

    def _grown(self, level: float, rows: IntArray, targets: FloatArray, seed: int) -> Any:
        model = HistGradientBoostingRegressor(
            loss="quantile",
            quantile=level,
            max_iter=self.iterations,
            learning_rate=self.learning_rate,
            max_leaf_nodes=self.leaves,
            min_samples_leaf=self.min_leaf or int(np.clip(len(rows) // 40, 2, 20)),
            early_stopping=False,
            random_state=seed,
        )
        return model.fit(self.inputs_[rows], targets)

    def _raw(self, models: list[list[Any]], rows: IntArray) -> FloatArray:
        """(3, m) the 5, 50 and 95% quantiles of targets, in order: means over models."""
        inputs = self.inputs_[rows]
        found = np.mean([[model.predict(inputs) for model in three] for three in models], axis=0)
        return np.sort(found, axis=0)

    def _moved(self, levels: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """The levels, the outer ones moved by their margin."""
        low, middle, high = levels
        margin, least = self.margin_.at(middle), _HALF * float(np.sqrt(LEAST_NOISE))
        return np.minimum(low - margin, middle - least), middle, np.maximum(high + margin, middle + least)

    def _levels(self, rows: IntArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        with threadpool_limits(1, user_api="openmp"):
            return self._moved(self._raw(self.models_, rows))

    def _moments(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        low, middle, high = self._levels(rows)
        return middle, self.factor_.at(middle) * (high - low) / (2.0 * _HALF)

    def quantiles(self, archs: NDArray[np.int64], probabilities: tuple[float, ...]) -> tuple[FloatArray, ...]:
        """See `Surrogate.quantiles`: of two half normal distributions."""
        rows, back = self._asked(archs)
        low, middle, high = self._levels(rows)
        found = []
        for p in probabilities:
            side = (middle - low if p < 0.5 else high - middle) / _HALF
            found.append(self.scale_.quantiles(middle, side, (p,))[0][back])
        return tuple(found)
