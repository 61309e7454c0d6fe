"""Ensemble of small networks on a cell's features, all trained at once (White et al. 2021, BANANAS; deep ensembles).

As BANANAS' meta-network: an ensemble of 5 whose disagreement is uncertainty, an absolute loss. With loss="nll" a deep
ensemble (Lakshminarayanan et al. 2017): every member predicts a variance as well, and the ensemble is their mixture.

Each member is trained without a fifth of the rows. Errors on what was withheld calibrate the spread: a constant is
added to the variance (`_rows.added_noise`). How often the intervals hold what they should: docs/statistics.md.

Deviations: BANANAS has 10 layers of 20 units, path encoding, the absolute *percentage* error and full training sets;
here 2 layers of 64, on depths, widths and path counts, on transformed scores. Deep ensembles add adversarial training.
Chosen on validation columns (CIFAR-10 and -100 at 12 and 200 epochs, digits), split by class, two splits each, mean
Kendall tau at 50, 100 and 400 cells: features (path .53 to .68 less, canonical .61 .74 .82, structure .67 .76 .80,
structure_paths .65 .77 .84), loss (within .01 of each other), steps, width and decay (likewise).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import encodings
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.surrogates._network import Ensemble, Float32, Loss, Schedule
from nasbench_lab.surrogates._rows import LEAST_NOISE, RowModel, added_noise, folds, spaced
from nasbench_lab.surrogates._scale import check_targets


@dataclass
class NetworkEnsemble(RowModel):
    """Networks that predict the mean of many; see the module's docstring.

    Attributes:
        features: the rows it learns from, a name of `spaces.encodings.FEATURES` (structure_paths, path, one_hot, ...).
        members: networks; at least 2.
        width: units of a hidden layer.
        depth: hidden layers.
        loss: "mae", "mse" or "nll".
        targets: transform of the scores, a name of `_targets.TRANSFORMS` (blended, rank_gauss, standardised, ...), or none.
        steps: of the optimiser.
        batch: rows of a step.
        learning_rate: at the start; it falls to 0.
        weight_decay: decoupled, of the weights.
        calibrated: intervals cover what was withheld from members; else the spread is the members' disagreement alone,
            narrower, as BANANAS uses it to choose.
    """

    features: str = "structure_paths"
    members: int = 5
    width: int = 64
    depth: int = 2
    loss: Loss = "mae"
    targets: str = "blended"
    steps: int = 250
    batch: int = 50
    learning_rate: float = 0.01
    weight_decay: float = 0.1
    calibrated: bool = True

    def __post_init__(self) -> None:
        if self.loss not in get_args(Loss):
            raise ValueError(f"loss must be one of {', '.join(get_args(Loss))}, got {self.loss!r}")
        encodings.check(self.features)
        check_targets(self.targets)
        least = {"members": 2, "width": 1, "depth": 1, "steps": 1, "batch": 1}
        for name, value in least.items():
            if getattr(self, name) < value:
                raise ValueError(f"{name} must be at least {value}, got {getattr(self, name)}")
        if self.learning_rate <= 0 or self.weight_decay < 0:
            raise ValueError(
                f"need learning_rate > 0 and weight_decay >= 0, got {self.learning_rate} and {self.weight_decay}"
            )

    def _learn(self, rows: IntArray, targets: FloatArray, rng: np.random.Generator) -> None:
        self.centred_: Float32 = np.asarray(self.inputs_ - self.inputs_.mean(axis=0), dtype=np.float32)
        withheld = folds(rows, self.members, rng)
        use = (withheld != np.arange(self.members)[:, None]).astype(np.float32)
        self.ensemble_ = Ensemble(self.centred_.shape[1], self.width, self.depth, self.members, rng)
        schedule = Schedule(self.steps, self.batch, self.learning_rate, self.weight_decay)
        self.ensemble_.train(self.centred_[rows], targets.astype(np.float32), use, self.loss, schedule, rng)
        self.noise_ = self._noise(rows, targets, withheld) if self.calibrated else LEAST_NOISE

    def _noise(self, rows: IntArray, targets: FloatArray, withheld: IntArray) -> float:
        """See `added_noise`."""
        mean, _ = self.ensemble_.predict(self.centred_[rows])
        squares = (mean[withheld, np.arange(len(rows))] - targets) ** 2
        mean, variance = self.ensemble_.predict(self.centred_[spaced(self.row_of_)])
        return added_noise(squares, 2.0 * mean.var(axis=0) + (variance.mean(axis=0) if self.loss == "nll" else 0.0))

    def _moments(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        mean, variance = self.ensemble_.predict(self.centred_[rows])
        total = mean.var(axis=0) + self.noise_
        if self.loss == "nll":
            total += variance.mean(axis=0)
        return mean.mean(axis=0), np.sqrt(total)

    def sample(self, archs: NDArray[np.int64], rng: np.random.Generator) -> FloatArray:
        """(m,) what a member drawn at random for each cell predicts.

        This is BANANAS' independent Thompson sampling without its assumption that members are normally distributed.
        """
        rows, back = self._asked(archs)
        mean, _ = self.ensemble_.predict(self.centred_[rows])
        drawn = rng.integers(self.members, size=len(back))
        return self.scale_.back(mean[drawn, back])
