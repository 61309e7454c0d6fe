"""Linear Thompson sampling: Bayesian ridge regression on path features, one weight vector drawn per query (Agrawal & Goyal 2013).

What is asked for is the best cell under one draw of the weights from their posterior, prior and noise variances found by
evidence maximisation. Deviation: the draw is used for one query only, and hyper-parameters are refitted every time.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.strategies.model_based._model_based import ModelBased


@dataclass
class BayesLinearTs(ModelBased):
    """Thompson sampling with a linear model; fields as in `ModelBased`."""

    surrogate: str = "bayes_linear:targets=none"
    acquisition: str = "thompson"
    targets: str = "rank_gauss"

    paper = "Agrawal & Goyal 2013, arXiv:1209.3352"
