"""Is A better than B, and how sure are we? Paired tests, effect sizes, ranks with their uncertainty, power.

Shapes: R runs (seeds; row i is the same seed for all: common random numbers), S strategies, P = S (S - 1) / 2 pairs in
the order of `pairs`. Larger scores are better. Imports nothing of ours.

The test that decides is of means, as leaderboards rank by means: signs of the paired differences are flipped in all ways,
which is exact where two strategies are exchangeable, whatever the distribution. Holm's correction keeps the chance of
*any* false "better" among the pairs of a setting at `ALPHA`; `docs/statistics.md` has the measured rates.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
ALPHA = 0.05  # chance of any false difference among all pairs of a setting
POWER = 0.8  # chance with which a difference that is there shall be found
_FEW = 13  # runs of which all patterns of signs are gone through; scipy does so where differences tie
_LIMIT = 5_000  # differences
_STEPS, _TOTAL = 256, 1 << 16  # to a difference of average size, and to all of few, at least
_CHUNK = 2_000_000  # signs, or sums, in memory at once


def pairs(strategies: int) -> tuple[IntArray, IntArray]:
    """First and second member of every pair, (P,) each."""
    first, second = np.triu_indices(strategies, 1)
    return first.astype(np.int64), second.astype(np.int64)


def permutation_test(differences: FloatArray) -> FloatArray:
    """Two-sided sign-flip test of mean zero, of all 2^R patterns of signs: nothing is drawn, so nothing hangs on a draw.

    Up to `_FEW` runs patterns are gone through; from there on sums are counted (`_counted`); from `_LIMIT` differences
    that are not 0 on, their sum is taken for normal.

    Args:
        differences: (R, P) paired differences.

    Returns:
        (P,) p-values; 1 where all differences are 0, nan where one is unknown.
    """
    differences = np.asarray(differences, dtype=np.float64)
    if len(differences) > _FEW:
        return np.array([_of_many(column) for column in differences.T])
    runs, count = differences.shape
    unit = np.nan_to_num(differences)
    unit /= np.abs(unit).sum(axis=0) + 1e-300
    observed = np.abs(unit.sum(axis=0)) - 1e-9  # rounding must not tell equal sums apart
    beyond = np.zeros(count)
    for signs in _all_patterns(runs):
        for some in _columns(count, len(signs)):
            beyond[some] += (np.abs(signs @ unit[:, some]) >= observed[some]).sum(axis=0)
    return np.where(np.isnan(differences).any(axis=0), np.nan, beyond / 2**runs)


def _of_many(differences: FloatArray) -> float:
    """The test of one pair; runs that agree have no sign to flip."""
    apart = differences[differences != 0]
    if not len(apart) or np.isnan(apart).any():
        return math.nan if len(apart) else 1.0
    if len(apart) < _LIMIT:
        return _counted(apart)
    return 2 * float(stats.norm.sf(abs(float(apart.sum())) / math.sqrt(float((apart**2).sum()))))


def _counted(differences: FloatArray) -> float:
    """The share of all patterns of signs whose sum is at least as far from 0, by counting subsets by their sums.

    With sizes m of total M, the sum of a pattern is M less twice the sum of the sizes that are negative, so the patterns at
    least as far out as the one seen, D, are those with subset sums up to (M - D) / 2, twice (Pagano & Tritchler 1983,
    JASA 78:435). For that sizes are whole steps, 256 R or more to their total: the exact test of the rounded differences.
    Sums that were equal before still are, as four standard deviations of what rounding does to a sum count as equal: less
    than 0.005 standard deviations of the sum, so that p is 2% too large at most where it is 0.0001.
    """
    steps = max(_STEPS * len(differences), _TOTAL)
    parts = np.abs(differences / np.abs(differences).max())
    exactly = parts * (steps / parts.sum())
    sizes = np.rint(exactly).astype(np.int64)
    equal = 4.0 * math.sqrt(float(((sizes - exactly) ** 2).sum())) + 1e-6
    seen = abs(int((sizes * np.sign(differences)).sum()))
    if seen <= equal:
        return 1.0
    last = math.floor((int(sizes.sum()) - seen + equal) / 2)
    subsets = np.zeros(last + 1)  # by their sums, as a share of all
    subsets[0] = 1.0
    reached = 1
    for size in np.sort(sizes).tolist():
        reached = min(reached + size, last + 1)
        subsets[:reached] *= 0.5
        if size < reached:
            subsets[size:reached] += subsets[: reached - size]
    return min(1.0, 2.0 * float(subsets.sum()))


def _all_patterns(runs: int) -> Iterator[FloatArray]:
    step = max(1, _CHUNK // runs)
    for start in range(0, 2**runs, step):
        bits = (np.arange(start, min(start + step, 2**runs))[:, None] >> np.arange(runs)) & 1
        yield np.where(bits == 1, -1.0, 1.0)


def _columns(count: int, rows: int) -> Iterator[slice]:
    """As many of the columns at once as have no more than `_CHUNK` values in so many rows."""
    step = max(1, _CHUNK // max(1, rows))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def wilcoxon_test(differences: FloatArray) -> FloatArray:
    """Wilcoxon's signed-rank test (zeros by Pratt's rule): (R, P) -> (P,) two-sided p-values.

    scipy's; up to `_FEW` runs all patterns of signs at once, where with ties scipy permutes a pair at a time (a second each).
    Of the same null hypothesis with ranks in place of sizes: it answers whether A is *usually* better, which outliers
    cannot sway. 1 where all differences are 0, nan where one is unknown.
    """
    differences = np.asarray(differences, dtype=np.float64)
    p = np.ones(differences.shape[1])
    p[np.isnan(differences).any(axis=0)] = np.nan
    some = np.flatnonzero((p == 1) & (differences != 0).any(axis=0))
    if len(differences) <= _FEW:
        p[some] = _all_signs(differences[:, some])
        return p
    for part in _columns(some.size, len(differences)):
        found = stats.wilcoxon(differences[:, some[part]], axis=0, zero_method="pratt")
        p[some[part]] = found.pvalue
    return p


def _all_signs(differences: FloatArray) -> FloatArray:
    """(R, P) -> (P,) Wilcoxon's test from the sums of ranks under all 2^R patterns of signs."""
    runs, count = differences.shape
    ranks = (
        2 * stats.rankdata(np.abs(differences), axis=0) * (differences != 0)
    )  # whole numbers, so that sums are exact
    observed = (ranks * np.sign(differences)).sum(axis=0)
    below, above = np.zeros(count), np.zeros(count)
    for signs in _all_patterns(runs):
        for some in _columns(count, len(signs)):
            sums = signs @ ranks[:, some]
            below[some] += (sums <= observed[some]).sum(axis=0)
            above[some] += (sums >= observed[some]).sum(axis=0)
    p: FloatArray = np.minimum(1.0, 2 * np.minimum(below, above) / 2**runs)
    return p


