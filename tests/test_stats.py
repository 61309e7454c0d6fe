from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from nasbench_lab import stats

scores = st.floats(0, 100, allow_subnormal=False)


@given(
    arrays(
        float,
        st.tuples(st.integers(stats.FEWEST, 40), st.integers(1, 4)),
        elements=st.integers(0, 1000).map(lambda x: x / 10),
    )
)
def test_bootstrap_intervals_are_ordered_within_the_data_and_contain_the_mean(values):
    low, high = stats.mean_interval(values, resamples=400)
    slack = 1e-9
    assert (low <= high).all()
    assert (values.min(axis=0) - slack <= low).all()
    assert (high <= values.max(axis=0) + slack).all()
    assert (low <= values.mean(axis=0) + slack).all()
    assert (values.mean(axis=0) - slack <= high).all()


def test_the_interval_is_scipys_bca_and_the_same_every_time():
    values = np.random.default_rng(0).exponential(size=(50, 3))
    low, high = stats.mean_interval(values)
    again = stats.mean_interval(values)
    assert np.array_equal(low, again[0])
    assert np.array_equal(high, again[1])
    own = scipy_stats.bootstrap((values[:, 1],), np.mean, n_resamples=20000, rng=np.random.default_rng(1))
    assert (low[1], high[1]) == pytest.approx((own.confidence_interval.low, own.confidence_interval.high), abs=0.03)


def test_intervals_cover_the_mean_about_as_often_as_they_say():
    rng = np.random.default_rng(2)
    low, high = stats.mean_interval(rng.normal(size=(40, 500)), resamples=1000)
    assert 0.91 <= ((low <= 0) & (high >= 0)).mean() <= 0.98


def test_where_an_interval_cannot_be_had_it_is_nan_or_the_value_itself():
    low, high = stats.mean_interval(np.array([[1.0, 2.0, np.nan], [1.0, 3.0, 1.0], [1.0, 4.0, 1.0]] * 10))
    assert low[0] == high[0] == 1.0
    assert 2 <= low[1] < high[1] <= 4
    assert np.isnan([low[2], high[2]]).all()
    assert np.isnan(stats.mean_interval(np.arange(stats.FEWEST - 1.0)[:, None])).all()


@given(arrays(float, st.tuples(st.integers(1, 10), st.integers(1, 6)), elements=st.integers(0, 3).map(float)))
def test_mean_ranks_count_the_better_and_share_ties(values):
    brute = [[1 + (row > x).sum() + ((row == x).sum() - 1) / 2 for x in row] for row in values]
    assert stats.mean_ranks(values) == pytest.approx(np.mean(brute, axis=0))


def test_first_hit_times_are_censored_not_dropped():
    times = np.array([3.0, np.inf, 5.0])
    assert stats.restricted_mean(times, np.array([10.0, 10.0, 10.0])) == 6.0
    assert stats.censored_median(times) == 5.0
    assert stats.censored_median(np.array([3.0, np.inf])) == np.inf
    assert stats.censored_median(np.array([3.0, 4.0, np.inf, np.inf])) == np.inf


small = st.integers(1, 5).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 3), min_size=n, max_size=n) for _ in range(2)))
)


@given(small, st.integers(1, 4), st.booleans())
def test_random_search_expectation_equals_enumeration(space, n, replacement):
    """All ordered draws; of equals the first drawn is kept."""
    seen, truth = (np.array(values, dtype=float) for values in space)
    size = len(seen)
    if replacement:
        draws = list(product(range(size), repeat=n))
    else:
        from itertools import permutations

        draws = list(permutations(range(size), min(n, size)))
    brute = np.mean([truth[max(draw, key=lambda arch: seen[arch])] for draw in draws])
    assert stats.random_search_expectation(seen, truth, [n], replacement=replacement)[0] == pytest.approx(brute)


def test_random_search_ends_at_the_best_once_it_has_seen_all():
    seen = np.random.default_rng(0).random(50)
    curve = stats.random_search_expectation(seen, seen, [1, 10, 50, 60])
    assert curve[0] == pytest.approx(seen.mean())
    assert (np.diff(curve) >= -1e-12).all()
    assert curve[2:] == pytest.approx(seen.max())


@given(st.integers(1, 8), st.data())
def test_queries_to_an_optimum_equal_enumeration(size, data):
    hits = data.draw(st.integers(1, size))
    first = [min(where) + 1 for where in combinations(range(size), hits)]
    assert stats.random_search_queries_to(hits, size) == pytest.approx(np.mean(first))


@given(st.integers(1, 10**6))
def test_checkpoints_ascend_from_1_to_the_limit(limit):
    points = stats.checkpoints(limit)
    assert points[0] == 1
    assert points[-1] == limit
    assert points == sorted(set(points))
    assert len(points) < 45
