"""NPENAS: evolution whose many children are screened by a neural predictor (Wei et al. 2020).

Every round the ten best cells have 200 mutants, and the ten that the predictor holds for the best are evaluated, as in
NPENAS-NP: no uncertainty. Deviations: the authors' predictor is a graph isomorphism network; here it is the ensemble of
networks on canonical features, which is faster and no worse (`surrogate=gcn` is a graph network). 40 steps of the
optimiser a fit, as in `bananas`.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.strategies.model_based._model_based import ModelBased


@dataclass
class Npenas(ModelBased):
    """Predictor-screened evolution; fields as in `ModelBased`."""

    surrogate: str = "mlp:targets=none,steps=40"
    acquisition: str = "mean"
    candidates: str = "mutation"
    targets: str = "blended"
    batch: int = 10

    paper = "Wei et al. 2020, arXiv:2003.12857"
