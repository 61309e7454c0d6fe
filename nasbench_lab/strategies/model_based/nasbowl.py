"""NAS-BOWL: Gaussian process with a Weisfeiler-Lehman graph kernel, expected improvement on mutants (Ru et al. 2021).

The kernel is the dot product of normalised counts of ops and of the rooted subtrees around each node (h = 1; see
`surrogates/_features.wl`); targets are logarithms of the error. Deviations: the authors choose h among 0, 1, 2 by
marginal likelihood and ask for five cells at a time, of 200 candidates of which half are uniform; here h = 1, one cell
at a time, and all 200 candidates are mutants of the ten best. `candidates=pool` scores the whole space.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.strategies.model_based._model_based import ModelBased


@dataclass
class NasBowl(ModelBased):
    """Graph-kernel Bayesian optimisation; fields as in `ModelBased`."""

    surrogate: str = "gp:kernel=wl,targets=none,spent=0"
    acquisition: str = "ei"
    candidates: str = "mutation"
    targets: str = "log_error"

    paper = "Ru et al. 2021, arXiv:2006.07556"
