"""How much flows from input to output through the weights' absolute values, weight by weight.

With every parameter replaced by its absolute value, batch normalisations left out, and an image of ones:
R = sum of the logits; score = log of the sum over all weights of |w dR/dw|. In double precision, since R grows
exponentially with depth. No image is used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nasbench_lab.training.zero_cost import _layers
from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score


class Synflow(Score):
    """Tanaka et al. 2020, equations 2 and 3 (theta dR/dtheta, R = 1' prod |theta| 1), summed as Abdelfattah et al. 2021.

    Deviation: the logarithm of the sum, which changes no order; nan where nothing flows.
    """

    paper = "Tanaka et al. 2020, arXiv:2006.05467; Abdelfattah et al. 2021, arXiv:2101.08134"
    uses_images = False

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        network.double().eval()  # one image has no statistics, nor are any needed
        for norm in _layers.norms(network):
            norm.register_forward_hook(_unchanged)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.abs_()
        ones = torch.ones_like(batch.images[:1], dtype=torch.float64)
        found = _layers.weights(network)
        flows = zip(found, _layers.gradients(network(ones).sum(), found), strict=True)
        return float(sum((w.detach() * g).abs().sum() for w, g in flows).log())  # type: ignore[union-attr]

    def passes(self, images: int, classes: int) -> float:
        return 3.0


def _unchanged(_norm: nn.Module, arguments: Any, _output: Tensor) -> Tensor:
    """What went into a normalisation, in the place of what came out."""
    given: Tensor = arguments[0]
    return given
