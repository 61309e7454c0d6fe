from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from nasbench_lab.stats import intervals

scores = st.floats(0, 100, allow_subnormal=False)


columns = arrays(
    float,
    st.tuples(st.integers(intervals.FEWEST, 40), st.integers(1, 4)),
    elements=st.integers(0, 1000).map(lambda x: x / 10),
)


@given(columns)
def test_intervals_contain_their_estimates_and_are_no_narrower_than_students(values):
    low, high = intervals.mean_interval(values, resamples=400)
    slack = 1e-9
    assert np.isfinite(low + high).all()
    half = scipy_stats.t.ppf(0.975, len(values) - 1) * scipy_stats.sem(values)
    assert (low <= values.mean(axis=0) - half + slack).all()
    assert (values.mean(axis=0) + half - slack <= high).all()
    low, high = intervals.median_interval(values)
    assert ((low <= np.median(values, axis=0)) & (np.median(values, axis=0) <= high)).all()


def test_the_mean_interval_is_the_symmetric_bootstrap_t_and_the_same_every_time():
    values = np.random.default_rng(0).exponential(size=(50, 3))
    count = 50_000  # ends of two bootstraps then differ by .0033, a standard error
    low, high = intervals.mean_interval(values, resamples=count)
    again = intervals.mean_interval(values, resamples=count)
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
    low, high = intervals.mean_interval(values)
    assert 93 < low[0] < values.mean() < high[0] < 95


@pytest.mark.parametrize("runs", [20, 21, 50, 200])
def test_the_median_interval_is_scipys_quantile_test(runs):
    values = np.random.default_rng(runs).exponential(size=(runs, 1))
    low, high = intervals.median_interval(values)
    theirs = scipy_stats.quantile_test(values[:, 0], p=0.5).confidence_interval(0.95)
    assert (low[0], high[0]) == (theirs.low, theirs.high)


def test_aggregates_are_rliables():
    """Its definitions, arXiv:2108.13264: of task means the mean and the median, of all scores the interquartile mean."""
    scores = np.random.default_rng(0).exponential(size=(24, 3)) + np.arange(3)
    assert intervals.aggregate(scores, "mean") == pytest.approx(scores.mean(axis=0).mean())
    assert intervals.aggregate(scores, "median") == pytest.approx(np.median(scores.mean(axis=0)))
    assert intervals.aggregate(scores, "iqm") == pytest.approx(np.sort(scores, axis=None)[18:54].mean())
    assert intervals.interquartile_mean(scores)[1] == pytest.approx(np.sort(scores[:, 1])[6:18].mean())


@pytest.mark.parametrize("kind", ["mean", "median", "iqm"])
def test_aggregate_intervals_are_rliables_stratified_percentile_bootstrap(kind):
    scores = np.random.default_rng(0).exponential(size=(25, 3)) * [1, 2, 3]
    rng, brute = np.random.default_rng(1), []
    count = 20_000 if kind == "median" else 4000  # whose ends are known least; .02 then, a standard error
    for _ in range(count):
        drawn = np.stack([column[rng.integers(0, 25, 25)] for column in scores.T], axis=1)
        brute.append(intervals.aggregate(drawn, kind))
    low, high = intervals.aggregate_interval(scores, kind, resamples=count)
    assert (low, high) == pytest.approx(np.quantile(brute, [0.025, 0.975]).tolist(), abs=0.08)


def test_what_tasks_have_in_common_does_not_average_out():
    """One search scored on three alike tables is as uncertain as on one; drawing within tasks would not see that."""
    one = np.random.default_rng(0).normal(size=(100, 1))
    alike = np.repeat(one, 3, axis=1)

    def width(scores, **options):
        low, high = intervals.aggregate_interval(scores, "mean", resamples=20_000, **options)
        return high - low

    assert width(alike, paired=True) == pytest.approx(width(one))
    assert width(alike) == pytest.approx(width(one) / 3**0.5, rel=0.1)


def test_aggregates_of_few_runs_or_unknown_scores_have_no_interval():
    for scores in (np.ones((intervals.FEWEST - 1, 2)), np.full((30, 2), np.nan)):
        assert np.isnan(intervals.aggregate_interval(scores, "iqm")).all()
    assert np.isnan(intervals.median_interval(np.full((30, 1), np.nan))).all()
    assert np.isnan(intervals.median_interval(np.ones((5, 1)))).all()