def holm(p: FloatArray) -> FloatArray:
    """Holm's step-down adjustment (1979) of p-values that are known; the others stay nan."""
    p = np.asarray(p, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(order), 0, -1)))
    return adjusted


def improvement(scores: FloatArray) -> FloatArray:
    """Probability of improvement: (R, S) -> (S, S), that a run of the row's strategy beats one of the column's.

    Over all R^2 pairs of runs, equals count half (rliable's; the Mann-Whitney statistic). Cliff's delta is twice it
    less one.
    """
    runs, strategies = scores.shape
    out = np.full((strategies, strategies), 0.5)
    for other in range(strategies):
        ordered = np.sort(scores[:, other])
        below = np.searchsorted(ordered, scores, side="left") + np.searchsorted(ordered, scores, side="right")
        out[:, other] = below.sum(axis=0) / (2 * runs**2)
    unknown = np.isnan(scores).any(axis=0)
    out[unknown], out[:, unknown] = np.nan, np.nan
    return out


def cliffs_delta(scores: FloatArray) -> FloatArray:
    """Cliff's delta: (R, S) -> (S, S), from -1 (always worse) to 1 (always better)."""
    return 2 * improvement(scores) - 1


class Friedman(NamedTuple):
    """Friedman's test over all strategies at once, and what follows it.

    Attributes:
        statistic, p: chi-square and its p-value; nan with fewer than three strategies.
        ranks: (S,) mean ranks, 1 the best.
        critical_difference: Nemenyi's: mean ranks that differ by less are not separated.
        nemenyi, conover: (S, S) p-values of pairs; Conover's with Holm's correction.
    """

    statistic: float
    p: float
    ranks: FloatArray
    critical_difference: float
    nemenyi: FloatArray
    conover: FloatArray


