"""A table as Optuna's objective, with the real Optuna."""

from __future__ import annotations

import numpy as np
import pytest

import nasbench_lab
from nasbench_lab.core import LabError, Task
from nasbench_lab.interop.optuna import to_optuna
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space
from nasbench_lab.testing.strategy_kit import HashEvaluator

pytestmark = pytest.mark.needs("optuna")


def test_optuna_optimises_a_table(toy):
    import optuna

    objective = nasbench_lab.optuna_objective("toy", seed=1)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objective, n_trials=30)
    assert objective.function.queries == 30
    best = [cell.OPS.index(study.best_params[f"{a}-{b}"]) for a, b in cell.EDGES]
    assert cell.SPACE.index(best) == objective.function.best
    assert study.best_value == max(record.result.val for record in objective.function.records)
    assert objective.function.truth() == toy.truth[objective.function.best]


def test_optuna_gets_all_objectives():
    import optuna

    objective = nasbench_lab.optuna_objective("toy", objectives=("val", "params_m"))
    study = optuna.create_study(directions=["maximize", "minimize"], sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=5)
    results = [record.result for record in objective.function.records]
    assert [trial.values for trial in study.trials] == [[r.val, r.metrics["params_m"]] for r in results]


def test_parameters_are_called_as_the_decisions_are():
    import optuna

    objective = nasbench_lab.optuna_objective(HashEvaluator(Task(Space((2, 3)), (1,))))
    assert objective.parameters == {"decision 0": [0, 1], "decision 1": [0, 1, 2]}
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.GridSampler(objective.parameters, seed=0))
    study.optimize(objective)
    assert sorted(record.result.query.arch for record in objective.function.records) == list(range(6))


def test_optuna_asks_for_labels_that_are_numbers_too():
    import optuna

    f = nasbench_lab.optuna_objective(
        HashEvaluator(task=Task(Space([Decision("a", (2, 0, 1)), Decision("b", (1, 2, 0))]), (1,)))
    )
    f(optuna.trial.FixedTrial({"a": 2, "b": 0}))
    assert f.function.records[0].result.query.arch == f.function.index({"a": 2, "b": 0})


def test_a_trial_reports_what_is_in_between_and_ends_where_the_pruner_says():
    """One query a trial, charged for the epochs that were trained; a cell that comes again goes on."""
    import optuna

    class After(optuna.pruners.BasePruner):
        """Ends a trial after so many epochs."""

        epochs = 3

        def prune(self, study, trial):
            return trial.last_step >= self.epochs

    f = nasbench_lab.optuna_objective("digits")
    fidelities, sampler = f.function.evaluator.task.fidelities, optuna.samplers.RandomSampler(seed=0)
    pruner = After()
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    study.optimize(f, n_trials=5)
    assert [trial.state.name for trial in study.trials] == ["PRUNED"] * 5
    assert [record.result.query.epochs for record in f.function.records] == [3] * 5
    pruner.epochs = 1000
    study.enqueue_trial(study.trials[0].params)
    study.optimize(f, n_trials=1)
    last, other = study.trials[-1], nasbench_lab.objective("digits")
    assert list(last.intermediate_values) == list(fidelities[:-1])
    assert last.value == f.function.records[-1].result.val
    assert f.function.queries == 6
    arch = f.function.records[-1].result.query.arch
    assert last.intermediate_values[3] == other(arch, 3)
    whole = other.ask(arch).result.seconds + other.records[0].result.seconds
    assert f.function.records[0].result.seconds + f.function.records[-1].result.seconds == pytest.approx(whole)


def test_a_study_that_would_look_for_the_worst_is_told_so():
    import optuna

    f = nasbench_lab.optuna_objective("toy")
    with pytest.raises(LabError, match=r"the study has minimize; .*create_study\(direction='maximize'\)"):
        optuna.create_study().optimize(f, n_trials=1)
    two = nasbench_lab.optuna_objective("toy", objectives=("val", "params_m"))
    for directions in (["maximize", "maximize"], ["minimize"]):
        with pytest.raises(LabError, match=r"create_study\(directions=\['maximize', 'minimize'\]\)"):
            optuna.create_study(directions=directions).optimize(two, n_trials=1)
    assert f.function.queries == two.function.queries == 0


def test_several_jobs_at_once_count_every_trial():
    import optuna

    f = nasbench_lab.optuna_objective("toy")
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=1))
    study.optimize(f, n_trials=24, n_jobs=4)
    assert f.function.queries == len(study.trials) == 24
    assert sorted(trial.value for trial in study.trials) == sorted(record.result.val for record in f.function.records)


def test_distributions_are_the_decisions():
    import optuna

    space = Space([Decision("op", ("conv", "pool")), Decision("width", tuple(np.array([8, 16])), ordered=True)])
    f = nasbench_lab.objective(HashEvaluator(Task(space, (1,))))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask(to_optuna(space))
    study.tell(trial, f(trial.params))
    assert f.queries == 1
