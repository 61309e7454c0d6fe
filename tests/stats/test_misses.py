from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from nasbench_lab.stats import intervals, misses

CELLS = np.array([10.0, 50.0, 60.0, 70.0, 70.0])  # of a table: below the best, a blind draw scores 40


def one(runs, **apart):
    """A column of runs at 70 but for a few, given as {"at_50": how many}."""
    values = np.full((runs, 1), 70.0)
    start = 0
    for name, count in apart.items():
        values[start : start + count] = float(name.removeprefix("at_"))
        start += count
    return values


def test_without_a_miss_the_bound_is_clopper_pearsons_times_a_blind_draws_loss():
    low, high = misses.limits(one(50), CELLS)
    assert low[0] == pytest.approx(70 - (1 - 0.025 ** (1 / 50)) * 30)
    assert high[0] == 70  # nothing is better


def test_with_misses_it_is_stringers_bound():
    """Bickel 1992, equation 1.3, term by term; of two misses the largest may be three times as far, no further than 10."""
    low, _ = misses.limits(one(100, at_50=1, at_60=1), CELLS)
    p = [stats.beta.ppf(0.975, j + 1, 100 - j) for j in range(3)]
    further = max(20 * (1 + 4 / 2), 30 / 3)
    assert low[0] == pytest.approx(70 - p[0] * further - (p[1] - p[0]) * 20 - (p[2] - p[1]) * 10)
    low, _ = misses.limits(one(100, at_10=1), CELLS)
    assert low[0] == pytest.approx(70 - p[1] * 60)  # there is no cell below 10


def test_above_the_pile_a_run_may_find_the_best():
    values = np.full((40, 1), 60.0)
    low, high = misses.limits(values, CELLS)
    share = 1 - 0.025 ** (1 / 40)
    assert (low[0], high[0]) == (pytest.approx(60 - share * 30), pytest.approx(60 + share * 10))


@given(
    arrays(float, st.tuples(st.integers(2, 60), st.integers(1, 3)), elements=st.sampled_from([10.0, 50.0, 60.0, 70.0]))
)
def test_only_piles_are_limited_and_limits_are_of_each_column_alone(values):
    low, high = misses.limits(values, CELLS)
    assert np.array_equal(
        np.array([low, high]), np.concatenate([misses.limits(column[:, None], CELLS) for column in values.T], axis=1)
    )
    most = np.array([np.unique(column, return_counts=True)[1].max() for column in values.T])
    assert (np.isinf(low) & np.isinf(high))[2 * most <= len(values)].all()


def test_a_distribution_without_a_pile_keeps_its_interval():
    values = np.random.default_rng(0).normal(size=(60, 20))
    plain = intervals.mean_interval(values)
    assert np.array_equal(plain, intervals.mean_interval(values, possible=np.array([-100.0, 100.0])))


def test_many_misses_are_left_to_the_bootstrap_and_nan_to_nobody():
    low, high = misses.limits(one(200, at_50=misses.MOST + 1), CELLS)
    assert low[0] == np.inf
    assert 70 - 20 * 41 / 200 < high[0] < 70  # so many misses cost something
    values = one(50)
    values[3] = np.nan
    assert np.isinf(misses.limits(values, CELLS)).all()
    assert np.isnan(intervals.mean_interval(values, possible=CELLS)).all()


def test_equal_but_for_rounding_is_equal():
    values = 70.0 + 1e-13 * np.random.default_rng(0).normal(size=(50, 1))
    low, high = intervals.mean_interval(values, possible=CELLS)
    assert low[0] == pytest.approx(misses.limits(one(50), CELLS)[0][0])
    assert high[0] == pytest.approx(70)


def test_where_nothing_is_known_the_interval_is_of_what_was_seen():
    low, high = intervals.mean_interval(one(50))
    assert low[0] == high[0] == 70


@pytest.mark.parametrize("runs", [20, 50, 100, 400])
@pytest.mark.parametrize("misses", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("kind", ["two values", "exponential", "lognormal"])
def test_the_mean_is_covered_where_nearly_all_runs_agree(runs, misses, kind):
    """`misses` are expected among the runs; a table whose blind draw loses four times as much as they do."""
    rng = np.random.default_rng(5)
    share = misses / runs
    losses = {
        "two values": np.ones,
        "exponential": rng.standard_exponential,
        "lognormal": lambda n: rng.lognormal(-0.5, 1, n),
    }
    drawn = np.minimum(losses[kind](200_000), 60.0)
    values = -np.where(rng.random((runs, 600)) < share, rng.choice(drawn, (runs, 600)), 0.0)
    low, high = intervals.mean_interval(values, possible=np.array([0.0, -4.0]), resamples=400)
    mean = -share * drawn.mean()
    assert ((low <= mean) & (mean <= high)).mean() >= 0.94


@pytest.mark.parametrize("lost", [0, 1, 2, 30])
def test_ends_lie_where_means_can(lost):
    """No mean is better than the best value there can be, nor worse than the worst."""
    values = np.full((100, 1), 85.0)
    values[:lost] = 60.0
    low, high = intervals.mean_interval(values, possible=np.array([60.0, 70.0, 85.0, np.nan]))
    assert 60.0 <= low[0] <= values.mean() <= high[0] <= 85.0


@pytest.mark.parametrize("possible", [np.array([]), np.array([np.nan]), np.array([-np.inf, np.nan])])
def test_of_values_of_which_none_is_known_nothing_follows(possible):
    values = np.random.default_rng(0).normal(size=(30, 2))
    assert np.array_equal(intervals.mean_interval(values, possible=possible), intervals.mean_interval(values))
