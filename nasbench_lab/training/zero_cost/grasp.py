"""How much removing weights changes the flow of gradients: minus the sum of w (Hg), H the Hessian of the loss, g its gradient."""

from __future__ import annotations

import torch
from torch import nn

from nasbench_lab.training.zero_cost import _layers
from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score


class Grasp(Score):
    """Wang et al. 2020, equation 8: S(-theta) = -theta Hg, summed over weights as Abdelfattah et al. 2021, eq. 1.

    Hg is the gradient of g_0'g with g_0 = g held fixed. Deviations: one batch for both gradients, as in Abdelfattah et al.,
    no temperature, and the batch is not balanced over classes.
    """

    paper = "Wang et al. 2020, arXiv:2002.07376; Abdelfattah et al. 2021, arXiv:2101.08134"

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        found = _layers.weights(network)
        slopes = _layers.gradients(_layers.loss(network, batch), found, differentiable=True)
        along = sum(((g.detach() * g).sum() for g in slopes), start=torch.zeros((), device=batch.images.device))
        products = _layers.gradients(along, found)
        return -_layers.total((w.detach() * hg).sum() for w, hg in zip(found, products, strict=True))

    def passes(self, images: int, classes: int) -> float:
        return 9.0 * images  # forward, backward, and backward through both