def friedman(scores: FloatArray, *, alpha: float = ALPHA) -> Friedman:
    """Friedman's test on (R, S) scores, blocks are runs, with Nemenyi's and Conover's tests.

    Raises:
        ValueError: fewer than three strategies or two runs, or a nan score.
    """
    runs, strategies = scores.shape
    if strategies < 3 or runs < 2 or np.isnan(scores).any():
        raise ValueError(f"Friedman's test wants 3 strategies, 2 runs and no nan, got shape {scores.shape}")
    ranks = np.asarray(stats.rankdata(-scores, axis=1))
    if (ranks == ranks[:, :1]).all():  # nothing but ties
        ones = np.ones((strategies, strategies))
        return Friedman(0.0, 1.0, ranks.mean(axis=0), critical_difference(strategies, runs, alpha=alpha), ones, ones)
    found = stats.friedmanchisquare(*scores.T)
    distance = critical_difference(strategies, runs, alpha=alpha)
    mean = ranks.mean(axis=0)
    upward = strategies + 1 - ranks  # as scikit-posthocs ranks, so that the last bit is the same too
    return Friedman(float(found.statistic), float(found.pvalue), mean, distance, _nemenyi(upward), _conover(upward))


def _nemenyi(ranks: FloatArray) -> FloatArray:
    """Nemenyi's test of (R, S) ranks within runs: (S, S) p-values (Demšar 2006, JMLR 7:1)."""
    runs, strategies = ranks.shape
    q = _gaps(ranks.mean(axis=0)) / math.sqrt(strategies * (strategies + 1) / (6 * runs))
    return _square(stats.studentized_range.sf(q * math.sqrt(2), strategies, np.inf), strategies)


