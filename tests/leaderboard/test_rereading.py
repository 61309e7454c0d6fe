from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from conftest import Additive

from nasbench_lab.leaderboard.rereading import reread
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.local.local_search import LocalSearch
from nasbench_lab.study import store
from nasbench_lab.study.runner import search
from nasbench_lab.tables.readings import REAL_TIME, RUNNING_MAXIMUM


@pytest.fixture
def runs(tmp_path):
    store.write(
        tmp_path / "x", {}, {s: search(RandomSearch(), Additive(), seed=s, max_queries=s + 1) for s in range(5)}
    )
    return store.read(tmp_path / "x")


def test_without_a_reading_of_records_they_stay_as_they_are(runs):
    truth = np.arange(18.0)
    for name in ("", "best-seed"):
        assert reread(runs, name, truth, 10.0) is runs


def test_the_running_maximum_takes_the_first_best_tested_cell(runs):
    truth = np.random.default_rng(0).integers(0, 4, 18).astype(float)
    read = reread(runs, RUNNING_MAXIMUM, truth, math.inf)
    for a, b in zip(runs.offsets[:-1], runs.offsets[1:], strict=True):
        arch = runs.columns["arch"][a:b]
        expected = [arch[np.argmax(truth[arch[: i + 1]])] for i in range(b - a)]
        assert read.columns["incumbent"][a:b].tolist() == expected
    assert np.array_equal(runs.columns["arch"], read.columns["arch"])


def test_added_real_time_delays_results_and_drops_those_too_late(runs):
    decided = np.tile([0.5, 1.0, 2.0], 5)
    runs = replace(runs, columns={**runs.columns, "decided": decided})
    limit = 12.0
    read = reread(runs, REAL_TIME, np.arange(18.0), limit)
    assert read.seeds.tolist() == runs.seeds.tolist()
    for i, (a, b) in enumerate(zip(runs.offsets[:-1], runs.offsets[1:], strict=True)):
        later = runs.columns["finished"][a:b] + np.cumsum(decided[a:b])
        kept = later <= limit
        rows = slice(read.offsets[i], read.offsets[i + 1])
        assert read.columns["finished"][rows] == pytest.approx(later[kept])
        assert read.columns["arch"][rows].tolist() == runs.columns["arch"][a:b][kept].tolist()
    assert read.counts.sum() < runs.counts.sum()


def test_runs_without_records_are_no_error(tmp_path):
    made = {seed: search(LocalSearch(), Additive(), seed=seed, max_seconds=0.1) for seed in range(2)}
    store.write(tmp_path / "x", {}, made)
    empty = store.read(tmp_path / "x")
    for name in (RUNNING_MAXIMUM, REAL_TIME):
        assert reread(empty, name, np.arange(18.0), 1.0).counts.tolist() == [0, 0]
