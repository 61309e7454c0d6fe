from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats as scipy_stats

from nasbench_lab.stats import significance

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


@settings(max_examples=30)
@given(
    st.integers(14, 15),
    st.sampled_from(["any", "few values", "one that is far out", "multiples"]),
    st.integers(0, 2**32),
)
def test_counting_subsets_is_going_through_all_patterns(runs, kind, seed):
    """But for a hundredth, and for what patterns weigh whose sums nearly reach the one seen."""
    rng = np.random.default_rng(seed)
    columns = {
        "any": rng.normal(0.4, 1, (runs, 2)),
        "few values": rng.choice([0.1, 0.2, 0.3], (runs, 2)) * rng.choice([1, 1, -1], (runs, 2)),
        "one that is far out": rng.standard_cauchy((runs, 2)) * 1e200,
        "multiples": rng.integers(1, 9, (runs, 2)) * rng.choice([1, 1, -1], (runs, 2)) / 3,
    }[kind]
    for column in columns.T:
        unit = column / np.abs(column).sum()
        sums = np.concatenate([np.abs(signs @ unit) for signs in significance._all_patterns(runs)])
        exact = (sums >= abs(unit.sum()) - 1e-9).mean()
        near = (sums >= abs(unit.sum()) - 1e-9 - 3e-3 * np.sqrt((unit**2).sum())).mean()
        assert exact / 1.01 <= significance._counted(column) <= near * 1.01


def test_the_sign_flip_test_is_scipys_of_random_patterns():
    """A p of 100,000 flips has a standard error of .0016 at most: the bound is more than five of them."""
    differences = shifted(0.1, 0.3, 0.0)
    for column, p in zip(differences.T, significance.permutation_test(differences), strict=True):
        theirs = scipy_stats.permutation_test(
            (column,), np.mean, permutation_type="samples", n_resamples=100_000, rng=np.random.default_rng(5)
        )
        assert p == pytest.approx(theirs.pvalue, abs=0.009)


@pytest.mark.parametrize("runs", [20, 60, 500, 2000])
def test_of_runs_that_all_agree_only_two_patterns_are_as_far_out(runs):
    assert significance.permutation_test(np.full((runs, 1), 0.1))[0] == pytest.approx(2.0 ** (1 - runs), abs=1e-300)


def test_many_pairs_can_still_be_told_apart_after_holm():
    scores = shifted(*range(30), runs=25)
    found = significance.compare(scores)
    assert len(found.p) == 435
    assert (significance.holm(found.p)[np.abs(found.difference) > 3] < significance.ALPHA).all()


@pytest.mark.parametrize("runs", [2, 3, 5, 7])
def test_wilcoxon_of_few_runs_is_scipys_permutation_test(runs):
    """With ties, with zeros, with neither, with nothing else; scipy takes ranks as floats, and sums of them."""
    rng = np.random.default_rng(runs)
    tied = rng.integers(-2, 3, (runs, 6)).astype(float)
    differences = np.column_stack([tied, rng.normal(size=(runs, 2)), np.zeros(runs), np.ones(runs)])
    found = significance.wilcoxon_test(differences)
    for column, p in zip(differences.T, found, strict=True):
        theirs = 1.0
        if column.any():
            every = scipy_stats.PermutationMethod(n_resamples=2**runs)
            theirs = scipy_stats.wilcoxon(column, zero_method="pratt", method=every).pvalue
        assert p == pytest.approx(theirs, abs=1e-12)


def test_wilcoxon_of_few_runs_is_scipys_exact_test_at_the_border():
    """Where nothing ties, of which scipy has the exact distribution; with ties it takes ten seconds a pair there."""
    for runs in (1, significance._FEW, significance._FEW + 1):
        differences = np.random.default_rng(runs).normal(0.5, 1, size=(runs, 5))
        theirs = [scipy_stats.wilcoxon(column, zero_method="pratt").pvalue for column in differences.T]
        assert significance.wilcoxon_test(differences) == pytest.approx(np.array(theirs), abs=1e-12)


def test_wilcoxon_is_scipys_and_knows_what_it_does_not_know():
    differences = np.concatenate([shifted(0.2, 0.0), np.zeros((60, 1)), np.full((60, 1), np.nan)], axis=1)
    p = significance.wilcoxon_test(differences)
    assert p[0] == pytest.approx(scipy_stats.wilcoxon(differences[:, 0], zero_method="pratt").pvalue)
    assert p[2] == 1
    assert math.isnan(p[3])
    assert np.isnan(significance.permutation_test(differences)[3])
    assert significance.permutation_test(differences)[2] == 1


@given(st.lists(st.integers(0, 100).map(lambda x: x / 100), min_size=1, max_size=7))
def test_holm_is_the_closed_test_of_bonferroni(p):
    """A hypothesis is rejected where Bonferroni rejects every set of hypotheses that it is in (Marcus et al. 1976)."""
    sets = [chosen for size in range(1, len(p) + 1) for chosen in combinations(range(len(p)), size)]
    closed = [max(min(1, len(s) * min(p[j] for j in s)) for s in sets if i in s) for i in range(len(p))]
    assert significance.holm(np.array(p)) == pytest.approx(closed)
    with_unknown = significance.holm(np.array([np.nan, *p]))
    assert math.isnan(with_unknown[0])
    assert with_unknown[1:] == pytest.approx(closed)


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


