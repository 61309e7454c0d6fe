from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import Additive
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.strategies.local.local_search import LocalSearch
from nasbench_lab.study.runner import search


def rugged(seed) -> Additive:
    """Independent random values: many local optima."""
    evaluator = Additive((3, 3, 3))
    evaluator.val = np.random.default_rng(seed).random(27)
    return evaluator


def is_local_optimum(evaluator, arch) -> bool:
    return all(evaluator.val[arch] >= evaluator.val[other] for other in evaluator.task.space.neighbours_of(arch))


@given(st.integers(0, 500), st.sampled_from(["first", "best"]))
def test_without_restarts_it_ends_in_a_true_local_optimum(seed, improvement):
    evaluator = rugged(seed)
    run = search(LocalSearch(improvement, restarts=False), evaluator, seed=seed, max_queries=100)
    assert run.ended == "strategy"
    assert is_local_optimum(evaluator, run.records[-1].incumbent)


@given(st.integers(0, 500), st.sampled_from(["first", "best"]), st.sampled_from([1, 3]))
def test_with_restarts_it_asks_for_every_cell_once(seed, improvement, workers):
    run = search(LocalSearch(improvement), rugged(seed), seed=seed, max_queries=100, workers=workers)
    assert sorted(record.result.query.arch for record in run.records) == list(range(27))


def climb(evaluator, records, better):
    """Replay: every query is a neighbour of the current centre; returns the centres."""
    centres = [records[0].result.query.arch]
    for record in records[1:]:
        arch = record.result.query.arch
        assert arch in evaluator.task.space.neighbours_of(centres[-1])
        if better(arch, centres[-1]):
            centres.append(arch)
    return centres


@given(st.integers(0, 500))
def test_first_improvement_moves_to_the_first_better_neighbour(seed):
    evaluator = rugged(seed)
    records = search(LocalSearch(restarts=False), evaluator, seed=seed, max_queries=100).records
    centres = climb(evaluator, records, lambda arch, centre: evaluator.val[arch] > evaluator.val[centre])
    assert is_local_optimum(evaluator, centres[-1])


@given(st.integers(0, 500))
def test_best_improvement_tries_all_neighbours_and_moves_to_the_best(seed):
    evaluator = rugged(seed)
    records = search(LocalSearch("best", restarts=False), evaluator, seed=seed, max_queries=100).records
    asked = [record.result.query.arch for record in records]
    space, known, centre, at = evaluator.task.space, {asked[0]}, asked[0], 1
    while True:
        fresh = set(space.neighbours_of(centre)) - known
        assert set(asked[at : at + len(fresh)]) == fresh
        known |= fresh
        at += len(fresh)
        best = max(space.neighbours_of(centre), key=lambda arch: evaluator.val[arch])
        if evaluator.val[best] <= evaluator.val[centre]:
            break
        centre = best
    assert at == len(asked)


def test_the_order_of_neighbours_is_random():
    seconds = {
        search(LocalSearch(), Additive((4, 4)), seed=seed, max_queries=2).records[1].result.query for seed in range(40)
    }
    assert len(seconds) > 8


def test_a_failed_start_is_left_behind():
    evaluator = rugged(0)
    evaluator.val[:20] = math.nan
    run = search(LocalSearch(), evaluator, seed=0, max_queries=27)
    assert len(run.records) == 27
    assert run.records[-1].incumbent == int(np.nanargmax(evaluator.val))


def test_unknown_improvement_is_refused_by_its_spec():
    from nasbench_lab import loading
    from nasbench_lab.core import LabError

    with pytest.raises(LabError, match="improvement"):
        loading.build("strategies", "local_search:improvement=none")
