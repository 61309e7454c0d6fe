"""How differently the untrained network treats images of the same class: correlations of input gradients, class by class.

E_c = sum over all pairs of images of class c of log(|correlation of their input gradients| + k); score = sum of |E_c|, or
above 100 classes the mean over classes of the sum of |E_c - E_d|.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nasbench_lab.training.zero_cost import _layers
from nasbench_lab.training.zero_cost._batch import Batch
from nasbench_lab.training.zero_cost._score import Score

_SMALL = 1e-5  # k
_MANY = 100  # classes


class EpeNas(Score):
    """Lopes et al. 2021, section 3: the evaluation of each class's correlation matrix, and the score made of them.

    Only the classes that the batch holds count.
    """

    paper = "Lopes et al. 2021, arXiv:2102.08099"

    def value(self, network: nn.Module, batch: Batch, generator: torch.Generator) -> float:
        rows, classes = _layers.input_gradients(network, batch)
        groups = [rows[batch.labels == label] for label in torch.unique(batch.labels)]
        sums = torch.stack([_evaluated(group, classes) for group in groups])
        if classes <= _MANY:
            return float(sums.abs().sum())
        return float((sums[:, None] - sums[None]).abs().sum() / len(sums))

    def passes(self, images: int, classes: int) -> float:
        return 3.0 * images


def _evaluated(rows: Tensor, classes: int) -> Tensor:
    """E_c of the (n, d) rows of a class, a mean over images where there are many classes."""
    found = (_layers.correlations(rows).abs() + _SMALL).log().sum()
    return found / len(rows) if classes > _MANY else found
