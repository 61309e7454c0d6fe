"""Local search on a surrogate: hill climbing on what the model predicts, asking only for where it ends.

The counterpart of `local_search` that evaluates local optima of the model's mean instead of every neighbour; in the
line of surrogate-assisted evolution (Jin 2011). Starts are the ten best cells seen and ten uniform ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.strategies.model_based._model_based import ModelBased


@dataclass
class SurrogateLocalSearch(ModelBased):
    """Greedy search by a model; fields as in `ModelBased`."""

    surrogate: str = "gp:targets=none,spent=0"
    acquisition: str = "mean"
    candidates: str = "climb"
    targets: str = "blended"

    paper = "Jin 2011, doi:10.1016/j.swevo.2011.05.001"
