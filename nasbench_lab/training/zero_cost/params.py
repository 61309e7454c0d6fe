"""How many parameters are trained, in millions: the baseline that every score has to beat."""

from __future__ import annotations

import torch
from torch import nn

from nasbench_lab.training.network import count_params
from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score


class Params(Score):
    """Of the network that is trained: edges that nothing reaches are not in it, unlike in NAS-Bench-201's published counts."""

    paper = "Ning et al. 2021, arXiv:2008.03064"
    uses_images = False

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        return count_params(network) / 1e6

    def passes(self, images: int, classes: int) -> float:
        return 0.0
