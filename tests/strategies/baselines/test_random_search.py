from __future__ import annotations

import pytest
from conftest import Additive

from nasbench_lab.core import Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.local.local_search import LocalSearch
from nasbench_lab.study.runner import search


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("workers", [1, 4])
def test_without_replacement_every_cell_is_asked_for_once_and_then_it_ends(seed, workers):
    run = search(RandomSearch(), Additive(), seed=seed, max_queries=100, workers=workers)
    assert sorted(record.result.query.arch for record in run.records) == list(range(18))
    assert run.ended == "strategy"


def test_with_replacement_cells_come_again():
    run = search(RandomSearch(replacement=True), Additive(), seed=0, max_queries=100)
    archs = [record.result.query.arch for record in run.records]
    assert len(archs) == 100
    assert len(set(archs)) == 18


@pytest.mark.parametrize("replacement", [True, False])
def test_cells_are_uniform(replacement):
    task = Task(Space((2, 3)), (1,))
    counts = [0] * 6
    for seed in range(600):
        strategy = RandomSearch(replacement)
        strategy.start(task, seed)
        for _ in range(4):
            last = strategy.ask().arch
        counts[last] += 1
    assert counts == pytest.approx([100] * 6, abs=40)


def test_it_starts_where_other_strategies_of_the_seed_start():
    evaluator = Additive()
    for seed in range(5):
        first = [
            search(make(), evaluator, seed=seed, max_queries=1).records[0].result.query
            for make in (RandomSearch, LocalSearch)
        ]
        assert first[0] == first[1]


def test_queries_are_at_full_fidelity():
    assert {
        record.result.query.epochs for record in search(RandomSearch(), Additive(), seed=0, max_queries=5).records
    } == {9}
