"""Random search with parameter sharing: a uniform path per step, the best of uniform cells is the answer."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from nasbench_lab.core import Task
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot.rsps import Rsps
from nasbench_lab.training.shared import SharedWeights


def test_a_path_per_step_then_the_best_of_random_cells(monkeypatch):
    learnt, scored = [], []
    monkeypatch.setattr(SharedWeights, "learn", lambda _self, _x, _y, choices: learnt.append(choices))

    def accuracy(_self, arch, *_):
        scored.append(arch)
        return float(-arch)

    monkeypatch.setattr(SharedWeights, "accuracy", accuracy)
    strategy = Rsps(images=800, batch=2, held_out=16, channels=1, select=50, score_batch=4)
    strategy.start(Task(cell.SPACE, (1, 4, 12)), 0)
    query = strategy.ask()
    assert query is not None
    assert len(scored) == 50
    assert query.arch == min(scored)
    assert len(learnt) == 400
    for edge in range(6):
        counts = [sum(choices[edge] == (op,) for choices in learnt) for op in range(5)]
        assert sum(counts) == 400
        assert min(counts) > 40  # 80 expected, 8 standard deviation
