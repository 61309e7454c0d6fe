from __future__ import annotations

import numpy as np
import pytest
from conftest import held_out
from conftest import structure_scores as scores
from scipy.stats import chi2

from nasbench_lab.core import FloatArray, stream
from nasbench_lab.spaces import cell, encodings
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.surrogates import _network
from nasbench_lab.surrogates._network import Ensemble, Schedule
from nasbench_lab.surrogates._rows import LEAST_NOISE, NINE_TENTHS, added_noise
from nasbench_lab.surrogates._scale import Scale
from nasbench_lab.surrogates._targets import TRANSFORMS
from nasbench_lab.surrogates.mlp import NetworkEnsemble


@pytest.mark.parametrize("loss", ["mae", "mse", "nll"])
def test_gradients_are_torchs(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(_network, "_round", lambda *_: None)
    rng = stream(3, 1)
    net = Ensemble(4, 5, 2, 3, rng)
    rows, targets = rng.normal(size=(7, 4)).astype(np.float32), rng.normal(size=7).astype(np.float32)
    use = rng.integers(0, 2, (3, 7)).astype(np.float32)
    found = np.zeros_like(net.vector)
    net.gradient(rows, targets, use, loss, found)  # type: ignore[arg-type]

    vector = torch.tensor(net.vector, requires_grad=True)
    parts = torch.split(vector, [int(np.prod(shape)) for shape in net._shapes])
    layers = [part.reshape(shape) for part, shape in zip(parts, net._shapes, strict=True)]
    out = torch.tensor(rows).expand(3, -1, -1)
    for i in range(3):
        out = torch.bmm(out, layers[i]) + layers[3 + i]
        out = torch.relu(out) if i < 2 else out
    residual = out[..., 0] - torch.tensor(targets)
    losses = {
        "mae": residual.abs(),
        "mse": 0.5 * residual**2,
        "nll": 0.5 * (out[..., 1] + residual**2 * torch.exp(-out[..., 1])),
    }
    (torch.tensor(use) * losses[loss]).sum().backward()
    np.testing.assert_allclose(found, vector.grad.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("loss", ["mae", "mse", "nll"])
@pytest.mark.parametrize(("inputs", "batch"), [(5, 3), (155, 50), (104, 200)])
def test_the_order_of_sums_changes_no_bit(loss: str, inputs: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another processor would sum: from the other end. Without rounding the networks differ (the test's own check)."""

    def fitted() -> FloatArray:
        rng = stream(3, 8)
        rows, targets = rng.normal(size=(230, inputs)).astype(np.float32), rng.normal(size=230).astype(np.float32)
        net = Ensemble(inputs, 16, 2, 2, rng)
        net.train(rows, targets, np.ones((2, 230), np.float32), loss, Schedule(12, batch, 0.01, 0.1), rng)  # type: ignore[arg-type]
        return np.concatenate([net.vector, *net.predict(rows)[0]])

    matmul = np.matmul
    plain = fitted()
    with monkeypatch.context() as other:
        other.setattr(np, "matmul", lambda a, b, out=None: matmul(a[..., ::-1], b[..., ::-1, :], out=out))
        np.testing.assert_array_equal(plain, fitted())
        other.setattr(_network, "_round", lambda *_: None)
        turned = fitted()
    monkeypatch.setattr(_network, "_round", lambda *_: None)
    assert (turned != fitted()).any()


def test_a_withheld_row_does_not_reach_its_member() -> None:
    rng = stream(3, 2)
    rows, targets = rng.normal(size=(20, 3)).astype(np.float32), rng.normal(size=20).astype(np.float32)
    use = np.ones((2, 20), dtype=np.float32)
    use[0, :10] = 0.0
    moved = targets.copy()
    moved[:10] += 5.0
    ends = []
    for y in (targets, moved):
        net = Ensemble(3, 8, 1, 2, stream(3, 3))
        net.train(rows, y, use, "mse", Schedule(30, 10, 0.01, 0.0), stream(3, 4))
        ends.append(net.predict(rows)[0])
    np.testing.assert_array_equal(ends[0][0], ends[1][0])
    assert (ends[0][1] != ends[1][1]).any()


@pytest.mark.parametrize("loss", ["mae", "nll"])
def test_it_ranks_held_out_cells_and_its_intervals_cover(loss: str, cells: IntArray) -> None:
    found = held_out(lambda: NetworkEnsemble(loss=loss), cells, 400, fits=8)  # type: ignore[arg-type]
    assert found.tau > 0.8
    assert 0.85 < found.between < 0.99
    assert 0.85 < found.within < 0.99


def test_what_is_known_of_the_spread_is_not_added_again() -> None:
    """Errors of variance 1 + what is known, here little and there much."""
    known = np.tile([0.1, 0.5, 4.0], 100_000)
    squares = (1.0 + known) * stream(3, 6).normal(size=300_000) ** 2
    assert added_noise(squares, known) == pytest.approx(1.0, abs=0.05)  # five standard errors
    assert added_noise(0.01 * squares, known) == LEAST_NOISE


@pytest.mark.parametrize("count", [20, 50, 400])
def test_errors_are_held_nine_times_in_ten_however_few_calibrate(count: int) -> None:
    errors = stream(3, 7).normal(size=(4000, count))
    noise = np.array([added_noise(row**2, np.zeros(1)) for row in errors])
    assert chi2.cdf(NINE_TENTHS * noise, 1).mean() == pytest.approx(0.9, abs=0.006)  # known to .0011 with 20, to .0002


def test_samples_are_members_one_drawn_for_each_cell(cells: IntArray) -> None:
    model = NetworkEnsemble().fit(cells[:60], scores(cells[:60]), stream(0, 2))
    asked = np.repeat(cells[500], 400)
    found = set(np.round(model.sample(asked, stream(0, 3)), 9).tolist())
    assert len(found) == model.members
    assert len(set(np.round(model.predict(asked)[0], 9).tolist())) == 1


def test_cells_with_equal_features_are_predicted_alike(cells: IntArray) -> None:
    model = NetworkEnsemble(features="path_counts").fit(cells[:40], scores(cells[:40]))
    values = encodings.path_counts()
    first, second = next((m[0], m[1]) for m in cell.class_members() if len(m) > 3)
    assert np.array_equal(values[first], values[second])
    mean, std = model.predict(np.array([first, second]))
    assert mean[0] == mean[1]
    assert std[0] == std[1]


@pytest.mark.parametrize("transform", ["none", *TRANSFORMS])
@pytest.mark.parametrize("unit", [lambda y: y, lambda y: -40.0 * y, lambda y: 1e-3 * y + 1e4])
def test_a_scale_keeps_the_unit_of_the_scores(transform, unit) -> None:
    y = unit(stream(3, 5).uniform(20, 90, 60))
    scale = Scale(transform, y)
    kept = scale.back(scale.targets)
    above = y > np.median(y)  # winsorised cuts what is far below
    np.testing.assert_allclose(kept[above], y[above], rtol=1e-9, atol=1e-9 * np.ptp(y))
    middle, spread = scale.moments(scale.targets, np.full(60, 0.1))
    assert (np.diff(middle[np.argsort(scale.targets)]) >= 0).all()
    assert (spread > 0).all()
    assert (spread < np.ptp(y)).all()
    low, high = scale.quantiles(scale.targets, np.full(60, 0.1), (0.05, 0.95))
    assert (low <= middle).all()
    assert (middle <= high).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"features": "x"}, "features must be one of"),
        ({"targets": "x"}, "targets must be one of"),
        ({"loss": "x"}, "loss must be one of"),
        ({"members": 1}, "members must be at least 2"),
        ({"learning_rate": 0.0}, "learning_rate > 0"),
    ],
)
def test_complaints(wrong, said) -> None:
    with pytest.raises(ValueError, match=said):
        NetworkEnsemble(**wrong)
