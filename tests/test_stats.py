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


columns = arrays(
    float,
    st.tuples(st.integers(stats.FEWEST, 40), st.integers(1, 4)),
    elements=st.integers(0, 1000).map(lambda x: x / 10),
)


@given(columns)
def test_intervals_contain_their_estimates_and_are_no_narrower_than_students(values):
    low, high = stats.mean_interval(values, resamples=400)
    slack = 1e-9
    assert np.isfinite(low + high).all()
    half = scipy_stats.t.ppf(0.975, len(values) - 1) * scipy_stats.sem(values)
    assert (low <= values.mean(axis=0) - half + slack).all()
    assert (values.mean(axis=0) + half - slack <= high).all()
    low, high = stats.median_interval(values)
    assert ((low <= np.median(values, axis=0)) & (np.median(values, axis=0) <= high)).all()


def test_the_mean_interval_is_the_symmetric_bootstrap_t_and_the_same_every_time():
    values = np.random.default_rng(0).exponential(size=(50, 3))
    count = 50_000  # ends of two bootstraps then differ by .0033, a standard error
    low, high = stats.mean_interval(values, resamples=count)
    again = stats.mean_interval(values, resamples=count)
    assert np.array_equal(low, again[0])
    assert np.array_equal(high, again[1])
    rng = np.random.default_rng(1)
    drawn = values[rng.integers(0, 50, (count, 50)), 1]
    deviation = np.abs(drawn.mean(axis=1) - values[:, 1].mean()) / scipy_stats.sem(drawn, axis=1)
    half = np.quantile(deviation, 0.95) * scipy_stats.sem(values[:, 1])
    assert (low[1], high[1]) == pytest.approx((values[:, 1].mean() - half, values[:, 1].mean() + half), abs=0.02)


def test_where_nearly_all_runs_agree_the_interval_stays_finite():
    values = np.full((50, 1), 94.37)
    values[3] = 90.0
    low, high = stats.mean_interval(values)
    assert 93 < low[0] < values.mean() < high[0] < 95


@pytest.mark.parametrize("runs", [20, 21, 50, 200])
def test_the_median_interval_is_scipys_quantile_test(runs):
    values = np.random.default_rng(runs).exponential(size=(runs, 1))
    low, high = stats.median_interval(values)
    theirs = scipy_stats.quantile_test(values[:, 0], p=0.5).confidence_interval(0.95)
    assert (low[0], high[0]) == (theirs.low, theirs.high)


def test_aggregates_are_rliables():
    """Its definitions, arXiv:2108.13264: of task means the mean and the median, of all scores the interquartile mean."""
    scores = np.random.default_rng(0).exponential(size=(24, 3)) + np.arange(3)
    assert stats.aggregate(scores, "mean") == pytest.approx(scores.mean(axis=0).mean())
    assert stats.aggregate(scores, "median") == pytest.approx(np.median(scores.mean(axis=0)))
    assert stats.aggregate(scores, "iqm") == pytest.approx(np.sort(scores, axis=None)[18:54].mean())
    assert stats.interquartile_mean(scores)[1] == pytest.approx(np.sort(scores[:, 1])[6:18].mean())


@pytest.mark.parametrize("kind", ["mean", "median", "iqm"])
def test_aggregate_intervals_are_rliables_stratified_percentile_bootstrap(kind):
    scores = np.random.default_rng(0).exponential(size=(25, 3)) * [1, 2, 3]
    rng, brute = np.random.default_rng(1), []
    count = 20_000 if kind == "median" else 4000  # whose ends are known least; .02 then, a standard error
    for _ in range(count):
        drawn = np.stack([column[rng.integers(0, 25, 25)] for column in scores.T], axis=1)
        brute.append(stats.aggregate(drawn, kind))
    low, high = stats.aggregate_interval(scores, kind, resamples=count)
    assert (low, high) == pytest.approx(np.quantile(brute, [0.025, 0.975]).tolist(), abs=0.08)


def test_what_tasks_have_in_common_does_not_average_out():
    """One search scored on three alike tables is as uncertain as on one; drawing within tasks would not see that."""
    one = np.random.default_rng(0).normal(size=(100, 1))
    alike = np.repeat(one, 3, axis=1)

    def width(scores, **options):
        low, high = stats.aggregate_interval(scores, "mean", resamples=20_000, **options)
        return high - low

    assert width(alike, paired=True) == pytest.approx(width(one))
    assert width(alike) == pytest.approx(width(one) / 3**0.5, rel=0.1)


def test_aggregates_of_few_runs_or_unknown_scores_have_no_interval():
    for scores in (np.ones((stats.FEWEST - 1, 2)), np.full((30, 2), np.nan)):
        assert np.isnan(stats.aggregate_interval(scores, "iqm")).all()
    assert np.isnan(stats.median_interval(np.full((30, 1), np.nan))).all()
    assert np.isnan(stats.median_interval(np.ones((5, 1)))).all()


times = arrays(
    float, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.sampled_from([1.0, 3.0, 7.0, np.inf])
)


@given(times)
def test_ecdf_keeps_what_was_never_hit_in_the_denominator(hits):
    budgets = np.array([0.0, 1.0, 2.0, 7.0, 100.0])
    brute = [(hits <= budget).sum() / hits.size for budget in budgets]
    assert stats.ecdf(hits, budgets) == pytest.approx(brute)


def test_expected_running_time_charges_what_failed():
    assert stats.expected_running_time(np.array([3.0, np.inf, 5.0]), np.full(3, 10.0)) == 9.0
    assert stats.expected_running_time(np.array([3.0, 5.0]), np.full(2, 10.0)) == 4.0
    assert stats.expected_running_time(np.full(2, np.inf), np.full(2, 10.0)) == np.inf


@given(arrays(float, st.tuples(st.integers(1, 8), st.integers(1, 3)), elements=st.integers(0, 4).map(float)))
def test_performance_profiles_are_rliables(scores):
    thresholds = np.array([-1.0, 0.0, 1.5, 4.0])
    brute = [(scores > threshold).mean(axis=0).mean() for threshold in thresholds]
    assert stats.performance_profile(scores, thresholds) == pytest.approx(brute)


def test_area_under_the_regret_curve_is_a_mean_over_the_logarithm():
    at = np.array([1.0, 10.0, 100.0])
    regret = np.array([[2.0, 2.0, 2.0], [4.0, 2.0, 0.0], [4.0, 0.0, 0.0]])
    assert stats.area_under(regret, at) == pytest.approx([2.0, 2.0, 1.0])
    assert stats.area_under(regret[:, :1], at[:1]) == pytest.approx([2.0, 4.0, 4.0])


def test_intervals_cover_the_mean_about_as_often_as_they_say():
    rng = np.random.default_rng(2)
    low, high = stats.mean_interval(rng.normal(size=(40, 2000)), resamples=1000)  # a share known to .005
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
