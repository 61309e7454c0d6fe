from __future__ import annotations

import numpy as np
import pytest
from conftest import Additive
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import Query, Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.bandits.dehb import Dehb
from nasbench_lab.strategies.bandits.hyperband import Hyperband
from nasbench_lab.study.runner import search


def run(strategy, queries, options=(5,) * 4, seed=0):
    evaluator = Additive(options)
    return evaluator, search(strategy, evaluator, seed=seed, max_queries=queries).records


def test_the_first_bracket_is_successive_halving():
    mine, plain = (run(strategy, 13)[1] for strategy in (Dehb(), Hyperband()))
    assert [record.result.query for record in mine] == [record.result.query for record in plain]


def test_rungs_follow_hyperband_for_good():
    mine, plain = (run(strategy, 120)[1] for strategy in (Dehb(), Hyperband()))
    assert [r.result.query.epochs for r in mine] == [r.result.query.epochs for r in plain]


def test_populations_are_as_large_as_the_largest_level():
    strategy = Dehb()
    strategy.start(Task(Space((5,) * 4), (1, 3, 9, 27, 81)), 0)
    assert strategy._capacity == {1: 81, 3: 34, 9: 15, 27: 8, 81: 5}


def test_a_child_replaces_its_target_if_it_is_not_worse():
    strategy = Dehb()
    run(strategy, 80)
    population = strategy._populations[9]
    for score, replaced in ((-1.0, False), (float("nan"), False), (1e9, True)):
        bracket = next(b for b in (strategy.bracket(n) for n in range(3)) if b.rungs[0] == 9)
        place = strategy._turn[9] % len(population)
        before = population[place].vector
        arch = strategy.pick(bracket)
        strategy.tell(Result(Query(arch, 9), score, 1.0))
        assert (population[place].vector is not before) == replaced
    assert strategy._arch(population[place].vector) == arch


@given(st.integers(0, 500))
def test_scores_of_members_only_rise(seed):
    evaluator = Additive((4, 4, 4), seed=seed)
    strategy = Dehb()
    strategy.start(evaluator.task, seed)
    before = {}
    for _ in range(60):
        strategy.tell(evaluator.evaluate(strategy.ask(), 0))
        for population in strategy._populations.values():
            for member in population:
                assert member.score >= before.get(id(member), -np.inf)
                before[id(member)] = member.score


def test_mutation_and_crossover_are_rand_1_bin():
    strategy = Dehb(factor=0.5, crossover=0.0)
    strategy.start(Task(Space((5,) * 4), (1,)), 0)
    parents = [np.full(4, x) for x in (0.4, 0.5, 0.6)]
    possible = {0.4 + 0.5 * 0.1, 0.4 - 0.5 * 0.1, 0.5 + 0.5 * 0.2, 0.5 - 0.5 * 0.2, 0.6 + 0.5 * 0.1, 0.6 - 0.5 * 0.1}
    seen = {round(float(strategy._mutant(parents)[0]), 9) for _ in range(200)}
    assert seen == {round(value, 9) for value in possible}
    target, mutant = np.zeros(4), np.ones(4)
    assert all(strategy._crossed(target, mutant).sum() == 1 for _ in range(50))  # one coordinate always
    strategy.crossover = 1.0
    assert strategy._crossed(target, mutant).sum() == 4


def test_mutants_stay_in_the_unit_cube():
    strategy = Dehb(factor=2.0)
    strategy.start(Task(Space((5,) * 4), (1,)), 0)
    parents = [np.zeros(4), np.full(4, 0.999), np.full(4, 0.5)]
    mutants = np.array([strategy._mutant(parents) for _ in range(200)])
    assert ((mutants >= 0) & (mutants < 1)).all()


def test_a_vector_stands_for_its_cell():
    strategy = Dehb()
    strategy.start(Task(Space((3, 7, 2)), (1,)), 0)
    assert [strategy._arch(strategy._vector(arch)) for arch in range(42)] == list(range(42))
    assert strategy._arch(np.ones(3)) == 41


def test_no_rung_trains_a_cell_twice():
    _, records = run(Dehb(), 200)
    asked = [record.result.query for record in records]
    assert len(set(asked)) == len(asked)


@pytest.mark.parametrize(
    "arguments", [{"eta": 0}, {"population": 0}, {"factor": 0.0}, {"crossover": 1.5}, {"tries": 0}]
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        Dehb(**arguments)
