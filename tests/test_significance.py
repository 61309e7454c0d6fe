from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import scikit_posthocs
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats
from statsmodels.stats.multitest import multipletests

from nasbench_lab import significance

few_values = st.integers(0, 6).map(float)


def shifted(*means, runs=60, seed=0, sd=1.0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(runs, len(means))) * sd + np.array(means)


@given(arrays(float, st.tuples(st.integers(2, 7), st.integers(1, 3)), elements=st.integers(-3, 3).map(float)))
def test_the_exact_sign_flip_test_counts_all_patterns(differences):
    runs = len(differences)
    brute = [
        np.mean([abs(np.dot(signs, d)) >= abs(d.sum()) - 1e-9 for signs in product((-1, 1), repeat=runs)])
        for d in differences.T
    ]
    assert significance.permutation_test(differences) == pytest.approx(brute)


def test_the_random_sign_flip_test_is_scipys():
    """Two p of 100,000 flips differ by a standard error of .0022 at most: the bound is five of them."""
    differences = shifted(0.1, 0.3, 0.0)
    flips = 100_000
    own = significance.permutation_test(differences, flips=flips)
    for column, p in zip(differences.T, own, strict=True):
        theirs = scipy_stats.permutation_test(
            (column,), np.mean, permutation_type="samples", n_resamples=flips, rng=np.random.default_rng(5)
        )
        assert p == pytest.approx(theirs.pvalue, abs=0.012)
    assert np.array_equal(own, significance.permutation_test(differences, flips=flips))


def test_many_pairs_can_still_be_told_apart_after_holm():
    scores = shifted(*range(30), runs=25)
    found = significance.compare(scores)
    assert len(found.p) == 435
    assert (significance.holm(found.p)[np.abs(found.difference) > 3] < significance.ALPHA).all()


def test_wilcoxon_is_scipys_and_knows_what_it_does_not_know():
    differences = np.concatenate([shifted(0.2, 0.0), np.zeros((60, 1)), np.full((60, 1), np.nan)], axis=1)
    p = significance.wilcoxon_test(differences)
    assert p[0] == pytest.approx(scipy_stats.wilcoxon(differences[:, 0], zero_method="pratt").pvalue)
    assert p[2] == 1
    assert math.isnan(p[3])
    assert np.isnan(significance.permutation_test(differences)[3])
    assert significance.permutation_test(differences)[2] == 1


@given(st.lists(st.integers(0, 100).map(lambda x: x / 100), min_size=1, max_size=12))
def test_holm_is_statsmodels(p):
    theirs = multipletests(p, method="holm")[1]
    assert significance.holm(np.array(p)) == pytest.approx(theirs)
    with_unknown = significance.holm(np.array([np.nan, *p]))
    assert math.isnan(with_unknown[0])
    assert with_unknown[1:] == pytest.approx(theirs)


@given(arrays(float, st.tuples(st.integers(1, 9), st.integers(1, 4)), elements=few_values))
def test_probability_of_improvement_counts_all_pairs_of_runs(scores):
    strategies = scores.shape[1]
    brute = [
        [np.mean([(x > y) + 0.5 * (x == y) for x in scores[:, i] for y in scores[:, j]]) for j in range(strategies)]
        for i in range(strategies)
    ]
    found = significance.improvement(scores)
    assert found == pytest.approx(np.array(brute))
    assert significance.cliffs_delta(scores) == pytest.approx(-significance.cliffs_delta(scores).T)


def test_probability_of_improvement_is_rliables_mann_whitney():
    scores = np.round(shifted(0.0, 0.4), 1)
    theirs = scipy_stats.mannwhitneyu(scores[:, 0], scores[:, 1]).statistic / 60**2
    assert significance.improvement(scores)[0, 1] == pytest.approx(theirs)


def test_friedman_and_its_followers_are_scipys_and_scikit_posthocs():
    scores = shifted(0.0, 0.2, 0.8, runs=30)
    found = significance.friedman(scores)
    assert found.p == pytest.approx(scipy_stats.friedmanchisquare(*scores.T).pvalue)
    assert found.nemenyi == pytest.approx(scikit_posthocs.posthoc_nemenyi_friedman(scores).to_numpy())
    assert found.ranks.argmin() == 2
    # two strategies whose mean ranks differ by the critical difference have Nemenyi's p at alpha
    gap = found.critical_difference
    p = scipy_stats.studentized_range.sf(gap / math.sqrt(3 * 4 / (6 * 30)) * math.sqrt(2), 3, np.inf)
    assert p == pytest.approx(significance.ALPHA, rel=1e-3)


