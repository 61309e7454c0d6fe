from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from conftest import Additive

from nasbench_lab.core import Query, Result
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.local.simulated_annealing import SimulatedAnnealing
from nasbench_lab.study.runner import search


def started(budget=100, scores=(10.0, 20.0, 30.0, 40.0, 50.0), **settings):
    """A walk whose initial cells scored these; their interquartile range is 20."""
    strategy = SimulatedAnnealing(initial=len(scores), **settings)
    strategy.start(replace(Additive((40, 40)).task, max_queries=budget), 0)
    for arch, score in enumerate(scores):
        strategy.tell(Result(Query(arch, 9), score, 1.0))
    return strategy


def test_the_temperature_falls_over_the_budget_as_documented():
    for cooling, middle in (("geometric", 20 * math.sqrt(1.0 * 0.01)), ("linear", 20 * (1.0 + 0.01) / 2)):
        strategy = started(hot=1.0, cold=0.01, cooling=cooling)
        temperatures = [strategy.temperature]
        for arch in range(5, 100):
            strategy.tell(Result(Query(arch, 9), 1.0, 1.0))
            temperatures.append(strategy.temperature)
        assert all(a > b for a, b in pairwise(temperatures))
        assert temperatures[45] == pytest.approx(middle)  # 50 of 100 answered
        assert temperatures[-1] == pytest.approx(20 * 0.01)


def test_the_temperature_follows_seconds_too():
    strategy = SimulatedAnnealing(initial=2, hot=1.0, cold=0.01)
    strategy.start(replace(Additive((40, 40)).task, max_seconds=100.0), 0)
    for arch, score in ((0, 10.0), (1, 30.0)):
        strategy.tell(Result(Query(arch, 9), score, 25.0))
    assert strategy.temperature == pytest.approx(10 * math.sqrt(0.01))


def accepted(strategy, loss, times=10_000):
    """Share of proposals worse by `loss` points that are moved to."""
    moves = 0
    for _ in range(times):
        strategy._current = (50.0, 0)
        strategy._consider(50.0 - loss, 1)
        moves += strategy._current[1] == 1
    return moves / times


def test_acceptance_follows_the_temperature():
    strategy = started(hot=1.0, cold=0.01)
    shares = []
    for answers in (0, 45, 50):
        for arch in range(answers):
            strategy.tell(Result(Query(100 + arch, 9), 1.0, 1.0))
        shares.append(accepted(strategy, 2.0))
        assert shares[-1] == pytest.approx(math.exp(-2.0 / strategy.temperature), abs=0.03)
    assert shares[0] > shares[1] > shares[2]


def test_better_and_equal_cells_are_always_accepted_and_failures_never():
    strategy = started(cold=1e-6, hot=1e-6)
    assert accepted(strategy, -1.0) == accepted(strategy, 0.0) == 1.0
    assert accepted(strategy, math.inf) == 0.0


def test_it_starts_from_the_best_of_the_design():
    assert started()._current == (50.0, 4)
    evaluator = Additive((5, 5, 5))
    mine = search(SimulatedAnnealing(initial=6), evaluator, seed=2, max_queries=6).records
    uniform = search(RandomSearch(), evaluator, seed=2, max_queries=6).records
    assert [record.result.query for record in mine] == [record.result.query for record in uniform]


def test_it_walks_over_neighbours_of_where_it_stands():
    evaluator, strategy = Additive((6, 6, 6)), SimulatedAnnealing(initial=3)
    strategy.start(replace(evaluator.task, max_queries=40), 0)
    for i in range(40):
        query = strategy.ask()
        if i >= 3:
            assert query.arch in evaluator.task.space.neighbours_of(strategy._current[1])
        strategy.tell(evaluator.evaluate(query, 0))


def test_a_walk_that_is_stuck_starts_anew_and_no_cell_is_asked_for_twice():
    """A peak all of whose neighbours are known, at a temperature of nearly zero."""
    evaluator = Additive((3, 3, 2))
    run = search(SimulatedAnnealing(initial=2, hot=1e-9, cold=1e-9), evaluator, seed=0, max_queries=100)
    assert sorted(record.result.query.arch for record in run.records) == list(range(18))
    assert run.ended == "strategy"


def test_equal_or_failed_initial_cells_give_a_unit_of_one_point():
    for scores in ((50.0, 50.0), (float("nan"), float("nan"))):
        assert started(scores=scores, hot=2.0, cold=2.0).temperature == 2.0


@pytest.mark.parametrize(
    "arguments", [{"initial": 1}, {"cold": 0.0}, {"hot": 0.001}, {"hot": math.inf}, {"cooling": "quick"}]
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="got"):
        SimulatedAnnealing(**arguments)
