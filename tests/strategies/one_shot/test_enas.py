"""ENAS: the controller is a distribution over cells, its gradient estimate is unbiased, it moves towards reward."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from nasbench_lab.core import Task
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot.enas import Enas, surrogate_loss
from nasbench_lab.training.shared import SharedWeights


def _started(**settings: float) -> Enas:
    strategy = Enas(
        **{"images": 8, "batch": 8, "held_out": 16, "channels": 2, "epochs": 2, "score_batch": 8, "select": 2}
        | settings
    )
    strategy.start(Task(cell.SPACE, (1, 4, 12)), 0)
    return strategy


def test_the_controller_is_a_distribution_over_all_cells():
    controller = _started().controller.double()
    with torch.no_grad():
        rows, log_chance, entropy = controller(torch.tensor(cell.SPACE.choices, dtype=torch.long))
    assert len(rows) == 15_625
    np.testing.assert_allclose(log_chance.exp().sum(), 1.0)
    np.testing.assert_allclose((log_chance.exp() * entropy).sum(), -(log_chance.exp() * log_chance).sum())


@pytest.mark.slow
def test_the_estimator_is_unbiased():
    """The mean over drawn cells against the exact gradient of the expected reward, summed over all 15,625 cells."""
    controller = _started().controller.double()
    reward = torch.from_numpy(cell.SPACE.one_hot @ np.random.default_rng(0).normal(size=30))
    _, log_chance, _ = controller(torch.tensor(cell.SPACE.choices, dtype=torch.long))
    (exact,) = torch.autograd.grad(-(log_chance.exp() * reward).sum(), controller.head.weight)
    generator, estimates = torch.Generator().manual_seed(0), []
    for _ in range(300):
        rows, log_chance, _ = controller(40, generator)
        advantages = (reward[cell.SPACE.indices(rows.numpy())] - 0.3).tolist()  # any constant baseline
        (estimate,) = torch.autograd.grad(surrogate_loss(log_chance, advantages), controller.head.weight)
        estimates.append(estimate)
    sampled = torch.stack(estimates)
    error = sampled.std(dim=0) / len(sampled) ** 0.5
    assert ((sampled.mean(dim=0) - exact).abs() < 5 * error).all()
    assert ((exact / error).abs() > 5).any()  # the test could tell


def test_the_controller_learns_what_is_rewarded(monkeypatch):
    rows = cell.SPACE.choices
    monkeypatch.setattr(SharedWeights, "accuracy", lambda _self, arch, *_: 100.0 * float((rows[arch] == 3).mean()))
    strategy = _started(aggregate=20, controller_learning_rate=0.02)
    generator = torch.Generator().manual_seed(0)
    for turn in range(40):
        strategy._teach(turn, generator)
    with torch.no_grad():
        drawn, _, _ = strategy.controller(500, generator)
    assert float((drawn == 3).float().mean()) > 0.4  # 0.2 when it began
