"""SPOS: crossover and mutation of the best so far, strict fairness, statistics recalibrated before a score."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from nasbench_lab.core import Task
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot.spos import Spos
from nasbench_lab.training.shared import SharedWeights


def _started(**settings: float) -> Spos:
    strategy = Spos(
        **{"images": 16, "batch": 8, "held_out": 16, "channels": 2, "epochs": 1, "score_images": 8} | settings
    )
    strategy.start(Task(cell.SPACE, (1, 4, 12)), 0)
    return strategy


def test_half_of_a_generation_is_crossed_and_half_mutated_from_the_best():
    strategy = _started(parents=2, mutation=0.1)
    best = cell.SPACE.index((1, 1, 1, 1, 1, 1)), cell.SPACE.index((2, 2, 2, 2, 2, 2))
    strategy.ranking.update({best[0]: 90.0, best[1]: 80.0, cell.SPACE.index((4, 4, 4, 4, 4, 4)): 10.0})
    crossed = [cell.SPACE.row(arch) for arch in strategy._generation(20)][:10]
    assert len(set(crossed)) == 10
    assert all(set(row) == {1, 2} for row in crossed)
    mutated = np.array([cell.SPACE.row(strategy._mutated([cell.SPACE.row(best[0])])) for _ in range(2000)])
    assert abs((mutated != 1).mean() - 0.1 * 0.8) < 0.01  # a changed edge may draw the operation it had


def test_a_generation_is_new_and_full():
    strategy = _started(parents=1, mutation=1e-9)
    strategy.ranking[7] = 90.0  # neither crossing nor mutating it gives another cell
    archs = strategy._generation(10)
    assert len(set(archs)) == 10
    assert 7 not in archs


def test_strict_fairness_trains_every_operation_of_every_edge_once_a_step(monkeypatch):
    seen = []
    real = SharedWeights.loss

    def spy(self, images, labels, choices, gates=None):
        seen.append(choices)
        return real(self, images, labels, choices, gates)

    monkeypatch.setattr(SharedWeights, "loss", spy)
    strategy = _started(fair=True)
    strategy.train(0)
    assert len(seen) == 5 * strategy.weights.steps
    for step in range(strategy.weights.steps):
        five = np.array(seen[5 * step : 5 * step + 5])[:, :, 0]
        assert (np.sort(five, axis=0) == np.arange(5)[:, None]).all()


def test_a_score_takes_recalibrated_statistics(monkeypatch):
    calibrations = []
    real = SharedWeights.accuracy

    def spy(self, arch, images, labels, calibration=()):
        calibrations.append(len(calibration))
        return real(self, arch, images, labels, calibration)

    monkeypatch.setattr(SharedWeights, "accuracy", spy)
    strategy = _started(calibration=2)
    strategy.score(11)
    strategy.score(11)  # known: not computed again
    assert calibrations == [2]
