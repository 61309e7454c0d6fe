"""Random forest or extremely randomised trees: mean and variance within and between trees (Hutter et al. 2014).

Every tree predicts with the mean and the variance of its leaf; by the law of total variance the forest's variance is
the mean of these variances plus the variance of these means. That is drawn half way to its average, as ten trees may
agree by chance, and multiplied such that 90% intervals cover what trees did not see (out of bag), with a factor of its own
where a cell is predicted to be among the best (`_rows.NineTenths`).

Deviation from SMAC's forest, whose settings are `trees=10,max_features=0.83,min_leaf=3`: scikit-learn's trees, which
split at midpoints; categorical choices as one-hot columns. Defaults chosen on validation columns as in `mlp`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.tree import DecisionTreeRegressor, ExtraTreeRegressor
from sklearn.utils import check_random_state

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import encodings
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.surrogates._rows import LEAST_NOISE, NINE_TENTHS, NineTenths, RowModel
from nasbench_lab.surrogates._scale import check_targets

Kind = Literal["random", "extra"]
_AS_IT_IS = NineTenths(NINE_TENTHS)


@dataclass
class Forest(RowModel):
    """Trees grown on bootstrap samples.

    Attributes:
        features: the rows it learns from, a name of `spaces.encodings.FEATURES` (structure_paths, path, one_hot, ...).
        trees: how many there are in the forest.
        kind: "random" seeks the best thresholds, "extra" draws them (Geurts et al. 2006).
        max_features: share of the columns tried at a split.
        min_leaf: observations in a leaf, at least.
        targets: transform of the scores, a name of `_targets.TRANSFORMS` (blended, rank_gauss, standardised, ...), or none.
        calibrated: intervals cover what trees did not see; else the spread is the trees' own, narrower, as SMAC uses it
            to choose: a predictive spread would count what cannot be learned as worth a query.
    """

    features: str = "structure_paths"
    trees: int = 100
    kind: Kind = "extra"
    max_features: float = 0.8
    min_leaf: int = 1
    targets: str = "blended"
    calibrated: bool = True

    requires = ("sklearn",)

    def __post_init__(self) -> None:
        encodings.check(self.features)
        check_targets(self.targets)
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind must be one of {', '.join(get_args(Kind))}, got {self.kind!r}")
        if self.trees < 2 or self.min_leaf < 1 or not 0 < self.max_features <= 1:
            got = f"{self.trees}, {self.min_leaf} and {self.max_features}"
            raise ValueError(f"need trees >= 2, min_leaf >= 1 and 0 < max_features <= 1, got {got}")

    def _learn(self, rows: IntArray, targets: FloatArray, rng: np.random.Generator) -> None:
        self.trees_in_: NDArray[np.float32] = self.inputs_.astype(np.float32)
        seen = self.trees_in_[rows]
        self._grow(seen, targets[:, None], int(rng.integers(2**31)))
        self.average_, self.within_ = self._calibrated(seen, targets) if self.calibrated else (LEAST_NOISE, _AS_IT_IS)

    def _grow(self, seen: NDArray[np.float32], targets: FloatArray, seed: int) -> None:
        """The trees, on bootstrap samples.

        Tree for tree what scikit-learn's forests grow with `bootstrap=True` and this seed; for tens of rows
        their way around a tree (a copy, its parameters, a parallel loop) takes longer than growing it.
        """
        kind: Any = ExtraTreeRegressor if self.kind == "extra" else DecisionTreeRegressor
        random = check_random_state(seed)
        self.grown_: list[Any] = []
        self.counts_: IntArray = np.empty((self.trees, len(seen)), dtype=np.int64)  # how often a tree has seen a row
        with config_context(skip_parameter_validation=True, assume_finite=True):
            for counts in self.counts_:
                own = random.randint(np.iinfo(np.int32).max)
                drawn = check_random_state(own).randint(0, len(seen), len(seen), dtype=np.int32)
                counts[:] = np.bincount(drawn, minlength=len(seen))
                tree = kind(max_features=self.max_features, min_samples_leaf=self.min_leaf, random_state=own)
                tree.fit(seen, targets, sample_weight=counts.astype(float), check_input=False)
                self.grown_.append(tree.tree_)

    def _by_tree(self, inputs: NDArray[np.float32]) -> tuple[FloatArray, FloatArray]:
        """Mean and variance, (trees, m) each, of the leaf that every row falls into."""
        leaves = [tree.apply(inputs) for tree in self.grown_]
        mean = np.stack([tree.value[leaf, 0, 0] for tree, leaf in zip(self.grown_, leaves, strict=True)])
        return mean, np.stack([tree.impurity[leaf] for tree, leaf in zip(self.grown_, leaves, strict=True)])

    def _calibrated(self, seen: NDArray[np.float32], targets: FloatArray) -> tuple[float, NineTenths]:
        """Average variance out of bag, and what nine in ten squared errors lie within, as multiples of variance + average."""
        out = (self.counts_ == 0).astype(float)
        some = out.sum(axis=0) >= 2
        if not some.any():
            return 0.5, _AS_IT_IS  # nothing is known of such errors: the targets' own variance
        mean, variance = self._by_tree(seen)
        share = out[:, some] / out[:, some].sum(axis=0)
        middle = (share * mean[:, some]).sum(axis=0)
        total = (share * (variance[:, some] + (mean[:, some] - middle) ** 2)).sum(axis=0)
        average = max(float(total.mean()), LEAST_NOISE)
        squares = (targets[some] - middle) ** 2 / (total + average)
        return average, NineTenths.of(middle, squares, NINE_TENTHS * LEAST_NOISE)

    def _moments(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        by_tree, variance = self._by_tree(self.trees_in_[rows])
        mean, total = by_tree.mean(axis=0), by_tree.var(axis=0) + variance.mean(axis=0)
        return mean, np.sqrt(self.within_.at(mean) / NINE_TENTHS * (total + self.average_))
