from __future__ import annotations

import math

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nasbench_lab.core import Query, Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.multi_objective._pareto import Archive, costs_of, crowded_order, crowding, ranks, unasked

TASK = Task(Space((2, 2)), (1,), ("val", "latency_ms/x"))
clouds = st.integers(1, 3).flatmap(
    lambda m: arrays(np.int64, st.tuples(st.integers(1, 15), st.just(m)), elements=st.integers(0, 5))
)


@given(clouds)
def test_ranks_are_moocores(costs):
    costs = costs.astype(float)
    expected = moocore.pareto_rank(costs) if costs.shape[1] > 1 else np.unique(costs[:, 0], return_inverse=True)[1]
    assert ranks(costs).tolist() == expected.tolist()


def test_crowding_is_the_side_length_of_the_box_of_the_neighbours():
    front = np.array([[0.0, 10.0], [1.0, 6.0], [3.0, 4.0], [10.0, 0.0]])
    assert crowding(front).tolist() == pytest.approx([math.inf, 0.3 + 0.6, 0.9 + 0.6, math.inf])
    assert crowding(front[:1]).tolist() == [math.inf]


def test_crowding_of_equal_cells_is_a_number():
    distance = crowding(np.ones((4, 2)))
    assert not np.isnan(distance).any()


def test_crowded_order_prefers_rank_then_room():
    costs = np.array([[5.0, 5.0], [0.0, 10.0], [1.0, 6.0], [3.0, 4.0], [10.0, 0.0]])
    assert crowded_order(costs).tolist() == [1, 4, 3, 2, 0]


def test_crowded_order_of_one_cost_is_its_order():
    assert crowded_order(np.array([[3.0], [1.0], [2.0]])).tolist() == [1, 2, 0]


@given(clouds)
def test_the_archive_holds_the_front_once(costs):
    costs = costs.astype(float)
    archive = Archive(costs.shape[1])
    entered = [archive.add(i, row) for i, row in enumerate(costs)]
    assert entered[0]
    best = np.unique(costs[ranks(costs) == 0], axis=0)
    assert np.unique(archive.costs, axis=0).tolist() == best.tolist()
    assert len(archive.archs) == len(best)
    assert np.array_equal(costs[archive.archs], archive.costs)


def test_costs_turn_scores_round_and_failures_away():
    query = Query(0, 1)
    assert costs_of(Result(query, 90.0, 1.0, {"latency_ms/x": 3.0}), TASK).tolist() == [-90.0, 3.0]
    assert costs_of(Result(query, math.nan, 1.0, {"latency_ms/x": 3.0}), TASK) is None
    assert costs_of(Result(query, 90.0, 1.0, {"latency_ms/x": math.nan}), TASK) is None
    assert costs_of(Result(query, 90.0, 1.0), TASK) is None


def test_unasked_ends_with_the_space():
    design = iter([2, 2, 0, 1, 1, 3])
    asked: set[int] = set()
    while (arch := unasked(lambda: next(design), asked, 4)) is not None:
        asked.add(arch)
    assert asked == {0, 1, 2, 3}
