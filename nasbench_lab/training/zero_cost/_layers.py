"""Looking into any network: its weight layers, its gradients, what flows through it.

A weight layer is a convolution or a linear layer that is a module; parameters that no path leads through have zero gradients.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from nasbench_lab.training.zero_cost._batch import Batch

Layer = nn.Conv2d | nn.Linear


def layers(network: nn.Module) -> list[Layer]:
    """The weight layers."""
    return [module for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))]


def norms(network: nn.Module) -> list[_BatchNorm]:
    """The batch normalisations."""
    return [module for module in network.modules() if isinstance(module, _BatchNorm)]


def weights(network: nn.Module) -> list[Tensor]:
    """The weights of the layers, without biases."""
    return [layer.weight for layer in layers(network)]


@torch.no_grad()
def draw(network: nn.Module, generator: torch.Generator) -> None:
    """Standard normal weights, drawn on the CPU layer by layer and moved together, and no biases."""
    found = layers(network)
    if not found:
        return
    drawn = [torch.randn(layer.weight.shape, generator=generator) for layer in found]
    moved = torch.cat([each.flatten() for each in drawn]).to(found[0].weight.device)
    for layer, values in zip(found, torch.split(moved, [each.numel() for each in drawn]), strict=True):
        layer.weight.copy_(values.view_as(layer.weight))
        if layer.bias is not None:
            layer.bias.zero_()


def total(parts: Iterable[Tensor]) -> float:
    """The sum of numbers on a device, in double precision: they come over together, not one by one."""
    found = list(parts)
    return float(sum(torch.stack(found).tolist())) if found else 0.0


def loss(network: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy, batch normalisation on the batch's own statistics (the network is in training mode)."""
    return functional.cross_entropy(network(batch.images), batch.labels)


def gradients(value: Tensor, of: Sequence[Tensor], *, differentiable: bool = False) -> list[Tensor]:
    """The gradients of a number; zeros where it does not depend on a tensor.

    Args:
        value: ().
        of: tensors that require gradients.
        differentiable: gradients of the gradients will be asked for.
    """
    if not value.requires_grad:
        return [torch.zeros_like(tensor) for tensor in of]
    found = torch.autograd.grad(value, of, create_graph=differentiable, allow_unused=True)
    return [torch.zeros_like(tensor) if each is None else each for tensor, each in zip(of, found, strict=True)]


def weight_gradients(network: nn.Module, batch: Batch) -> list[tuple[Tensor, Tensor]]:
    """Weights of every layer with the gradient of the loss."""
    found = weights(network)
    return [(w.detach(), g) for w, g in zip(found, gradients(loss(network, batch), found), strict=True)]


def input_gradients(network: nn.Module, batch: Batch) -> tuple[Tensor, int]:
    """(B, channels H W) float64, for every image the gradient of all logits' sum with respect to it; and the number of logits."""
    images = batch.images.detach().clone().requires_grad_(True)
    logits: Tensor = network(images)
    return gradients(logits.sum(), [images])[0].flatten(1).double(), logits.shape[1]


class Outputs:
    """What the layers of a network put out during a forward pass, in the order they ran, as the next ones read it."""

    def __init__(self, network: nn.Module) -> None:
        self.tensors: list[Tensor] = []
        for layer in layers(network):
            layer.register_forward_hook(self._keep)

    def _keep(self, _layer: nn.Module, _arguments: Any, output: Tensor) -> None:
        self.tensors.append(output)


def per_channel(output: Tensor, gradient: Tensor) -> Tensor:
    """(B, C) sum over positions of output times gradient: the derivative by a factor on every channel, image by image.

    Args:
        output: (B, C) or (B, C, H, W).
        gradient: the same shape.
    """
    product = output.detach() * gradient
    return product.flatten(2).sum(2) if product.ndim > 2 else product


def correlations(rows: Tensor) -> Tensor:
    """(n, n) correlations of (n, d) rows; nan where a row is constant."""
    centred = rows - rows.mean(dim=1, keepdim=True)
    unit = centred / centred.norm(dim=1, keepdim=True)
    found: Tensor = unit @ unit.T
    return found
