from __future__ import annotations

import numpy as np
import pytest
from conftest import Additive
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import Query, Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.evolution.estimation_of_distribution import EstimationOfDistribution
from nasbench_lab.study.runner import search


def told(strategy, options, results):
    strategy.start(Task(Space(options), (1,)), 0)
    for row, score in results:
        strategy.tell(Result(Query(strategy.task.space.index(row), 1), score, 1.0))
    return strategy


def test_an_update_moves_to_the_frequencies_of_the_elite():
    strategy = EstimationOfDistribution(batch=4, elite=0.5, smoothing=0.8, floor=0.0)
    results = [((0, 2), 90.0), ((1, 0), 10.0), ((0, 1), 80.0), ((1, 1), float("nan"))]
    told(strategy, (2, 3), results)
    expected = [
        [0.2 / 2 + 0.8, 0.2 / 2, 0],
        [0.2 / 3, 0.2 / 3 + 0.4, 0.2 / 3 + 0.4],
    ]
    assert strategy.probabilities == pytest.approx(np.array(expected))


def test_it_concentrates_on_the_best_option_of_every_decision():
    evaluator, strategy = Additive((4, 3, 2, 5)), EstimationOfDistribution(batch=30, floor=0.0)
    best = evaluator.task.space.row(int(evaluator.val.argmax()))
    chances = []
    for queries in (1, 60, 120):
        search(strategy, evaluator, seed=0, max_queries=queries)
        chances.append([strategy.probabilities[e, option] for e, option in enumerate(best)])
    assert chances[0] == pytest.approx([1 / 4, 1 / 3, 1 / 2, 1 / 5])
    assert np.prod(chances[0]) < np.prod(chances[1]) < np.prod(chances[2])
    assert min(chances[2]) > 0.6


@given(st.integers(0, 1000), st.floats(0.01, 0.9))
def test_it_stays_a_distribution_above_its_floor(seed, floor):
    evaluator, strategy = Additive((2, 4, 1)), EstimationOfDistribution(batch=3, floor=floor)
    search(strategy, evaluator, seed=seed, max_queries=30)
    p = strategy.probabilities
    assert p.sum(axis=1) == pytest.approx(1)
    for edge, count in enumerate((2, 4, 1)):
        assert (p[edge, :count] >= floor / count - 1e-12).all()
        assert not p[edge, count:].any()


def test_cells_follow_the_distribution():
    strategy = told(EstimationOfDistribution(batch=2, elite=0.5), (3, 2), [((2, 1), 9.0), ((0, 0), 1.0)])
    rows = np.array([strategy.task.space.row(strategy._draw()) for _ in range(5000)])
    assert np.bincount(rows[:, 0], minlength=3) / 5000 == pytest.approx(strategy.probabilities[0], abs=0.03)
    assert np.bincount(rows[:, 1], minlength=3) / 5000 == pytest.approx(strategy.probabilities[1], abs=0.03)


def test_the_first_batch_is_the_design():
    evaluator = Additive((9, 9, 9))
    mine = search(EstimationOfDistribution(), evaluator, seed=1, max_queries=10).records
    uniform = search(RandomSearch(), evaluator, seed=1, max_queries=10).records
    assert [record.result.query for record in mine] == [record.result.query for record in uniform]


def test_failures_alone_teach_nothing():
    strategy = told(EstimationOfDistribution(batch=2), (3, 2), [((0, 0), float("nan"))] * 4)
    assert strategy.probabilities[0] == pytest.approx(1 / 3)


@pytest.mark.parametrize("arguments", [{"batch": 0}, {"elite": 0}, {"elite": 1.5}, {"smoothing": 0}, {"floor": 1.0}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="need"):
        EstimationOfDistribution(**arguments)
