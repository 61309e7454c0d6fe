from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from conftest import Additive
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import LabError, Query, Result, Strategy
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.evolution.regularized_evolution import RegularizedEvolution
from nasbench_lab.strategies.local.local_search import LocalSearch
from nasbench_lab.study import runner
from nasbench_lab.study.runner import StrategyError, search


@dataclasses.dataclass
class Script(Strategy):
    """Asks for a list of queries, then for nothing; keeps what it was told."""

    queries: tuple = ()
    forever: bool = False

    def setup(self):
        self.told = []
        self._next = 0

    def propose(self):
        if self._next >= len(self.queries):
            if not self.forever:
                return None
            self._next = 0
        self._next += 1
        return self.queries[self._next - 1]

    def observe(self, result):
        self.told.append(result)


@dataclasses.dataclass
class AnyFidelity(Strategy):
    """Uniform cells at uniform fidelities, now and then "my current answer", with overhead."""

    def propose(self):
        epochs = int(self.rng.choice((0, *self.task.fidelities)))
        return Query(self.design(), epochs, float(self.rng.choice([0.0, 0.5])))

    def observe(self, result):
        pass


def plain(records):
    return [
        record._replace(decided=0.0, result=record.result._replace(val=repr(record.result.val))) for record in records
    ]


makers = st.sampled_from(
    [RandomSearch, lambda: RandomSearch(replacement=True), LocalSearch, RegularizedEvolution, AnyFidelity]
)


@given(
    makers,
    st.integers(0, 1000),
    st.sampled_from([1, 2, 5, 16]),
    st.one_of(st.just(math.inf), st.integers(1, 60)),
    st.floats(0.5, 300),
    st.sampled_from(runner.REPEATS),
    st.booleans(),
)
def test_invariants_of_every_run(make, seed, workers, max_queries, max_seconds, repeats, one_run):
    evaluator = Additive(one_run=one_run)

    def once(strategy):
        return search(
            strategy,
            evaluator,
            seed=seed,
            max_queries=max_queries,
            max_seconds=max_seconds,
            workers=workers,
            repeats=repeats,
        )

    run = once(make())
    records = run.records
    finished = [record.finished for record in records]
    assert finished == sorted(finished)
    assert len(records) <= max_queries
    assert all(time <= max_seconds for time in finished)
    assert [record.order for record in records] == list(range(len(records)))
    assert all(record.decided >= 0 and record.result.seconds >= 0 for record in records)
    assert run.ended in ("queries", "seconds", "strategy", "repeats")
    busy = sum(record.result.seconds + record.result.query.overhead for record in records)
    assert busy <= workers * max(finished, default=0.0) + 1e-6
    assert plain(once(make()).records) == plain(records)
    if workers == 1:
        assert np.cumsum([r.result.seconds + r.result.query.overhead for r in records]) == pytest.approx(finished)


@given(makers, st.integers(0, 50), st.integers(1, 40))
def test_a_shorter_budget_gives_the_beginning_of_the_longer_run(make, seed, short):
    runs = [search(make(), Additive(), seed=seed, max_queries=n).records for n in (short, 40)]
    assert plain(runs[0]) == plain(runs[1][: len(runs[0])])
    assert len(runs[0]) == min(short, len(runs[1]))


@given(makers, st.integers(0, 50), st.sampled_from([1, 3]))
def test_free_repeats_are_never_recorded_twice(make, seed, workers):
    records = search(make(), Additive(), seed=seed, max_queries=60, workers=workers, repeats="free").records
    keys = [record.result.query[:2] for record in records if record.result.query.epochs]
    in_flight = workers - 1  # only a finished query can be repeated for free
    assert len(keys) - len(set(keys)) <= in_flight * len(set(keys))
    if workers == 1:
        assert len(keys) == len(set(keys))


