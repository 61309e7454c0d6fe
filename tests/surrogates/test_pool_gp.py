from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from nasbench_lab.core import FloatArray, stream
from nasbench_lab.spaces import cell
from nasbench_lab.surrogates._acquisition import expected_improvement, log_expected_improvement
from nasbench_lab.surrogates._canonical import KERNELS, pool_of
from nasbench_lab.surrogates._kernels import Part
from nasbench_lab.surrogates._pool_gp import PoolGP

Observed = tuple[tuple[Part, ...], list[int], FloatArray, FloatArray]


def observed(kernel: str, count: int = 25) -> Observed:
    """Parts, pool rows, targets and hyper-parameters away from the prior's medians."""
    rng = stream(5, 1)
    pool = pool_of(cell.SPACE, kernel)
    rows = pool.row_of[rng.choice(cell.SPACE.size, count)].tolist()
    theta = PoolGP(pool.parts).theta
    moved = theta + 0.2 * rng.standard_normal(len(theta)) * (theta != 0)
    return pool.parts, rows, rng.standard_normal(count), moved


def filled(kernel: str, count: int = 25) -> tuple[PoolGP, FloatArray]:
    parts, rows, targets, theta = observed(kernel, count)
    gp = PoolGP(parts, theta=theta)
    for row in rows:
        gp.add(row)
    gp.set_targets(targets)
    return gp, targets


