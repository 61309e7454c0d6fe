from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nasbench_lab.stats import calibration
from nasbench_lab.stats.calibration import LEVELS

RNG = np.random.default_rng(3)
COUNT = 4000  # a share of them that is to be .9 or .5 is known to .005 or .008
TRUTH = RNG.normal(90, 2, COUNT)
MEAN = TRUTH + RNG.normal(0, 1, COUNT)
STD = np.full(COUNT, 1.0)
QUANTILES = MEAN + stats.norm.ppf(LEVELS)[:, None] * STD


def test_order_and_errors_are_those_of_the_libraries() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    found = calibration.measures(TRUTH, MEAN, STD, QUANTILES)
    assert found["tau"] == pytest.approx(stats.kendalltau(TRUTH, MEAN).statistic)
    assert found["spearman"] == pytest.approx(stats.spearmanr(TRUTH, MEAN).statistic)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(TRUTH, MEAN))
    assert found["r2"] == pytest.approx(metrics.r2_score(TRUTH, MEAN))
    assert found["nll"] == pytest.approx(-stats.norm(MEAN, STD).logpdf(TRUTH).mean())
    each = [metrics.mean_pinball_loss(TRUTH, q, alpha=level) for q, level in zip(QUANTILES, LEVELS, strict=True)]
    assert found["pinball"] == pytest.approx(np.mean(each))
    gain = np.maximum(TRUTH - np.median(TRUTH), 0.0)
    assert found["ndcg"] == pytest.approx(metrics.ndcg_score(gain[None], MEAN[None], k=40))


def test_a_true_spread_is_called_true() -> None:
    found = calibration.uncertainty(TRUTH, QUANTILES, MEAN)
    assert found["cover90"] == pytest.approx(0.9, abs=0.05)
    assert found["cover50"] == pytest.approx(0.5, abs=0.08)
    assert found["ece"] < 0.05
    assert found["sharpness"] == pytest.approx(2 * 1.645 / TRUTH.std(), rel=1e-3)


@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_a_wrong_spread_is_found_out(factor: float) -> None:
    quantiles = MEAN + factor * stats.norm.ppf(LEVELS)[:, None]
    assert calibration.uncertainty(TRUTH, quantiles, MEAN)["ece"] > 0.1


def test_the_top_by_hand() -> None:
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    assert calibration.top_recall(truth, np.array([0.0, 0.0, 5.0, 6.0]), 2) == 1.0
    assert calibration.top_recall(truth, np.array([9.0, 0.0, 0.0, 5.0]), 2) == 0.5
    assert calibration.top_recall(truth, np.zeros(4), 2) == pytest.approx(0.5)  # ties: what chance gives


@given(st.integers(1, 5), st.lists(st.integers(0, 3), min_size=6, max_size=20))
def test_recall_is_a_share(k: int, values: list[int]) -> None:
    truth, mean = np.arange(len(values), dtype=float), np.array(values, dtype=float)
    assert 0.0 <= calibration.top_recall(truth, mean, k) <= 1.0
    assert calibration.top_recall(truth, truth, k) == 1.0


@given(st.lists(st.integers(0, 3), min_size=5, max_size=5), st.integers(1, 5), st.permutations(range(5)))
def test_the_best_of_the_first_k_is_expected_over_all_ways_to_break_ties(
    values: list[int], k: int, order: list[int]
) -> None:
    truth, mean = np.array(order, dtype=float), np.array(values, dtype=float)
    ranks = len(truth) - np.argsort(np.argsort(truth))
    found = []
    for broken in itertools.permutations(range(len(values))):
        chosen = sorted(range(len(values)), key=lambda i: (-mean[i], broken[i]))[:k]
        found.append(ranks[chosen].min())
    assert calibration.best_rank(truth, mean, k) == pytest.approx(np.mean(found))


def test_equal_scores_share_the_better_rank() -> None:
    assert calibration.best_rank(np.array([5.0, 7.0, 7.0, 1.0]), np.array([0.0, 1.0, 9.0, 2.0]), 1) == 1.0
    assert calibration.best_rank(np.array([5.0, 7.0, 7.0, 1.0]), np.array([9.0, 1.0, 0.0, 2.0]), 1) == 3.0


def test_intervals_at_the_top_are_counted_there_alone() -> None:
    truth, mean = np.arange(40.0), np.arange(40.0)
    quantiles = mean + np.linspace(-1, 1, len(LEVELS))[:, None]
    quantiles[:, -4:] += 5.0  # of the tenth predicted best all miss
    found = calibration.uncertainty(truth, quantiles, mean)
    assert found["cover90_top"] == 0.0
    assert found["cover90"] == 0.9


def test_nothing_is_ordered_where_all_is_equal() -> None:
    assert calibration.ranking(np.arange(5.0), np.ones(5))["tau"] == 0.0
