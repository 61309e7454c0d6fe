"""A table as a plain function, and as Optuna's objective."""

from __future__ import annotations

import math
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nasbench_lab
from nasbench_lab.core import LabError, Task
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.local.local_search import LocalSearch
from nasbench_lab.study.runner import search
from nasbench_lab.tables import catalog
from nasbench_lab.testing.strategy_kit import HashEvaluator


def test_it_answers_what_a_search_is_answered(toy):
    policies = {"trials": "sample", "noise": 0.5}
    records = search(LocalSearch(), Tabular(toy, **policies), seed=4, max_queries=20).records
    f = nasbench_lab.objective("toy", seed=4, **policies)
    for record in records:
        assert f(record.result.query.arch) == record.result.val
    assert [r._replace(decided=0.0) for r in records] == f.records
    assert (f.queries, f.seconds, f.best) == (20, records[-1].finished, records[-1].incumbent)


def test_a_cell_is_written_in_any_way():
    f = nasbench_lab.objective("toy")
    row = cell.ops(11472)
    ways = [11472, np.int64(11472), row, list(row), np.array(row), cell.to_string(11472)]
    assert len({f(way) for way in ways}) == 1
    assert {record.result.query.arch for record in f.records} == {11472}


@pytest.mark.parametrize(
    "wrong", [-1, 15625, 1.5, "none", (0, 0), (0, 0, 0, 0, 0, 9), None, np.zeros((2, 6), dtype=int)]
)
def test_what_is_no_cell_is_refused_and_not_counted(wrong):
    f = nasbench_lab.objective("toy")
    with pytest.raises(LabError):
        f(wrong)
    assert f.queries == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["nor_conv_3x3"] * 5, "nas-bench-201 has 6 decisions, 0-1, 0-2, 1-2, 0-3, 1-3, 2-3; got 5$"),
        ((1, 2, 3), "; got 3$"),
        ("foo", "^not a cell: 'foo'. Give an index"),
        (["foo"] * 6, "^nas-bench-201 has no cell .* decision '0-1' has no option 'foo'"),
    ],
)
def test_what_is_no_cell_is_named_once(wrong, said):
    with pytest.raises(LabError, match=said):
        nasbench_lab.objective("toy")(wrong)


def test_epochs_of_one_training_are_charged_once():
    task = Tabular(catalog.load("digits")).task
    f, whole = nasbench_lab.objective("digits"), nasbench_lab.objective("digits")
    for epochs in task.fidelities:
        f(7, epochs)
    whole(7)
    assert f.seconds == pytest.approx(whole.seconds)
    assert whole.records[0].result.query.epochs == task.full
    again = f.seconds
    f(7)
    assert f.seconds == pytest.approx(again + whole.seconds)  # a repeat is a training of its own, as in `search`
    with pytest.raises(LabError, match="epochs must be one of"):
        f(7, 1000)


def test_after_the_truth_no_more_questions(toy):
    f = nasbench_lab.objective(toy)
    with pytest.raises(LabError, match="nothing was answered"):
        f.truth()
    f(3), f(11472), f(99)
    assert f.truth() == toy.truth[f.best]
    assert f.truth(99) == toy.truth[99]
    with pytest.raises(LabError, match="new objective"):
        f(4)


def test_failures_are_nan_and_never_the_best(toy):
    f = nasbench_lab.objective(HashEvaluator(Tabular(toy).task, failing=1.1))
    assert math.isnan(f(3))
    assert (f.best, f.queries) == (-1, 1)


@pytest.mark.parametrize("make", [nasbench_lab.objective, nasbench_lab.optuna_objective])
def test_unknown_tables_and_policies_are_refused(make, evaluator):
    with pytest.raises(LabError, match="no table"):
        make("nope")
    with pytest.raises(LabError, match="policy"):
        make("toy", trails="mean")
    with pytest.raises(LabError, match="policies go with a table"):
        make(evaluator, noise=1.0)


def test_sources_are_named_whether_the_table_is_or_is_given() -> None:
    """A table object takes the names of its sources as its name does."""
    table = catalog.load("digits")
    known = [nasbench_lab.objective(given, sources=("toy",)).evaluator.task.known for given in ("digits", table)]
    assert all("source/toy" in each for each in known)


@given(
    st.lists(st.permutations(range(3)).map(lambda labels: Decision("d", tuple(labels))), min_size=2, max_size=4),
    st.data(),
)
def test_whole_numbers_that_are_two_cells_are_refused(decisions, data):
    """As option numbers and as labels; where both are the same cell, or there is one reading, it is answered."""
    space = Space([Decision(f"d{i}", each.options) for i, each in enumerate(decisions)])
    f = nasbench_lab.objective(HashEvaluator(task=Task(space, (1,))))
    arch = data.draw(st.integers(0, space.size - 1))
    row, labels = (
        space.row(arch),
        {each.name: each.options[k] for each, k in zip(space.decisions, space.row(arch), strict=True)},
    )
    assert f.index(labels) == f.index(arch) == arch
    for given_ in (tuple(row), list(row), np.array(row)):
        if tuple(labels.values()) == tuple(row):
            assert f.index(given_) == arch
        else:
            with pytest.raises(LabError, match=rf"as option numbers this is cell {arch}, as labels cell \d+; .*index"):
                f.index(given_)


def test_vectors_of_other_libraries_are_cells_and_what_is_not_whole_is_none():
    """Option numbers in an array of floats, one-hot rows, labels in an array; `whole` is what the first reading refuses."""
    f = nasbench_lab.objective("toy")
    row = cell.ops(11472)
    labels = [cell.OPS[option] for option in row]
    ways = [
        *(np.array(row, dtype=float), cell.SPACE.one_hot[11472]),
        *(
            cell.SPACE.one_hot[11472].astype(int).tolist(),
            labels,
            tuple(labels),
            np.array(labels),
            np.array(labels, object),
        ),
        dict(zip((each.name for each in cell.SPACE.decisions), labels, strict=True)),
    ]
    assert [f.index(way) for way in ways] == [11472] * len(ways)
    broken = [
        *([2.5, 0, 0, 0, 0, 0], np.array([0.1] * 6), [np.nan] * 6, [np.inf] * 6, [True] * 6, [None] * 6, [4.0] * 5),
        *(
            np.ones(30),
            np.zeros(30),
            np.zeros((1, 6)),
            labels[:5],
            [*labels, "none"],
            {"0-1": "none"},
            np.array(["x"] * 6),
        ),
    ]
    for wrong in broken:
        with pytest.raises(LabError):
            f(wrong)
    assert f.queries == 0


def test_losses_are_smaller_the_better():
    f = nasbench_lab.objective("toy", objectives=("val", "params_m"))
    assert f.loss(7) == -f(7)
    assert f.losses(7) == (-f(7), f.records[-1].result.metrics["params_m"])


def test_several_threads_may_ask_at_once():
    """Every answer is counted and charged as if they had come one after another."""
    one, many = nasbench_lab.objective("digits"), nasbench_lab.objective("digits")
    asked = [(arch, epochs) for arch in range(40) for epochs in one.evaluator.task.fidelities]
    for arch, epochs in asked:
        one(arch, epochs)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda arch: [many(arch, e) for e in many.evaluator.task.fidelities], range(40)))
    assert many.queries == len(asked)
    assert [record.order for record in many.records] == list(range(1, len(asked) + 1)) or (
        [record.order for record in many.records] == [record.order for record in one.records]
    )
    assert many.seconds == pytest.approx(one.seconds)
    assert many.best == one.best
    assert pickle.loads(pickle.dumps(many)).records == many.records
