"""How much the loss changes when channels are removed, to second order, with the Fisher information for the Hessian.

For channel c of a layer's output a with gradient g = dL/da: half the mean over images of (sum over positions of a g)^2,
summed over channels and layers.
"""

from __future__ import annotations

import torch
from torch import nn

from nasbench_lab.training.zero_cost import _layers
from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score


class Fisher(Score):
    """The pruning signal of Theis et al. 2018, section 2 (of whole channels), summed over channels as Turner et al. 2020 do.

    Deviation: L is the mean loss of the batch, so that gradients are a B-th of those of single images; no order changes.
    """

    paper = "Theis et al. 2018, arXiv:1801.05787; Turner et al. 2020, arXiv:1906.04113"

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        outputs = _layers.Outputs(network)
        loss = _layers.loss(network, batch)
        slopes = _layers.gradients(loss, outputs.tensors)
        pairs = zip(outputs.tensors, slopes, strict=True)
        return _layers.total(_layers.per_channel(a, g).square().mean(dim=0).sum() / 2 for a, g in pairs)

    def passes(self, images: int, classes: int) -> float:
        return 3.0 * images
