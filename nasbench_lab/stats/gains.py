"""How good a ranking is where it matters, at its top: the gain of its best, discounted by rank, and the score of its own pick.

Arrays in, numbers out; imports nothing of ours. Notation: n items; `truth` (n,) what they are worth, larger is better;
`score` (n,) what they are ranked by, larger is better, without nan. Ties are taken in all orders alike: the expectation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def ndcg(gain: FloatArray, score: FloatArray, k: int) -> float:
    """Normalised discounted cumulative gain of the first k of a ranking (Järvelin & Kekäläinen 2002), linear gains.

    Sum over ranks r = 1..k of gain / log2(r + 1), divided by its largest value over all rankings; as scikit-learn's
    `ndcg_score`. Items with one score share the mean of their gains.

    Args:
        gain: (n,) of the items, at least 0.
        score: (n,) that rank them.
        k: ranks that count.

    Returns:
        a number in [0, 1]; nan where nothing gains anything.

    Raises:
        ValueError: a negative gain, or k outside 1..n.
    """
    if not 1 <= k <= len(gain) or (gain < 0).any():
        raise ValueError(f"need gains of at least 0 and 1 <= k <= {len(gain)}, got {gain.min():g} and k = {k}")
    discount = 1 / np.log2(np.arange(2, k + 2))
    best = float(np.sort(gain)[::-1][:k] @ discount)
    _, place, count = np.unique(-score, return_inverse=True, return_counts=True)
    means = np.bincount(place, weights=gain) / count
    expected = np.repeat(means, count)[:k]  # by rank
    return float(expected @ discount) / best if best > 0 else float("nan")


def above_median(truth: FloatArray) -> FloatArray:
    """(n,) gains: how far an item's worth is above the median, 0 of the worse half.

    So that neither the unit counts, nor how bad the worst are, nor that most are nearly as good as the best.
    """
    return np.maximum(truth - np.median(truth), 0.0)


def pick(truth: FloatArray, score: FloatArray) -> float:
    """What the item with the largest score is worth; the mean of those that share it."""
    return float(truth[score == score.max()].mean())
