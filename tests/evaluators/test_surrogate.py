from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from conftest import make_table
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_lab import api, sources
from nasbench_lab.core import LabError, Query
from nasbench_lab.evaluators.surrogate import Fitted
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.experiments import reproduce
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.local.local_search import LocalSearch
from nasbench_lab.study.plan import open_evaluator
from nasbench_lab.study.runner import search
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.tables import catalog
from nasbench_lab.testing import strategy_kit

FAST = {"model": "gp:iterations=5", "cells": 40}
SPEC = "surrogate:model=(gp:iterations=5),cells=40"
queries = st.tuples(st.integers(0, 15624), st.sampled_from([1, 4, 12]), st.integers(0, 3))


@pytest.fixture(scope="module")
def toy():
    return catalog.load("toy")


@settings(max_examples=10)
@given(
    st.sampled_from([{}, {"trials": "sample"}, {"noise": 2.0}, {"trials": "sample", "noise": 2.0}]),
    st.lists(queries, min_size=1, max_size=20),
    st.randoms(use_true_random=False),
)
def test_answers_are_pure_in_query_and_seed(toy, policy, asked, shuffle):
    evaluator = Fitted(toy, **FAST, **policy)
    first = {key: evaluator.evaluate(Query(*key[:2]), key[2]) for key in asked}
    shuffle.shuffle(asked)
    fresh = Fitted(toy, **FAST, **policy)
    assert all(fresh.evaluate(Query(*key[:2]), key[2]) == first[key] for key in asked)


def test_the_search_sees_predictions_and_the_scorer_the_table(toy):
    evaluator = Fitted(toy, **FAST)
    mean, std = evaluator.predicted(12)
    assert (std > 0).all()
    fitted = evaluator.archs  # elsewhere 40 cells say little: .85 more or less .05
    assert np.corrcoef(mean[fitted], toy.last.val[fitted, 2])[0, 1] > 0.95
    assert not np.isclose(mean, toy.last.val[:, 2], atol=1e-3).mean() > 0.5
    for arch in range(0, 15625, 997):
        assert evaluator.evaluate(Query(arch, 12), 3).val == mean[arch]
        assert evaluator.truth(arch) == toy.truth[arch]
    assert np.array_equal(evaluator.seen, mean)


def test_every_fidelity_has_a_fit_of_its_own(toy):
    evaluator = Fitted(toy, **FAST)
    fitted = evaluator.archs  # all cells' mean is off by 3 more or less 1, as 40 classes are not a sample of cells
    low, high = (evaluator.predicted(epochs)[0][fitted].mean() for epochs in (1, 12))
    assert low == pytest.approx(toy.last.val[fitted, 0].mean(), abs=0.5)
    assert high == pytest.approx(toy.last.val[fitted, 2].mean(), abs=0.5)


def test_the_oracle_sees_predicted_test_scores(toy):
    shifted = dataclasses.replace(toy.last, test=toy.last.test / 2)
    evaluator = Fitted(dataclasses.replace(toy, schedules={12: shifted}), **FAST, search="oracle")
    assert evaluator.task.fidelities == (12,)
    fitted = evaluator.archs
    assert evaluator.seen[fitted].mean() == pytest.approx(toy.truth[fitted].mean() / 2, abs=0.5)


def test_all_schedules_can_be_searched():
    one, other = make_table(epochs=(4,), seed=1).last, make_table(epochs=(12,), seed=2).last
    table = dataclasses.replace(make_table(), schedules={4: one, 12: other})
    evaluator = Fitted(table, **FAST, search="all")
    assert evaluator.task.fidelities == (4, 12)
    assert not evaluator.task.one_run
    assert not np.array_equal(evaluator.predicted(4)[0], evaluator.predicted(12)[0])


def test_cells_are_one_of_each_class_the_same_for_a_fit_seed(toy):
    archs = Fitted(toy, **FAST).archs
    assert len(set(cell.SPACE.classes[archs])) == 40
    assert np.array_equal(archs, cell.representatives()[archs])
    assert np.array_equal(archs, Fitted(toy, **FAST).archs)
    other = Fitted(toy, **FAST, fit_seed=1)
    assert not np.array_equal(archs, other.archs)
    assert not np.array_equal(other.predicted(12)[0], Fitted(toy, **FAST).predicted(12)[0])


