from __future__ import annotations

from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.spaces.space import Space
from nasbench_lab.stats import references

small = st.integers(1, 6).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 3), min_size=n, max_size=n), st.lists(st.booleans(), min_size=n, max_size=n)
    )
)


def first_hit(seen, on_target, order):
    """Draws until the incumbent is on target; None if it never is."""
    best = None
    for draw, cell in enumerate(order, start=1):
        if best is None or seen[cell] > seen[best]:
            best = cell
            if on_target[cell]:
                return draw
    return None


@given(small)
def test_random_search_to_a_target_equals_enumeration_of_all_orders(space):
    seen, on_target = space
    found = [first_hit(seen, on_target, order) for order in permutations(range(len(seen)))]
    hits = [draw for draw in found if draw is not None]
    own = references.random_search_to(np.array(seen), np.array(on_target))
    assert own.chance == pytest.approx(len(hits) / len(found))
    assert own.queries == pytest.approx(np.mean(hits) if hits else np.nan, nan_ok=True)


@given(small)
def test_with_replacement_the_record_chain_is_solved(space):
    """P and E of absorption of the Markov chain over incumbents, as linear equations."""
    seen, on_target = (np.array(values) for values in space)
    size = len(seen)
    chances, times = np.zeros(size + 1), np.zeros(size + 1)  # the last: nothing drawn yet
    for cell in [*np.argsort(-seen, kind="stable"), size]:
        better = np.flatnonzero(seen > seen[cell]) if cell < size else np.arange(size)
        if len(better):
            chances[cell] = np.mean([1.0 if on_target[b] else chances[b] for b in better])
            later = np.mean([0.0 if on_target[b] else times[b] for b in better])
            times[cell] = size / len(better) * chances[cell] + later
    own = references.random_search_to(seen, on_target, replacement=True)
    assert own.chance == pytest.approx(chances[size])
    assert own.queries == pytest.approx(times[size] / chances[size] if chances[size] else np.nan, nan_ok=True)


def test_where_search_sees_the_score_the_target_is_always_met_in_known_time():
    seen = np.random.default_rng(0).random(500)
    for hits in (1, 5, 100):
        found = references.random_search_to(seen, seen >= np.sort(seen)[-hits])
        assert found.chance == pytest.approx(1)
        assert found.queries == pytest.approx(references.random_search_queries_to(hits, 500))


def test_the_chance_to_be_on_target_equals_simulation():
    rng = np.random.default_rng(0)
    seen, on_target = rng.random(30), rng.random(30) < 0.3
    count = 60_000  # a share of them is known to .002
    drawn = rng.permuted(np.tile(np.arange(30), (count, 1)), axis=1)[:, :7]
    hit = on_target[drawn[np.arange(count), seen[drawn].argmax(axis=1)]].mean()
    own = references.random_search_on_target(seen, on_target, np.array([7]))[0]
    assert own == pytest.approx(hit, abs=0.012)


def test_the_noisy_ceiling_equals_simulation_and_falls_with_noise():
    rng = np.random.default_rng(0)
    val = np.concatenate([rng.normal(0, 1, 200), [-400.0]])
    scored = val + rng.normal(0, 0.5, 201)
    noisy = val + 0.7 * rng.standard_normal((20_000, 201))
    assert references.noisy_ceiling(val, scored, 0.7) == pytest.approx(scored[noisy.argmax(axis=1)].mean(), abs=0.03)
    assert references.noisy_ceiling(val, scored, 0.0) == references.ceiling(val, scored) == scored[val.argmax()]
    falling = [references.noisy_ceiling(val, val, sd) for sd in (0.0, 0.5, 2.0, 8.0)]
    assert falling == sorted(falling, reverse=True)


