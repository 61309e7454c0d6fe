"""How differently the untrained network treats different images: the spectrum of the correlations of input gradients.

J_n is the gradient of the sum of image n's logits with respect to the image; s_1..s_B are the eigenvalues of the
correlations of the J_n; score = -sum of log(s_i + k) + 1 / (s_i + k). At most -B, where nothing is correlated.
"""

from __future__ import annotations

import torch
from torch import nn

from nasbench_lab.training.zero_cost import _layers
from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score

_SMALL = 1e-5  # k


class JacobCov(Score):
    """The score S of Mellor et al. 2020, first version, section 3. Deviation: rounding below zero in eigenvalues is put right."""

    paper = "Mellor et al. 2020, arXiv:2006.04647v1"

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        found = _layers.correlations(_layers.input_gradients(network, batch)[0])
        if not torch.isfinite(found).all():
            return float("nan")
        spectrum = torch.linalg.eigvalsh(found).clamp(min=0.0) + _SMALL
        return -float((spectrum.log() + 1 / spectrum).sum())

    def passes(self, images: int, classes: int) -> float:
        return 3.0 * images
