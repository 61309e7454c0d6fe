"""GDAS: one operation per edge by a hard Gumbel sample, learned through the soft one (Dong & Yang, CVPR 2019).

Every step draws one cell: the largest of log softmax(alpha) + Gumbel noise on every edge, a sample of softmax(alpha). It
alone is computed, forwards and backwards. Its gates are 1; their gradient is passed to the soft sample, the softmax of
the same sum over the temperature, which falls linearly from 10 to 0.1 over the epochs (straight-through estimator).
Settings are those of NAS-Bench-201's own runs, which take 250 epochs (240 in the first version of their settings).

A gate that was not drawn gets the gradient 0: what it would have been is not known without computing its operation.
With all operations computed the estimator is unbiased for the gradient of a linear loss of the soft sample (a test shows
it on an example that can be integrated); leaving out what was not drawn is the price of computing a fifth.

Deviation: in the authors' code the other gates are added to the node as numbers (zero in value), so that each gets the
sum of the node's gradient instead of 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nasbench_lab.strategies.one_shot._one_shot import Differentiable
from nasbench_lab.training.shared import Batch
from nasbench_lab.training.supernet import Choices


@dataclass
class Gdas(Differentiable):
    """Gradient-based search with a differentiable sampler.

    Attributes:
        tau_max: the temperature in the first epoch.
        tau_min: the temperature in the last one.
    """

    tau_max: float = 10.0
    tau_min: float = 0.1

    paper = "Dong & Yang 2019, arXiv:1910.04465"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.tau_max >= self.tau_min > 0:
            raise ValueError(f"need tau_max >= tau_min > 0, got {self.tau_max} and {self.tau_min}")

    def gates(self, number: int, generator: torch.Generator) -> tuple[Choices, Tensor]:
        """One-hot gates drawn by Gumbel-argmax, with the softmax's gradient."""
        tau = self.tau_max - (self.tau_max - self.tau_min) * number / max(1, self.epochs - 1)
        hard, drawn = gumbel_gates(self.alpha, tau, generator)
        return tuple((op,) for op in drawn.tolist()), hard

    def weight_step(self, batch: Batch, number: int, generator: torch.Generator) -> None:
        """One step of the weights of one drawn cell."""
        with torch.no_grad():
            choices, _ = self.gates(number, generator)
        self.weights.learn(batch.images, batch.labels, choices)


def gumbel_gates(alpha: Tensor, tau: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """(..., O) logits -> (..., O) one-hot gates with the gradient of the soft sample, and (...) what was drawn."""
    noise = torch.empty_like(alpha).exponential_(generator=generator).clamp_min(1e-30).log().neg()
    soft = torch.softmax((torch.log_softmax(alpha, dim=-1) + noise) / tau, dim=-1)
    drawn = soft.argmax(dim=-1)
    return functional.one_hot(drawn, alpha.shape[-1]).to(alpha) + soft - soft.detach(), drawn
