from __future__ import annotations

import math

import pytest
from conftest import Additive
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import Query, Result
from nasbench_lab.strategies.bandits.asha import Asha
from nasbench_lab.study.runner import search


def promotable(known, promoted, eta, rungs):
    """The paper's algorithm 2, written down plainly: {rung: cells that may go on, best first}."""
    found = {}
    for rung in rungs[:-1]:
        ranked = sorted(known[rung], key=lambda arch: -known[rung][arch])
        found[rung] = [arch for arch in ranked[: len(ranked) // eta] if arch not in promoted[rung]]
    return found


@given(st.integers(0, 10**6), st.integers(2, 4), st.integers(1, 7))
def test_the_top_share_is_promoted_from_the_highest_rung_else_a_cell_begins(seed, eta, workers):
    rungs = (1, eta, eta**2, eta**3)
    evaluator = Additive((6, 6, 6), fidelities=rungs, seed=seed % 97)
    strategy = Asha(eta=eta)
    strategy.start(evaluator.task, seed)
    known = {rung: {} for rung in rungs}
    promoted = {rung: set() for rung in rungs}
    pending, begun = [], set()
    for step in range(150):
        query = strategy.ask()
        ready = {rung: cells for rung, cells in promotable(known, promoted, eta, rungs).items() if cells}
        if ready:
            rung = max(ready)
            assert query == Query(ready[rung][0], rung * eta)
            promoted[rung].add(query.arch)
        else:
            assert query.epochs == 1
            assert query.arch not in begun
            begun.add(query.arch)
        pending.append(query)
        if len(pending) >= workers:
            answered = pending.pop((seed + step) % len(pending))
            known[answered.epochs][answered.arch] = evaluator.val[answered.arch]
            strategy.tell(evaluator.evaluate(answered, 0))
    assert promoted[1]


def test_of_two_rungs_that_are_ready_the_higher_one_comes_first():
    strategy = Asha()
    strategy.start(Additive((40,), fidelities=(1, 3, 9)).task, 0)
    for arch in range(6):
        strategy.tell(Result(Query(arch, 1 if arch < 3 else 3), float(arch), 1.0))
    assert [strategy.ask() for _ in range(2)] == [Query(5, 9), Query(2, 3)]


def test_on_separate_schedules_the_share_counts_epochs():
    evaluator = Additive((5,) * 4, fidelities=(12, 200), one_run=False)
    epochs = [record.result.query.epochs for record in search(Asha(), evaluator, seed=0, max_queries=40).records]
    assert epochs.index(200) == 17  # floor(17 * 12 / 200) = 1, floor(16 * 12 / 200) = 0


def test_failures_count_and_are_never_promoted():
    strategy = Asha()
    strategy.start(Additive((40,), fidelities=(1, 3)).task, 0)
    for arch in range(5):
        strategy.tell(Result(Query(arch, 1), math.nan, 1.0))
    assert strategy.ask().epochs == 1
    strategy.tell(Result(Query(5, 1), 1.0, 1.0))
    assert strategy.ask() == Query(5, 3)
    assert strategy.ask().epochs == 1


def test_when_no_cell_is_left_the_best_waiting_go_on():
    evaluator = Additive((3, 2), fidelities=(1, 3))
    records = search(Asha(), evaluator, seed=0, max_queries=50).records
    assert len(records) == 12
    last = [record.result.query.arch for record in records[-4:]]
    assert last == sorted(last, key=lambda arch: -evaluator.val[arch])


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="eta must be at least 2, got 0"):
        Asha(eta=0)
