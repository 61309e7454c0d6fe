"""How much a small change of a random image changes the last feature map of a randomly weighted network, normalisations undone.

With weights, images x and e standard normal: score = log of the mean over images of |f(x + a e) - f(x)|_1, plus, for
every batch normalisation, log of the square root of the mean of its running variances after both passes. f is the last
output with positions (B, C, H, W) of a module, before the mean over pixels; of a network without one, the logits.
No image and no initial weight is used.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from nasbench_lab.training.zero_cost import _layers
from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score

_STEP = 0.01  # a, as in the authors' code


class Zen(Score):
    """Lin et al. 2021, algorithm 1, with the running variances (from 1, momentum as the network has it) of the authors' code.

    Deviations: f ends with the last module, so that a ReLU that is a function does not count; one repetition. With the
    batch's variances, as the paper's text has them, the order is another one (see docs/zero_cost.md).
    """

    paper = "Lin et al. 2021, arXiv:2102.01063"
    uses_images = False

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        with torch.no_grad():
            _layers.draw(network, generator)
            for norm in _layers.norms(network):
                norm.reset_parameters()
            features, device = _Features(network), batch.images.device
            shape = batch.images.shape
            images, change = (torch.randn(shape, generator=generator).to(device) for _ in range(2))
            before, after = features(images), features(images + _STEP * change)
            moved = (after - before).abs().flatten(1).sum(dim=1).double().mean().log()
            scales = [norm.running_var.double().mean().log() / 2 for norm in _layers.norms(network)]  # type: ignore[union-attr]
        return float(moved + sum(scales))

    def passes(self, images: int, classes: int) -> float:
        return 2.0 * images


class _Features:
    """A network as a function from images to its last feature map."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._last: Tensor | None = None
        for module in network.modules():
            if not any(True for _ in module.children()):
                module.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _arguments: Any, output: Tensor) -> None:
        if output.ndim == 4:
            self._last = output

    def __call__(self, images: Tensor) -> Tensor:
        """(B, C, H, W), or (B, classes)."""
        self._last = None
        logits: Tensor = self._network(images)
        return logits if self._last is None else self._last
