"""What is known exactly, without running anything: by enumeration of the whole space.

Notation: N cells; `seen` (N,) what the search sees (validation), `scored` (N,) what its choice is scored on (test); larger
is better. The incumbent is the cell that looks best so far, the first drawn of equals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

FloatArray = NDArray[np.float64]
_POINTS = 4001  # of the quadrature over what the best noisy score may be


def random_search_expectation(
    selected_on: FloatArray,
    scored_on: FloatArray,
    queries: Sequence[int] | NDArray[np.int64],
    *,
    replacement: bool = False,
) -> FloatArray:
    """Exact expected score of random search's incumbent, by enumeration of the whole space.

    The incumbent after n uniform draws is the best of them by `selected_on`, the first drawn of equals. With cells
    sorted by it, P(best of n has rank > r) is C(N - r, n) / C(N, n) without and ((N - r) / N)^n with replacement;
    equals are exchangeable, so a group of them contributes its mean score.

    Args:
        selected_on: (N,) what the search sees, larger is better.
        scored_on: (N,) what the incumbent is scored on.
        queries: (C,) numbers of draws, each at least 1; without replacement at most N are made.

    Returns:
        (C,) expected scores.
    """
    _, group = np.unique(-np.asarray(selected_on, dtype=np.float64), return_inverse=True)
    sizes = np.bincount(group)
    group_score = np.bincount(group, weights=scored_on) / sizes
    above = np.concatenate([[0], np.cumsum(sizes)]).astype(np.float64)  # cells better than each group's end
    total = float(above[-1])
    out = []
    for n in np.asarray(queries, dtype=np.float64):
        worse = total - above
        if replacement:
            tail = (worse / total) ** n
        else:
            draws = min(n, total)
            possible = worse >= draws
            tail = np.zeros(len(worse))
            tail[possible] = np.exp(_log_choose(worse[possible], draws) - _log_choose(np.array(total), draws))
        out.append(float(-np.diff(tail) @ group_score))
    return np.array(out)


def random_search_queries_to(hits: int, size: int) -> float:
    """Expected draws without replacement until the first of `hits` good cells among `size`: (N + 1) / (k + 1)."""
    return (size + 1) / (hits + 1)


def _log_choose(n: FloatArray, k: float) -> FloatArray:
    return np.asarray(special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1))


class RandomSearch(NamedTuple):
    """Random search's way to a target.

    Attributes:
        chance: that the incumbent is ever on target, however long the search; less than 1 where a cell off the
            target looks better than all that are on it, and may be found first.
        queries: expected number of draws until it is, of the searches where it is; nan where none is.
    """

    chance: float
    queries: float


def random_search_to(seen: FloatArray, on_target: NDArray[np.bool_], *, replacement: bool = False) -> RandomSearch:
    """When random search's incumbent is first on target: exact for any target, ties included.

    Incumbents are records: the next is uniform among the b cells that look better. Give the N cells independent uniform
    times of being drawn: of what time is left, the next record takes a share of mean 1 / (b + 1), and the k-th of N draws
    has mean time k / (N + 1). With replacement the next record takes N / b draws.

    Args:
        seen: (N,).
        on_target: (N,) cells that count as a hit, "test accuracy of at least 94" say.
        replacement: whether cells may be drawn again.
    """
    seen, on_target = np.asarray(seen, dtype=np.float64), np.asarray(on_target, dtype=bool)
    size = len(seen)
    _, group = np.unique(-seen, return_inverse=True)
    cells = np.bincount(group)
    hits = np.bincount(group, weights=on_target)
    better = 0  # cells in the groups gone through, from the best; sums below run over them
    chances = times = 0.0  # sums of P(hit ever) and E[time to hit; hit], of searches whose incumbent is each of them
    for count, good in zip(cells.tolist(), hits.tolist(), strict=True):
        chance, time = _from(better, chances, times, size, replacement)
        chances += good + (count - good) * chance
        times += (count - good) * time
        better += count
    chance, time = _from(better, chances, times, size, replacement)
    time *= 1 if replacement else size + 1
    return RandomSearch(chance, time / chance if chance else np.nan)


def _from(better: int, chances: float, times: float, size: int, replacement: bool) -> tuple[float, float]:
    """P(hit ever) and E[time to hit; hit] of a search whose incumbent has `better` cells above it."""
    if not better:
        return 0.0, 0.0
    chance, later = chances / better, times / better
    step = size / better if replacement else 1 / (better + 1)
    return chance, step * chance + (1 if replacement else 1 - step) * later


def random_search_on_target(
    seen: FloatArray, on_target: NDArray[np.bool_], queries: NDArray[np.int64], *, replacement: bool = False
) -> FloatArray:
    """(C,) probability that the incumbent is on target after so many draws."""
    shares = np.asarray(on_target, dtype=np.float64)
    return random_search_expectation(seen, shares, queries, replacement=replacement)


def ceiling(seen: FloatArray, scored: FloatArray) -> float:
    """Score of the cell that looks best, the mean of equals: what a search of all cells ends with.

    No bound: a search that stops earlier, or that smooths what it sees, may score more.
    """
    return float(scored[seen == seen.max()].mean())


def noisy_ceiling(val: FloatArray, scored: FloatArray, sd: float) -> float:
    """Expected score of the cell that looks best of all under independent Gaussian noise.

    P(cell i looks best) is the integral of its density times the other cells' distribution functions, by quadrature.

    Args:
        val: (N,) validation without noise.
        scored: (N,).
        sd: standard deviation of the noise, in points; 0 for none.
    """
    if not sd:
        return ceiling(val, scored)
    near = val > val.max() - 12 * sd  # others look best with probability below 1e-15
    val, scored = val[near], scored[near]
    grid = np.linspace(val.max() - 6 * sd, val.max() + 8 * sd, _POINTS)
    top, weighted = np.empty(_POINTS), np.empty(_POINTS)
    for i, x in enumerate(grid):
        z = (x - val) / sd
        log_below = special.log_ndtr(z)
        hazard = np.exp(-0.5 * z**2 - 0.5 * np.log(2 * np.pi) - log_below) / sd
        all_below = np.exp(log_below.sum())
        top[i], weighted[i] = all_below * hazard.sum(), all_below * (hazard @ scored)
    return float(weighted.sum() / top.sum())


def sampled_ceiling(trials: FloatArray, scored: FloatArray) -> float:
    """Expected score of the cell that looks best when every cell shows one of its trials, uniform among those it has.

    Args:
        trials: (N, T), nan where a trial does not exist; every cell has one.
        scored: (N,).
    """
    known = ~np.isnan(trials)
    count = known.sum(axis=1)
    cells = np.broadcast_to(np.arange(len(trials))[:, None], trials.shape)[known]
    values = trials[known]
    order = np.argsort(-values, kind="stable")
    expected = weight = 0.0
    left = count.astype(np.float64)  # trials of each cell at or below the value gone through
    start = 0
    while start < len(order):  # values downwards: all cells must show at most this one, and some cell exactly it
        end = start + 1
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        at, times = np.unique(cells[order[start:end]], return_counts=True)
        all_below = float(np.prod(left / count))
        below = (left[at] - times) / left[at]
        probability = all_below * (1 - float(np.prod(below)))
        expected += all_below * float(_first_of(1 - below) @ scored[at])
        weight += probability
        left[at] -= times
        start = end
        if (left == 0).any():  # a cell has no smaller trial: nothing lower can look best
            break
    return expected / weight


def _first_of(shows: FloatArray) -> FloatArray:
    """P(a cell shows the value and comes first of those that do), of (k,) cells that show it with these chances.

    The first of m + 1 comes first with chance 1 / (m + 1), the integral of t^m: a polynomial, so quadrature is exact.
    """
    points, weights = np.polynomial.legendre.leggauss(min(len(shows) // 2 + 1, 200))
    factors = 1 - shows[:, None] * (0.5 - 0.5 * points)
    return np.asarray(shows * ((np.prod(factors, axis=0) / factors) @ weights) / 2)


class Descent(NamedTuple):
    """Local search by best improvement from a uniform start, exactly.

    Attributes:
        optima: (K,) cells without a strictly better neighbour, largest basin first.
        basins: (K,) share of searches that end there; of equal best neighbours each is taken as often.
        score: expected score of where it ends.
        best: chance that it ends in a cell that looks best of all.
        steps: expected number of moves.
    """

    optima: NDArray[np.int64]
    basins: FloatArray
    score: float
    best: float
    steps: float


def local_search(seen: FloatArray, scored: FloatArray, neighbours: NDArray[np.integer[Any]]) -> Descent:
    """Where best-improvement local search ends, by following every cell.

    Args:
        seen: (N,).
        scored: (N,).
        neighbours: (N, K) indices.
    """
    seen = np.asarray(seen, dtype=np.float64)
    around = seen[neighbours]
    top = around.max(axis=1)
    stays = top <= seen
    into = neighbours[np.arange(len(seen)), around.argmax(axis=1)].tolist()  # nearly all have one best neighbour
    tied = np.flatnonzero(~stays & ((around == top[:, None]).sum(axis=1) > 1)).tolist()
    several = {cell: neighbours[cell][around[cell] == top[cell]].tolist() for cell in tied}
    order = np.argsort(seen, kind="stable")
    flow, steps = [1 / len(seen)] * len(seen), 0.0  # a list: cell by cell, an array takes twenty times as long
    for cell in order[~stays[order]].tolist():  # mass flows upwards only
        towards = several.get(cell) or [into[cell]]
        for to in towards:
            flow[to] += flow[cell] / len(towards)
        steps += flow[cell]
    mass = np.array(flow)
    optima = np.flatnonzero(stays)
    optima = optima[np.argsort(-mass[optima], kind="stable")]
    basins = mass[optima]
    best = float(basins[seen[optima] == seen.max()].sum())
    return Descent(optima, basins, float(basins @ scored[optima]), best, steps)


def restarts_to(descent: Descent, chance: float = 0.95) -> float:
    """Restarts of local search after which one has ended in a cell that looks best of all, with this chance."""
    if descent.best >= 1:
        return 1.0
    return float(np.ceil(np.log(1 - chance) / np.log1p(-descent.best))) if descent.best else np.inf
