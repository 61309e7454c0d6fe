"""How steep the loss is: the sum over layers of the Euclidean norm of the weights' gradient. A baseline."""

from __future__ import annotations

import torch
from torch import nn

from nasbench_lab.training.zero_cost import _layers
from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score


class GradNorm(Score):
    """Abdelfattah et al. 2021, section 3.1."""

    paper = "Abdelfattah et al. 2021, arXiv:2101.08134"

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        return _layers.total(g.norm() for _, g in _layers.weight_gradients(network, batch))

    def passes(self, images: int, classes: int) -> float:
        return 3.0 * images
