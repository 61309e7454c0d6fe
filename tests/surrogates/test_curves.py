"""What is made of the beginnings of curves: known ends come back, and nothing is learned from curves to be predicted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.strategies.bandits.learning_curve_stopping import extrapolate
from nasbench_lab.surrogates import _curves

EPOCHS = np.arange(1.0, 7.0)


@given(st.floats(20, 95), st.floats(0, 50), st.integers(0, 59), st.integers(3, 5))
def test_a_power_law_is_continued_exactly(end: float, rise: float, exponent: int, count: int) -> None:
    b = _curves._EXPONENTS[exponent]
    curve = end - rise * EPOCHS**-b
    found = _curves.power(EPOCHS[:count], np.stack([curve[:count], curve[:count] - 3]), 6.0)
    assert found == pytest.approx([curve[-1], curve[-1] - 3], abs=1e-6)


def test_a_falling_curve_is_taken_for_a_flat_one() -> None:
    assert _curves.power(EPOCHS[:3], np.array([[60.0, 50.0, 40.0]]), 6.0)[0] == pytest.approx(50.0)


def test_one_curve_is_extrapolated_as_among_others() -> None:
    curves = np.random.default_rng(0).normal(50, 5, (40, 4)).cumsum(axis=1)
    found = _curves.power(EPOCHS[:4], curves, 9.0)
    for curve, end in zip(curves, found, strict=True):
        assert extrapolate(EPOCHS[:4], curve, 9.0) == pytest.approx(end)


def test_a_linear_rule_is_learned_from_few_curves() -> None:
    rng = np.random.default_rng(1)
    curves = rng.normal(50, 5, (300, 3)).cumsum(axis=1)
    ends = 4 + curves @ np.array([0.2, -0.5, 1.1]) + rng.normal(0, 0.01, 300)
    found = _curves.regression(curves[40:], curves[:40], ends[:40])
    assert np.abs(found - ends[40:]).max() < 0.1


@pytest.mark.parametrize("known", [2, 3, 11])
def test_it_learns_from_next_to_nothing_and_from_constant_columns(known: int) -> None:
    curves = np.column_stack([np.full(20, 7.0), np.arange(20.0)])
    found = _curves.regression(curves, curves[:known], np.arange(float(known)))
    assert np.isfinite(found).all()
