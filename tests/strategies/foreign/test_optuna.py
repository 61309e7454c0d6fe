"""Optuna's samplers under our loop are Optuna's samplers."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys

import pytest

pytest.importorskip("optuna")

import optuna

from nasbench_lab import loading
from nasbench_lab.core import LabError, Query, Result, Task, stream
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.foreign.optuna_nsga2 import OptunaNsga2
from nasbench_lab.strategies.foreign.optuna_tpe import OptunaTpe
from nasbench_lab.study.runner import search
from nasbench_lab.tables import catalog

NAMES = ("optuna_tpe", "optuna_gp", "optuna_nsga2")
_STRATEGY = 2  # core's stream that a strategy's rng is


@pytest.mark.parametrize("enqueued", [0, 10])
def test_the_same_cells_as_in_optunas_own_loop(evaluator, enqueued):
    """TPE with our seed, Optuna's `optimize`, our table as its objective."""
    count, seed = 40, 5
    task, space = evaluator.task, evaluator.task.space
    records = search(OptunaTpe(initial=enqueued), evaluator, seed=seed, max_queries=count).records
    sampler = optuna.samplers.TPESampler(seed=int(stream(seed, _STRATEGY).integers(2**31)))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    design = loading.build("strategies", "random_search:replacement=true")
    design.start(task, seed)
    for _ in range(enqueued):
        study.enqueue_trial({str(edge): option for edge, option in enumerate(space.row(design.design()))})

    def objective(trial: optuna.Trial) -> float:
        choices = [trial.suggest_categorical(str(e), list(range(n))) for e, n in enumerate(space.options)]
        return evaluator.evaluate(Query(space.index(choices), task.full), seed).val

    study.optimize(objective, n_trials=count)
    asked = [space.index([trial.params[str(e)] for e in range(6)]) for trial in study.trials]
    assert asked == [record.result.query.arch for record in records]
    assert [trial.value for trial in study.trials] == [record.result.val for record in records]


@pytest.mark.parametrize("name", NAMES)
def test_it_starts_with_the_common_design(name, evaluator):
    design = search(loading.build("strategies", "random_search:replacement=true"), evaluator, seed=2, max_queries=10)
    ours = search(loading.build("strategies", f"{name}:initial=10"), evaluator, seed=2, max_queries=10)
    assert [r.result for r in ours.records] == [r.result for r in design.records]


def test_directions_and_values_reach_the_study():
    evaluator = Tabular(catalog.load("toy"), objectives=("val", "params_m"))
    strategy = OptunaNsga2()
    records = search(strategy, evaluator, seed=0, max_queries=30).records
    study = strategy._study
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert [trial.values for trial in study.trials] == [[r.result.val, r.result.metrics["params_m"]] for r in records]


def test_the_population_moves_towards_the_front():
    evaluator = Tabular(catalog.load("toy"), objectives=("val", "params_m"))
    records = search(OptunaNsga2(), evaluator, seed=0, max_queries=320).records
    front = [len(dominating(record, records)) for record in records]
    assert sum(front[-40:]) < 0.5 * sum(front[:40])


def dominating(record, records):
    val, size = record.result.val, record.result.metrics["params_m"]
    return [r for r in records if r.result.val > val and r.result.metrics["params_m"] < size]


def test_a_failed_evaluation_is_a_failed_trial():
    strategy = OptunaTpe()
    strategy.start(Task(Space((2, 3)), (1,)), 0)
    for i in range(4):
        strategy.tell(Result(strategy.ask(), float("nan") if i % 2 else 1.0 + i, 1.0))
    assert [trial.state.name for trial in strategy._study.trials] == ["COMPLETE", "FAIL", "COMPLETE", "FAIL"]


def test_answers_go_to_the_trial_that_asked():
    strategy = OptunaTpe(initial=6)
    strategy.start(Task(Space((1, 2)), (1,)), 0)  # two cells, so that some are asked for twice at a time
    queries = [strategy.ask() for _ in range(6)]
    for i, query in enumerate(reversed(queries)):
        strategy.tell(Result(query, float(i), 1.0))
    assert sorted(trial.value for trial in strategy._study.trials) == [0, 1, 2, 3, 4, 5]
    for trial in strategy._study.trials:
        assert queries[trial.number].arch == trial.params["1"]


@pytest.mark.parametrize("name", NAMES)
def test_pickled_with_trials_under_way(name, evaluator):
    strategy = loading.build("strategies", f"{name}:initial=3")
    strategy.start(evaluator.task, 1)
    for _ in range(15):
        strategy.tell(evaluator.evaluate(strategy.ask(), 1))
    pending = strategy.ask()
    copy = pickle.loads(pickle.dumps(strategy))
    found = []
    for one in (strategy, copy):
        one.tell(evaluator.evaluate(pending, 1))
        found.append([one.ask() for _ in range(3)])
    assert found[0] == found[1]


def test_optuna_says_nothing_and_keeps_its_verbosity(evaluator):
    said: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logger = logging.getLogger("optuna")
    before = optuna.logging.get_verbosity()
    logger.addHandler(handler)
    try:
        search(OptunaTpe(), evaluator, seed=0, max_queries=12)
        assert said == []
        optuna.create_study()
        assert len(said) == 1  # so it would have been heard
    finally:
        logger.removeHandler(handler)
    assert optuna.logging.get_verbosity() == before


def test_optuna_is_imported_when_a_run_starts_only():
    code = (
        "import sys; from nasbench_lab import loading; loading.build('strategies', 'optuna_tpe');"
        "print([m for m in ('optuna',) if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("spec", ["optuna_tpe:initial=-1", "optuna_tpe:candidates=0", "optuna_nsga2:population=1"])
def test_bad_parameters_are_refused(spec):
    with pytest.raises(LabError):
        loading.build("strategies", spec)
