from __future__ import annotations

import math

import pytest
from conftest import Additive

from nasbench_lab.core import Query, Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies._budget import UNLIMITED, Budget
from nasbench_lab.strategies.local.simulated_annealing import SimulatedAnnealing
from nasbench_lab.study.runner import search


def spent(budget, results):
    """Fractions after each of these (cell, seconds), asked for one by one."""
    fractions = []
    for arch, seconds in results:
        budget.asked()
        budget.told(Result(Query(arch, 1), 50.0, seconds))
        fractions.append(budget.fraction)
    return fractions


def task(**budgets):
    return Task(Space((5, 5)), (1,), **budgets)


def test_queries():
    assert spent(Budget(task(max_queries=4)), [(i, 1.0) for i in range(5)]) == [0.25, 0.5, 0.75, 1.0, 1.0]


def test_seconds():
    assert spent(Budget(task(max_seconds=10)), [(0, 1.0), (1, 4.0), (2, 9.0)]) == [0.1, 0.5, 1.0]


def test_whichever_is_further():
    assert spent(Budget(task(max_queries=10, max_seconds=100)), [(0, 1.0), (1, 49.0), (2, 1.0)]) == [0.1, 0.5, 0.51]


def test_no_budget_at_all():
    assert spent(Budget(task()), [(0, 1.0)]) == [1 / UNLIMITED]


def test_overhead_counts_and_free_repeats_do_not():
    budget = Budget(task(max_queries=10, max_seconds=100))
    budget.told(Result(Query(3, 1, 40.0), 50.0, 10.0))
    assert budget.fraction == 0.5
    budget.told(Result(Query(3, 1), 50.0, 0.0))
    assert budget.fraction == 0.5


def test_a_table_without_costs_counts_queries():
    assert spent(Budget(task(max_queries=4)), [(0, 0.0), (1, 0.0)]) == [0.25, 0.5]


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_with_workers_the_seconds_estimate_is_close_to_the_clock(workers):
    strategy, evaluator = SimulatedAnnealing(), Additive((4, 4, 4), cost=2.0)
    records = search(strategy, evaluator, seed=0, max_seconds=18 * 6, workers=workers).records
    assert strategy._budget.fraction == pytest.approx(records[-1].finished / (18 * 6), abs=0.01)
    assert not math.isnan(strategy.temperature)