def test_a_free_repeat_is_answered_again_at_no_cost():
    strategy = Script((Query(3, 9), Query(3, 9), Query(4, 9)))
    run = search(strategy, Additive(), seed=0, max_queries=10, repeats="free")
    assert [record.result.query.arch for record in run.records] == [3, 4]
    assert [result.query.arch for result in strategy.told] == [3, 3, 4]
    assert strategy.told[1].seconds == 0.0
    assert strategy.told[1].val == strategy.told[0].val


def test_a_charged_repeat_is_recorded_and_paid_again():
    run = search(Script((Query(3, 9), Query(3, 9))), Additive(cost=1.0), seed=0, max_queries=10)
    assert [record.finished for record in run.records] == [9.0, 18.0]


def test_free_class_repeats_answer_with_the_first_members_value(toy):
    from nasbench_lab.evaluators.tabular import Tabular
    from nasbench_lab.spaces import cell

    first, second = next(group for group in cell.class_members() if len(group) > 1)[:2]
    strategy = Script((Query(first, 12), Query(second, 12)))
    run = search(strategy, Tabular(toy, noise=1.0), seed=0, max_queries=5, repeats="free-class")
    assert len(run.records) == 1
    assert strategy.told[1].query.arch == second
    assert strategy.told[1].val == strategy.told[0].val


def test_a_strategy_that_repeats_itself_for_free_is_ended():
    run = search(Script((Query(3, 9),), forever=True), Additive(), seed=0, max_queries=5, repeats="free")
    assert (len(run.records), run.ended) == (1, "repeats")


def test_a_strategy_that_only_gives_answers_that_cost_nothing_is_ended():
    run = search(Script((Query(3, 0),), forever=True), Additive(), seed=0, max_seconds=5)
    assert run.ended == "repeats"


def test_current_answers_cost_their_overhead_only():
    records = search(Script((Query(3, 0, 2.5), Query(3, 9))), Additive(cost=1.0), seed=0, max_queries=9).records
    assert [record.finished for record in records] == [2.5, 11.5]
    assert math.isnan(records[0].result.val)
    assert [record.incumbent for record in records] == [-1, 3]


def test_going_on_with_a_training_costs_the_difference():
    queries = tuple(Query(0, epochs) for epochs in (1, 3, 9, 1))
    records = search(Script(queries), Additive(cost=1.0), seed=0, max_queries=9).records
    assert [record.result.seconds for record in records] == [1.0, 2.0, 6.0, 1.0]


@given(st.integers(1, 4))
def test_a_training_gone_through_step_by_step_costs_what_one_go_would_each_time(times):
    queries = tuple(Query(0, epochs) for epochs in (1, 3, 9)) * times
    records = search(Script(queries), Additive(cost=1.0), seed=0, max_queries=len(queries)).records
    assert [record.result.seconds for record in records] == [1.0, 2.0, 6.0] * times


@given(st.lists(st.sampled_from([1, 3, 9]), min_size=1, max_size=12))
def test_what_is_paid_is_where_all_trainings_of_a_cell_got_to(steps):
    queries = tuple(Query(0, epochs) for epochs in steps)
    records = search(Script(queries), Additive(cost=1.0), seed=0, max_queries=len(queries)).records
    trainings = [0] * len(steps)  # epochs each has got to; the furthest that is not there yet goes on
    for epochs in steps:
        goes_on = max((at, -i) for i, at in enumerate(trainings) if at < epochs)
        trainings[-goes_on[1]] = epochs
    assert sum(record.result.seconds for record in records) == sum(trainings)


def test_separate_trainings_cost_the_whole():
    queries = tuple(Query(0, epochs) for epochs in (1, 3, 9))
    records = search(Script(queries), Additive(cost=1.0, one_run=False), seed=0, max_queries=9).records
    assert [record.result.seconds for record in records] == [1.0, 3.0, 9.0]


