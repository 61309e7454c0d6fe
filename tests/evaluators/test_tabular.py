from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from conftest import make_table
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_lab.core import Evaluator, LabError, Query
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.study.runner import search
from nasbench_lab.tables import catalog
from nasbench_lab.tables.table import Table

TABLE = make_table(epochs=(1, 4, 12), metrics={"latency_ms/x": np.arange(15625.0), "holes": np.full(15625, np.nan)})
POLICIES = [
    {},
    {"trials": "sample"},
    {"noise": 2.0},
    {"trials": "sample", "noise": 2.0},
    {"search": "oracle", "noise": 1.0},
]
queries = st.tuples(st.integers(0, 15624), st.sampled_from([1, 4, 12]), st.integers(0, 3))


@settings(max_examples=25)
@given(st.sampled_from(POLICIES), st.lists(queries, min_size=1, max_size=20), st.randoms(use_true_random=False))
def test_answers_are_pure_in_query_and_seed(policy, asked, shuffle):
    if policy.get("search") == "oracle":
        asked = [(arch, 12, seed) for arch, _, seed in asked]
    evaluator = Tabular(TABLE, **policy)
    first = {key: evaluator.evaluate(Query(*key[:2]), key[2]) for key in asked}
    shuffle.shuffle(asked)
    fresh = Tabular(TABLE, **policy)
    assert all(fresh.evaluate(Query(*key[:2]), key[2]) == first[key] for key in asked)


def test_mean_policy_answers_the_tables_means_and_costs():
    evaluator = Tabular(TABLE)
    for arch in range(0, 15625, 997):
        for column, epochs in enumerate((1, 4, 12)):
            result = evaluator.evaluate(Query(arch, epochs), 5)
            assert (result.val, result.seconds) == (TABLE.last.val[arch, column], TABLE.last.seconds[arch, column])
            assert result.metrics == {}


def test_a_sampled_answer_is_one_trial_the_same_at_every_epoch():
    evaluator = Tabular(TABLE, trials="sample")
    picked = np.empty((40, 200), int)
    for seed in range(40):
        for arch in range(200):
            which = set()
            for column, epochs in enumerate((1, 4, 12)):
                val = evaluator.evaluate(Query(arch, epochs), seed).val
                which |= set(np.flatnonzero(TABLE.last.val_trials[arch, column] == val).tolist())
            assert len(which) == 1
            picked[seed, arch] = which.pop()
    assert 0.45 < picked.mean() < 0.55
    assert (picked.min(axis=0) == 0).mean() > 0.99  # every seed draws anew for every cell


def test_only_trials_that_exist_are_sampled():
    trials = TABLE.last.val_trials.copy()
    trials[:, :, 0] = np.nan
    table = dataclasses.replace(TABLE, schedules={12: dataclasses.replace(TABLE.last, val_trials=trials)})
    evaluator = Tabular(table, trials="sample")
    for arch in range(300):
        assert evaluator.evaluate(Query(arch, 12), 1).val == trials[arch, 2, 1]


def test_noise_has_the_spread_asked_for_and_differs_by_seed_cell_and_epochs():
    evaluator = Tabular(TABLE, noise=2.0)
    noise = np.array(
        [
            [evaluator.evaluate(Query(arch, 12), seed).val - TABLE.last.val[arch, 2] for arch in range(2000)]
            for seed in (0, 1)
        ]
    )
    assert noise.std() == pytest.approx(2.0, rel=0.05)
    assert abs(noise.mean()) < 0.15
    assert abs(np.corrcoef(noise)[0, 1]) < 0.1
    other = evaluator.evaluate(Query(7, 4), 1).val - TABLE.last.val[7, 1]
    assert other != noise[1, 7]


def test_the_oracle_sees_mean_test_at_full_cost():
    evaluator = Tabular(TABLE, search="oracle")
    assert evaluator.task.fidelities == (12,)
    assert evaluator.evaluate(Query(9, 12), 0).val == TABLE.truth[9] == evaluator.truth(9)
    assert np.array_equal(evaluator.seen, TABLE.truth)
    assert evaluator.policy["search"] == "oracle"


def test_search_sees_validation_and_truth_is_the_longest_schedules_test():
    long = make_table(epochs=(200,), seed=9)
    table = dataclasses.replace(TABLE, schedules={12: TABLE.last, 200: long.last})
    evaluator = Tabular(table)
    assert evaluator.search == 12
    assert evaluator.truth(3) == long.last.test[3]
    assert np.array_equal(evaluator.seen, TABLE.last.val[:, -1])
    assert Tabular(table, search="200").task.fidelities == (200,)


def test_objectives_come_with_every_answer():
    evaluator = Tabular(TABLE, objectives=("val", "latency_ms/x"))
    assert evaluator.evaluate(Query(42, 12), 0).metrics == {"latency_ms/x": 42.0}
    assert evaluator.task.objectives == ("val", "latency_ms/x")


def test_the_policy_rebuilds_the_evaluator():
    evaluator = Tabular(TABLE, trials="sample", noise=0.5, objectives=("val", "latency_ms/x"))
    policy = {key: value for key, value in evaluator.policy.items() if key not in ("evaluator", "table", "digest")}
    again = Tabular(TABLE, **(policy | {"objectives": tuple(policy["objectives"])}))
    assert again.policy == evaluator.policy
    assert again.evaluate(Query(8, 4), 3) == evaluator.evaluate(Query(8, 4), 3)