def test_friedman_is_scipys_and_nemenyis_p_fits_his_critical_difference():
    scores = shifted(0.0, 0.2, 0.8, runs=30)
    found = significance.friedman(scores)
    assert found.p == pytest.approx(scipy_stats.friedmanchisquare(*scores.T).pvalue)
    assert found.ranks.argmin() == 2
    # two strategies whose mean ranks differ by the critical difference have Nemenyi's p at alpha
    gap = found.critical_difference
    p = scipy_stats.studentized_range.sf(gap / math.sqrt(3 * 4 / (6 * 30)) * math.sqrt(2), 3, np.inf)
    assert p == pytest.approx(significance.ALPHA, rel=1e-3)


TIED = [[3, 1, 4, 1], [5, 9, 2, 6], [5, 3, 5, 8], [9, 7, 9, 3], [2, 3, 8, 4], [6, 2, 6, 4], [3, 3, 8, 3]]
SHIFTED = np.round(np.random.default_rng(5).normal(size=(30, 5)) + np.array([0, 0.2, 0.8, 0.1, 1.5]), 1)
ALIKE = np.tile(np.arange(3.0), (4, 1))  # every run ranks the three in the same order
POSTHOCS = {  # p-values of pairs by scikit-posthocs 0.17.1: posthoc_nemenyi_friedman; posthoc_conover_friedman with Holm
    "tied": (
        TIED,
        [0.8411714096622768, 0.7288047596903384, 0.996864026928067, 0.24405290299011972, 0.9253787909358296, 0.5999587080196953],
        [1.0, 1.0, 1.0, 0.33715401791190425, 1.0, 0.9520642069916467],
    ),
    "shifted": (
        SHIFTED,
        [0.9941748013278486, 0.22777938692953337, 0.9992068519409956, 3.8994127099734044e-05, 0.4502461092129646,
         0.9998408804828192, 0.00025278192414379674, 0.3520677790919652, 0.08382348785737437, 0.00012214411163069538],
        [1.0, 0.11028526852138992, 1.0, 5.613226141931031e-06, 0.22788198405020252,
         1.0, 3.365717932465249e-05, 0.18491875244313202, 0.030565379541659405, 1.7135988601793162e-05],
    ),
    "alike": (ALIKE, [0.33349932504015, 0.012987661373194292, 0.33349932504015], [0.0, 0.0, 0.0]),
}  # fmt: skip


@pytest.mark.parametrize("name", POSTHOCS)
def test_nemenyis_and_conovers_tests_are_scikit_posthocs(name):
    scores, nemenyi, conover = POSTHOCS[name]
    found = significance.friedman(np.array(scores, dtype=float))
    for own, theirs in ((found.nemenyi, nemenyi), (found.conover, conover)):
        assert own[np.triu_indices(len(own), 1)] == pytest.approx(theirs, rel=1e-9)
        assert np.array_equal(own, own.T)
        assert (np.diag(own) == 1).all()


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


@pytest.mark.slow
def test_under_the_null_any_false_difference_among_all_pairs_is_rare():
    """No more often than a test of exactly 5% would be found to be in all but one of a million such experiments."""
    rng = np.random.default_rng(3)
    false = [significance.compare(-rng.exponential(size=(20, 4))).separated.any() for _ in range(1000)]
    assert sum(false) <= scipy_stats.binom.ppf(1 - 1e-6, 1000, 0.05)


@pytest.mark.parametrize("runs", [1023, 1024, 5000])
def test_thousands_of_runs_are_no_error(runs):
    """2.0 ** 1024 is not a number."""
    scores = shifted(0.0, 0.0, 0.5, runs=runs)
    scores[:, 1] = scores[:, 0] + np.resize([1.0, -1.0], runs)  # as often better as worse
    found = significance.compare(scores)
    assert found.separated.tolist() == [False, True, True]
    assert significance.friedman(scores).p < 1e-9


def test_memory_is_bounded_and_parts_change_nothing(monkeypatch):
    few, many = shifted(0.0, 0.1, 0.3, 0.2, runs=9), shifted(0.0, 0.1, 0.3, 0.2, runs=40)
    whole = [significance.compare(scores) for scores in (few, many)]
    monkeypatch.setattr(significance, "_columns", lambda count, rows: (slice(i, i + 1) for i in range(count)))
    for scores, found in zip((few, many), whole, strict=True):
        again = significance.compare(scores)
        assert np.array_equal(again.p, found.p)
        assert again.wilcoxon == pytest.approx(found.wilcoxon)
    monkeypatch.setattr(significance, "_CHUNK", 50)
    assert np.array_equal(significance.compare(few).p, whole[0].p)


def test_a_difference_too_small_for_any_number_of_seeds_needs_infinitely_many():
    assert significance.runs_needed(1e-11, 1e300) == math.inf


@pytest.mark.parametrize("shift", [0.0, 0.02, 0.1])
def test_of_very_many_runs_the_sign_flip_test_takes_the_limit(monkeypatch, shift):
    """As by counting; runs that agree change nothing."""
    differences = np.random.default_rng(3).normal(shift, 1, (2000, 2)) * (np.arange(2000) % 3 > 0)[:, None]
    counted = significance.permutation_test(differences)
    monkeypatch.setattr(significance, "_LIMIT", 1000)
    limit = significance.permutation_test(differences)
    np.testing.assert_allclose(limit, counted, rtol=0.02, atol=1e-6)
    assert not np.array_equal(limit, counted)
    monkeypatch.setattr(significance, "_LIMIT", 1500)  # fewer differ
    assert np.array_equal(significance.permutation_test(differences), counted)
    assert np.isnan(
        significance.permutation_test(np.where(differences == differences.max(), np.nan, differences))
    ).any()
    assert significance.permutation_test(np.zeros((2000, 1))).tolist() == [1.0]
