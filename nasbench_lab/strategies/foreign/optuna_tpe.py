"""Optuna's TPE sampler: tree-structured Parzen estimators (Bergstra et al. 2011; see Watanabe 2023, arXiv:2304.11127).

Optuna's code and defaults, see `_optuna`. Our own, written for this space, is `tpe`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nasbench_lab.strategies.foreign._optuna import OptunaStrategy, optuna


@dataclass
class OptunaTpe(OptunaStrategy):
    """`optuna.samplers.TPESampler`.

    Attributes:
        multivariate: one density over all decisions rather than one per decision; None leaves it to Optuna.
        candidates: draws of which the best is asked for.
    """

    multivariate: bool | None = None
    candidates: int = 24

    paper = "Bergstra et al. 2011; Akiba et al. 2019, arXiv:1907.10902"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.candidates < 1:
            raise ValueError(f"candidates must be at least 1, got {self.candidates}")

    def sampler(self, seed: int) -> Any:
        chosen = {} if self.multivariate is None else {"multivariate": self.multivariate}
        return optuna().samplers.TPESampler(seed=seed, n_ei_candidates=self.candidates, **chosen)