def test_sampled_noise_has_the_predicted_spread_and_differs_by_seed_cell_and_epochs(toy):
    evaluator = Fitted(toy, **FAST, trials="sample")
    archs = np.arange(0, 15625, 5)

    def z(seed, epochs):
        mean, std = evaluator.predicted(epochs)
        return (evaluator.evaluate_many(archs, epochs, seed)[0] - mean[archs]) / std[archs]

    draws = np.array([[z(seed, epochs) for epochs in (4, 12)] for seed in range(6)]).reshape(12, -1)
    assert abs(draws.mean()) < 4 / np.sqrt(draws.size)
    assert draws.std() == pytest.approx(1.0, abs=0.03)
    assert np.abs(np.corrcoef(draws) - np.eye(12)).max() < 0.1


def test_sampled_and_extra_noise_add_up(toy):
    evaluator = Fitted(toy, **FAST, trials="sample", noise=3.0)
    mean, std = evaluator.predicted(12)
    values = np.array([evaluator.evaluate_many(np.arange(15625), 12, seed)[0] for seed in range(8)])
    z = (values - mean) / np.hypot(std, 3.0)
    assert z.std() == pytest.approx(1.0, abs=0.02)


def test_seconds_are_predicted_from_the_fitted_cells_or_the_tables(toy):
    predicted, table = Fitted(toy, **FAST), Fitted(toy, **FAST, seconds="table")
    arch = int(cell.SPACE.index((3,) * 6))
    own = toy.last.seconds
    assert table.evaluate(Query(arch, 4), 0).seconds == own[arch, 1]
    first = np.unique(cell.representatives())  # the toy's costs are linear in the ops of these
    made, floor = predicted.evaluate_many(first, 12, 0)[1], own[predicted.archs, 2].min()
    assert made == pytest.approx(np.maximum(own[first, 2], floor), abs=2e-3)
    costs = predicted.table.last.seconds
    assert (costs > 0).all()
    assert (np.diff(costs, axis=1) >= 0).all()


def test_a_partial_table_answers_everywhere_and_knows_some_truths(toy):
    hidden = np.isin(cell.SPACE.classes, np.arange(0, 6466, 2))
    last = toy.last
    holes = {name: np.where(hidden, np.nan, getattr(last, name).T).T for name in ("val", "test", "seconds")}
    table = dataclasses.replace(toy, schedules={12: dataclasses.replace(last, **holes)})
    with pytest.raises(LabError, match="a search needs all"):
        Tabular(table)
    evaluator = Fitted(table, **FAST)
    assert not hidden[evaluator.archs].any()
    run = search(LocalSearch(), evaluator, seed=0, max_queries=50)
    assert all(record.result.val == record.result.val for record in run.records)
    assert np.isnan(evaluator.truth(int(np.flatnonzero(hidden)[0])))
    assert evaluator.truth(int(np.flatnonzero(~hidden)[0])) == toy.truth[np.flatnonzero(~hidden)[0]]
    with pytest.raises(LabError, match="seconds=predicted"):
        Fitted(table, **FAST, seconds="table")


BAD = [
    ("surrogate:cells=1", "cells must lie in 2..6466"),
    ("surrogate:cells=7000", "cells must lie in 2..6466"),
    ("surrogate:cells=ten", "whole number"),
    ("surrogate:fit_seed=-1", "whole number"),
    ("surrogate:seconds=none", "'predicted' or 'table'"),
    ("surrogate:model=(gp:kernel=nope)", "kernel must be one of"),
    ("surrogate:model=nope", "no surrogate named 'nope'"),
    ("surrogate:colour=red", "no option 'colour'"),
]


@pytest.mark.parametrize(("spec", "message"), BAD, ids=[spec for spec, _ in BAD])
def test_what_cannot_be_is_refused(spec, message):
    with pytest.raises(LabError, match=message):
        open_evaluator(spec, catalog.load("toy"), {"search": None, "trials": "mean", "noise": 0.0})


@pytest.mark.parametrize("policy", [{"trials": "both"}, {"noise": -1.0}, {"search": 7}, {"objectives": ("val", "no")}])
def test_policies_that_cannot_be_are_refused(toy, policy):
    with pytest.raises(LabError):
        Fitted(toy, **FAST, **policy)


def test_the_header_names_what_an_answer_depends_on(toy):
    policy = Fitted(toy, **FAST).policy
    assert policy["digest"] == toy.digest
    assert policy["model"]["parameters"]["iterations"] == 5
    others = [{"cells": 41}, {"fit_seed": 1}, {"model": "gp:iterations=6"}, {"seconds": "table"}, {"trials": "sample"}]
    headers = {json.dumps(Fitted(toy, **(FAST | other)).policy, sort_keys=True) for other in others}
    assert len(headers | {json.dumps(policy, sort_keys=True)}) == len(others) + 1
    again = open_evaluator(policy["evaluator"], catalog.load("toy"), {"search": policy["search"]})
    assert again.policy == policy


