from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.strategies._density import Density, widest

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
