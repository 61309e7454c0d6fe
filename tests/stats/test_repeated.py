"""Repeated measurements: noise by level, posterior means, and which is the best, against simulations whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_lab.stats.repeated import LEVELS, Repeated


def drawn(cells: int, trials: int, noise: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """(C,) true scores, most near the top and some far below, and (C, T) measurements of them."""
    rng = np.random.default_rng(seed)
    truth = 85 - rng.gamma(2.0, 2.0, cells)
    return truth, truth[:, None] + rng.normal(0, noise, (cells, trials))


def test_the_noise_of_one_measurement_is_found_at_every_level():
    rng = np.random.default_rng(0)
    truth = rng.uniform(50, 90, 20_000)
    noise = 2.5 - truth / 45  # 1.39 at the bottom, 0.5 at the top
    found = Repeated(truth[:, None] + noise[:, None] * rng.normal(size=(20_000, 3)))
    for level in range(LEVELS):
        own = (truth >= 50 + 4 * level) & (truth < 54 + 4 * level)
        # a pooled variance of 2,000 cells x 2 degrees of freedom has a relative standard error of 2.2%; levels are a little mixed
        assert np.median(found.sd[own]) == pytest.approx(np.sqrt(np.mean(noise[own] ** 2)), rel=0.12)


def test_posterior_means_are_nearer_the_truth_and_not_too_high_at_the_top():
    gain, bias, plain = [], [], []
    for seed in range(8):
        truth, trials = drawn(1500, 3, 1.0, seed)
        found = Repeated(trials)
        top = np.argsort(-found.means)[:20]
        gain.append(np.mean((found.means - truth) ** 2) - np.mean((found.posterior - truth) ** 2))
        bias.append((found.posterior - truth)[top].mean())
        plain.append((found.means - truth)[top].mean())
    assert np.mean(gain) > 3 * np.std(gain) / np.sqrt(8)
    error = np.std(bias, ddof=1) / np.sqrt(8)
    assert abs(np.mean(bias)) < 4 * error  # unbiased within four standard errors ...
    assert np.mean(plain) > np.mean(bias) + 8 * error  # ... where the means of the best are far too high


def test_chances_say_how_often_the_best_is_the_best():
    said, right = [], []
    for seed in range(40):
        truth, trials = drawn(400, 3, 1.0, 100 + seed)
        found = Repeated(trials)
        said.append(found.chances[found.best])
        right.append(np.argmax(truth) == found.best)
    error = np.sqrt(np.mean(np.array(said) * (1 - np.array(said))) / 40)
    assert abs(np.mean(right) - np.mean(said)) < 4 * error


@settings(max_examples=20, deadline=None)
@given(st.integers(30, 80), st.integers(2, 4), st.floats(0.05, 3.0), st.integers(0, 1000), st.floats(-3, 3))
def test_chances_add_up_and_move_with_scores_and_units(cells, trials, noise, seed, shift):
    _, values = drawn(cells, trials, noise, seed)
    found, moved = Repeated(values), Repeated(1e-3 * (values + shift))
    assert found.chances.sum() == pytest.approx(1.0)
    assert (found.chances >= 0).all()
    assert found.posterior.min() >= found.means.min() - 5 * found.errors.max()
    assert np.allclose(1e3 * moved.means, found.means + shift)
    assert np.allclose(moved.sd * 1e3, found.sd, rtol=1e-6)


def test_exact_measurements_stay_what_they_are():
    truth = np.random.default_rng(0).uniform(60, 80, 200)
    found = Repeated(np.repeat(truth[:, None], 2, axis=1) + np.array([-1e-6, 1e-6]))
    assert np.allclose(found.posterior, truth, atol=0.2)  # the density is estimated at places, not everywhere
    assert found.means[found.best] == truth.max()
    assert found.chances[found.best] > 0.99


def test_cells_measured_once_borrow_the_noise_of_the_others():
    truth, values = drawn(500, 3, 1.0, 3)
    values[::2, 1:] = np.nan
    found = Repeated(values)
    assert (found.errors[::2] > found.errors[1::2].max()).all()
    assert (found.counts[::2] == 1).all()
    assert np.mean((found.posterior - truth)[::2] ** 2) < np.mean((found.means - truth)[::2] ** 2)


@pytest.mark.parametrize("values", [np.full((40, 2), np.nan), np.ones((40, 1)), np.ones((29, 3))])
def test_too_little_is_refused(values):
    with pytest.raises(ValueError, match="measurement"):
        Repeated(values)


def test_cells_that_are_all_alike_are_equally_likely_the_best():
    found = Repeated(np.full((60, 3), 50.0))
    assert np.array_equal(found.posterior, np.full(60, 50.0))
    assert found.chances == pytest.approx(np.full(60, 1 / 60))


def test_many_cells_are_taken_together_where_they_are_alike(monkeypatch):
    from nasbench_lab.stats import repeated

    _, values = drawn(3000, 3, 1.0, 5)
    whole = Repeated(values)
    monkeypatch.setattr(repeated, "_MANY", 2500)
    some = Repeated(values)
    assert len(some._groups[0]) < 2500
    assert np.abs(some.posterior - whole.posterior).max() < 0.05 * whole.errors.max()
    assert some.chances[whole.best] == pytest.approx(whole.chances[whole.best], abs=0.02)
    assert some.chances.sum() == pytest.approx(1.0)


def test_equal_means_are_equally_good_wherever_they_stand():
    """Sums that a processor takes in another order must not rank cells of which nothing different is known."""
    _, values = drawn(900, 3, 1.0, 7)
    values = np.round(values, 1)  # many ties
    values[-1] = values[0]
    found = Repeated(values)
    for mean, error in {(found.means[i], found.errors[i]) for i in range(900)}:
        same = (found.means == mean) & (found.errors == error)
        assert len(set(found.posterior[same])) == 1
        assert len(set(found.chances[same])) == 1


def test_the_density_is_estimated_at_places_enough(monkeypatch):
    """Twice as many places change no chance by a hundredth of itself, nor what a cell is likely to score by as much of an error."""
    from nasbench_lab.stats import repeated

    _, values = drawn(1500, 3, 1.0, 11)
    found = Repeated(values)
    monkeypatch.setattr(repeated, "_GRID", 2 * repeated._GRID)
    finer = Repeated(values)
    assert finer.chances[finer.best] == pytest.approx(found.chances[found.best], rel=0.01)
    assert np.abs(finer.posterior - found.posterior).max() < 0.01 * found.errors.max()


def test_scores_of_a_few_cells_far_away_warn_of_nothing():
    rng = np.random.default_rng(2)
    truth = -np.exp(rng.normal(-8, 2.5, 4000))  # errors over six powers of ten
    found = Repeated(truth[:, None] * (1 + 0.1 * rng.normal(size=(4000, 3))))
    assert np.isfinite(found.posterior).all()
    assert found.chances.sum() == pytest.approx(1.0)
