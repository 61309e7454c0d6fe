from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from conftest import Additive

from nasbench_lab.core import Query, Result
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.evolution.regularized_evolution import RegularizedEvolution
from nasbench_lab.study.runner import search


def started(strategy, evaluator, values):
    """A strategy whose population has been told these values, cell i scoring values[i]."""
    strategy.start(evaluator.task, 0)
    for arch, value in enumerate(values):
        strategy.ask()
        strategy.tell(Result(Query(arch, evaluator.task.full), value, 1.0))
    return strategy


def test_the_initial_population_is_the_design():
    records = search(RegularizedEvolution(population=8), Additive(), seed=3, max_queries=8).records
    uniform = search(RandomSearch(replacement=True), Additive(), seed=3, max_queries=8).records
    assert [record.result.query for record in records] == [record.result.query for record in uniform]


def test_after_it_every_query_is_a_mutation_of_somebody_alive():
    evaluator = Additive((4, 4, 4))
    archs = [
        record.result.query.arch
        for record in search(RegularizedEvolution(5, 2), evaluator, seed=1, max_queries=60).records
    ]
    for i in range(5, 60):
        assert any(archs[i] in evaluator.task.space.neighbours_of(arch) for arch in archs[i - 5 : i])


def test_the_oldest_dies_even_if_it_is_the_best():
    evaluator = Additive((40, 1))
    strategy = started(RegularizedEvolution(population=3), evaluator, [99.0, 1.0, 2.0])
    strategy.sample = 50  # the tournament sees all that live
    assert strategy._winner() == 0
    strategy.tell(Result(Query(3, 9), 1.5, 1.0))
    assert {strategy._winner() for _ in range(50)} == {2}
    assert strategy.recommend() == 0  # the answer is the best ever seen, alive or not


def test_the_tournament_draws_with_replacement_and_the_best_of_it_wins():
    """P(rank r wins) among n with s draws = ((n - r + 1)^s - (n - r)^s) / n^s."""
    strategy = started(RegularizedEvolution(population=4, sample=3), Additive((40, 1)), [4.0, 3.0, 2.0, 1.0])
    counts = Counter(strategy._winner() for _ in range(20000))
    expected = [((4 - r) ** 3 - (3 - r) ** 3) / 4**3 for r in range(4)]
    assert [counts[r] / 20000 for r in range(4)] == pytest.approx(expected, abs=0.015)


def test_children_are_uniform_neighbours_of_the_winner():
    evaluator = Additive((3, 3))
    strategy = started(RegularizedEvolution(population=1, sample=1), evaluator, [1.0])
    counts = Counter(strategy.propose().arch for _ in range(4000))
    assert set(counts) == set(evaluator.task.space.neighbours_of(0))
    assert np.array(list(counts.values())) == pytest.approx(1000, abs=130)


def test_failures_lose_every_tournament():
    strategy = started(RegularizedEvolution(population=3), Additive((40, 1)), [float("nan"), 1.0, float("nan")])
    strategy.sample = 60
    assert {strategy._winner() for _ in range(50)} == {1}


@pytest.mark.parametrize("arguments", [{"population": 0}, {"sample": 0}, {"population": 1, "sample": 5}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="1 <= sample <= population"):
        RegularizedEvolution(**arguments)
