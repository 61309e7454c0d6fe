"""BANANAS: ensemble of networks on path features, independent Thompson sampling, mutants of the best (White et al. 2021).

As published: 10 uniform cells, then after every 10 results an ensemble of five networks is fitted and the next 10 cells
are chosen among mutants of the best by independent Thompson sampling: the ensemble's mean plus its deviation times a
normal number. Deviations: the networks are smaller and all five are trained at once (`surrogates/mlp`), they learn
transformed accuracies, and the ten cells of a batch come from 200 mutants of the ten best. A fit has 40 steps of the
optimiser: with the surrogate's 250 a search is no better and takes five times as long (regret along 200 queries of
validation columns of seven tables, `benchmarks/measured/network_steps.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.strategies.model_based._model_based import ModelBased


@dataclass
class Bananas(ModelBased):
    """Neural-ensemble Bayesian optimisation; fields as in `ModelBased`."""

    surrogate: str = "mlp:features=path,targets=none,calibrated=false,steps=40"
    acquisition: str = "its"
    candidates: str = "mutation"
    targets: str = "blended"
    batch: int = 10

    paper = "White et al. 2021, arXiv:1910.11858"