def _conover(ranks: FloatArray) -> FloatArray:
    """Conover's test of (R, S) ranks within runs, with Holm's correction: (S, S) p-values.

    Conover & Iman 1979, LA-7677-MS; in scikit-posthocs' form. Where all runs rank alike nothing is left to measure a gap
    by: any gap is then certain.
    """
    runs, strategies = ranks.shape
    spread = 1 / (strategies - 1) * ((ranks**2).sum() - strategies * runs * (strategies + 1) ** 2 / 4)
    statistic = ((ranks.sum(axis=0) - runs * (strategies + 1) / 2) ** 2).sum() / spread
    freedom = (runs - 1) * (strategies - 1)
    scale = spread * (2 * runs * (strategies - 1)) / freedom
    left = 1 - statistic / (runs * (strategies - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = _gaps(ranks.sum(axis=0)) / math.sqrt(scale) / np.sqrt(left)
    return _square(holm(2 * stats.t.sf(t, df=freedom)), strategies)


def _gaps(values: FloatArray) -> FloatArray:
    """(S,) -> (P,) how far the members of every pair are apart."""
    first, second = pairs(len(values))
    return np.abs(values[first] - values[second])


def _square(p: FloatArray, strategies: int) -> FloatArray:
    """(P,) p-values of pairs as a symmetric (S, S), ones on the diagonal."""
    out = np.ones((strategies, strategies))
    first, second = pairs(strategies)
    out[first, second] = out[second, first] = p
    return out


def critical_difference(strategies: int, runs: int, *, alpha: float = ALPHA) -> float:
    """Nemenyi's critical difference of mean ranks (Demšar 2006, JMLR 7:1)."""
    q = float(stats.studentized_range.isf(alpha, strategies, np.inf)) / math.sqrt(2)
    return q * math.sqrt(strategies * (strategies + 1) / (6 * runs))


def rank_ranges(better: BoolArray) -> tuple[IntArray, IntArray]:
    """Ranks that cannot be excluded: (S, S) "row is significantly better than column" -> lowest and highest, (S,).

    1 + how many are better, and S - how many are worse. With family-wise corrected tests all ranges hold at once
    (Mogstad et al. 2024, Review of Economic Studies 91:476). Strategies with the same lowest rank share it.
    """
    return 1 + better.sum(axis=0), len(better) - better.sum(axis=1)


def cliques(separated: BoolArray) -> list[list[int]]:
    """Maximal runs of neighbours none of whose members are separated: the bars of a critical-difference diagram.

    Args:
        separated: (S, S), strategies in order of their ranks.

    Returns:
        index lists of two or more; a bar within another is left out.
    """
    count, bars, reached = len(separated), [], -1
    for start in range(count):
        end = start
        while end + 1 < count and not separated[start : end + 1, end + 1].any():
            end += 1
        if end > start and end > reached:
            bars.append(list(range(start, end + 1)))
            reached = end
    return bars


def detectable_difference(sd: float, runs: int, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """Smallest true mean difference that `runs` paired runs find with this power, two-sided; nan with fewer than two.

    Args:
        sd: standard deviation of the paired differences.
        runs: seeds.
        alpha: level of the one test; with several pairs what Holm leaves of it.
        power: chance to find it.
    """
    if runs < 2:
        return math.nan
    return float((stats.t.isf(alpha / 2, runs - 1) + stats.t.ppf(power, runs - 1)) * sd / math.sqrt(runs))


def runs_needed(difference: float, sd: float, *, alpha: float = ALPHA, power: float = POWER) -> float:
    """Paired runs that separate a true mean difference with this power; inf if there is none to find.

    The normal approximation with Guenther's correction for Student's t (1981, The American Statistician 35:243).
    """
    if not abs(difference) > 1e-12:
        return math.inf
    level, chance = float(stats.norm.isf(alpha / 2)), float(stats.norm.ppf(power))
    ratio = (level + chance) * sd / difference
    needed = ratio * ratio + level**2 / 2
    return math.ceil(needed) if math.isfinite(needed) else math.inf


def fewest_runs(alpha: float = ALPHA) -> int:
    """Runs from which on the sign-flip test can reach this level at all: its smallest p-value is 2^(1 - runs)."""
    return math.ceil(1 - math.log2(alpha))


class Comparison(NamedTuple):
    """All pairs of a setting.

    Attributes:
        first, second: (P,) the pairs.
        difference, sd: (P,) mean and standard deviation of first minus second.
        p, p_holm: (P,) sign-flip test of the means, before and after Holm over all pairs.
        wilcoxon: (P,) Wilcoxon's test, after Holm.
        improvement: (P,) probability that the first beats the second.
        separated: (P,) whether `p_holm` is at most alpha.
        better: (S, S) row significantly better than column.
        open_alpha: level of a pair that is not separated yet, with Holm's correction for as many as are not.
    """

    first: IntArray
    second: IntArray
    difference: FloatArray
    sd: FloatArray
    p: FloatArray
    p_holm: FloatArray
    wilcoxon: FloatArray
    improvement: FloatArray
    separated: BoolArray
    better: BoolArray
    open_alpha: float


def compare(scores: FloatArray, *, alpha: float = ALPHA) -> Comparison:
    """Test every pair of (R, S) scores; a strategy with an unknown score is not separated from any."""
    scores = np.asarray(scores, dtype=np.float64)
    runs, strategies = scores.shape
    first, second = pairs(strategies)
    differences = scores[:, first] - scores[:, second]
    p = permutation_test(differences)
    adjusted = holm(p)
    separated = adjusted <= alpha
    mean = differences.mean(axis=0)
    better = np.zeros((strategies, strategies), dtype=bool)
    better[first, second] = separated & (mean > 0)
    better[second, first] = separated & (mean < 0)
    return Comparison(
        first=first,
        second=second,
        difference=mean,
        sd=differences.std(axis=0, ddof=1) if runs > 1 else np.full(len(first), np.nan),
        p=p,
        p_holm=adjusted,
        wilcoxon=holm(wilcoxon_test(differences)),
        improvement=improvement(scores)[first, second],
        separated=separated,
        better=better,
        open_alpha=alpha / max(1, int((~separated).sum())),
    )


def more_runs(found: Comparison, runs: int, one: int, other: int) -> float:
    """How many seeds more would separate two strategies with `POWER`, if their true difference is the one seen.

    At least so many that the test can reach its level. 0 where they are separated, inf where no difference was seen, nan
    where it is unknown.
    """
    where = np.flatnonzero((found.first == min(one, other)) & (found.second == max(one, other)))[0]
    if found.separated[where]:
        return 0.0
    difference, sd = float(found.difference[where]), float(found.sd[where])
    if math.isnan(difference) or math.isnan(sd):
        return math.nan
    needed = max(runs_needed(difference, sd, alpha=found.open_alpha), fewest_runs(found.open_alpha))
    return max(1.0, needed - runs)