@given(st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=3), min_size=1, max_size=4))
def test_the_sampled_ceiling_equals_enumeration(rows):
    trials = np.array([row + [np.nan] * (3 - len(row)) for row in rows], dtype=float)
    scored = np.arange(len(rows)) ** 2.0
    brute, weights = [], []
    for shown in product(*rows):
        top = [i for i, value in enumerate(shown) if value == max(shown)]
        brute.append(scored[top].mean())
        weights.append(1.0)
    assert references.sampled_ceiling(trials, scored) == pytest.approx(np.average(brute, weights=weights))


def descend(seen, neighbours, cell):
    """All ends of a best-improvement descent with their probabilities, and its expected steps."""
    around = seen[neighbours[cell]]
    if around.max() <= seen[cell]:
        return {cell: 1.0}, 0.0
    ends, steps = {}, 1.0
    towards = neighbours[cell][around == around.max()]
    for other in towards.tolist():
        found, more = descend(seen, neighbours, other)
        steps += more / len(towards)
        for end, chance in found.items():
            ends[end] = ends.get(end, 0.0) + chance / len(towards)
    return ends, steps


@given(st.integers(0, 200), st.integers(2, 30))
def test_local_search_equals_following_every_start(seed, levels):
    space = Space((3, 2, 3))
    rng = np.random.default_rng(seed)
    seen, scored = rng.integers(0, levels, space.size).astype(float), rng.random(space.size)
    found = references.local_search(seen, scored, space.neighbours)
    basins, steps = np.zeros(space.size), 0.0
    for start in range(space.size):
        ends, more = descend(seen, space.neighbours, start)
        steps += more / space.size
        for end, chance in ends.items():
            basins[end] += chance / space.size
    assert found.optima.tolist() == sorted(
        np.flatnonzero(basins).tolist(), key=lambda cell: (-found.basins[found.optima.tolist().index(cell)], cell)
    )
    assert found.basins == pytest.approx(basins[found.optima])
    assert found.basins.sum() == pytest.approx(1)
    assert found.score == pytest.approx(basins @ scored)
    assert found.best == pytest.approx(basins[seen == seen.max()].sum())
    assert found.steps == pytest.approx(steps)


def test_restarts_meet_the_best_with_their_chance():
    space = Space((3, 3))
    seen = np.arange(9.0)
    descent = references.local_search(seen, seen, space.neighbours)
    assert references.restarts_to(descent) == 1
    half = descent._replace(best=0.5)
    assert references.restarts_to(half) == 5  # 1 - 2^-5 is 0.97, 1 - 2^-4 is 0.94
    assert references.restarts_to(descent._replace(best=0.0)) == np.inf


cells = st.integers(1, 5).flatmap(
    lambda n: st.tuples(*(st.lists(st.integers(0, 3), min_size=n, max_size=n) for _ in range(2)))
)


@given(cells, st.integers(1, 4), st.booleans())
def test_random_search_expectation_equals_enumeration(space, n, replacement):
    """All ordered draws; of equals the first drawn is kept."""
    seen, truth = (np.array(values, dtype=float) for values in space)
    size = len(seen)
    draws = list(product(range(size), repeat=n)) if replacement else list(permutations(range(size), min(n, size)))
    brute = np.mean([truth[max(draw, key=lambda arch: seen[arch])] for draw in draws])
    assert references.random_search_expectation(seen, truth, [n], replacement=replacement)[0] == pytest.approx(brute)


def test_random_search_ends_at_the_best_once_it_has_seen_all():
    seen = np.random.default_rng(0).random(50)
    curve = references.random_search_expectation(seen, seen, [1, 10, 50, 60])
    assert curve[0] == pytest.approx(seen.mean())
    assert (np.diff(curve) >= -1e-12).all()
    assert curve[2:] == pytest.approx(seen.max())


@given(st.integers(1, 8), st.data())
def test_queries_to_an_optimum_equal_enumeration(size, data):
    hits = data.draw(st.integers(1, size))
    first = [min(where) + 1 for where in combinations(range(size), hits)]
    assert references.random_search_queries_to(hits, size) == pytest.approx(np.mean(first))
