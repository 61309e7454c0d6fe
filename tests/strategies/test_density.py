from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies._density import Density, widest
from nasbench_lab.strategies._density import drawn as cells_drawn

OPTIONS = (3, 1, 4, 2)
EVERYTHING = np.array(list(itertools.product(*map(range, OPTIONS))))


def direct(row, centres, bandwidths, weights):
    """The mixture of Aitchison-Aitken kernels, one factor at a time."""
    total = 0.0
    for centre, width, weight in zip(centres, bandwidths, weights, strict=True):
        kernel = 1.0
        for e, count in enumerate(OPTIONS):
            kernel *= 1 - width[e] if row[e] == centre[e] else width[e] / (count - 1)
        total += weight * kernel
    return total / sum(weights)


def drawn(seed, count):
    rng = np.random.default_rng(seed)
    centres = EVERYTHING[rng.integers(len(EVERYTHING), size=count)]
    return centres, rng.uniform(0, 1, centres.shape) * widest(OPTIONS), rng.uniform(0.1, 2, count)


@given(st.integers(0, 1000), st.integers(1, 12))
def test_it_is_the_formula(seed, count):
    centres, bandwidths, weights = drawn(seed, count)
    density = Density(OPTIONS, centres, bandwidths, weights=weights)
    assert density(EVERYTHING) == pytest.approx([direct(row, centres, bandwidths, weights) for row in EVERYTHING])


@given(st.integers(0, 1000), st.integers(1, 12), st.floats(0, 3), st.floats(0, 5))
def test_it_sums_to_one_whatever_the_bandwidth(seed, count, prior, scale):
    centres, bandwidths, weights = drawn(seed, count)
    density = Density(OPTIONS, centres, scale * bandwidths, weights=weights, prior=prior)
    assert density(EVERYTHING).sum() == pytest.approx(1)
    assert (density(EVERYTHING) >= 0).all()


def test_the_prior_is_uniform():
    centres, bandwidths, weights = drawn(0, 4)
    plain, mixed = (Density(OPTIONS, centres, bandwidths, weights=weights, prior=p) for p in (0.0, weights.sum()))
    assert mixed(EVERYTHING) == pytest.approx(0.5 * plain(EVERYTHING) + 0.5 / len(EVERYTHING))


@pytest.mark.parametrize("widen", [1.0, 2.0])
def test_draws_follow_it(widen):
    centres, bandwidths, weights = drawn(3, 3)
    density = Density(OPTIONS, centres, 0.3 * bandwidths, weights=weights)
    rows = density.sample(60_000, np.random.default_rng(1), widen=widen)
    shares = np.bincount(np.ravel_multi_index(rows.T, OPTIONS), minlength=len(EVERYTHING)) / len(rows)
    expected = Density(OPTIONS, centres, widen * 0.3 * bandwidths, weights=weights)(EVERYTHING)
    assert shares == pytest.approx(expected, abs=0.008)


@given(st.integers(0, 1000))
def test_in_a_listed_space_draws_are_of_the_density_given_that_the_cell_exists(seed):
    listed = EVERYTHING[(EVERYTHING.sum(axis=1) % 3 > 0) & (EVERYTHING[:, 0] < 2)]
    listed = np.concatenate([listed, [[2, 0, 3, 1]]])
    space = Space(OPTIONS, listed=listed)
    centres, bandwidths, weights = drawn(seed, 4)
    density = Density(OPTIONS, centres, bandwidths, weights=weights, prior=0.5)
    rows, archs = cells_drawn(density, space, 2000, np.random.default_rng(seed))
    assert len(rows) == len(archs) > 1900
    assert np.array_equal(space.choices[archs], rows)
    expected = density(listed) / density(listed).sum()
    seen = np.bincount(archs, minlength=space.size) / len(archs)
    assert np.abs(seen - expected).max() < 0.07  # six standard errors of the largest share


def test_where_next_to_nothing_exists_fewer_are_drawn():
    space = Space((9,) * 6, listed=np.array([[i] * 6 for i in range(9)]))
    density = Density(space.options, space.choices[:1], 0.88)
    rows, archs = cells_drawn(density, space, 10, np.random.default_rng(0))
    assert len(rows) == len(archs) < 10
