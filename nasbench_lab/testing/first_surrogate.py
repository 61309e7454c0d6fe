"""My predictor: one line that says what it does (Author et al., year)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.surrogates import FeatureSurrogate

Floats = NDArray[np.float64]


@dataclass
class MyPredictor(FeatureSurrogate):
    """Ridge regression on rows that describe cells.

    Attributes:
        penalty: fields are the parameters; what they mean stands here, one a line. Of squared weights.
        features: which rows there are, of `spaces/encodings.py`: structure_paths, one_hot, path and others.
        targets: what becomes of the scores: none, blended, rank_gauss and others.
    """

    penalty: float = 10.0
    features: str = "structure_paths"
    targets: str = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.penalty <= 0:  # refused before anything runs
            raise ValueError(f"penalty must be positive, got {self.penalty}")

    def learn(self, inputs: Floats, targets: Floats, rng: np.random.Generator) -> None:
        """Rows (n, d) and their targets (n,), of about zero mean and unit spread; `rng` is all randomness there is."""
        self.middle_ = inputs.mean(axis=0)
        centred = inputs - self.middle_
        self.inverse_ = np.linalg.inv(centred.T @ centred + self.penalty * np.eye(centred.shape[1]))
        self.weights_ = self.inverse_ @ centred.T @ targets
        leverage = np.einsum("ij,jk,ik->i", centred, self.inverse_, centred)
        errors = (targets - centred @ self.weights_) / np.maximum(1.0 - leverage, 0.1)  # each without itself
        self.noise_ = max(float(np.mean(errors**2)), 1e-3)

    def moments(self, inputs: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation, (m,) each, of the targets of new trainings at rows (m, d)."""
        centred = inputs - self.middle_
        leverage = np.einsum("ij,jk,ik->i", centred, self.inverse_, centred)
        return centred @ self.weights_, np.sqrt(self.noise_ * (1.0 + leverage))
