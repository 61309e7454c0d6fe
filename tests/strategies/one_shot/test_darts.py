"""DARTS: the unrolled gradient against exact autograd, the derived cell."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from torch.func import functional_call
from torch.nn import functional

from nasbench_lab.core import Task
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot import darts
from nasbench_lab.strategies.one_shot.darts import Darts
from nasbench_lab.training import cost
from nasbench_lab.training.shared import Batch
from nasbench_lab.training.supernet import EVERYTHING, multiply_adds


def _started(order: int) -> Darts:
    """In double precision, with momentum in the buffers."""
    strategy = Darts(images=16, batch=8, held_out=16, channels=2, epochs=2, order=order, learning_rate=0.1)
    strategy.start(Task(cell.SPACE, (1, 4, 12)), 0)
    weights = strategy.weights
    weights.network.double()
    generator = torch.Generator().manual_seed(5)
    for p in weights.network.parameters():
        weights.optimizer.state[p]["momentum_buffer"] = 0.1 * torch.randn(p.shape, generator=generator).double()
    strategy.alpha = torch.randn(6, 5, generator=generator).double().requires_grad_()
    return strategy


def _batch(strategy: Darts) -> Batch:
    batch = next(strategy.weights.batches(0))
    return Batch(batch.images.double(), batch.labels, batch.val_images.double(), batch.val_labels)


def _exact(strategy: Darts, batch: Batch, rate: float) -> torch.Tensor:
    """The gradient of L_val(w - rate x step(w, alpha), alpha) by autograd through the step."""
    weights, alpha = strategy.weights, strategy.alpha
    named = dict(weights.network.named_parameters())

    def loss(params, images, labels):
        logits = functional_call(weights.network, params, (images, EVERYTHING, torch.softmax(alpha, dim=1)))
        return functional.cross_entropy(logits, labels)

    gradients = torch.autograd.grad(loss(named, batch.images, batch.labels), list(named.values()), create_graph=True)
    ahead = {}
    for (name, p), gradient in zip(named.items(), gradients, strict=True):
        buffer = weights.optimizer.state[p]["momentum_buffer"]
        ahead[name] = p - rate * (gradient + 5e-4 * p + 0.9 * buffer)
    (found,) = torch.autograd.grad(loss(ahead, batch.val_images, batch.val_labels), [alpha])
    return found


def test_the_unrolled_gradient_is_that_of_exact_autograd(monkeypatch):
    """With a finite difference small enough to cross no kink of a ReLU; with the paper's 0.01 one is crossed here, and
    the error is as large as what the step ahead changes."""
    monkeypatch.setattr(darts, "_EPSILON", 1e-4)
    strategy = _started(2)
    batch = _batch(strategy)
    rate = strategy.weights.optimizer.param_groups[0]["lr"]
    before = [p.detach().clone() for p in strategy.weights.network.parameters()]
    ours, exact = strategy.unrolled_gradient(batch), _exact(strategy, batch, rate)
    changed = torch.linalg.norm(exact - _exact(strategy, batch, 0.0))  # what the step ahead changes
    assert changed > 0.1 * torch.linalg.norm(exact)
    assert torch.linalg.norm(ours - exact) < 1e-3 * changed
    after = strategy.weights.network.parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_unrolled_gradient_costs_ten_passes():
    """Three of training images for the step ahead, three of validation images there, two and two for the two sides."""
    strategy = Darts(images=16, batch=8, held_out=16, channels=2, epochs=2, order=2)
    strategy.start(Task(cell.SPACE, (1, 4, 12)), 0)
    strategy.unrolled_gradient(next(strategy.weights.batches(0)))
    once = multiply_adds(strategy.weights.problem.shape, EVERYTHING) * 8 / cost.NOMINAL_SPEED
    assert strategy.weights.seconds == pytest.approx(10 * once)


def test_the_first_order_gradient_is_that_at_the_present_weights():
    strategy = _started(1)
    batch = _batch(strategy)
    gates = torch.softmax(strategy.alpha, dim=1)
    ours = strategy.weights.gradient(batch.val_images, batch.val_labels, EVERYTHING, gates, strategy.alpha)
    torch.testing.assert_close(ours, _exact(strategy, batch, 0.0))


@pytest.mark.parametrize("op", range(5))
def test_the_derived_cell_has_the_largest_operation_on_every_edge(op):
    strategy = _started(1)
    strategy.alpha = torch.eye(5)[[op, 1, 2, 3, 4, 0]]
    assert cell.ops(strategy.derive(0)) == (op, 1, 2, 3, 4, 0)
