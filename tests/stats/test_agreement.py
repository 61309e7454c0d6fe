from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from nasbench_lab.stats.agreement import FEWEST, _tau_b, rankings
from nasbench_lab.stats.intervals import FEWEST as SHOWN_FROM

RNG = np.random.default_rng(0)


def scores(means, *, seeds=40, noise=0.0):
    """(R, S) scores around means."""
    return np.asarray(means, float) + noise * RNG.standard_normal((seeds, len(means)))


def test_the_same_order_agrees_fully_and_the_reverse_not_at_all():
    means = [90.0, 91.0, 92.0, 93.0]
    assert rankings(scores(means), scores([10, 20, 30, 40])) == (1.0, 1.0, 1.0)
    assert rankings(scores(means), scores([4, 3, 2, 1])) == (-1.0, -1.0, -1.0)


def test_one_swap_of_four_costs_a_third():
    assert rankings(scores([1, 2, 3, 4]), scores([2, 1, 3, 4])).tau == pytest.approx(1 - 2 / 6)


def test_what_only_rounding_tells_apart_is_a_tie():
    first = scores([90.0, 90.0 + 1e-13, 92.0])
    assert rankings(first, scores([1, 2, 3])).tau == pytest.approx(kendalltau([0, 0, 1], [1, 2, 3]).statistic)


def test_clear_differences_give_narrow_intervals_and_blurred_ones_wide():
    means = np.array([90.0, 91.0, 92.0, 93.0, 94.0])
    clear = rankings(scores(means, noise=0.5), scores(means, noise=0.5))
    blurred = rankings(scores(means, noise=20.0), scores(means, noise=20.0))
    assert (clear.low, clear.high) == (1.0, 1.0)
    assert blurred.high - blurred.low > 0.5
    assert blurred.low <= blurred.tau <= blurred.high


def test_seeds_are_resampled_together():
    """Means differ by luck alone, but a seed's luck is the same in both settings: the order agrees in every resample."""
    first = scores(np.zeros(4), noise=1.0)
    assert rankings(first, first + 5.0) == (1.0, 1.0, 1.0)
    apart = rankings(first, scores(np.zeros(4), noise=1.0))
    assert apart.high - apart.low > 0.5


def test_the_same_seeds_give_the_same_interval():
    first, second = scores(np.arange(5), noise=5.0), scores(np.arange(5), noise=5.0)
    assert rankings(first, second) == rankings(first, second)


def test_few_seeds_have_no_interval():
    assert FEWEST == SHOWN_FROM
    found = rankings(scores([1, 2, 3], seeds=FEWEST - 1), scores([1, 2, 3], seeds=FEWEST - 1))
    assert found.tau == 1.0
    assert np.isnan([found.low, found.high]).all()


def test_two_strategies_or_no_order_at_all_have_no_agreement():
    for first, second in ((scores([1, 2]), scores([1, 2])), (scores([1, 1, 1]), scores([1, 2, 3]))):
        assert np.isnan(rankings(first, second)).all()


def test_a_strategy_without_an_answer_is_left_out():
    first, second = scores([1, 2, 3, 0]), scores([1, 2, 3, 4])
    first[3, 3] = np.nan
    assert rankings(first, second) == (1.0, 1.0, 1.0)


lists = st.lists(st.integers(0, 4), min_size=5, max_size=5)


@given(lists, lists)
def test_tau_is_scipys(a, b):
    ours, theirs = float(_tau_b(np.array(a, float), np.array(b, float))), float(kendalltau(a, b).statistic)
    assert ours == pytest.approx(theirs, nan_ok=True)