def test_trainings_of_one_cell_side_by_side_are_not_credited_twice():
    """Epochs 1 and 3 start together and both pay in full; 9 then goes on from 3 and pays 6, not 5."""
    queries = (Query(0, 1), Query(0, 3), Query(1, 9), Query(0, 9))
    records = search(Script(queries), Additive(cost=1.0), seed=0, max_queries=9, workers=2).records
    paid = {record.result.query[:2]: record.result.seconds for record in records}
    assert paid == {(0, 1): 1.0, (0, 3): 3.0, (1, 9): 9.0, (0, 9): 6.0}


@pytest.mark.parametrize("workers", [1, 2, 3])
@given(st.lists(st.lists(st.sampled_from([1, 3, 9]), min_size=1, max_size=3, unique=True), min_size=1, max_size=4))
def test_going_over_a_training_again_costs_what_it_costs_from_scratch_once(workers, trainings):
    """Each training asked for step by step, one after the other: the last steps are paid, however they were reached."""
    steps = [sorted(steps) for steps in trainings]
    queries = tuple(Query(0, epochs) for training in steps for epochs in training)
    records = search(Script(queries), Additive(cost=1.0), seed=0, max_queries=99).records
    paid = sum(record.result.seconds for record in records)
    most = sum(training[-1] for training in steps)
    assert paid <= most
    if all(training[-1] == 9 for training in steps):
        assert paid == most
    again = search(Script(queries), Additive(cost=1.0), seed=0, max_queries=99, workers=workers).records
    assert len(again) == len(queries)
    for record in again:  # nothing is had for nothing: every answer pays for its last step at least
        assert record.result.seconds >= {1: 1.0, 3: 2.0, 9: 6.0}[record.result.query.epochs]


def test_one_finished_training_is_gone_on_with_once():
    """Two workers ask for 9 epochs of a cell that has 3: one goes on, the other starts anew."""
    queries = (Query(0, 3), Query(1, 3), Query(0, 9), Query(0, 9))
    records = search(Script(queries), Additive(cost=1.0), seed=0, max_queries=9, workers=2).records
    assert sorted(r.result.seconds for r in records if r.result.query == Query(0, 9)) == [6.0, 9.0]


def test_workers_run_side_by_side_and_finish_in_order_of_time():
    evaluator = Additive(cost=1.0)
    evaluator.cost = np.arange(1.0, evaluator.task.space.size + 1)
    records = search(
        Script((Query(2, 1), Query(0, 1), Query(0, 3))), evaluator, seed=0, max_queries=3, workers=2
    ).records
    assert [(record.result.query[:2], record.finished) for record in records] == [
        ((0, 1), 1.0),
        ((2, 1), 3.0),
        ((0, 3), 3.0),
    ]


def test_a_query_that_would_finish_too_late_is_neither_answered_nor_recorded():
    strategy = Script((Query(0, 9), Query(1, 9)))
    run = search(strategy, Additive(cost=1.0), seed=0, max_seconds=17.9)
    assert (len(run.records), run.ended, len(strategy.told)) == (1, "seconds", 1)
    assert len(search(Script((Query(0, 9), Query(1, 9))), Additive(cost=1.0), seed=0, max_seconds=18.0).records) == 2


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("cell 3", "propose() returns a Query or None"),
        ((3, 9, 0.0), "propose() returns a Query or None"),
        (Query(-1, 9), "cells are 0..17"),
        (Query(18, 9), "cells are 0..17"),
        (Query(3, 2), "epochs must be one of 1, 3, 9, or 0"),
        (Query(3, -1), "epochs must be one of"),
        (Query(3.5, 9), "whole numbers"),
        (Query("3", 9), "whole numbers"),
        (Query(3, 9, -1.0), "overhead"),
        (Query(3, 9, math.nan), "overhead"),
        (Query(3, 9, math.inf), "overhead"),
    ],
)
def test_a_strategy_that_asks_for_nonsense_is_told_what_it_did(query, message):
    with pytest.raises(StrategyError) as error:
        search(Script((Query(0, 9), query)), Additive(), seed=0, max_queries=5)
    assert message in str(error.value)
    assert "Script asked for" in str(error.value)
    assert "after 1 results" in str(error.value)


