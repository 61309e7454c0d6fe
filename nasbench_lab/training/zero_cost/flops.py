"""How many multiply-adds one image takes, in millions: the other baseline that every score has to beat."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score


class Flops(Score):
    """Of convolutions and linear layers, as torch counts them, in the network that is trained; biases are not counted."""

    paper = "Ning et al. 2021, arXiv:2008.03064"
    uses_images = False

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        return multiply_adds(network, batch) / 1e6

    def passes(self, images: int, classes: int) -> float:
        return 0.0


def multiply_adds(network: nn.Module, batch: Batch) -> int:
    """Those of one image; the network is left in evaluation mode.

    torch's counter counts two operations for every multiply-add.
    """
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network.eval()(batch.images[:1])
    return counter.get_total_flops() // 2
