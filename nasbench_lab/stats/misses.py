"""How far a mean may lie from a value that most runs share, as a rare miss need not be among the runs.

Where nearly all runs end on one value (the *pile*), resampling them says nothing of misses that were not drawn: after 50
equal runs a miss of one run in fifty is as likely as not. Auditors have the same problem, of many items most have no
error at all, and bound the mean error by Stringer's bound (1963; Bickel 1992, International Statistical Review 60:197,
equation 1.3): with losses t_1 >= t_2 >= ... of n runs and p(j) the upper Clopper-Pearson limit of a share of which j of
n were seen,

    mean loss <= p(0) worst + sum over j of (p(j) - p(j - 1)) t_j.

`worst` is how much an unseen miss costs. Auditors take an item's whole value; here it is what is known of the table:

- below the pile a cell drawn blindly among all that are worse, as no search is expected to do worse on average. The
  worst cell there is would make all intervals useless (a tenth of the points of CIFAR-100 at 20 runs);
- above the pile the best cell, as searches go there.

With k misses seen, the next is further than all of them with chance 1 / (k + 1) (they are exchangeable), so that the above
counts with that share, but for no less than (1 + 4 / k) times the largest seen, which holds 95% for exponentially
distributed misses for every k. With more than `MOST` misses the bootstrap holds by itself (docs/statistics.md has the
figures), and no bound is given.

It cannot hold where misses cost more on average than a blind draw and are too rare to be seen, nor where the few seen are
of another kind than those that matter. Where it is not known which values can occur, nothing can be said.

Imports nothing of ours. Shapes: R runs, C columns, N values that can occur.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]
MOST = 40  # misses on one side of the pile up to which the bootstrap is not trusted with them
_LARGER = 4.0  # see above: of the largest of k misses, (1 + 4 / k) times it
_EQUAL = 1e-9  # values that differ by less differ by rounding


def limits(values: FloatArray, possible: FloatArray, *, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """How far the mean of each column may lie below and above, in columns where more than half of all runs agree.

    Args:
        values: (R, C), two runs or more; larger is better.
        possible: (N,) all values a run can have; nan is left out.
        confidence: of both limits together.

    Returns:
        lower and upper limit of the mean, (C,) each; inf and -inf, which limit nothing, where there is no pile, where
        more than `MOST` runs lie on that side of it, and in columns with nan.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64), axis=0)
    runs, count = ordered.shape
    low, high = np.full(count, np.inf), np.full(count, -np.inf)
    pile = ordered[runs // 2]
    piled = np.flatnonzero(((np.abs(ordered - pile) <= _EQUAL).sum(axis=0) > runs / 2) & ~np.isnan(ordered[-1]))
    if piled.size:
        pile, level = pile[piled], 0.5 + confidence / 2
        apart = ordered[:, piled] - pile
        apart = np.where(np.abs(apart) <= _EQUAL, 0.0, apart)
        room = _room(pile, possible)
        low[piled] = pile - _deficit(apart, room.below, room.lowest, level)
        high[piled] = pile + _deficit(-apart[::-1], room.above, room.highest, level)
    return low, high


class _Room(NamedTuple):
    """What lies beside the piles, as distances from them, (C,).

    Attributes:
        below, above: what an unseen miss is taken to cost or gain: to the mean of all that are worse, to the best.
        lowest, highest: the furthest that any can be.
    """

    below: FloatArray
    lowest: FloatArray
    above: FloatArray
    highest: FloatArray


def _room(pile: FloatArray, possible: FloatArray) -> _Room:
    known = np.sort(possible[~np.isnan(possible)].astype(np.float64))
    worse = np.searchsorted(known, pile - _EQUAL)
    sums = np.concatenate([[0.0], np.cumsum(known)])
    below = np.where(worse > 0, pile - sums[worse] / np.maximum(worse, 1), 0.0)
    above = np.where(known[-1] - pile > _EQUAL, known[-1] - pile, 0.0)
    return _Room(below, np.where(worse > 0, pile - known[0], 0.0), above, above)


def _deficit(apart: FloatArray, unseen: FloatArray, farthest: FloatArray, level: float) -> FloatArray:
    """How far the mean may lie below the pile, at this level.

    Args:
        apart: (R, C) ascending, minus the pile.
        unseen: (C,) loss of a miss of which nothing was seen. farthest: (C,) the largest loss there can be.
        level: one-sided.

    Returns:
        (C,); less than 0 where what lies above the pile outweighs it, -inf where more than `MOST` lie below.
    """
    runs = len(apart)
    seen = (apart < 0).sum(axis=0)
    losses = np.maximum(-apart[: min(MOST, runs - 1)], 0.0)
    further = np.minimum(np.maximum(losses[0] * (1 + _LARGER / np.maximum(seen, 1)), unseen / (1 + seen)), farthest)
    j = np.arange(len(losses) + 1)
    share = np.asarray(stats.beta.ppf(level, j + 1, runs - j))  # Clopper-Pearson's upper limits p(j)
    lost = share[0] * np.maximum(further, losses[0]) + np.diff(share) @ losses
    gains = np.maximum(apart, 0.0)
    error = gains.std(axis=0, ddof=1) / np.sqrt(runs)
    gained = np.maximum(gains.mean(axis=0) - stats.norm.ppf(level) * error, 0.0)
    return np.where(seen <= MOST, lost - gained, -np.inf)
