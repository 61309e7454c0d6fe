"""Optuna's Gaussian-process sampler: Matern-5/2 over categoricals with log expected improvement (Akiba et al. 2019).

Optuna's code and defaults, see `_optuna`; torch fits it, tens of milliseconds a query that grow with the results.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasbench_lab.strategies.foreign._optuna import OptunaStrategy, optuna


@dataclass
class OptunaGp(OptunaStrategy):
    """`optuna.samplers.GPSampler`."""

    requires = ("optuna", "torch")

    def sampler(self, seed: int) -> Any:
        return optuna().samplers.GPSampler(seed=seed)
