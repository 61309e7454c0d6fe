from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from conftest import Additive

from nasbench_lab.core import Query, Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.model_based.tpe import Tpe
from nasbench_lab.study.runner import search

# Seven results on 3 x 2 options; gamma 0.25 makes the best two good.
RESULTS = [((0, 0), 9.0), ((0, 1), 8.0), ((1, 0), 6.0), ((2, 1), 5.0), ((1, 1), 4.0), ((2, 0), 3.0), ((2, 1), 2.0)]


def told(strategy, results, options=(3, 2)):
    space = Space(options)
    strategy.start(Task(space, (1,)), 0)
    for row, score in results:
        strategy.tell(Result(Query(space.index(row), 1), score, 1.0))
    return strategy


def by_hand(row, centres, weights, prior):
    """Optuna's categorical kernel: 1 + 1/K at the own option and 1/K elsewhere, normalised, K kernels with the prior."""
    kernels, total = len(centres) + 1, 0.0
    for centre, weight in zip(centres, weights, strict=True):
        value = 1.0
        for e, count in enumerate((3, 2)):
            value *= ((row[e] == centre[e]) + 1 / kernels) / (1 + count / kernels)
        total += weight * value
    return (total + prior / 6) / (sum(weights) + prior)


@pytest.mark.parametrize("weights", ["ei", "uniform"])
def test_the_ratio_on_a_constructed_case(weights):
    good, others = told(Tpe(gamma=0.25, weights=weights), RESULTS).densities()
    own = [9.0 - 6.0, 8.0 - 6.0] if weights == "ei" else [1.0, 1.0]  # above the best of the others, 6
    centres = [row for row, _ in RESULTS]
    rows = np.array(list(itertools.product(range(3), range(2))))
    l_values = [by_hand(row, centres[:2], own, sum(own) / 2) for row in rows]
    g_values = [by_hand(row, centres[2:], [1.0] * 5, 1.0) for row in rows]
    assert good(rows) == pytest.approx(l_values)
    assert others(rows) == pytest.approx(g_values)


def test_it_asks_for_the_new_cell_with_the_largest_ratio():
    space = Space((3, 4, 2))
    strategy = Tpe(initial=8, candidates=4000)
    strategy.start(Task(space, (1,)), 1)
    for _ in range(8):
        query = strategy.ask()
        strategy.tell(Result(query, float(-abs(query.arch - 11)), 1.0))
    good, others = strategy.densities()
    ratio = good(space.choices) / others(space.choices)
    ratio[list(strategy._seen)] = -1
    assert ratio[strategy.ask().arch] == ratio.max()


def test_first_the_design_and_then_no_cell_twice():
    evaluator = Additive((4, 4, 4))
    records = search(Tpe(), evaluator, seed=5, max_queries=100).records
    uniform = search(RandomSearch(), evaluator, seed=5, max_queries=10).records
    assert [r.result.query for r in records[:10]] == [r.result.query for r in uniform]
    assert sorted(record.result.query.arch for record in records) == list(range(64))
    assert {record.result.query.epochs for record in records} == {9}


@pytest.mark.parametrize(("count", "good"), [(8, 2), (10, 2), (100, 15), (400, 25)])
def test_the_good_are_a_share_of_all_up_to_a_limit(count, good):
    strategy = told(Tpe(), [((i % 3, i % 2), float(i)) for i in range(count)])
    assert len(strategy.densities()[0].centres) == good + 1  # and the prior


def test_failures_are_not_good():
    strategy = told(Tpe(gamma=0.5), [((0, 0), math.nan)] * 6 + [((1, 1), 1.0)])
    good, others = strategy.densities()
    assert good.centres[0].tolist() == [1, 1]
    assert (len(good.centres), len(others.centres)) == (2, 7)
    assert told(Tpe(), [((0, 0), math.nan)] * 12).densities() is None


def test_it_finds_better_cells_than_random_search():
    evaluator = Additive((5,) * 5)
    ends = [
        [
            evaluator.val[search(make(), evaluator, seed=seed, max_queries=60).records[-1].incumbent]
            for seed in range(30)  # a pair of runs differs by 2.6 more or less 1.9
        ]
        for make in (Tpe, RandomSearch)
    ]
    assert np.mean(ends[0]) > np.mean(ends[1]) + 1


@pytest.mark.parametrize(
    "arguments", [{"initial": 1}, {"gamma": 0.0}, {"gamma": 1.0}, {"candidates": 0}, {"weights": "old-decay"}]
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match=r"need initial|weights must be"):
        Tpe(**arguments)
