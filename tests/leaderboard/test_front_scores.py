from __future__ import annotations

import math

import numpy as np
import pytest

from nasbench_lab.core import Query, Record, Result
from nasbench_lab.leaderboard.front_scores import Reached, target_of
from nasbench_lab.study import store
from nasbench_lab.study.runner import Run

TRUTH = np.array([10.0, 60.0, 80.0, 90.0, 90.0])
METRICS = {"latency_ms/x": np.array([1.0, 2.0, 5.0, 9.0, 11.0]), "flops_m": np.ones(5)}
OBJECTIVES = ("val", "latency_ms/x")


@pytest.fixture
def target():
    return target_of(TRUTH, METRICS, OBJECTIVES)


def reached(target, tmp_path, *asked):
    """Runs of (cell, epochs, val), a query every ten seconds."""
    runs = {}
    for seed, queries in enumerate(asked):
        records = [
            Record(i, Result(Query(arch, epochs), val, 10.0, {"latency_ms/x": 1.0}), 10.0 * (i + 1), arch, 0.0)
            for i, (arch, epochs, val) in enumerate(queries)
        ]
        runs[seed] = Run(records, "queries")
    store.write(tmp_path / "runs.parquet", {}, runs, OBJECTIVES)
    return Reached(store.read(tmp_path / "runs.parquet"), target, full=9)


def test_the_target_is_test_error_against_the_other_objectives(target):
    assert target.costs[:, 0].tolist() == [90.0, 40.0, 20.0, 10.0, 10.0]
    assert target.cells.tolist() == [0, 1, 2, 3]
    # steps at latencies .1, .4, .8 of the range and errors .375, .125, 0
    assert target.possible == pytest.approx(0.625 * 0.3 + 0.875 * 0.4 + 1.0 * 0.2)


def test_without_further_objectives_or_their_metric_there_is_none():
    assert target_of(TRUTH, METRICS, ("val",)) is None
    assert target_of(TRUTH, METRICS, ("val", "energy_mj/x")) is None


def test_only_full_queries_that_did_not_fail_count(target, tmp_path):
    found = reached(target, tmp_path, [(3, 3, 50.0), (2, 9, math.nan), (1, 9, 50.0), (3, 0, math.nan), (4, 9, 50.0)])
    assert found.cells[0].tolist() == [-1, -1, 1, -1, 4]
    assert found.at_queries(np.array([0, 1, 2, 3, 5, 99]))[0] * target.possible == pytest.approx(
        [0, 0, 0, 0.625 * 0.9, 0.625 * 0.9, 0.625 * 0.9]
    )
    assert found.at_seconds(np.array([0.0, 29.9, 30.0, 1e9]))[0] * target.possible == pytest.approx(
        [0, 0, 0.5625, 0.5625]
    )


def test_a_run_that_saw_the_front_has_it_all(target, tmp_path):
    found = reached(target, tmp_path, [(arch, 9, 50.0) for arch in (3, 1, 0, 2)], [(0, 9, 50.0)])
    assert found.hypervolume == pytest.approx([1.0, 0.0])
    assert found.igd_plus[0] == found.epsilon[0] == 0
    assert found.epsilon[1] == pytest.approx(1.0)  # the cheapest cell is the worst
    assert [len(archive) for archive in found.archives] == [4, 1]


def test_runs_without_records(target, tmp_path):
    found = reached(target, tmp_path, [], [(3, 9, 50.0)])
    assert found.hypervolume.tolist()[0] == 0
    assert found.at_queries(np.array([5]))[0].tolist() == [0]
    assert found.epsilon[0] == 1.0
