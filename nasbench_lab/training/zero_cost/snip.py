"""How much the loss changes when weights are removed, to first order: the sum of |w dL/dw|."""

from __future__ import annotations

import torch
from torch import nn

from nasbench_lab.training.zero_cost import _layers
from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score


class Snip(Score):
    """Lee et al. 2019, equation 4 (|dL/dc| at c = 1 of weights c w), summed over weights as Abdelfattah et al. 2021, eq. 1.

    Deviation: the connections' gradients are computed as w dL/dw, which is the same number, and are not normalised.
    """

    paper = "Lee et al. 2019, arXiv:1810.02340; Abdelfattah et al. 2021, arXiv:2101.08134"

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        return _layers.total((w * g).abs().sum() for w, g in _layers.weight_gradients(network, batch))

    def passes(self, images: int, classes: int) -> float:
        return 3.0 * images
