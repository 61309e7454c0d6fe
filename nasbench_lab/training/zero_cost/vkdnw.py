"""How evenly a network knows its weights: the entropy of the Fisher information's spectrum, plus the number of layers.

With weights drawn anew (He, fan-in), normalisations by the batch's statistics held fixed, and p = softmax of the logits:
F = mean over images of J'(diag(p) - pp')J, J (classes, layers) the derivative of the logits by one factor in every layer.
With l_1..l_9 the deciles of F's eigenvalues, scaled to sum 1: score = number of layers - sum of l_i log(l_i).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasbench_lab.training.zero_cost import _layers
from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score

_IMAGES = 16  # of the batch that are used: a backward pass for every class


class Vkdnw(Score):
    """After Týbl & Neumann 2025: VKDNW (entropy of deciles) + number of layers, their score for one ranking.

    Deviations: their one parameter of a layer is its first weight (and they count normalisations, too), here it is a factor on
    its first filter, whose derivative for every image needs one backward pass per class; at most 16 images; they do not
    normalise at all, and what a sum of paths makes of that overflows in deep networks.
    """

    paper = "Tybl & Neumann 2025, arXiv:2502.04975"

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        with torch.no_grad():
            _layers.draw(network, generator)
            for layer in _layers.layers(network):
                fan_in = layer.weight[0].numel()
                layer.weight.mul_((2 / fan_in) ** 0.5)
            for norm in _layers.norms(network):
                norm.momentum = 1.0
            network(batch.images[:_IMAGES])
        jacobian, logits = _jacobian(network.eval(), batch.images[:_IMAGES])
        p = logits.softmax(dim=1)
        spread = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        fisher = (jacobian.transpose(1, 2) @ spread @ jacobian).mean(dim=0)
        if not torch.isfinite(fisher).all():
            return float("nan")
        levels = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
        deciles = torch.quantile(torch.linalg.eigvalsh(fisher).clamp(min=0.0), levels)
        return jacobian.shape[2] + float(torch.special.entr(deciles / deciles.sum()).sum())

    def passes(self, images: int, classes: int) -> float:
        return 2.0 * (1 + classes) * min(images, _IMAGES)  # forward twice, and backward for every class


def _jacobian(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """(B, classes, layers) derivatives of the logits by a factor on every layer's first channel, and the (B, classes) logits."""
    outputs = _layers.Outputs(network)
    logits: Tensor = network(images)
    rows = []
    for label in range(logits.shape[1]):
        slopes = torch.autograd.grad(logits[:, label].sum(), outputs.tensors, retain_graph=True, allow_unused=True)
        pairs = zip(outputs.tensors, slopes, strict=True)
        first = [
            images.new_zeros(len(images)) if g is None else _layers.per_channel(a[:, :1], g[:, :1])[:, 0]
            for a, g in pairs
        ]
        rows.append(torch.stack([column.double() for column in first], dim=1))
    return torch.stack(rows, dim=1).cpu(), logits.detach().double().cpu()
