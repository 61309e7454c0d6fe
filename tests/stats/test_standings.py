from __future__ import annotations

import math

import numpy as np
import pytest

from nasbench_lab.stats import intervals, significance, standings


def scores_of(*means, runs=40):
    return np.random.default_rng(0).normal(size=(runs, len(means))) + np.array(means)


def test_columns_and_pairs_agree():
    names = ["a", "b", "c"]
    rows, tests = standings.of(names, scores_of(3.0, 0.1, 0.0), "test accuracy")
    assert [(row["rank_low"], row["rank_high"]) for row in rows] == [(1, 1), (2, 3), (2, 3)]
    assert rows[0]["seeds_to_next"] == 0
    assert rows[1]["seeds_to_next"] > 0
    assert math.isnan(rows[2]["seeds_to_next"])
    assert tests["cliques"] == [["b", "c"]]
    assert [(pair["one"], pair["other"], pair["separated"]) for pair in tests["pairs"]] == [
        ("a", "b", True),
        ("a", "c", True),
        ("b", "c", False),
    ]
    assert tests["friedman"]["ranks"][0] == min(tests["friedman"]["ranks"])
    first = tests["pairs"][0]
    assert first["low"] < first["difference"] < first["high"]
    assert first["p_nemenyi"] < 0.05
    assert first["cliffs_delta"] == pytest.approx(2 * first["improvement"] - 1, abs=1e-5)


def test_the_detectable_difference_is_of_the_typical_pair_after_correction():
    scores = scores_of(0.0, 0.0, 0.0)
    _, tests = standings.of(["a", "b", "c"], scores, "x")
    sds = [(scores[:, i] - scores[:, j]).std(ddof=1) for i, j in ((0, 1), (0, 2), (1, 2))]
    expected = significance.detectable_difference(float(np.median(sds)), 40, alpha=0.05 / 3)
    assert tests["detectable_difference"] == pytest.approx(expected)


@pytest.mark.parametrize(("runs", "strategies", "fewest"), [(5, 2, 6), (5, 16, 13), (12, 16, 13)])
def test_where_seeds_are_too_few_for_any_difference_that_is_said(runs, strategies, fewest):
    """Fifty deviations apart: the sign-flip test's smallest p-value, corrected for all pairs, decides alone."""
    names = [str(i) for i in range(strategies)]
    scores = np.random.default_rng(0).normal(-5.0 * np.arange(strategies), 0.1, (fewest, strategies))
    rows, tests = standings.of(names, scores[:runs], "x")
    assert {(row["rank_low"], row["rank_high"]) for row in rows} == {(1, strategies)}
    assert {row["seeds_to_next"] for row in rows[:-1]} == {fewest - runs}
    assert math.isnan(tests["detectable_difference"])
    assert f"{fewest} are the fewest" in standings.too_few(tests)
    rows, tests = standings.of(names, scores, "x")
    assert [row["rank_low"] for row in rows] == list(range(1, strategies + 1))
    assert tests["detectable_difference"] > 0
    assert standings.too_few(tests) == ""


def test_what_is_unknown_has_no_rank_and_separates_nobody():
    scores = scores_of(5.0, 0.0, 0.0)
    scores[0, 2] = np.nan
    rows, tests = standings.of(["a", "b", "c"], scores, "x")
    assert all(math.isnan(value) for value in rows[2].values())
    assert (rows[0]["rank_low"], rows[0]["rank_high"]) == (1, 2)
    assert tests["friedman"] is None
    assert math.isnan(tests["pairs"][1]["p_holm"])


def test_aggregates_are_of_what_all_settings_have():
    truths = [np.array([0.0, 100.0]), np.array([40.0, 60.0])]
    rng = np.random.default_rng(0)
    ends = [
        {"a": 75 + rng.normal(size=30), "b": np.full(30, 50.0)},
        {"a": 55 + rng.normal(size=30), "b": np.full(30, 50.0), "c": np.ones(30)},
    ]
    rows = standings.overall(ends, truths)
    assert [row["strategy"] for row in rows] == ["a", "b"]
    table = np.stack([(ends[0]["a"] - 50) / 50, (ends[1]["a"] - 50) / 10], axis=1)
    for kind in ("mean", "median", "iqm"):
        assert rows[0][kind] == pytest.approx(intervals.aggregate(table, kind))
        assert (rows[0][f"{kind}_low"], rows[0][f"{kind}_high"]) == intervals.aggregate_interval(
            table, kind, paired=True
        )
        assert rows[1][kind] == 0
    assert standings.overall(ends[:1], truths[:1]) == []
    ends[0]["a"][3] = np.nan
    assert [row["strategy"] for row in standings.overall(ends, truths)] == ["b"]


@pytest.mark.parametrize("shape", [(1, 2), (1, 1), (30, 1), (2, 3)])
def test_few_seeds_or_strategies_are_no_error(shape):
    rows, tests = standings.of([str(i) for i in range(shape[1])], np.random.default_rng(1).normal(size=shape), "x")
    assert all((row["rank_low"], row["rank_high"]) == (1, shape[1]) for row in rows)
    assert len(tests["pairs"]) == shape[1] * (shape[1] - 1) // 2


def test_one_run_of_two_settings_has_aggregates_without_intervals():
    truths = [np.linspace(50, 90, 20), np.linspace(10, 70, 20)]
    rows = standings.overall([{"a": np.array([80.0])}, {"a": np.array([60.0])}], truths)
    assert rows[0]["settings"] == 2
    assert np.isnan(rows[0]["mean_low"])
