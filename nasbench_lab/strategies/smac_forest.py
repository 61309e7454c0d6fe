"""SMAC: random forest and expected improvement, now and then a uniform cell (Hutter et al. 2011; Lindauer et al. 2022).

Ten trees on one-hot cells, variance within and between trees; EI of log-transformed errors; a uniform cell with
probability 0.2, as SMAC3 does. Deviation: SMAC maximises EI by local search from the best cells and uniform ones; the
space is small enough here to take the true maximum (`candidates=climb` does as SMAC does).
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.strategies._model_based import ModelBased


@dataclass
class SmacForest(ModelBased):
    """Random-forest Bayesian optimisation; fields as in `ModelBased`."""

    surrogate: str = "forest:features=one_hot,trees=10"
    targets: str = "log_error"
    random_share: float = 0.2

    paper = "Hutter et al. 2011; Lindauer et al. 2022, arXiv:2109.09831"
