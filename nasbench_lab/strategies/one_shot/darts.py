"""DARTS: a softmax mixture of all operations, its weights learned by gradient on validation (Liu et al., ICLR 2019).

First order (`order=1`): the gradient of the validation loss at the current network weights w. Second order: at the
weights one step of SGD ahead, w' = w - xi dL_train/dw, with xi the current learning rate and the paper's finite
difference, epsilon = 0.01 / |dL_val/dw'|, for the product of the mixed second derivative with dL_val/dw' (equation 8):

    dL_val(w', alpha)/dalpha - xi (dL_train(w+, alpha)/dalpha - dL_train(w-, alpha)/dalpha) / (2 epsilon)

With a small epsilon this is the exact gradient (a test shows it on a tiny net). At 0.01 it is crude: ReLUs change sides
in between, and on `digits` with the default settings, after ten steps, its error was 0.57 times the norm of what the
step ahead changes; a smaller epsilon made it worse there.

As in the authors' code the step ahead includes weight decay and momentum. Settings are those of NAS-Bench-201's
own runs (50 epochs, batch 64, both learning rates); there the method is known to end in cells of skip connections.

Deviations: one set of alphas (the space has one kind of cell); the derived cell has the largest operation on every
edge, `none` included, as in NAS-Bench-201's runs, where the paper keeps two inputs per node and leaves `none` out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nasbench_lab.strategies.one_shot._one_shot import Differentiable
from nasbench_lab.training import cost
from nasbench_lab.training.shared import Batch
from nasbench_lab.training.supernet import EVERYTHING

_EPSILON = 0.01  # of the finite difference, section 2.3


@dataclass
class Darts(Differentiable):
    """Differentiable architecture search.

    Attributes:
        order: 1 or 2, of the approximation.
    """

    order: int = 1

    paper = "Liu et al. 2019, arXiv:1806.09055"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.order not in (1, 2):
            raise ValueError(f"order must be 1 or 2, got {self.order}")

    def arch_step(self, batch: Batch, number: int, generator: torch.Generator) -> None:
        """One step of the architecture on a validation batch."""
        if self.order == 1:
            super().arch_step(batch, number, generator)
            return
        self.move(self.unrolled_gradient(batch))

    def unrolled_gradient(self, batch: Batch) -> Tensor:
        """(6, 5) the second-order gradient of alpha; the weights are left as they were."""
        weights, params = self.weights, list(self.weights.network.parameters())
        kept = [p.detach().clone() for p in params]
        rate = float(weights.optimizer.param_groups[0]["lr"])
        self._step_ahead(batch, params, rate)
        loss = weights.loss(batch.val_images, batch.val_labels, EVERYTHING, torch.softmax(self.alpha, dim=1))
        direct, *ahead = torch.autograd.grad(loss, [self.alpha, *params])
        epsilon = _EPSILON / torch.sqrt(sum((g.square().sum() for g in ahead), torch.zeros((), device=direct.device)))
        sides = []
        for sign in (1, -1):
            _set(params, [w + sign * epsilon * g for w, g in zip(kept, ahead, strict=True)])
            gates = torch.softmax(self.alpha, dim=1)
            sides.append(weights.gradient(batch.images, batch.labels, EVERYTHING, gates, self.alpha))
        _set(params, kept)
        weights.charge(EVERYTHING, len(batch.images) + len(batch.val_images), cost.PASSES)
        return direct - rate * (sides[0] - sides[1]) / (2 * epsilon)

    def _step_ahead(self, batch: Batch, params: list[torch.nn.Parameter], rate: float) -> None:
        """Move the weights to w'."""
        weights = self.weights
        gates = torch.softmax(self.alpha, dim=1).detach()
        gradients = torch.autograd.grad(weights.loss(batch.images, batch.labels, EVERYTHING, gates), params)
        decay, momentum = weights.schedule.weight_decay, weights.schedule.momentum
        moved = []
        for p, gradient in zip(params, gradients, strict=True):
            buffer = weights.optimizer.state[p].get("momentum_buffer") if p in weights.optimizer.state else None
            change = gradient + decay * p.detach()
            moved.append(p.detach() - rate * (change if buffer is None else change + momentum * buffer))
        _set(params, moved)


@torch.no_grad()
def _set(params: list[torch.nn.Parameter], values: list[Tensor]) -> None:
    for p, value in zip(params, values, strict=True):
        p.copy_(value)
