from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.stats import gains

SCORES = st.lists(st.tuples(st.integers(0, 20), st.integers(-3, 3)), min_size=2, max_size=30)


@given(SCORES, st.integers(1, 30))
def test_ndcg_is_scikit_learns_ties_included(items, k):
    metrics = pytest.importorskip("sklearn.metrics")
    gain, score = np.array(items, dtype=np.float64).T
    k = min(k, len(items))
    ours = gains.ndcg(gain, score, k)
    if gain.max() > 0:
        assert ours == pytest.approx(metrics.ndcg_score([gain], [score], k=k), abs=1e-12)
    else:
        assert np.isnan(ours)


def test_ndcg_by_hand():
    # ranked 3, 0, 2 by the score; the best order is 3, 2, 0
    found = gains.ndcg(np.array([0.0, 2.0, 3.0]), np.array([2.0, 1.0, 3.0]), 2)
    assert found == pytest.approx(3 / (3 + 2 / np.log2(3)))
    assert gains.ndcg(np.array([1.0, 3.0]), np.zeros(2), 1) == pytest.approx(2 / 3)  # tied: either first


def test_gains_are_above_the_median_and_a_pick_is_the_mean_of_the_tied():
    truth = np.array([10.0, 90.0, 91.0, 93.0, 94.0])
    assert gains.above_median(truth).tolist() == [0, 0, 0, 2, 3]
    assert gains.pick(truth, np.array([0.0, 1.0, 5.0, 5.0, 2.0])) == 92.0


@pytest.mark.parametrize(("gain", "k"), [([1.0, 2.0], 0), ([1.0, 2.0], 3), ([-1.0, 2.0], 1)])
def test_what_is_no_gain_is_refused(gain, k):
    with pytest.raises(ValueError, match="need gains of at least 0"):
        gains.ndcg(np.array(gain), np.array([1.0, 2.0]), k)
