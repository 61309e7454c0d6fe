from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from conftest import make_table

from nasbench_lab import api
from nasbench_lab.core import LabError, Query
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.study.plan import resolve, run_id
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.tables import readings
from nasbench_lab.tables.table import Table


def two_schedules(dataset="cifar10", *, trials=3) -> Table:
    """12 epochs with one trial, 200 with several of which some are missing."""
    short, full = make_table("x", epochs=(1, 12), trials=1), make_table("x", epochs=(1, 200), trials=trials, seed=1)
    last = full.schedules[200]
    if trials:
        tests = last.test_trials.copy()
        tests[::2, 2] = np.nan
        last = replace(last, test_trials=tests, test=np.nanmean(tests, axis=1))
    return Table("x", {**short.schedules, 200: last}, {}, {"dataset": dataset}).check()


def read(name, table):
    return readings.named(name).read(table)


def test_validation_as_test_reports_what_the_search_sees():
    table = two_schedules()
    assert np.array_equal(read("validation-as-test", table).truth, table.schedules[200].val[:, -1])


def test_search_on_test_sees_what_is_reported_at_the_last_epoch_alone():
    table = two_schedules()
    evaluator = Tabular(table, search=200, reading="search-on-test")
    assert evaluator.task.fidelities == (200,)
    answer = evaluator.evaluate(Query(7, 200), 0)
    assert answer.val == evaluator.truth(7) == table.truth[7]
    assert answer.seconds == table.schedules[200].seconds[7, -1]


def test_on_cifar100_ori_test_is_half_validation():
    table = two_schedules("cifar100")
    half = (table.schedules[200].val[:, -1] + table.truth) / 2
    for name in ("search-on-test", "mixed-test"):
        assert np.array_equal(read(name, table).truth, half)
    assert np.array_equal(read("search-on-test", table).schedules[200].val[:, -1], half)
    assert np.array_equal(read("mixed-test", table).schedules[200].val, table.schedules[200].val)
    with pytest.raises(LabError, match="test set alone"):
        read("mixed-test", two_schedules())


def test_short_single_test_reports_the_first_trial_of_the_shortest_schedule():
    table = two_schedules()
    assert np.array_equal(read("short-single-test", table).truth, table.schedules[12].test_trials[:, 0])
    means = make_table(trials=0)
    with pytest.raises(LabError, match="no single trials"):
        read("short-single-test", means)


def test_best_seed_reports_the_luckiest_trial():
    table = two_schedules()
    assert np.array_equal(read("best-seed", table).truth, np.nanmax(table.last.test_trials, axis=1))
    with pytest.raises(LabError, match="several test trials"):
        read("best-seed", make_table(trials=1))


def test_filled_seeds_answers_with_one_of_all_seeds_and_the_mean_where_one_is_missing():
    table = two_schedules()
    evaluator = Tabular(table, search=200, reading="filled-seeds")
    seen = {arch: {evaluator.evaluate(Query(arch, 200), seed).val for seed in range(40)} for arch in (0, 1)}
    assert seen[0] == {*table.last.test_trials[0, :2], table.truth[0]}  # the third seed was not trained
    assert seen[1] == set(table.last.test_trials[1])
    with pytest.raises(LabError, match="none is missing"):
        read("filled-seeds", make_table())


def test_a_reading_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(LabError, match="no reading named 'generous'; allowed: validation-as-test"):
        Tabular(make_table(), reading="generous")


@pytest.mark.parametrize("name", list(readings.READINGS))
def test_no_reading_is_chosen_silently(name, tmp_path):
    """It makes other runs, says its name in their header, and stands in the heading and in every row."""
    path = two_schedules("cifar100" if name == "mixed-test" else "cifar10").save(tmp_path / "x.npz")
    budget = {"max_seconds": 3000.0} if name == readings.REAL_TIME else {"max_queries": 3}
    task = StudyTask(str(path), search=200, **budget)
    plain, changed = (
        Study(("random_search",), (each,), seeds=2)
        for each in (task, replace(task, evaluator=f"tabular:reading={name}"))
    )
    boards = [api.run(each, tmp_path / "out") for each in (plain, changed)]
    headers = [resolve(each).groups[0].header for each in (plain, changed)]
    assert run_id(headers[0]) != run_id(headers[1])
    assert headers[1]["evaluator"]["evaluator"] == f"tabular:reading={name}"
    assert "reading" not in headers[0]["evaluator"]
    assert headers[0]["evaluator"]["digest"] == headers[1]["evaluator"]["digest"]
    assert boards[0].rows[0]["policy"] == ""
    assert boards[1].rows[0]["policy"] == f"reading {name}: {readings.named(name).what}"
    assert name in (tmp_path / "out" / "leaderboard.md").read_text()
    assert boards[1].sections[0].reference["random_test"] is None  # the closed form is of the plain reading


def test_runs_of_a_reading_are_reproduced(tmp_path):
    from nasbench_lab.experiments.reproduce import reproduce

    path = two_schedules().save(tmp_path / "x.npz")
    task = StudyTask(str(path), search=200, max_queries=4, evaluator="tabular:reading=filled-seeds")
    api.run(Study(("random_search",), (task,), seeds=2), tmp_path / "out")
    assert {outcome.verdict for outcome in reproduce(tmp_path / "out")} == {"same"}
