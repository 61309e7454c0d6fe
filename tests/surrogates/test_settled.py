from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import stream
from nasbench_lab.spaces import cell
from nasbench_lab.surrogates._canonical import pool_of
from nasbench_lab.surrogates._likelihood import Likelihood
from nasbench_lab.surrogates._pool_gp import PoolGP
from nasbench_lab.surrogates._settled import best, largest, settled
from nasbench_lab.surrogates.bayes_linear import BayesLinear

WHOLE = st.lists(st.integers(-5, 5) | st.just(-np.inf), min_size=1, max_size=30).map(lambda v: np.array(v, dtype=float))


@given(WHOLE, st.integers(0, 2**32), st.sampled_from([1e-3, 1.0, 1e4]))
def test_rounding_errors_change_no_choice_and_no_order(values, seed, unit):
    noise = np.random.default_rng(seed).uniform(-1e-9, 1e-9, len(values))
    plain, noisy = unit * values / 7, unit * (values / 7 + noise)
    np.testing.assert_array_equal(largest(plain, unit), largest(noisy, unit))
    np.testing.assert_array_equal(settled(plain, unit), settled(noisy, unit))
    assert best(plain, stream(0, seed), unit) == best(noisy, stream(0, seed), unit)
    np.testing.assert_array_equal(np.argsort(settled(noisy, unit), kind="stable"), np.argsort(plain, kind="stable"))
    np.testing.assert_allclose(settled(plain, unit), plain, atol=1e-6 * unit)


def test_of_equals_all_are_drawn():
    values = np.array([1.0, 3.0, 3.0 + 1e-12, 2.0, 3.0 - 1e-12])
    assert {best(values, stream(0, seed)) for seed in range(40)} == {1, 2, 4}


@pytest.mark.parametrize("seed", range(3))
def test_hyper_parameters_walk_the_same_way_whatever_rounding_does(seed, monkeypatch):
    pool, rng = pool_of(cell.SPACE), stream(seed, 1)
    rows, targets = pool.row_of[rng.choice(cell.SPACE.size, 40)].tolist(), rng.standard_normal(40)
    ends, exact = [], Likelihood.__call__

    def noisy(self, theta):
        loss, gradient = exact(self, theta)
        return loss * (1 + 1e-11 * rng.standard_normal()), gradient + 1e-11 * rng.standard_normal(len(gradient))

    for call in (exact, noisy, noisy):
        monkeypatch.setattr(Likelihood, "__call__", call)
        model = PoolGP(pool.parts)
        model.extend(rows)
        ends.append([model.fit(targets[:]).theta, model.fit(targets + 0.1 * targets**2).theta])
    np.testing.assert_array_equal(ends[0], ends[1])
    np.testing.assert_array_equal(ends[0], ends[2])
    assert (ends[0][0] != model.layout.median).any()


def test_a_draw_of_the_linear_model_does_not_depend_on_the_eigenbasis(monkeypatch):
    archs = stream(0, 1).choice(cell.SPACE.size, 20, replace=False)  # fewer than features: a null space of any basis
    y, everything = stream(0, 2).uniform(60, 90, 20), np.arange(300)
    draws, eigh = [], np.linalg.eigh

    def turned(matrix):
        values, basis = eigh(matrix)
        null = values < 1e-8
        mixed, _ = np.linalg.qr(stream(0, 3).standard_normal((null.sum(), null.sum())))
        basis[:, null] = basis[:, null] @ mixed
        return values, basis * np.where(np.arange(len(values)) % 2, 1.0, -1.0)

    for each in (eigh, turned):
        monkeypatch.setattr(np.linalg, "eigh", each)
        draws.append(BayesLinear().fit(archs, y).sample(everything, stream(0, 4)))
    np.testing.assert_allclose(draws[0], draws[1], atol=1e-6)
