from __future__ import annotations

import numpy as np
import pytest

from nasbench_lab.strategies.reinforcement._policy import Adam, Softmaxes, softmax


def test_adam_is_torchs():
    torch = pytest.importorskip("torch")
    rng, adam, ours = np.random.default_rng(0), Adam((2, 3), 0.1), np.ones((2, 3))
    theirs = torch.ones((2, 3), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([theirs], lr=0.1)
    for _ in range(50):
        gradient = rng.normal(size=(2, 3))
        ours = ours - adam.step(gradient)
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
    assert ours == pytest.approx(theirs.detach().numpy(), abs=1e-9)


def test_softmax_of_an_absent_option_is_zero():
    assert softmax(np.array([[0.0, 0.0, -np.inf], [1000.0, 1000.0, 1000.0]])) == pytest.approx(
        np.array([[0.5, 0.5, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    )


def test_absent_options_are_never_sampled_and_stay_absent():
    rng, policy = np.random.default_rng(1), Softmaxes((2, 4, 1), 0.5, np.random.default_rng(0))
    for _ in range(30):
        gradient = rng.normal(size=(3, 4)) * (policy.probabilities > 0)
        policy.descend(gradient)
        assert policy.probabilities.sum(axis=1) == pytest.approx(1)
        assert not policy.probabilities[[0, 0, 2, 2, 2], [2, 3, 1, 2, 3]].any()
        assert all(choice < count for choice, count in zip(policy.sample(rng), (2, 4, 1), strict=True))
