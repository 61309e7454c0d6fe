"""How large the initial weights are: the sum over layers of their Euclidean norm. A baseline that needs no image and no pass."""

from __future__ import annotations

import torch
from torch import nn

from nasbench_lab.training.zero_cost import _layers
from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score


class L2Norm(Score):
    """A baseline of Abdelfattah et al. and of NAS-Bench-Suite-Zero.

    As torch draws weights, uniform with variance 1 / (3 fan-in), a layer of C outputs has the norm sqrt(C / 3) but for
    noise: the score counts layers by their width, and orders networks with the same count by the seed.
    """

    paper = "Krishnakumar et al. 2022, arXiv:2210.03230"
    uses_images = False

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        return _layers.total(w.detach().norm() for w in _layers.weights(network))

    def passes(self, images: int, classes: int) -> float:
        return 0.0
