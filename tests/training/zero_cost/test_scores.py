"""Zero-cost scores: by hand on tiny networks, and what all of them keep to."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn
from torch.nn import functional

from nasbench_lab.core import LabError
from nasbench_lab.spaces import cell
from nasbench_lab.training.network import CIFAR10, Network, Shape, count_flops
from nasbench_lab.training.zero_cost import _batch, _cells, _score, flops

SHAPE = Shape(4, 1, 10, 1, 12)
BATCH = _batch.random_batch(8, inputs=1, size=12, classes=10, seed=3)
DEAD = int(np.flatnonzero((cell.live_choices() == cell.NONE).all(axis=1))[0])
SKIPS = int(np.flatnonzero((cell.SPACE.choices == cell.SKIP).all(axis=1))[0])
SMALL = 1e-5


def value(name: str, network: nn.Module, images: object = (), labels: object = (), seed: int = 0) -> float:
    batch = _batch.Batch(torch.tensor(images, dtype=torch.float32), torch.tensor(labels, dtype=torch.int64))
    return _score.measure(_score.load(name), network, batch, seed=seed).value


def linear(*rows: object, bias: bool = False) -> nn.Linear:
    weight = torch.tensor(rows, dtype=torch.float32)
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias)
    layer.weight.data.copy_(weight)
    return layer


TWO = nn.Sequential(linear((1, -2), (3, 4)), linear((-1, 2)))  # |W2| |W1| 1 = (1, 2) (3, 7)' = 17, through each layer


def normalised() -> nn.Module:
    norm = nn.BatchNorm1d(2)
    norm.weight.data.fill_(-7.0)
    return nn.Sequential(TWO[0], norm, TWO[1])


@pytest.mark.parametrize("network", [TWO, normalised()], ids=["plain", "normalised"])
def test_synflow_of_two_linear_layers(network):
    assert value("synflow", network, [[5.0, -5.0]], [0]) == pytest.approx(math.log(34))


def test_synflow_in_double_precision_reaches_far_beyond_single():
    deep = nn.Sequential(*(linear((1e8, 0), (0, 1e8)) for _ in range(20)))
    assert value("synflow", deep, [[1.0, 1.0]], [0]) == pytest.approx(math.log(40) + 160 * math.log(10), rel=1e-6)


def test_sizes_by_hand():
    assert value("params", TWO, [[1.0, 1.0]], [0]) == 6e-6
    assert value("l2_norm", TWO, [[1.0, 1.0]], [0]) == pytest.approx(math.sqrt(30) + math.sqrt(5))
    small = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    assert value("flops", small, np.zeros((2, 1, 4, 4)).tolist(), [0, 1]) == (9 * 2 * 16 + 6) / 1e6


def test_flops_and_params_are_those_of_the_table():
    network = Network(6111, CIFAR10)
    batch = _batch.random_batch(2, inputs=3, size=32, classes=10, seed=0)
    assert flops.multiply_adds(network, batch) == count_flops(network) - 10  # the additions of the bias
    assert _score.measure(_score.load("params"), network, batch, seed=0).value == pytest.approx(
        cell.params_m("cifar10")[6111]
    )


# One layer of two weights (1, 0), one image 1, label 0: p = (e, 1) / (1 + e), g = (-q, q) with q = p_1,
# H = p q ((1, -1), (-1, 1))
Q = 1 / (1 + math.e)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("snip", Q),
        ("plain", -Q),
        ("grad_norm", math.sqrt(2) * Q),
        ("grasp", 2 * (1 - Q) * Q * Q),  # -(1, 0) H g
        ("fisher", Q * Q / 2),  # outputs (1, 0) times g, squared, halved
    ],
)
def test_scores_of_the_loss_by_hand(name, expected):
    assert value(name, linear((1,), (0,)), [[1.0]], [0]) == pytest.approx(expected, rel=1e-5)


def test_scores_of_input_gradients_of_a_linear_network():
    """All images have the same gradient, so that all correlations are 1 and the spectrum is (B, 0, ..., 0)."""
    network, images, labels = linear((1, -2, 4), (3, 4, 2)), np.eye(3).tolist(), [1, 0, 1]
    none = 2 * (math.log(SMALL) + 1 / SMALL)
    assert value("jacob_cov", network, images, labels) == pytest.approx(-(math.log(3) + 1 / 3 + none), rel=1e-6)
    assert value("epe_nas", network, images, labels) == pytest.approx((2**2 + 1**2) * math.log1p(SMALL), rel=1e-6)


class Functional(nn.Module):
    def __init__(self, readers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(linear((1, 2)) for _ in range(readers))

    def forward(self, images):
        units = functional.relu(images)
        return sum(layer(units) for layer in self.layers)


@pytest.mark.parametrize(
    ("network", "det"),
    [(nn.Sequential(nn.ReLU(), linear((1, 2))), 3), (Functional(1), 3), (Functional(2), 12)],
    ids=["module", "function", "two that read it"],
)
def test_naswot_of_codes_10_and_11(network, det):
    """They agree in one unit of two: K = ((2, 1), (1, 2)), once for every layer that reads the units."""
    assert value("naswot", network, [[1.0, -1.0], [1.0, 1.0]], [0, 0]) == pytest.approx(math.log(det))


def test_images_with_one_code_have_no_naswot():
    assert math.isnan(value("naswot", Functional(1), [[1.0, 1.0], [2.0, 1.0]], [0, 0]))


def test_zen_of_one_convolution_and_a_normalisation():
    """Linear: the change of the output is the step times the convolution of the change; the normalisation undoes itself."""
    network = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False))
    draw = torch.Generator().manual_seed(4)
    weight, _, change = (torch.randn(shape, generator=draw) for shape in ((1,), (2, 1, 4, 4), (2, 1, 4, 4)))
    moved = (0.01 * weight * change).abs().sum(dim=(1, 2, 3)).mean()
    images = np.zeros((2, 1, 4, 4)).tolist()
    assert value("zen", network, images, [0, 0], seed=4) == pytest.approx(float(moved.log()), rel=1e-4)


def test_vkdnw_is_between_the_number_of_layers_and_the_entropy_of_nine_above_it():
    network = _cells._drawn(6111, SHAPE, 0)
    layers = sum(isinstance(module, (nn.Conv2d, nn.Linear)) for module in network.modules())
    assert layers < _score.measure(_score.load("vkdnw"), network, BATCH, seed=0).value <= layers + math.log(9)


# What all keep to


def state(network: nn.Module) -> list[object]:
    tensors = [tensor.clone() for tensor in network.state_dict().values()]
    hooks = sum(len(module._forward_hooks) for module in network.modules())
    return [
        tensors,
        network.training,
        hooks,
        [p.grad for p in network.parameters()],
        [p.dtype for p in network.parameters()],
    ]


def generators() -> tuple[object, ...]:
    return torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002


@pytest.mark.parametrize("name", _score.names())
def test_a_score_is_seeded_and_leaves_everything_as_it_was(name):
    network = _cells._drawn(6111, SHAPE, 1).eval()
    before, drawn, images = state(network), generators(), BATCH.images.clone()
    first = _score.measure(_score.load(name), network, BATCH, seed=2)
    torch.rand(3)  # whatever was drawn before
    again = _score.measure(_score.load(name), network.train(), BATCH, seed=2)
    network.eval()
    assert first.value == again.value
    assert math.isfinite(first.value)
    assert first.seconds >= 0
    after = state(network)
    assert all(torch.equal(a, b) for a, b in zip(before[0], after[0], strict=True))
    assert before[1:] == after[1:]
    assert torch.equal(images, BATCH.images)
    assert BATCH.images.grad is None
    torch.set_rng_state(torch.tensor(drawn[0], dtype=torch.uint8))
    assert generators() == drawn


@pytest.mark.parametrize("name", _score.names())
def test_scores_leave_torchs_generator_alone(name):
    network, before = _cells._drawn(SKIPS, SHAPE, 0), torch.get_rng_state()
    _score.measure(_score.load(name), network, BATCH, seed=0)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", [name for name in _score.names() if not _score.load(name).uses_images])
def test_what_uses_no_images_does_not_depend_on_them(name):
    other = _batch.random_batch(8, inputs=1, size=12, classes=10, seed=4)
    network, score = _cells._drawn(6111, SHAPE, 0), _score.load(name)
    assert _score.measure(score, network, BATCH, seed=0).value == _score.measure(score, network, other, seed=0).value


def test_cells_through_which_nothing_passes_have_no_score_or_a_finite_one():
    found = _score.measure_all(_score.names(), _cells._drawn(DEAD, SHAPE, 0), BATCH, seed=0)
    missing = {name for name, each in found.items() if math.isnan(each.value)}
    assert missing == {"epe_nas", "jacob_cov", "naswot", "synflow", "vkdnw", "zen"}
    assert not any(math.isinf(each.value) for each in found.values())


def test_a_cells_scores_do_not_depend_on_what_was_scored_before_it():
    both = _cells.score_cells([SKIPS, 6111], ["zen", "snip", "naswot"], SHAPE, BATCH, seed=0)
    one = _cells.score_cells([6111], ["naswot", "snip", "zen"], SHAPE, BATCH, seed=0)
    assert {name: values[1] for name, values in both.values.items()} == {n: v[0] for n, v in one.values.items()}
    assert all(cost[1] >= 0 for cost in both.nominal.values())


def test_equal_networks_have_equal_scores_of_what_depends_on_the_network_alone():
    counts = cell.op_counts(live=True)
    pairs = (members[:2] for members in cell.class_members() if len(members) > 3)
    a, b = next((a, b) for a, b in pairs if (counts[a] == counts[b]).all() and counts[a, cell.CONV3])
    found = _cells.score_cells([a, b], ["params", "flops"], SHAPE, BATCH, seed=0).values
    assert found["params"][0] == found["params"][1]
    assert found["flops"][0] == found["flops"][1]


def test_batches_are_the_seeds():
    digits = [_cells.batch_for(Shape(8, 1, 10, 1, 12), "digits", 16, seed) for seed in (0, 0, 1)]
    noise = [_cells.batch_for(SHAPE, "random", 16, seed) for seed in (0, 0, 1)]
    for first, again, other in (digits, noise):
        assert first.images.shape == (16, 1, 12, 12)
        assert torch.equal(first.images, again.images)
        assert torch.equal(first.labels, again.labels)
        assert not torch.equal(first.images, other.images)


def test_what_is_refused():
    with pytest.raises(LabError, match="no zero-cost score named 'synflo'; did you mean synflow"):
        _score.load("synflo")
    with pytest.raises(LabError, match="no images named 'cats'; there is: random, digits"):
        _cells.batch_for(SHAPE, "cats", 8, 0)
    with pytest.raises(LabError, match="images of digits have channels 1, side 12"):
        _cells.batch_for(CIFAR10, "digits", 8, 0)