def test_it_is_an_evaluator_of_the_whole_cell_space(toy):
    evaluator = Tabular(toy)
    assert isinstance(evaluator, Evaluator)
    assert evaluator.task.space is cell.SPACE
    assert evaluator.task.fidelities == (1, 4, 12)
    assert Tabular.open("toy", trials="sample").policy["digest"] == catalog.load("toy").digest


INCOMPLETE = dataclasses.replace(
    TABLE,
    schedules={
        12: dataclasses.replace(TABLE.last, val=np.where(np.arange(15625)[:, None] == 3, np.nan, TABLE.last.val))
    },
)


@pytest.mark.parametrize(
    ("table", "policy", "message"),
    [
        (TABLE, {"search": 200}, "no schedule of 200 epochs; it has 12"),
        (TABLE, {"search": "best"}, "search must be one of 12, 'all' or 'oracle', got 'best'"),
        (TABLE, {"search": "-1"}, "search must be"),
        (TABLE, {"trials": "all"}, "'mean', 'sample' or 'split', got 'all'"),
        (TABLE, {"noise": -0.1}, "noise"),
        (TABLE, {"noise": float("nan")}, "noise"),
        (TABLE, {"noise": float("inf")}, "noise"),
        (TABLE, {"objectives": ("val", "latency_ms/y")}, "no metric 'latency_ms/y'; it has: latency_ms/x"),
        (TABLE, {"objectives": ("latency_ms/x",)}, "first objective is 'val'"),
        (TABLE, {"objectives": ("val", "holes")}, "holes"),
        (TABLE, {"search": "oracle", "trials": "sample"}, "the oracle sees a mean"),
        (make_table(trials=0), {"trials": "sample"}, "has one number a cell"),
        (INCOMPLETE, {}, "15624 of 15625 cells"),
    ],
)
def test_what_it_cannot_do_is_refused(table, policy, message):
    with pytest.raises(LabError) as error:
        Tabular(table, **policy)
    assert message in str(error.value)


def test_an_unknown_fidelity_is_refused():
    with pytest.raises(LabError, match="no score after 7 epochs"):
        Tabular(TABLE).evaluate(Query(0, 7), 0)


def test_all_schedules_are_fidelities_of_their_own() -> None:
    short, long = make_table(epochs=(4, 12), seed=1), make_table(epochs=(200,), seed=2)
    both = Table("both", {**short.schedules, **long.schedules}, {}, {})
    evaluator = Tabular(both, search="all")
    assert evaluator.task.fidelities == (12, 200)
    assert not evaluator.task.one_run
    for epochs, table in ((12, short), (200, long)):
        answer = evaluator.evaluate(Query(7, epochs), 0)
        assert answer.val == table.schedules[epochs].val[7, -1]
        assert answer.seconds == table.schedules[epochs].seconds[7, -1]
    assert (evaluator.seen == long.schedules[200].val[:, -1]).all()
    records = search(RandomSearch(), evaluator, seed=0, max_queries=5).records
    assert {record.result.query.epochs for record in records} == {200}


def test_what_is_known_of_all_cells_is_in_the_task() -> None:
    zen, latency = np.arange(15625.0), np.ones(15625)
    mine = make_table(metrics={"proxy/zen": zen, "latency_ms/x": latency, "params_m": zen}, dataset="a")
    other = make_table("other", dataset="b", seed=3)
    task = Tabular(mine, sources={"other": other}).task
    assert set(task.known) == {"proxy/zen", "params_m", "source/other"}  # a latency is measured, so it is not known
    assert (task.known["source/other"] == other.last.val[:, -1]).all()


def test_a_source_of_the_searched_dataset_is_refused() -> None:
    with pytest.raises(LabError, match="is of the dataset that is searched"):
        Tabular(make_table(dataset="cifar10"), sources={"x": make_table("x", dataset="cifar10-valid")})


@pytest.mark.parametrize("name", ["CIFAR10", "cifar-10", "cifar10-valid"])
def test_another_spelling_does_not_make_another_dataset(name: str) -> None:
    with pytest.raises(LabError, match="is of the dataset that is searched"):
        Tabular(make_table(dataset="cifar10"), sources={"x": make_table("x", dataset=name, seed=9)})


def test_a_copy_under_another_name_is_not_another_dataset() -> None:
    with pytest.raises(LabError, match="is of the dataset that is searched"):
        Tabular(make_table("a", seed=4), sources={"b": make_table("b", seed=4)})


def test_sources_are_called_as_the_study_calls_them() -> None:
    sources = {"one": make_table("x", seed=5), "two": make_table("x", seed=6)}
    known = Tabular(make_table("mine"), sources=sources).task.known
    assert {name for name in known if name.startswith("source/")} == {"source/one", "source/two"}
    with pytest.raises(LabError, match="two sources are both called 'one'"):
        Tabular(make_table("mine"), sources={"one": sources["one"], "/there/one.npz": sources["two"]})