@dataclasses.dataclass
class Recommends(Script):
    """Says what it is told to say."""

    answer: object = 0

    def recommend(self):
        return self.answer


@pytest.mark.parametrize("answer", [6111.7, 3.0, -2, 18, 10**20, math.nan, None, "3", np.float64(3), np.array([1, 2])])
def test_a_strategy_that_recommends_what_is_no_cell_is_told_so(answer):
    with pytest.raises(StrategyError, match="Recommends recommended .* after 0 results; cells are 0..17, and -1"):
        search(Recommends((Query(0, 9),), answer=answer), Additive(), seed=0, max_queries=5)


@pytest.mark.parametrize("answer", [np.int64(3), np.int8(3), 3, -1])
def test_whole_numbers_of_any_kind_are_recommended(answer):
    record = search(Recommends((Query(0, 9),), answer=answer), Additive(), seed=0, max_queries=5).records[0]
    assert (record.incumbent, type(record.incumbent)) == (int(answer), int)


def test_numpy_integers_are_accepted_and_become_plain_ones():
    record = search(Script((Query(np.int64(3), np.int32(9)),)), Additive(), seed=0, max_queries=5).records[0]
    assert record.result.query == Query(3, 9)
    assert type(record.result.query.arch) is int


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs a budget"),
        ({"max_queries": 0}, "positive"),
        ({"max_queries": 2.5}, "whole number"),
        ({"max_queries": math.nan}, "whole number"),
        ({"max_seconds": -1}, "positive"),
        ({"max_seconds": math.nan}, "positive"),
        ({"max_queries": 3, "workers": 0}, "workers"),
        ({"max_queries": 3, "workers": 1.5}, "workers"),
        ({"max_queries": 3, "repeats": "never"}, "charge, free, free-class"),
    ],
)
def test_a_budget_or_policy_that_makes_no_sense_is_refused(arguments, message):
    with pytest.raises(LabError, match=message):
        search(RandomSearch(), Additive(), seed=0, **arguments)


def test_the_strategy_is_told_every_result_before_it_is_asked_again():
    @dataclasses.dataclass
    class Waits(RandomSearch):
        def propose(self):
            assert len(self.seen_results) == self.asked
            self.asked += 1
            return super().propose()

        def observe(self, result):
            self.seen_results.append(result)

        def setup(self):
            super().setup()
            self.asked, self.seen_results = 0, []

    assert len(search(Waits(), Additive(), seed=0, max_queries=10).records) == 10


def test_failures_are_recorded_and_never_recommended():
    evaluator = Additive()
    evaluator.val[[0, 1]] = math.nan
    records = search(Script((Query(0, 9), Query(5, 9), Query(1, 9))), evaluator, seed=0, max_queries=3).records
    assert [math.isnan(record.result.val) for record in records] == [True, False, True]
    assert [record.incumbent for record in records] == [-1, 5, 5]


def test_the_task_that_a_strategy_sees_carries_the_budget():
    strategy = Script(())
    search(strategy, Additive(), seed=0, max_queries=5, max_seconds=70)
    assert (strategy.task.max_queries, strategy.task.max_seconds) == (5, 70)


def test_thinking_time_is_recorded_but_never_on_the_clock():
    @dataclasses.dataclass
    class Slow(Script):
        def propose(self):
            from time import sleep

            sleep(0.01)
            return super().propose()

    records = search(Slow((Query(0, 9), Query(1, 9))), Additive(cost=1.0), seed=0, max_queries=2).records
    assert [record.finished for record in records] == [9.0, 18.0]
    assert all(record.decided >= 0.01 for record in records)


def test_results_reach_the_strategy_without_a_test_score(evaluator):
    strategy = Script((Query(0, 12),))
    search(strategy, evaluator, seed=0, max_queries=1)
    assert isinstance(strategy.told[0], Result)
    assert not hasattr(strategy.task, "truth")
