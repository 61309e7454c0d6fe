"""SETN: single paths teach the weights, the mixture teaches alpha, the most probable cells are scored."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from nasbench_lab.core import Task
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot.setn import Setn
from nasbench_lab.training.shared import SharedWeights
from nasbench_lab.training.supernet import EVERYTHING


def _started() -> Setn:
    strategy = Setn(images=16, batch=8, held_out=16, channels=2, epochs=2, select=20, score_batch=8)
    strategy.start(Task(cell.SPACE, (1, 4, 12)), 0)
    return strategy


def test_paths_for_the_weights_and_the_mixture_for_alpha(monkeypatch):
    seen = []
    for name in ("learn", "gradient"):
        real = getattr(SharedWeights, name)

        def spy(self, images, labels, choices, *rest, real=real, name=name):
            seen.append((name, choices))
            return real(self, images, labels, choices, *rest)

        monkeypatch.setattr(SharedWeights, name, spy)
    _started().ask()
    assert [name for name, _ in seen] == ["gradient", "learn"] * 2
    assert all(choices == EVERYTHING for name, choices in seen if name == "gradient")
    assert all([len(ops) for ops in choices] == [1] * 6 for name, choices in seen if name == "learn")


def test_operations_without_a_chance_are_ranked_last(monkeypatch):
    """Their probability is 0 in double precision, its logarithm not minus infinity."""
    strategy = _started()
    with torch.no_grad():
        strategy.alpha.copy_(torch.tensor([0.0, 1.0, -1000.0, 2.0, -2000.0]).expand(6, 5))
    scored = []
    monkeypatch.setattr(SharedWeights, "accuracy", lambda _self, arch, *_: float(scored.append(arch) or 0))
    strategy.derive(0)
    assert cell.ops(scored[0]) == (3,) * 6
    assert all(set(cell.ops(arch)) <= {0, 1, 3} for arch in scored)


def test_the_most_probable_cells_are_scored(monkeypatch):
    strategy = _started()
    with torch.no_grad():
        strategy.alpha.copy_(torch.randn(6, 5, generator=torch.Generator().manual_seed(0)))
    scored = []

    def accuracy(_self, arch, *_):
        scored.append(arch)
        return float(arch)

    monkeypatch.setattr(SharedWeights, "accuracy", accuracy)
    answer = strategy.derive(0)
    chance = np.prod(strategy.probabilities[np.arange(6), cell.SPACE.choices], axis=1)
    assert sorted(scored) == sorted(np.argsort(-chance)[:20].tolist())
    assert answer == max(scored)
