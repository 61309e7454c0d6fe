from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from conftest import Additive
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import Query, Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.reinforcement.reinforced_evolution import ReinforcedEvolution
from nasbench_lab.study.runner import search


def started(options=(2, 4, 3), **settings):
    strategy = ReinforcedEvolution(**settings)
    strategy.start(Task(Space(options), (1,)), 0)
    return strategy


def chance(strategy, parent, child):
    moves, chances = strategy.chances(parent)
    row, target = list(strategy.task.space.row(parent)), strategy.task.space.row(child)
    for (edge, option), p in zip(moves.tolist(), chances, strict=True):
        if (*row[:edge], option, *row[edge + 1 :]) == target:
            return p
    return 0.0


@given(st.integers(0, 2**32 - 1))
def test_its_gradient_is_that_of_the_log_chance_of_the_mutation(seed):
    rng, strategy = np.random.default_rng(seed), started()
    theta = rng.normal(size=(3, 4))
    parent = int(rng.integers(24))
    child = strategy.task.space.mutate(parent, rng)
    strategy._theta = theta
    ours, numeric = strategy._score_function(parent, child), np.zeros((3, 4))
    for place in np.ndindex(3, 4):
        ends = []
        for step in (1e-5, -1e-5):
            strategy._theta = theta.copy()
            strategy._theta[place] += step
            ends.append(np.log(chance(strategy, parent, child)))
        numeric[place] = (ends[0] - ends[1]) / 2e-5
    assert ours == pytest.approx(numeric, abs=1e-6)


def test_the_moves_are_the_neighbours_equally_likely_at_first():
    strategy = started()
    for parent in (0, 7, 23):
        chances = {child: chance(strategy, parent, child) for child in strategy.task.space.neighbours_of(parent)}
        assert list(chances.values()) == pytest.approx([1 / 6] * 6)
        assert len(strategy.chances(parent)[0]) == 6


def test_children_are_drawn_by_the_policy():
    strategy = started()
    strategy._theta = np.random.default_rng(3).normal(size=(3, 4))
    counts = Counter(strategy._mutate(5) for _ in range(6000))
    for child in strategy.task.space.neighbours_of(5):
        assert counts[child] / 6000 == pytest.approx(chance(strategy, 5, child), abs=0.025)


def test_a_mutation_that_helped_becomes_likelier_and_one_that_did_not_less():
    for score, sign in ((60.0, 1), (40.0, -1), (float("nan"), -1)):
        strategy = started(population=1, sample=1)
        strategy._baseline = (0.05, 0.1)  # half of the mutations helped so far
        strategy.ask()
        strategy.tell(Result(Query(0, 1), 50.0, 1.0))
        query = strategy.ask()
        before = chance(strategy, 0, query.arch)
        strategy.tell(Result(query, score, 1.0))
        assert sign * (chance(strategy, 0, query.arch) - before) > 0


def test_it_learns_which_mutations_improve():
    """Share of the policy on moves to a better cell, over all cells: above chance where the scores are additive."""
    evaluator = Additive((4, 4, 4))
    shares = []
    for settings in ({"learning_rate": 1e-9}, {}):
        strategy = ReinforcedEvolution(**settings)
        search(strategy, evaluator, seed=0, max_queries=200)
        share = 0.0
        for parent in range(64):
            better = [c for c in evaluator.task.space.neighbours_of(parent) if evaluator.val[c] > evaluator.val[parent]]
            share += sum(chance(strategy, parent, child) for child in better) / 64
        shares.append(share)
    assert shares[0] == pytest.approx(0.5, abs=0.01)
    assert shares[1] > 0.75


def test_it_starts_from_the_design_and_goes_on_with_neighbours_of_the_living():
    evaluator = Additive((4, 4, 4))
    records = search(ReinforcedEvolution(5, 2), evaluator, seed=3, max_queries=50).records
    archs = [record.result.query.arch for record in records]
    uniform = search(RandomSearch(replacement=True), evaluator, seed=3, max_queries=5).records
    assert archs[:5] == [record.result.query.arch for record in uniform]
    for i in range(5, 50):
        assert any(archs[i] in evaluator.task.space.neighbours_of(arch) for arch in archs[i - 5 : i])


@pytest.mark.parametrize("arguments", [{"population": 0}, {"sample": 0}, {"learning_rate": 0}, {"momentum": 1.0}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="got"):
        ReinforcedEvolution(**arguments)
