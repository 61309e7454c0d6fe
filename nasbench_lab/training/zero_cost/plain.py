"""What a common factor on all weights does to the loss: the sum of w dL/dw, with its sign. A baseline."""

from __future__ import annotations

import torch
from torch import nn

from nasbench_lab.training.zero_cost import _layers
from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score


class Plain(Score):
    """A baseline of Abdelfattah et al.: `snip` without the absolute value."""

    paper = "Abdelfattah et al. 2021, arXiv:2101.08134 (code)"

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        return _layers.total((w * g).sum() for w, g in _layers.weight_gradients(network, batch))

    def passes(self, images: int, classes: int) -> float:
        return 3.0 * images
