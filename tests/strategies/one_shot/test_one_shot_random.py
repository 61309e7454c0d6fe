"""One-Shot: dropout that grows, the first design cell until cells are ranked, then the best ranked."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from nasbench_lab.core import Result, Task
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot.one_shot_random import OneShotRandom

SETTINGS = {"images": 8, "batch": 8, "held_out": 16, "channels": 2, "score_images": 8}
TASK = Task(cell.SPACE, (1, 4, 12))


def test_dropout_grows_to_r_for_a_whole_node():
    strategy = OneShotRandom(**SETTINGS, epochs=10, drop=0.15)
    strategy.start(TASK, 0)
    assert strategy.masked(0, 0) == ((1, 2, 3, 4),) * 6
    masks = [strategy.masked(10, 0) for _ in range(4000)]
    for node in (1, 2, 3):
        entering = [e for e, (_, target) in enumerate(cell.EDGES) if target == node]
        empty = np.mean([not any(mask[e] for e in entering) for mask in masks])
        assert abs(empty - 0.15) < 0.025  # 4 standard errors
    halfway = np.mean([len(mask[0]) for mask in (strategy.masked(5, 0) for _ in range(2000))])
    assert abs(halfway - 4 * (1 - 0.5 * 0.15**0.25)) < 0.1


def test_the_answer_is_the_best_ranked():
    strategy = OneShotRandom(**SETTINGS, epochs=2, select=7, per_round=3)
    strategy.start(TASK, 0)
    answers = []
    while (query := strategy.ask()) is not None:
        answers.append(query.arch)
        strategy.tell(Result(query, 50.0, query.overhead))
    assert len(answers) == 2 + 3  # epochs, then 3 + 3 + 1 cells
    assert answers[0] == answers[1]
    assert len(strategy.ranking) <= 7
    assert strategy.ranking[answers[-1]] == max(strategy.ranking.values())
