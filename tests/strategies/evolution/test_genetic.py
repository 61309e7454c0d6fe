from __future__ import annotations

import numpy as np
import pytest
from conftest import Additive
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import Query, Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.evolution.genetic import Genetic
from nasbench_lab.study.runner import search

SPACE = Space((5, 4, 3, 2))
CELLS = st.integers(0, SPACE.size - 1)


def started(seed=0, **settings):
    strategy = Genetic(**settings)
    strategy.start(Task(SPACE, (1,)), seed)
    return strategy


@given(CELLS, CELLS, st.integers(0, 1000), st.sampled_from(["uniform", "one-point"]))
def test_crossover_takes_every_option_from_a_parent(first, second, seed, crossover):
    a, b = SPACE.row(first), SPACE.row(second)
    child = started(seed, crossover=crossover)._cross(a, b)
    assert all(option in pair for option, pair in zip(child, zip(a, b, strict=True), strict=True))
    if crossover == "one-point":
        assert any(child == a[:point] + b[point:] for point in range(1, 4))


def test_uniform_crossover_takes_half_from_each_and_mixes_freely():
    strategy = started()
    rows = np.array([strategy._cross((0, 0, 0, 0), (1, 1, 1, 1)) for _ in range(4000)])
    assert rows.mean(axis=0) == pytest.approx(0.5, abs=0.04)
    assert len(np.unique(rows, axis=0)) == 16


@pytest.mark.parametrize(("rate", "share"), [(0.0, 0.0), (0.3, 0.3), (1.0, 1.0)])
def test_mutation_changes_every_decision_with_its_rate_to_all_other_options(rate, share):
    strategy = started(mutation_rate=rate)
    rows = np.array([strategy._mutated((1, 1, 1, 1)) for _ in range(4000)])
    assert (rows != 1).mean(axis=0) == pytest.approx(share, abs=0.03)
    if rate == 1:
        assert set(rows[:, 0].tolist()) == {0, 2, 3, 4}
    space = Space((1, 2))
    strategy.start(Task(space, (1,)), 0)
    assert strategy._mutated((0, 0))[0] == 0  # a decision with one option stays


def test_the_best_survive_and_the_oldest_of_equals_goes():
    strategy = started(population=3)
    for arch, score in enumerate((5.0, 9.0, float("nan"), 5.0, 7.0)):
        strategy.tell(Result(Query(arch, 1), score, 1.0))
    assert sorted(strategy._alive) == [(5.0, 3), (7.0, 4), (9.0, 1)]


def test_without_mutation_children_recombine_the_population():
    strategy = started(population=2, sample=1, crossover_rate=1.0, mutation_rate=0.0)
    parents = [SPACE.index((0, 0, 0, 0)), SPACE.index((4, 3, 2, 1))]
    for arch in parents:
        strategy.tell(Result(Query(arch, 1), 50.0, 1.0))
    children = {SPACE.row(strategy._child()) for _ in range(600)}
    assert children == {(a, b, c, d) for a in (0, 4) for b in (0, 3) for c in (0, 2) for d in (0, 1)}


@pytest.mark.parametrize("workers", [1, 5])
def test_no_cell_is_asked_for_twice_and_the_space_is_exhausted(workers):
    evaluator = Additive((3, 3, 2))
    run = search(Genetic(population=4), evaluator, seed=0, max_queries=100, workers=workers)
    assert sorted(record.result.query.arch for record in run.records) == list(range(18))
    assert run.ended == "strategy"


def test_it_starts_from_the_design():
    evaluator = Additive((9, 9, 9))
    mine = search(Genetic(population=6), evaluator, seed=2, max_queries=6).records
    uniform = search(RandomSearch(), evaluator, seed=2, max_queries=6).records
    assert [record.result.query for record in mine] == [record.result.query for record in uniform]


@pytest.mark.parametrize(
    "arguments",
    [{"population": 0}, {"sample": 0}, {"crossover": "two-point"}, {"crossover_rate": 1.1}, {"mutation_rate": -0.1}],
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="got"):
        Genetic(**arguments)