def test_intervals_cover_the_mean_about_as_often_as_they_say():
    rng = np.random.default_rng(2)
    low, high = intervals.mean_interval(rng.normal(size=(40, 2000)), resamples=1000)  # a share known to .005
    assert 0.91 <= ((low <= 0) & (high >= 0)).mean() <= 0.98


def test_where_an_interval_cannot_be_had_it_is_nan_or_the_value_itself():
    low, high = intervals.mean_interval(np.array([[1.0, 2.0, np.nan], [1.0, 3.0, 1.0], [1.0, 4.0, 1.0]] * 10))
    assert low[0] == high[0] == 1.0
    assert 2 <= low[1] < high[1] <= 4
    assert np.isnan([low[2], high[2]]).all()
    assert np.isnan(intervals.mean_interval(np.arange(intervals.FEWEST - 1.0)[:, None])).all()


def test_thousands_of_runs_are_resampled_a_part_at_a_time(monkeypatch):
    values = np.random.default_rng(0).exponential(size=(300, 3))
    whole = intervals.mean_interval(values), intervals.aggregate_interval(values, "iqm")
    median = intervals.aggregate_interval(values, "median", paired=True)
    monkeypatch.setattr(intervals, "_CHUNK", 1000)
    intervals._resampled.cache_clear()
    assert np.array(intervals.mean_interval(values)) == pytest.approx(np.array(whole[0]))
    assert intervals.aggregate_interval(values, "iqm") == pytest.approx(whole[1])
    assert intervals.aggregate_interval(values, "median", paired=True) == pytest.approx(median)
    intervals._resampled.cache_clear()
    assert max(part.size for part in intervals._draws(300, 2000, 0)) <= 1000


def test_draws_of_many_runs_are_those_of_few(monkeypatch):
    """Counting draws and drawing counts are the same bootstrap: ends differ as two of it do, by .004 (a standard error)."""
    values = np.random.default_rng(0).exponential(size=(200, 3))
    few = intervals.mean_interval(values, resamples=20_000), intervals.aggregate_interval(values, "iqm", resamples=8000)
    monkeypatch.setattr(intervals, "_MANY", 1)
    many = (
        intervals.mean_interval(values, resamples=20_000),
        intervals.aggregate_interval(values, "iqm", resamples=8000),
    )
    assert np.array(few[0]) == pytest.approx(np.array(many[0]), abs=0.02)
    assert few[1] == pytest.approx(many[1], abs=0.02)
    parts = list(intervals._draws(3000, 40, 0))
    assert (np.concatenate(parts).sum(axis=1) == 3000).all()
    assert np.concatenate(parts).shape == (40, 3000)


def test_memory_is_bounded_and_the_same_runs_give_the_same_interval():
    values = np.random.default_rng(0).exponential(size=(50_000, 2))
    tracemalloc.start()
    found = intervals.mean_interval(values, resamples=400)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
    assert np.array_equal(found, intervals.mean_interval(values, resamples=400))
    student = 1.96 * values.std(axis=0) / 50_000**0.5
    assert (found[1] - found[0]) / 2 == pytest.approx(student, rel=0.15)


@pytest.mark.parametrize("kind", ["few values", "many values", "a rare miss"])
def test_of_very_many_runs_values_are_drawn_and_the_interval_is_the_same(monkeypatch, kind):
    """By drawing runs, as of fewer; what is left apart is the luck of 2000 draws."""
    rng, runs = np.random.default_rng(1), 3000
    values = {
        "few values": rng.integers(0, 9, (runs, 2)).astype(float),
        "many values": rng.normal(size=(runs, 2)),
        "a rare miss": np.where(rng.random((runs, 2)) < 0.02, -5.0, 1.0),
    }[kind]
    by_runs = intervals.mean_interval(values), intervals.aggregate_interval(values[:, :1], "iqm")
    monkeypatch.setattr(intervals, "_VERY_MANY", 1000)
    monkeypatch.setattr(intervals, "_VALUES", 100)
    by_values = intervals.mean_interval(values), intervals.aggregate_interval(values[:, :1], "iqm")
    width = by_runs[0][1] - by_runs[0][0]
    for one, other in zip(by_runs[0], by_values[0], strict=True):
        np.testing.assert_allclose(one, other, atol=0.05 * width.max())
    np.testing.assert_allclose(by_runs[1], by_values[1], atol=0.1 * np.ptp(by_runs[1]) + 1e-9)
