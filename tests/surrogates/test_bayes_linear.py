from __future__ import annotations

import numpy as np
import pytest
from conftest import held_out

from nasbench_lab.core import FloatArray, stream
from nasbench_lab.spaces import cell, encodings
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.surrogates.bayes_linear import BayesLinear


def scores(archs: IntArray) -> FloatArray:
    noise = stream(1, 9).standard_normal(cell.SPACE.size)[archs]
    out: FloatArray = 60 + encodings.structure()[archs] @ np.linspace(-2, 3, 24) / 4 + 0.1 * noise
    return out


@pytest.mark.parametrize("features", ["structure", "path_counts", "structure_paths"])
def test_it_is_scikit_learns_bayesian_ridge(features: str, cells: IntArray) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    model = BayesLinear(features=features, targets="none", iterations=3000).fit(cells[:150], scores(cells[:150]))
    rows = model.inputs_[model.row_of_[cells]]
    flat = dict.fromkeys(("alpha_1", "alpha_2", "lambda_1", "lambda_2"), 0.0)
    reference = linear_model.BayesianRidge(max_iter=3000, tol=1e-10, **flat).fit(rows[:150], model.scale_.targets)
    assert model.alpha_ == pytest.approx(reference.lambda_, rel=0.02)
    assert model.beta_ == pytest.approx(reference.alpha_, rel=0.02)
    mean, std = reference.predict(rows[-300:], return_std=True)
    found = model._moments(model.row_of_[cells[-300:]])
    np.testing.assert_allclose(found[0], mean, atol=0.01)
    intercept = 1.0 / (model.count_ * model.beta_)  # which scikit-learn takes as known
    np.testing.assert_allclose(found[1] ** 2 / model.factor_ - intercept, std**2, rtol=0.05)


def test_leave_one_out_errors_are_those_of_fits_without_one(cells: IntArray) -> None:
    y = scores(cells[:60])
    model = BayesLinear(targets="none").fit(cells[:60], y)
    x = model.inputs_[model.row_of_[cells[:60]]]
    targets = model.scale_.targets
    squares = []
    for i in range(60):
        others = np.arange(60) != i
        middle, offset = x[others].mean(axis=0), targets[others].mean()
        seen = x[others] - middle
        covariance = np.linalg.inv(model.alpha_ * np.eye(x.shape[1]) + model.beta_ * seen.T @ seen)
        row = x[i] - middle
        mean = offset + model.beta_ * row @ covariance @ (seen.T @ (targets[others] - offset))
        variance = row @ covariance @ row + (1.0 + 1.0 / 59) / model.beta_
        squares.append((targets[i] - mean) ** 2 / variance)
    found = np.quantile(squares, 0.9) / 1.6448536**2
    assert model.factor_ == pytest.approx((60 * found + 8) / 68, rel=1e-6)


def test_samples_are_linear_and_joint_and_spread_as_the_posterior(cells: IntArray) -> None:
    model = BayesLinear(features="one_hot", targets="none").fit(cells[:80], scores(cells[:80]))
    rng = stream(4, 1)
    asked = cells[:200]
    draws = np.stack([model.sample(asked, rng) for _ in range(400)])
    design = np.concatenate([model.inputs_[model.row_of_[asked]], np.ones((200, 1))], axis=1)
    residual = draws[0] - design @ np.linalg.lstsq(design, draws[0])[0]
    assert np.abs(residual).max() < 1e-6
    mean, std = model.predict(asked)
    noise = model.factor_ / model.beta_ * model.scale_._unit**2
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=5 * std.max() / 20)
    np.testing.assert_allclose(draws.std(axis=0), np.sqrt(std**2 - noise), rtol=0.2)


def test_it_learns_what_is_linear_and_its_intervals_cover(cells: IntArray) -> None:
    found = held_out(lambda: BayesLinear(targets="standardised"), cells, 150, fits=16, scores=scores)
    assert found.tau > 0.85
    assert 0.8 < found.between < 0.97


def test_complaints() -> None:
    with pytest.raises(ValueError, match="features must be one of"):
        BayesLinear(features="x")
    with pytest.raises(ValueError, match="iterations must be at least 1"):
        BayesLinear(iterations=0)
