"""The helper, and what all fidelity bandits have in common."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from conftest import Additive
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab import loading
from nasbench_lab.core import Result
from nasbench_lab.strategies.bandits._brackets import Bracket, rungs_of, sizes_of
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.study.runner import search

SYNCHRONOUS = ["successive_halving", "hyperband", "bohb", "dehb"]
BANDITS = [*SYNCHRONOUS, "asha", "learning_curve_stopping"]


@pytest.mark.parametrize(
    ("fidelities", "eta", "rungs"),
    [
        ((1, 3, 9, 27, 81), 3, (1, 3, 9, 27, 81)),
        (tuple(range(1, 82)), 3, (1, 3, 9, 27, 81)),
        ((1, 4, 12), 3, (1, 4, 12)),
        ((1, 2, 3, 4, 5, 6), 3, (2, 6)),
        ((1, 2, 3, 4, 5, 6), 2, (2, 3, 6)),
        ((12, 200), 3, (12, 200)),
        ((12, 200), 20, (200,)),
        ((12,), 3, (12,)),
        (tuple(range(1, 201)), 4, (3, 13, 50, 200)),
    ],
)
def test_rungs_are_the_fidelities_nearest_to_the_geometric_ones(fidelities, eta, rungs):
    assert rungs_of(fidelities, eta) == rungs


@given(st.sets(st.integers(1, 300), min_size=1), st.integers(2, 6))
def test_rungs_exist_ascend_and_end_with_the_full_training(fidelities, eta):
    fidelities = tuple(sorted(fidelities))
    rungs = rungs_of(fidelities, eta)
    assert set(rungs) <= set(fidelities)
    assert list(rungs) == sorted(set(rungs))
    assert rungs[-1] == fidelities[-1]


@given(st.integers(1, 500), st.integers(2, 5), st.integers(1, 5))
def test_on_geometric_rungs_sizes_are_the_papers(cells, eta, count):
    rungs = [eta**i for i in range(count)]
    assert sizes_of(rungs, cells) == tuple(max(1, math.floor(cells / eta**i)) for i in range(count))


def test_on_other_rungs_every_level_costs_about_the_same_epochs():
    assert sizes_of((12, 200), 34) == (34, 2)
    assert sizes_of((2, 3, 6), 12) == (12, 8, 4)


def test_the_best_climb_the_first_of_equals_first_and_failures_never():
    bracket = Bracket((1, 3), (6, 3))
    for _ in range(6):
        bracket.take()
    for arch, score in enumerate([1.0, 5.0, -math.inf, 5.0, 2.0]):
        bracket.tell(arch, score)
        assert bracket.level == 0
    bracket.tell(5, -math.inf)
    assert (bracket.level, bracket.free, bracket.epochs) == (1, 3, 3)
    assert bracket.climbers[::-1] == [1, 3, 4]


def test_a_level_in_which_everything_failed_ends_the_bracket():
    bracket = Bracket((1, 3), (1, 1))
    bracket.take()
    bracket.tell(0, -math.inf)
    assert bracket.done


@pytest.mark.parametrize("name", BANDITS)
def test_it_never_waits_while_cells_are_left(name):
    """100 workers that begin together all get work, whatever is pending."""
    strategy = loading.build("strategies", name)
    strategy.start(Additive((5,) * 4, fidelities=(1, 2, 3, 4, 9, 27)).task, 0)
    assert len({strategy.ask() for _ in range(100)} - {None}) == 100


@pytest.mark.parametrize("name", BANDITS)
@pytest.mark.parametrize("fidelities", [(1, 3, 9), (12, 200), (1, 2, 3, 4, 5, 6), (7,)])
@pytest.mark.parametrize("one_run", [True, False])
def test_an_exhausted_space_ends_the_search_with_a_full_training(name, fidelities, one_run):
    evaluator = Additive((3, 3, 2), fidelities=fidelities, one_run=one_run)
    for workers in (1, 5):
        run = search(loading.build("strategies", name), evaluator, seed=1, max_queries=500, workers=workers)
        assert run.ended == "strategy"
        assert any(record.result.query.epochs == fidelities[-1] for record in run.records)
        if name != "dehb":  # which may meet a cell again at a higher rung
            assert {record.result.query.arch for record in run.records} == set(range(18))


@pytest.mark.parametrize("name", BANDITS)
def test_with_one_fidelity_the_first_cells_are_those_of_random_search(name):
    evaluator = Additive((5,) * 4, fidelities=(12,))
    mine = search(loading.build("strategies", name), evaluator, seed=3, max_queries=3).records
    uniform = search(RandomSearch(), evaluator, seed=3, max_queries=3).records
    assert [record.result.query for record in mine] == [record.result.query for record in uniform]


class Schedules(Additive):
    """Two trainings per cell; the scores of the short one mean something else, in another unit."""

    def __init__(self, unit) -> None:
        super().__init__((4, 4, 4), fidelities=(12, 200), one_run=False, cost=1.0)
        self.unit = unit
        self.short = np.random.default_rng(5).permutation(64)

    def evaluate(self, query, seed):
        val = self.unit(float(self.short[query.arch])) if query.epochs == 12 else float(self.val[query.arch])
        return Result(query, val, query.epochs * self.cost[query.arch])


@pytest.mark.parametrize("name", BANDITS)
@pytest.mark.parametrize("workers", [1, 4])
def test_scores_of_two_schedules_are_never_compared(name, workers):
    """Any rising change of the unit of one schedule's scores leaves all queries and incumbents as they were."""
    runs = []
    for unit in (lambda x: x, lambda x: 1000 + 3 * x, lambda x: -1e6 + x**2):
        records = search(
            loading.build("strategies", name), Schedules(unit), seed=2, max_queries=60, workers=workers
        ).records
        runs.append([(record.result.query, record.incumbent) for record in records])
    assert runs[0] == runs[1] == runs[2]


@pytest.mark.parametrize("name", BANDITS)
def test_separate_schedules_are_charged_in_full(name):
    records = search(loading.build("strategies", name), Schedules(float), seed=2, max_queries=60).records
    assert all(record.result.seconds == record.result.query.epochs for record in records)
    assert records[-1].finished == sum(record.result.query.epochs for record in records)


@pytest.mark.parametrize("name", ["successive_halving", "hyperband", "asha", "learning_curve_stopping"])
def test_going_on_is_charged_the_new_epochs_only(name):
    """Whatever the way, a cell has cost the epochs of its longest training in the end."""
    evaluator = Additive((5,) * 4, fidelities=tuple(range(1, 10)), cost=1.0)
    records = search(loading.build("strategies", name), evaluator, seed=2, max_queries=120).records
    longest, paid = {}, {}
    for record in records:
        query = record.result.query
        longest[query.arch] = max(longest.get(query.arch, 0), query.epochs)
        paid[query.arch] = paid.get(query.arch, 0) + record.result.seconds
    assert paid == longest
    assert len(set(longest.values())) > 1


@pytest.mark.parametrize("name", [*SYNCHRONOUS, "asha"])
def test_the_answer_is_the_best_of_the_rung_below_when_a_rung_is_first_reached(name):
    """Survivors go on best first, so the recommendation does not fall back when a higher rung begins."""
    evaluator = Additive((5,) * 4, fidelities=(1, 3, 9))
    records = search(loading.build("strategies", name), evaluator, seed=4, max_queries=40).records
    for before, after in itertools.pairwise(records):
        if after.result.query.epochs > max(record.result.query.epochs for record in records[: after.order]):
            assert after.incumbent == before.incumbent
