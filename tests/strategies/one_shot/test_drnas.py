"""DrNAS: mixtures are Dirichlet draws whose mean and gradient are those of the concentration."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional

from nasbench_lab.core import Task
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot.drnas import Drnas
from nasbench_lab.training.supernet import EVERYTHING


def _started() -> Drnas:
    strategy = Drnas(images=16, batch=8, held_out=16, channels=2, epochs=2)
    strategy.start(Task(cell.SPACE, (1, 4, 12)), 0)
    with torch.no_grad():
        strategy.alpha.copy_(torch.randn(6, 5, generator=torch.Generator().manual_seed(1)))
    return strategy


@pytest.mark.slow
def test_mixtures_are_drawn_around_the_mean_of_the_concentration():
    strategy, generator = _started(), torch.Generator().manual_seed(2)
    before = torch.get_rng_state()
    draws = []
    for _ in range(2000):
        choices, gates = strategy.gates(0, generator)
        draws.append(gates.detach().double())
    assert choices == EVERYTHING
    assert torch.equal(before, torch.get_rng_state())
    stacked = torch.stack(draws)
    torch.testing.assert_close(stacked.sum(dim=2), torch.ones(2000, 6, dtype=torch.float64))
    concentration = functional.elu(strategy.alpha.detach().double()) + 1
    mean = concentration / concentration.sum(dim=1, keepdim=True)
    error = stacked.std(dim=0) / 2000**0.5
    assert ((stacked.mean(dim=0) - mean).abs() < 5 * error).all()
    torch.testing.assert_close(torch.from_numpy(strategy.probabilities), mean)


@pytest.mark.slow
def test_the_gradient_passes_through_the_draw():
    """Its mean is the gradient of the mean weight of an operation."""
    strategy, generator = _started(), torch.Generator().manual_seed(3)
    rows = []
    for _ in range(2000):
        _, gates = strategy.gates(0, generator)
        rows.append(torch.autograd.grad(gates[0, 3], strategy.alpha)[0][0].double())
    sampled = torch.stack(rows)
    alpha = strategy.alpha.detach().double()[0].requires_grad_()
    concentration = functional.elu(alpha) + 1
    (exact,) = torch.autograd.grad(concentration[3] / concentration.sum(), alpha)
    error = sampled.std(dim=0) / 2000**0.5
    assert ((sampled.mean(dim=0) - exact).abs() < 5 * error).all()
