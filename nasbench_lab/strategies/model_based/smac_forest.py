"""SMAC: random forest and expected improvement, now and then a uniform cell (Hutter et al. 2011; Lindauer et al. 2022).

Ten trees on one-hot cells with SMAC's settings, variance within and between trees; a uniform cell with probability 0.2,
as SMAC3 does. Deviations: the forest's variance is calibrated out of bag (`surrogates/forest`); EI is on "blended"
targets instead of logarithms of the error (both chosen on `digits`); SMAC maximises EI by local search from the best
cells and uniform ones, while the space is small enough here to take the true maximum (`candidates=climb` does as SMAC does).
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.strategies.model_based._model_based import ModelBased


@dataclass
class SmacForest(ModelBased):
    """Random-forest Bayesian optimisation; fields as in `ModelBased`."""

    surrogate: str = "forest:features=one_hot,kind=random,trees=10,max_features=0.83,min_leaf=3,targets=none"
    targets: str = "blended"
    random_share: float = 0.2

    paper = "Hutter et al. 2011; Lindauer et al. 2022, arXiv:2109.09831"
