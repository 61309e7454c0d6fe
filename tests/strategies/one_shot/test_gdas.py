"""GDAS: hard samples of softmax(alpha) forwards, the soft sample's gradient backwards, one operation per edge."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from nasbench_lab.core import Task
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot.gdas import Gdas, gumbel_gates


def test_gates_are_one_hot_and_drawn_from_softmax():
    alpha = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64)
    gates, drawn = gumbel_gates(alpha.expand(40_000, 3), 0.5, torch.Generator().manual_seed(0))
    torch.testing.assert_close(gates, torch.eye(3, dtype=torch.float64)[drawn])
    p = torch.softmax(alpha, 0)
    error = torch.sqrt(p * (1 - p) / len(drawn))
    assert ((torch.bincount(drawn) / len(drawn) - p).abs() < 4 * error).all()


def test_the_estimator_is_unbiased_for_a_linear_loss_of_the_soft_sample():
    """Two operations: the soft sample is sigmoid((a0 - a1 + logistic noise) / tau), which can be integrated."""
    tau, cost = 2.0, torch.tensor([3.0, -1.0], dtype=torch.float64)
    alpha = torch.tensor([0.4, -0.3], dtype=torch.float64)
    many = alpha.repeat(50_000, 1).requires_grad_()
    gates, _ = gumbel_gates(many, tau, torch.Generator().manual_seed(1))
    (gates @ cost).sum().backward()
    sampled = many.grad[:, 0]
    u = (np.arange(200_000) + 0.5) / 200_000
    soft = 1 / (1 + np.exp(-(0.7 + np.log(u / (1 - u))) / tau))
    exact = 4.0 * np.mean(soft * (1 - soft)) / tau
    error = float(sampled.std()) / len(sampled) ** 0.5
    assert abs(float(sampled.mean()) - exact) < 4 * error


def test_one_operation_per_edge_at_a_falling_temperature(monkeypatch):
    strategy = Gdas(images=16, batch=8, held_out=16, channels=2, epochs=3)
    strategy.start(Task(cell.SPACE, (1, 4, 12)), 0)
    seen = []
    real = gumbel_gates

    def spy(alpha, tau, generator):
        seen.append(tau)
        return real(alpha, tau, generator)

    monkeypatch.setattr("nasbench_lab.strategies.one_shot.gdas.gumbel_gates", spy)
    for number in range(3):
        choices, gates = strategy.gates(number, torch.Generator().manual_seed(number))
        assert [len(ops) for ops in choices] == [1] * 6
        assert [int(row.argmax()) for row in gates.detach()] == [ops[0] for ops in choices]
    np.testing.assert_allclose(seen, [10.0, 5.05, 0.1])
