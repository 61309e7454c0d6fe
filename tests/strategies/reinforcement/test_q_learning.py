from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from conftest import Additive

from nasbench_lab.core import LabError, Query, Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.reinforcement.q_learning import QLearning
from nasbench_lab.study.runner import search

OPTIONS = (2, 3, 2)


def started(task=None, **settings):
    strategy = QLearning(**settings)
    strategy.start(task or Task(Space(OPTIONS), (1,), max_queries=100), 0)
    return strategy


def told(strategy, scores):
    for arch, score in enumerate(scores):
        strategy.tell(Result(Query(arch, 1), score, 1.0))
    return strategy


def test_q_converges_to_the_best_reachable_reward_where_the_state_is_the_whole_prefix():
    scores = np.random.default_rng(0).uniform(10, 95, 12)
    strategy = told(started(memory=3, shaped=False, replay=400), scores)
    strategy = told(strategy, scores)
    space = strategy.task.space
    for decision, count in enumerate(OPTIONS):
        for prefix in product(*map(range, OPTIONS[:decision])):
            for option in range(count):
                below = [arch for arch in range(12) if space.row(arch)[: decision + 1] == (*prefix, option)]
                best = max(scores[below]) / 100
                assert strategy.values((decision, *prefix))[option] == pytest.approx(best, abs=1e-3)


@pytest.mark.parametrize("scale", [2.0**-20, 2.0**10])
def test_the_unit_of_scores_that_are_not_percent_does_not_matter(scale):
    scores = -np.random.default_rng(0).uniform(0.1, 3, 12)

    def learned(factor):
        strategy = told(
            started(Task(Space(OPTIONS), (1,), max_queries=100, unit="loss", better="lower")), factor * scores
        )
        return strategy._values

    assert learned(scale) == learned(1.0)
    assert all(0 <= value <= 1.5 for values in learned(scale).values() for value in values)


def test_a_first_order_state_is_shared_by_all_that_came_before():
    strategy = told(started(memory=1), np.linspace(10, 90, 12))
    assert set(strategy._values) == {(0,), (1, 0), (1, 1), (2, 0), (2, 1), (2, 2)}


def test_shaped_rewards_are_equal_parts():
    strategy = started(shaped=True)
    for _ in range(3):
        strategy.tell(Result(Query(11, 1), 60.0, 1.0))  # options (1, 2, 1); nothing else is ever learned
    others = 0.5  # the untouched start value is what max finds where a part is below it
    assert strategy.values((2, 2)) == pytest.approx([others, 0.2], abs=1e-6)
    assert strategy.values((1, 1)) == pytest.approx([0.5, 0.5, 0.2 + 0.5], abs=1e-6)
    assert strategy.values((0,)) == pytest.approx([0.5, 0.2 + 0.7], abs=1e-6)


def test_unshaped_reward_comes_with_the_last_decision():
    strategy = started(shaped=False)
    for _ in range(3):
        strategy.tell(Result(Query(11, 1), 60.0, 1.0))
    assert [strategy.values(state)[-1] for state in ((0,), (1, 1), (2, 2))] == pytest.approx([0.6] * 3, abs=1e-6)


def test_metaqnns_epsilon_schedule():
    """Cells trained at every epsilon, Baker et al. 2017: 1500, then 100 each for 0.9 to 0.7, 150 each for 0.6 to 0.1."""
    strategy = started(Task(Space(OPTIONS), (1,), max_queries=2700), uniform=1500 / 2700, replay=1)
    counts: dict[float, int] = {}
    for _ in range(2700):
        counts[strategy.epsilon] = counts.get(strategy.epsilon, 0) + 1
        strategy.tell(Result(Query(0, 1), 50.0, 1.0))
    assert list(counts) == [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]
    assert list(counts.values()) == pytest.approx([1500, 100, 100, 100, *[150] * 6], abs=1)


def test_epsilon_follows_seconds_where_these_are_the_budget():
    strategy = started(Task(Space(OPTIONS), (1,), max_seconds=100))
    assert strategy.epsilon == 1
    strategy.tell(Result(Query(0, 1), 50.0, 99.0))
    assert strategy.epsilon == 0.1


def test_in_the_end_it_takes_the_best_options():
    evaluator = Additive((3, 3, 3))
    evaluator.val = evaluator.val + 50
    gains = []
    for seed in reversed(range(10)):  # one run gains 1.3 standard deviations more or less .2
        strategy = QLearning()
        records = search(strategy, evaluator, seed=seed, max_queries=300).records
        scores = [evaluator.val[record.result.query.arch] for record in records]
        gains.append(np.mean(scores[-50:]) - np.mean(scores[:50]))
    assert np.mean(gains) > np.std(evaluator.val)
    best = evaluator.task.space.row(int(evaluator.val.argmax()))
    row: list[int] = []
    for decision in range(3):
        row.append(int(np.argmax(strategy.values(strategy._state(decision, tuple(row))))))
    assert tuple(row) == best


def test_a_known_cost_is_taken_off_the_reward_as_a_logarithm():
    costs = np.exp(np.linspace(0, 5, 12))
    costs[3] = np.nan
    task = Task(Space(OPTIONS), (1,), max_queries=50, known={"flops_m": costs})
    strategy = told(started(task, cost="flops_m", cost_weight=2.0), [70.0] * 12)
    rewards = dict(strategy._memory)
    assert 3 not in rewards
    assert strategy._scaled(rewards[0]) == pytest.approx(0.7)
    assert strategy._scaled(rewards[11]) == pytest.approx(0.7 - 2 * 5 / 100)


def test_a_cost_turns_the_search_to_cheap_cells():
    evaluator = Additive((3, 3, 3))
    rng = np.random.default_rng(5)
    cost = np.exp(evaluator.task.space.one_hot @ rng.uniform(0, 1, 9))
    evaluator.val[:] = 50.0
    evaluator.task = replace(evaluator.task, known={"params_m": cost})
    asked = [
        [r.result.query.arch for r in search(QLearning(**s), evaluator, seed=1, max_queries=300).records[-60:]]
        for s in ({"cost": "params_m", "cost_weight": 20.0}, {})
    ]
    assert cost[asked[0]].mean() < 0.75 * cost[asked[1]].mean()


def test_an_unknown_cost_is_refused_with_the_known_ones():
    task = Task(Space(OPTIONS), (1,), max_queries=50, known={"params_m": np.ones(12)})
    with pytest.raises(LabError, match="known are: params_m; got 'beauty'"):
        started(task, cost="beauty")


def test_failures_are_not_remembered():
    assert not told(started(), [float("nan")] * 3)._memory


@pytest.mark.parametrize(
    "arguments",
    [
        {"learning_rate": 0},
        {"learning_rate": 1.5},
        {"replay": 0},
        {"memory": -1},
        {"uniform": 1.0},
        {"cost_weight": np.inf},
    ],
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="need"):
        QLearning(**arguments)