@pytest.mark.parametrize("kernel", KERNELS)
def test_gradient_is_that_of_the_loss(kernel: str) -> None:
    gp, targets = filled(kernel)
    _, gradient = gp.loss(gp.theta, targets)
    step = 1e-5
    for i in range(len(gp.theta)):
        if gp.parts[0].profile == "linear" and i == 2:
            continue  # held fixed
        up, down = gp.theta.copy(), gp.theta.copy()
        up[i] += step
        down[i] -= step
        slope = (gp.loss(up, targets)[0] - gp.loss(down, targets)[0]) / (2 * step)
        assert gradient[i] == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_growing_row_by_row_is_factoring_at_once(kernel: str) -> None:
    gp, targets = filled(kernel)
    again = PoolGP(gp.parts, theta=gp.theta)
    again.extend(gp.rows)
    again.set_targets(targets)
    for one, other in zip(gp.posterior(), again.posterior(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_capacity_grows() -> None:
    gp, _ = filled("canonical", 130)
    assert gp.posterior()[0].shape == (gp.size,)
    assert len(gp.rows) == 130


def test_posterior_is_the_textbook_formula() -> None:
    gp, targets = filled("canonical3", 12)
    prior = PoolGP(gp.parts, theta=gp.theta)
    covariance = prior.covariance(range(60))
    some = [*gp.rows, *range(60)]
    joint = prior.covariance(some)
    n = len(gp.rows)
    inverse = np.linalg.inv(joint[:n, :n] + (gp.noise + 1e-8) * np.eye(n))
    mean = (inverse @ targets).sum() / inverse.sum()
    expected = mean + joint[n:, :n] @ inverse @ (targets - mean)
    spread = covariance - joint[n:, :n] @ inverse @ joint[:n, n:]
    np.testing.assert_allclose(gp.posterior()[0][:60], expected, atol=1e-9)
    np.testing.assert_allclose(gp.posterior()[1][:60], np.diag(spread), atol=1e-9)
    np.testing.assert_allclose(gp.covariance(range(60)), spread, atol=1e-9)


def test_pending_rows_leave_the_mean_and_take_variance() -> None:
    gp, targets = filled("canonical")
    pending = [3, 700, 3]
    mean, variance = gp.posterior(pending)
    np.testing.assert_array_equal(mean, gp.posterior()[0])
    gp.extend(pending)
    gp.set_targets(np.concatenate([targets, np.zeros(3)]))
    np.testing.assert_allclose(variance, gp.posterior()[1], atol=1e-10)


def test_fit_lowers_the_loss_and_survives_pickling() -> None:
    gp, targets = filled("canonical")
    before = gp.loss(gp.theta, targets)[0]
    gp.fit(targets)
    assert gp.loss(gp.theta, targets)[0] < before
    copy: Any = pickle.loads(pickle.dumps(gp))
    np.testing.assert_array_equal(copy.posterior()[0], gp.posterior()[0])


def test_complaints() -> None:
    gp, targets = filled("canonical", 3)
    with pytest.raises(ValueError, match="expected 3 targets"):
        gp.set_targets(targets[:2])
    gp.add(0)
    with pytest.raises(ValueError, match="4 rows observed, 3 targets"):
        gp.posterior()
    with pytest.raises(ValueError, match="equal length"):
        PoolGP([])
    with pytest.raises(ValueError, match="theta must have shape"):
        gp.theta = np.zeros(2)
    with pytest.raises(ValueError, match="kernel must be one of"):
        pool_of(cell.SPACE, "rbf")


def test_log_ei_is_the_log_of_ei_and_goes_on_where_that_ends() -> None:
    mean, std = np.linspace(-8, 3, 200), np.full(200, 0.7)
    near = log_expected_improvement(mean, std, 0.4)
    np.testing.assert_allclose(near, np.log(expected_improvement(mean, std, 0.4)), rtol=1e-5)
    far = log_expected_improvement(np.array([-1e2, -1e4, -1e5, -9e5, -1.1e6, -1e8]), np.ones(6), 0.0)
    assert np.isfinite(far).all()
    assert (np.diff(far) < 0).all()


@pytest.mark.parametrize("kernel", KERNELS)
def test_same_posterior_as_gpytorch(kernel: str) -> None:
    pytest.importorskip("gpytorch")
    from nasbench_lab.surrogates._gpytorch import TorchGP

    gp, targets = filled(kernel)
    reference = TorchGP(gp.parts)
    reference.theta = gp.theta
    reference.extend(gp.rows)
    reference.set_targets(targets)
    for ours, theirs in zip(gp.posterior(), reference.posterior(), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_same_next_choice_as_botorch(seed: int) -> None:
    torch = pytest.importorskip("torch")
    from botorch.acquisition import LogExpectedImprovement

    from nasbench_lab.surrogates._gpytorch import TorchGP

    pool = pool_of(cell.SPACE)
    rng = stream(seed, 1)
    rows = pool.row_of[rng.choice(cell.SPACE.size, 30)].tolist()
    targets = pool.parts[0].features[rows] @ rng.standard_normal(24) / 5.0
    gp, reference = PoolGP(pool.parts), TorchGP(pool.parts)
    gp.extend(rows)
    gp.fit(targets)
    reference.theta = gp.theta
    reference.extend(rows)
    reference.set_targets(targets)
    reference.model.eval()
    mean, variance = gp.posterior()
    ours = log_expected_improvement(mean, np.sqrt(variance), float(targets.max()))
    acquisition = LogExpectedImprovement(reference.model, best_f=float(targets.max()))
    with torch.no_grad():
        theirs = acquisition(reference.inputs[:, None, :]).numpy()
    choice = int(ours.argmax())
    assert choice == int(theirs.argmax())
    assert ours[choice] == pytest.approx(float(theirs[choice]), abs=1e-6)


def test_same_optimum_as_gpytorch() -> None:
    pytest.importorskip("gpytorch")
    from nasbench_lab.surrogates._gpytorch import TorchGP

    parts, rows, targets, _ = observed("path", 30)
    gp, reference = PoolGP(parts), TorchGP(parts)
    for model in (gp, reference):
        model.extend(rows)
        model.fit(targets, iterations=200)
    assert gp.loss(gp.theta, targets)[0] == pytest.approx(gp.loss(reference.theta, targets)[0], abs=1e-3)  # a grid's
    np.testing.assert_allclose(gp.posterior()[0], reference.posterior()[0], atol=1e-2)