def test_demsars_table_of_critical_differences():
    """Demšar 2006, table 5: q for 2 to 10 classifiers at 0.05."""
    q = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    own = [significance.critical_difference(k, 1) / math.sqrt(k * (k + 1) / 6) for k in range(2, 11)]
    assert own == pytest.approx(q, abs=1.5e-3)


def test_friedman_of_ties_only_and_of_too_little():
    tied = significance.friedman(np.ones((5, 3)))
    assert (tied.p, tied.ranks.tolist()) == (1.0, [2.0, 2.0, 2.0])
    for scores in (np.ones((5, 2)), np.ones((1, 3)), np.full((5, 3), np.nan)):
        with pytest.raises(ValueError, match="Friedman"):
            significance.friedman(scores)


def test_ranges_of_ranks_say_what_cannot_be_excluded():
    better = np.zeros((4, 4), dtype=bool)
    better[0, 2:] = better[1, 3] = True
    low, high = significance.rank_ranges(better)
    assert low.tolist() == [1, 1, 2, 3]
    assert high.tolist() == [2, 3, 4, 4]


@given(st.integers(1, 6).flatmap(lambda n: arrays(bool, (n, n))))
def test_cliques_are_the_maximal_runs_without_a_separated_pair(upper):
    separated = np.triu(upper, 1) | np.triu(upper, 1).T
    count = len(separated)
    runs = [
        list(range(a, b + 1))
        for a in range(count)
        for b in range(a + 1, count)
        if not separated[a : b + 1, a : b + 1].any()
    ]
    maximal = [run for run in runs if not any(set(run) < set(other) for other in runs)]
    assert significance.cliques(separated) == maximal


def test_strategies_that_differ_are_separated_and_copies_are_not():
    scores = shifted(0.0, 0.0, 2.0)
    found = significance.compare(scores)
    assert found.separated.tolist() == [False, True, True]
    assert found.better[2].tolist() == [True, True, False]
    low, high = significance.rank_ranges(found.better)
    assert (low.tolist(), high.tolist()) == ([2, 2, 1], [3, 3, 1])
    assert significance.more_runs(found, 60, 2, 0) == 0
    assert significance.more_runs(found, 60, 0, 1) > 0


def test_equal_strategies_need_infinitely_many_seeds_and_unknown_ones_nobody_knows_how_many():
    scores = shifted(0.0, 0.0, 1.0)
    scores[:, 1], scores[3, 2] = scores[:, 0], np.nan
    found = significance.compare(scores)
    assert significance.more_runs(found, 60, 0, 1) == math.inf
    assert math.isnan(significance.more_runs(found, 60, 1, 2))
    assert not found.separated.any()


def test_one_strategy_has_nobody_to_be_compared_with():
    found = significance.compare(shifted(0.0))
    assert len(found.p) == 0
    assert significance.rank_ranges(found.better)[1].tolist() == [1]


@pytest.mark.parametrize("runs", [10, 50, 200])
def test_the_detectable_difference_is_found_with_its_power(runs):
    """By simulation with the t-test, to which the sign-flip test is close."""
    gap = significance.detectable_difference(1.0, runs)
    samples = np.random.default_rng(1).normal(gap, 1.0, (runs, 4000))
    hits = (scipy_stats.ttest_1samp(samples, 0.0).pvalue <= significance.ALPHA).mean()
    assert hits == pytest.approx(significance.POWER, abs=0.03)
    assert significance.runs_needed(gap, 1.0) == pytest.approx(runs, abs=1.5)


def test_under_the_null_any_false_difference_among_all_pairs_is_rare():
    """No more often than a test of exactly 5% would be found to be in all but one of a million such experiments."""
    rng = np.random.default_rng(3)
    false = [significance.compare(-rng.exponential(size=(20, 4))).separated.any() for _ in range(1000)]
    assert sum(false) <= scipy_stats.binom.ppf(1 - 1e-6, 1000, 0.05)
