from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from conftest import Additive
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import Query, Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.tree.mcts import MCTS, _ranks
from nasbench_lab.study.runner import search
from nasbench_lab.testing.strategy_kit import HashEvaluator

PLAIN = {"prior": 0.0, "temperature": math.inf, "initial": 0}


class Branches(Additive):
    """The first decision is worth far more than the rest."""

    def __init__(self, best):
        super().__init__((4, 6, 6, 6))
        self.val = self.val + 50 * (self.task.space.choices[:, 0] == best)


@pytest.mark.parametrize("settings", [{}, PLAIN])
@pytest.mark.parametrize("best", [0, 2])
def test_visits_concentrate_on_the_best_branch(settings, best):
    evaluator = Branches(best)
    records = search(MCTS(**settings), evaluator, seed=0, max_queries=200).records
    first = [evaluator.task.space.row(record.result.query.arch)[0] for record in records]
    early, late = Counter(first[:20]), Counter(first[100:])
    assert late[best] / 100 > 0.6
    assert late[best] / 100 > early[best] / 20
    assert min(Counter(first)[branch] for branch in range(4)) >= 3  # none is given up unseen


def test_more_exploration_spreads_the_visits():
    shares = []
    for exploration in (0.1, 1.0, 10.0):
        evaluator = Branches(1)
        records = search(MCTS(exploration, **PLAIN), evaluator, seed=0, max_queries=60).records
        shares.append(np.mean([evaluator.task.space.row(record.result.query.arch)[0] == 1 for record in records]))
    assert shares[0] > shares[1] > shares[2] >= 0.25


def test_plain_uct_takes_the_largest_upper_bound():
    """One decision of 3 options with many cells below; two answers each, rewards 0 .. 1 in steps of a fifth."""
    strategy = MCTS(exploration=0.3, **PLAIN)
    strategy.start(Task(Space((3, 5)), (1,)), 0)
    bounds = strategy._upper_bounds(np.array([4, 1, 0]), np.array([2.4, 0.7, 0.0]), np.zeros(3))
    expected = [0.6 + 0.3 * math.sqrt(math.log(6) / 4), 0.7 + 0.3 * math.sqrt(math.log(6) / 1)]
    assert bounds[:2] == pytest.approx(expected)
    assert bounds[2] == math.inf  # an option that was never visited comes first


def test_the_prior_is_worth_its_visits():
    strategy = MCTS(exploration=0.0, prior=2.0)
    strategy.start(Task(Space((3, 5)), (1,)), 0)
    bounds = strategy._upper_bounds(np.array([4, 0, 1]), np.array([2.0, 0.0, 1.0]), np.array([0.2, 0.9, 0.4]))
    assert bounds == pytest.approx([(2.0 + 0.4) / 6, 0.9, (1.0 + 0.8) / 3])


def test_move_averages_are_means_over_the_whole_tree():
    strategy = MCTS(initial=0)
    strategy.start(Task(Space((2, 3)), (1,)), 0)
    for row, score in (((0, 0), 10.0), ((1, 0), 30.0), ((1, 2), 20.0)):
        strategy.tell(Result(Query(strategy.task.space.index(row), 1), score, 1.0))
    _, answered, rewards = strategy._visits()
    assert rewards.tolist() == [0.0, 1.0, 0.5]
    assert strategy._averages(answered, 0).tolist() == [0.0, 0.75]
    assert strategy._averages(answered, 1).tolist() == [0.5, 0.5, 0.5]  # (0 + 1) / 2, never tried, 0.5


def test_rollouts_prefer_options_that_did_well_elsewhere():
    """Below a branch nobody visited, the last decision follows its move averages."""
    last, count = Counter(), 1500  # a share of them is known to .013
    for seed in range(count):
        strategy = MCTS(prior=0.0, exploration=0.0, temperature=0.2, initial=0)
        strategy.start(Task(Space((3, 4)), (1,)), seed)
        for row, score in (((0, 0), 1.0), ((0, 1), 9.0), ((1, 0), 2.0), ((1, 1), 8.0)):
            strategy.tell(Result(Query(strategy.task.space.index(row), 1), score, 1.0))
        row = strategy.task.space.row(strategy.propose().arch)
        assert row[0] == 2
        last[row[1]] += 1
    means = np.array([(0 + 1 / 3) / 2, (1 + 2 / 3) / 2, 0.5, 0.5])
    expected = np.exp(means / 0.2) / np.exp(means / 0.2).sum()
    assert [last[option] / count for option in range(4)] == pytest.approx(expected.tolist(), abs=0.08)


@given(st.integers(0, 100), st.sampled_from([1, 4, 30]), st.sampled_from([{}, PLAIN]))
def test_every_cell_of_a_space_is_asked_for_once(seed, workers, settings):
    run = search(MCTS(**settings), Additive((2, 3, 1, 3)), seed=seed, max_queries=100, workers=workers)
    assert sorted(record.result.query.arch for record in run.records) == list(range(18))
    assert run.ended == "strategy"


def test_cells_that_are_pending_push_the_next_ones_elsewhere():
    strategy = MCTS(**PLAIN)
    strategy.start(Task(Space((4, 8)), (1,)), 0)
    first = [strategy.task.space.row(strategy.ask().arch)[0] for _ in range(8)]
    assert sorted(first) == [0, 0, 1, 1, 2, 2, 3, 3]


def test_it_starts_from_the_design():
    evaluator = Additive((9, 9, 9))
    mine = search(MCTS(), evaluator, seed=2, max_queries=10).records
    uniform = search(RandomSearch(), evaluator, seed=2, max_queries=10).records
    assert [record.result.query for record in mine] == [record.result.query for record in uniform]


def test_rewards_are_ranks_and_failures_come_last():
    assert _ranks(np.array([3.0, -np.inf, 9.0, 3.0, 5.0])).tolist() == [0.375, 0.0, 1.0, 0.375, 0.75]
    assert _ranks(np.full(4, -np.inf)).tolist() == [0.5] * 4
    assert _ranks(np.array([1.0])).tolist() == [0.5]
    assert _ranks(np.array([])).tolist() == []


@pytest.mark.parametrize(
    "arguments", [{"exploration": -1.0}, {"prior": math.inf}, {"temperature": 0.0}, {"initial": -1}]
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="got"):
        MCTS(**arguments)


@given(st.integers(0, 100))
def test_a_listed_space_is_searched_to_its_end_without_repetition(seed):
    rng = np.random.default_rng(seed)
    rows = np.array(list(np.ndindex(4, 3, 3)))[np.sort(rng.choice(36, size=20, replace=False))]
    for edge in range(3):  # options that no cell takes are none
        rows[:, edge] = np.unique(rows[:, edge], return_inverse=True)[1]
    space = Space(tuple((rows.max(axis=0) + 1).tolist()), listed=np.unique(rows, axis=0))
    evaluator = HashEvaluator(Task(space, (1,)))
    asked = [r.result.query.arch for r in search(MCTS(initial=3), evaluator, seed=seed, max_queries=50).records]
    assert sorted(asked) == list(range(space.size))
