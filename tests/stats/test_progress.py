from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nasbench_lab.stats import progress

times = arrays(
    float, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.sampled_from([1.0, 3.0, 7.0, np.inf])
)


@given(times)
def test_ecdf_keeps_what_was_never_hit_in_the_denominator(hits):
    budgets = np.array([0.0, 1.0, 2.0, 7.0, 100.0])
    brute = [(hits <= budget).sum() / hits.size for budget in budgets]
    assert progress.ecdf(hits, budgets) == pytest.approx(brute)


def test_expected_running_time_charges_what_failed():
    assert progress.expected_running_time(np.array([3.0, np.inf, 5.0]), np.full(3, 10.0)) == 9.0
    assert progress.expected_running_time(np.array([3.0, 5.0]), np.full(2, 10.0)) == 4.0
    assert progress.expected_running_time(np.full(2, np.inf), np.full(2, 10.0)) == np.inf


@given(arrays(float, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.integers(0, 4).map(float)))
def test_performance_profiles_are_rliables(scores):
    thresholds = np.array([-1.0, 0.0, 1.5, 4.0])
    brute = [(scores > threshold).mean(axis=0).mean() for threshold in thresholds]
    assert progress.performance_profile(scores, thresholds) == pytest.approx(brute)


def test_area_under_the_regret_curve_is_a_mean_over_the_logarithm():
    at = np.array([1.0, 10.0, 100.0])
    regret = np.array([[2.0, 2.0, 2.0], [4.0, 2.0, 0.0], [4.0, 0.0, 0.0]])
    assert progress.area_under(regret, at) == pytest.approx([2.0, 2.0, 1.0])
    assert progress.area_under(regret[:, :1], at[:1]) == pytest.approx([2.0, 4.0, 4.0])


@given(arrays(float, st.tuples(st.integers(1, 10), st.integers(1, 6)), elements=st.integers(0, 3).map(float)))
def test_mean_ranks_count_the_better_and_share_ties(values):
    brute = [[1 + (row > x).sum() + ((row == x).sum() - 1) / 2 for x in row] for row in values]
    assert progress.mean_ranks(values) == pytest.approx(np.mean(brute, axis=0))


def test_first_hit_times_are_censored_not_dropped():
    times = np.array([3.0, np.inf, 5.0])
    assert progress.restricted_mean(times, np.array([10.0, 10.0, 10.0])) == 6.0
    assert progress.censored_median(times) == 5.0
    assert progress.censored_median(np.array([3.0, np.inf])) == np.inf
    assert progress.censored_median(np.array([3.0, 4.0, np.inf, np.inf])) == np.inf


@given(st.integers(1, 10**6))
def test_checkpoints_ascend_from_1_to_the_limit(limit):
    points = progress.checkpoints(limit)
    assert points[0] == 1
    assert points[-1] == limit
    assert points == sorted(set(points))
    assert len(points) < 45
