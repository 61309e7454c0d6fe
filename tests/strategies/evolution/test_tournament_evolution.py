from __future__ import annotations

from collections import Counter

import pytest
from conftest import Additive
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import Query, Result
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.evolution.tournament_evolution import TournamentEvolution
from nasbench_lab.study.runner import search


def started(values):
    """A strategy whose population has been told these values, cell i scoring values[i]."""
    evaluator, strategy = Additive((40, 1)), TournamentEvolution(population=max(2, len(values)))
    strategy.start(evaluator.task, 0)
    for arch, value in enumerate(values):
        strategy.ask()
        strategy.tell(Result(Query(arch, evaluator.task.full), value, 1.0))
    return strategy


@given(st.lists(st.floats(0, 100) | st.just(float("nan")), min_size=2, max_size=8))
def test_the_worse_of_the_pair_dies_and_the_better_is_the_parent(values):
    strategy = started(values)
    before = {arch: score for score, arch in strategy._alive}
    winner = strategy._fight()
    after = {arch for _, arch in strategy._alive}
    (loser,) = before.keys() - after
    assert winner in after
    assert before[winner] >= before[loser]


def test_the_best_lives_until_something_better_is_found():
    evaluator, strategy = Additive((4, 4, 4)), TournamentEvolution(population=6)
    strategy.start(evaluator.task, 1)
    best = -1.0
    for _ in range(80):
        strategy.tell(evaluator.evaluate(strategy.ask(), 0))
        best = max(best, *(score for score, _ in strategy._alive))
        assert max(score for score, _ in strategy._alive) == best
        assert len(strategy._alive) <= 6
    assert best == evaluator.val.max()


@pytest.mark.slow
def test_pairs_are_two_different_individuals_all_equally_likely():
    counts = Counter()
    for seed in range(3000):
        strategy = started([4.0, 3.0, 2.0])
        strategy.rng.bit_generator.advance(seed)
        strategy._fight()
        counts[next(iter({0, 1, 2} - {arch for _, arch in strategy._alive}))] += 1
    assert counts[0] == 0  # the best loses to nobody
    assert counts[1] / 3000 == pytest.approx(1 / 3, abs=0.04)  # only in the pair (0, 1)


def test_it_starts_from_the_design_and_children_are_mutations():
    evaluator = Additive((4, 4, 4))
    records = search(TournamentEvolution(8), evaluator, seed=3, max_queries=60).records
    archs = [record.result.query.arch for record in records]
    uniform = search(RandomSearch(replacement=True), evaluator, seed=3, max_queries=8).records
    assert archs[:8] == [record.result.query.arch for record in uniform]
    for i in range(8, 60):
        assert any(archs[i] in evaluator.task.space.neighbours_of(arch) for arch in archs[:i])


def test_more_workers_than_individuals():
    records = search(TournamentEvolution(2), Additive((4, 4, 4)), seed=0, max_queries=60, workers=10).records
    assert len(records) == 60


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="at least 2"):
        TournamentEvolution(1)
