"""Finished studies of the real Optuna as rows of a board: from memory, from SQLite and from a journal."""

from __future__ import annotations

import sqlite3

import pandas as pd
import pytest

import nasbench_lab
from nasbench_lab.core import LabError
from nasbench_lab.interop.optuna import optuna_objective, stored_studies, write_trials

pytestmark = pytest.mark.needs("optuna")


def finished(objective, storage=None, trials=10, name="mine", **more):
    import optuna

    sampler = optuna.samplers.RandomSampler(seed=3)
    study = optuna.create_study(direction="maximize", sampler=sampler, storage=storage, study_name=name, **more)
    study.optimize(objective, n_trials=trials)
    return study


def test_a_study_of_a_table_is_the_run_that_it_was(tmp_path):
    """Cells, epochs, order, seconds and incumbents: pruned trials ended where the pruner said."""
    import optuna

    objective = optuna_objective("digits", seed=0)
    pruner = optuna.pruners.PercentilePruner(30, n_startup_trials=2)
    study = finished(objective, trials=15, pruner=pruner)
    assert write_trials([study], "digits", tmp_path / "mine.csv") == []
    run = nasbench_lab.search(f"outside:file={tmp_path / 'mine.csv'}", "digits", seed=0, max_queries=100)
    records = objective.function.records
    assert run["arch"].tolist() == [record.result.query.arch for record in records]
    assert run["epochs"].tolist() == [record.result.query.epochs for record in records]
    assert len(set(run["epochs"])) > 1
    assert run["finished"].tolist() == pytest.approx([record.finished for record in records])
    assert run["incumbent"].tolist() == [record.incumbent for record in records]


def test_trials_that_were_no_queries_are_left_out_and_counted(tmp_path):
    import optuna

    function = nasbench_lab.objective("toy")
    parameters = optuna_objective("toy").parameters
    what = iter([None, RuntimeError, optuna.TrialPruned, None])

    def mine(trial):
        chosen = {name: trial.suggest_categorical(name, options) for name, options in parameters.items()}
        if (error := next(what)) is not None:
            raise error
        return function(chosen)

    study = optuna.create_study(direction="maximize")
    study.optimize(mine, n_trials=4, catch=RuntimeError)
    study.ask()
    assert write_trials([study], "toy", tmp_path / "mine.csv") == [
        "left out: 1 fail, 1 pruned before any report, 1 running"
    ]
    found = pd.read_csv(tmp_path / "mine.csv")
    assert len(found) == 2
    with pytest.raises(LabError, match="there already"):
        write_trials([study], "toy", tmp_path / "mine.csv")


@pytest.mark.parametrize("params", [{"x": 1.0}, {}])
def test_trials_of_another_space_are_refused_and_nothing_is_written(params, tmp_path):
    import optuna

    study = optuna.create_study(study_name="other")
    study.add_trial(
        optuna.trial.create_trial(
            params=params,
            value=1.0,
            distributions={name: optuna.distributions.FloatDistribution(0, 2) for name in params},
        )
    )
    with pytest.raises(LabError, match="trial 0 of study 'other' is no cell: .* has the decisions"):
        write_trials([study], "toy", tmp_path / "mine.csv")
    assert not (tmp_path / "mine.csv").exists()


def test_a_study_without_an_answer_is_refused(tmp_path):
    import optuna

    with pytest.raises(LabError, match="no trial that was answered"):
        write_trials([optuna.create_study()], "toy", tmp_path / "mine.csv")


@pytest.fixture(params=["sqlite", "journal"])
def storage(request, tmp_path):
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path = tmp_path / {"sqlite": "optuna.db", "journal": "optuna.log"}[request.param]
    written = f"sqlite:///{path}" if request.param == "sqlite" else JournalStorage(JournalFileBackend(str(path)))
    for seed, name in enumerate(("b", "a")):
        finished(optuna_objective("toy", seed=seed), written, trials=4 + seed, name=name)
    return path


def test_the_command_brings_stored_studies(storage, tmp_path, lab):
    before = storage.read_bytes()
    out = tmp_path / "mine.csv"
    code, done, _ = lab("bring", storage, "--table", "toy", "--out", out)
    assert code == 0
    assert done.splitlines() == [f"a, b -> {out}", f"nasbench-lab compare outside:file={out} tpe --table toy --seeds 2"]
    assert pd.read_csv(out)["run"].value_counts().to_dict() == {0: 5, 1: 4}
    assert lab("bring", storage, "--study", "b", "--table", "toy", "--out", out, "--force")[0] == 0
    assert pd.read_csv(out)["run"].unique().tolist() == [0]
    assert storage.read_bytes() == before
    with pytest.raises(LabError, match="has no study 'c'; it has: a, b"):
        stored_studies(str(storage), ["c"])


def test_a_storage_is_found_whatever_its_name(storage, tmp_path):
    """Signs that mean something in an address: what is opened is this file, and no other is made."""
    odd = tmp_path / f"a #1?b%20c&d=e+{storage.suffix}"
    storage.rename(odd)
    assert [study.study_name for study in stored_studies(str(odd))] == ["a", "b"]
    assert list(tmp_path.iterdir()) == [odd]


def test_what_is_no_storage_is_said_and_left_as_it_is(tmp_path):
    plain, other = tmp_path / "plain.db", tmp_path / "other.db"
    plain.write_text("this is no database")
    with sqlite3.connect(other) as made:
        made.execute("create table mine (x)")
    for path in (plain, other):
        before = path.read_bytes()
        with pytest.raises(LabError, match="cannot be read as a storage of Optuna"):
            stored_studies(str(path))
        assert path.read_bytes() == before
    with pytest.raises(LabError, match=r"no such file: .*nowhere\.db"):
        stored_studies(f"sqlite:///{tmp_path / 'nowhere.db'}")
    assert not (tmp_path / "nowhere.db").exists()
