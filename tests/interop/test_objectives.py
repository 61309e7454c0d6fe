"""A table as a plain function, and as Optuna's objective."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nasbench_lab
from nasbench_lab.core import LabError, Task
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.interop.objectives import configuration_space
from nasbench_lab.spaces import cell, naming
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


def test_optuna_optimises_a_table(toy):
    optuna = pytest.importorskip("optuna")
    objective = nasbench_lab.optuna_objective("toy", seed=1)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=30)
    assert objective.function.queries == 30
    best = [cell.OPS.index(study.best_params[f"{a}-{b}"]) for a, b in cell.EDGES]
    assert cell.SPACE.index(best) == objective.function.best
    assert study.best_value == max(record.result.val for record in objective.function.records)
    assert objective.function.truth() == toy.truth[objective.function.best]


def test_optuna_gets_all_objectives():
    optuna = pytest.importorskip("optuna")
    objective = nasbench_lab.optuna_objective("toy", objectives=("val", "params_m"))
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=5)
    results = [record.result for record in objective.function.records]
    assert [trial.values for trial in study.trials] == [[r.val, r.metrics["params_m"]] for r in results]


def test_parameters_are_called_as_the_decisions_are():
    optuna = pytest.importorskip("optuna")
    objective = nasbench_lab.optuna_objective(HashEvaluator(Task(Space((2, 3)), (1,))))
    assert objective.parameters == {"decision 0": [0, 1], "decision 1": [0, 1, 2]}
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.GridSampler(objective.parameters, seed=0))
    study.optimize(objective)
    assert sorted(record.result.query.arch for record in objective.function.records) == list(range(6))


def test_sources_are_named_whether_the_table_is_or_is_given() -> None:
    """A table object takes the names of its sources as its name does."""
    table = catalog.load("digits")
    known = [nasbench_lab.objective(given, sources=("toy",)).evaluator.task.known for given in ("digits", table)]
    assert all("source/toy" in each for each in known)


@pytest.mark.needs("ConfigSpace")
def test_a_configuration_is_a_cell():
    """Of the real ConfigSpace: ordered decisions are ordinal, labels are as they are, a configuration can be asked for."""
    from ConfigSpace import CategoricalHyperparameter, OrdinalHyperparameter

    space = Space(
        [Decision("op", ("conv", "pool")), Decision("width", (8, 16, 32), ordered=True), Decision("one", (5,))]
    )
    found = configuration_space(space)
    assert isinstance(found["op"], CategoricalHyperparameter)
    assert isinstance(found["width"], OrdinalHyperparameter)
    assert list(found["width"].sequence) == [8, 16, 32]
    found.seed(0)
    ask = nasbench_lab.objective(HashEvaluator(Task(space, (1,)))).ask
    for configuration in found.sample_configuration(10):
        chosen = dict(configuration)
        arch = ask(chosen).result.query.arch
        assert naming.labels(space, arch) == {name: str(value) for name, value in chosen.items()}


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


def test_optuna_asks_for_labels_that_are_numbers_too():
    optuna = pytest.importorskip("optuna")
    f = nasbench_lab.optuna_objective(
        HashEvaluator(task=Task(Space([Decision("a", (2, 0, 1)), Decision("b", (1, 2, 0))]), (1,)))
    )
    f(optuna.trial.FixedTrial({"a": 2, "b": 0}))
    assert f.function.records[0].result.query.arch == f.function.index({"a": 2, "b": 0})
