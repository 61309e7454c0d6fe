"""One-Shot, then evolution: children are one edge from the best of a tournament, the oldest dies."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from nasbench_lab.core import Task
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot.one_shot_evolution import OneShotEvolution


def _distance(one: int, other: int) -> int:
    return int((cell.SPACE.choices[one] != cell.SPACE.choices[other]).sum())


def test_children_of_the_best_and_the_oldest_dies(monkeypatch):
    level = cell.SPACE.choices @ 5.0 ** np.arange(6)  # no two alike, and most of it is in one edge: it can be climbed
    monkeypatch.setattr(OneShotEvolution, "score", lambda _self, arch: level[arch])
    settings = {"images": 8, "batch": 8, "held_out": 16, "channels": 2}
    strategy = OneShotEvolution(**settings, epochs=1, population=5, sample=5)
    strategy.sample = 200  # the tournament sees all that live
    strategy.start(Task(cell.SPACE, (1, 4, 12)), 0)
    strategy.search(5)
    alive = list(strategy._kept["alive"])
    assert len(alive) == 5
    children = []
    for _ in range(90):
        strategy.search(1)
        child = strategy._kept["alive"][-1]
        assert _distance(child, max(alive, key=lambda arch: level[arch])) == 1
        assert strategy._kept["alive"] == [*alive[1:], child]
        alive = [*alive[1:], child]
        children.append(level[child])
    assert np.mean(children[30:]) > 1.25 * level.mean()  # selection works upwards: to 1.75 more or less .1