def test_an_edited_surrogate_makes_other_runs(monkeypatch, tmp_path):
    for name in sources._LOOP:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((sources.ROOT / name).read_bytes())
    (tmp_path / "surrogates").mkdir()
    (tmp_path / "surrogates" / "gp.py").write_text("A = 1\n")
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    before = {cls: sources.digest(LocalSearch(), cls) for cls in (Fitted, Tabular)}
    (tmp_path / "surrogates" / "gp.py").write_text("A = 2\n")
    after = {cls: sources.digest(LocalSearch(), cls) for cls in (Fitted, Tabular)}
    assert before[Fitted] != after[Fitted]
    assert before[Tabular] == after[Tabular]


MINE = '''"""Mine: the mean of what it saw."""
from dataclasses import dataclass
import numpy as np
from nasbench_lab.surrogates._base import Surrogate

@dataclass
class Mine(Surrogate):
    """The mean."""
    shift: float = 0.0

    def fit(self, archs, y, rng=None, *, space=None):
        self.mean_ = float(np.mean(y)) + self.shift
        return self

    def predict(self, archs):
        return np.full(len(archs), self.mean_), np.ones(len(archs))
'''


def test_somebodys_own_surrogate_works_and_editing_it_makes_other_runs(toy, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE)
    first = Fitted(toy, model=f"{path}:shift=1", cells=10)
    assert first.evaluate(Query(3, 12), 0).val == pytest.approx(toy.last.val[first.archs, 2].mean() + 1)
    path.write_text(MINE.replace("+ self.shift", "- self.shift"))
    os.utime(path, (1, 1))
    second = Fitted(toy, model=f"{path}:shift=1", cells=10)
    assert second.policy != first.policy
    assert second.evaluate(Query(3, 12), 0).val == pytest.approx(toy.last.val[first.archs, 2].mean() - 1)


CODE = """
import sys
from nasbench_lab.core import Query
from nasbench_lab.study.plan import open_evaluator
from nasbench_lab.tables import catalog
evaluator = open_evaluator(sys.argv[1], catalog.load("toy"), {"trials": "sample"})
print([evaluator.evaluate(Query(arch, 12), 5).val for arch in range(0, 15625, 999)])
"""


def test_a_fresh_process_answers_the_same():
    evaluator = open_evaluator(SPEC, catalog.load("toy"), {"trials": "sample"})
    here = [evaluator.evaluate(Query(arch, 12), 5).val for arch in range(0, 15625, 999)]
    env = os.environ | {"PYTHONHASHSEED": "99"}
    done = subprocess.run([sys.executable, "-c", CODE, SPEC], capture_output=True, text=True, env=env, check=True)
    assert json.loads(done.stdout) == pytest.approx(here, abs=1e-9)


def test_a_strategy_runs_on_it_as_on_any_evaluator(toy):
    evaluator = Fitted(toy, **FAST, trials="sample")
    for workers in (1, 4):
        runs = [search(LocalSearch(), evaluator, seed=2, max_queries=60, workers=workers).records for _ in range(2)]
        assert strategy_kit._exact(runs[0]) == strategy_kit._exact(runs[1])
        assert len(runs[0]) == 60


def test_a_study_on_table_and_surrogate_says_how_well_rankings_agree(tmp_path, lab):
    strategies = ("random_search", "local_search", "regularized_evolution")
    budget = {"max_queries": 20, "objectives": ("val",)}
    tasks = (StudyTask("toy", **budget), StudyTask("toy", evaluator=SPEC, trials="sample", **budget))
    board = api.run(Study(strategies, tasks, seeds=3), tmp_path)
    assert [len(section.rows) for section in board.sections] == [3, 3]
    (row,) = board.agreements
    assert row["other"] == f"toy (synthetic), {SPEC}, trials=sample"
    assert -1 <= row["end_tau"] <= 1
    code, out, _ = lab("leaderboard", tmp_path)
    assert (code, "How the rankings agree" in out, SPEC in out) == (0, True, True)
    outcomes = list(reproduce.reproduce(tmp_path))
    assert [outcome.verdict for outcome in outcomes] == ["same"] * 18
