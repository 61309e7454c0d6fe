"""The network: published counts, closed forms for every class, and that dead edges change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch

from nasbench_lab.spaces import cell
from nasbench_lab.training.network import CIFAR10, CIFAR100, IMAGENET16, Cell, Network, Shape, count_flops, count_params

SMALL = Shape(channels=8, cells=1, inputs=1, size=12)
torch.set_num_threads(1)  # threads only wait for each other at these sizes
ARCHS = st.integers(0, cell.SPACE.size - 1)


def _network(arch: int, shape: Shape = SMALL, *, seed: int = 0, nominal: bool = False) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Network(arch, shape, nominal=nominal)


@pytest.mark.parametrize(("arch", "params", "flops"), [
    (0, 129306, 15.64736), (11, 802426, 113.95137), (284, 101306, 11.7152), (1462, 1531546, 220.12),
])  # fmt: skip
def test_published_figures(arch: int, params: int, flops: float) -> None:
    with torch.device("meta"):
        network = Network(arch, CIFAR10, nominal=True)
    assert count_params(network) == params
    assert count_flops(network) / 1e6 == pytest.approx(
        flops, abs=0.005 if arch == 1462 else 2e-5
    )  # as rounded in print


@pytest.mark.parametrize(
    ("name", "shape"), [("cifar10", CIFAR10), ("cifar100", CIFAR100), ("ImageNet16-120", IMAGENET16)]
)
def test_other_skeletons(name: str, shape: Shape) -> None:
    with torch.device("meta"):
        network = Network(11, shape, nominal=True)
    assert count_params(network) / 1e6 == pytest.approx(cell.params_m(name)[11], abs=1e-9)
    assert count_flops(network) / 1e6 == pytest.approx(cell.flops_m(name)[11], abs=1e-5)


def test_every_class_has_the_closed_form_of_parameters() -> None:
    """By the cells' parts, not by building 6,466 networks: the skeleton is the same and parameters just add up."""
    fixed = count_params(_network(0, CIFAR10)) - _cells(cell.ops(0))
    counted = {ops: fixed + _cells(ops) for ops in {tuple(sorted(cell.ops(m[0]))) for m in cell.class_members()}}
    published = cell.params_m("cifar10")
    for members in cell.class_members():
        assert abs(counted[tuple(sorted(cell.ops(members[0])))] / 1e6 - published[members[0]]) < 1e-9


def _cells(ops: tuple[int, ...]) -> int:
    with torch.device("meta"):  # counted, never filled
        return _count(ops)


def _count(ops: tuple[int, ...]) -> int:
    return CIFAR10.cells * sum(count_params(Cell(ops, width)) for width in (16, 32, 64))


@settings(max_examples=15, deadline=None)
@given(arch=ARCHS)
def test_flops_follow_the_counts_of_live_edges(arch: int) -> None:
    """What is run is counted; the published figure adds the edges that nothing reaches."""
    base, conv3, conv1 = 7.78305, 35.38944, 3.93216
    live = cell.op_counts(live=True)[arch]
    if not cell.reachable()[arch].any():
        return
    expected = base + conv3 * live[cell.CONV3] + conv1 * live[cell.CONV1]
    with torch.device("meta"):
        assert count_flops(Network(arch, CIFAR10)) / 1e6 == pytest.approx(expected, abs=1e-5)


@settings(max_examples=25, deadline=None)
@given(arch=ARCHS, seed=st.integers(0, 100))
def test_dead_edges_change_nothing(arch: int, seed: int) -> None:
    whole, lean = _network(arch, seed=seed, nominal=True).eval(), _network(arch).eval()
    lean.load_state_dict({k: v for k, v in whole.state_dict().items() if k in lean.state_dict()})
    images = torch.randn(3, 1, 12, 12, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        torch.testing.assert_close(whole(images), lean(images))


def _by_the_book(module: Cell, x: torch.Tensor) -> torch.Tensor:
    """The definition, edge by edge, nothing shared."""
    nodes = [x]
    for target in (1, 2, 3):
        total = torch.zeros_like(x)
        for e, (source, end) in enumerate(cell.EDGES):
            if end != target:
                continue
            op, value = module.ops[e], nodes[source]
            if op == cell.SKIP:
                total = total + value
            elif op == cell.POOL:
                total = total + torch.nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)(value)
            elif op in (cell.CONV1, cell.CONV3):
                total = total + module.edges[str(e)](torch.relu(value))
        nodes.append(total)
    return nodes[3]


@settings(max_examples=25, deadline=None)
@given(arch=ARCHS)
def test_cell_by_the_book(arch: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(arch)
        module, x = Cell(cell.ops(arch), 8), torch.randn(4, 8, 6, 6)
    module.eval()
    with torch.no_grad():
        torch.testing.assert_close(module(x), _by_the_book(module, x))


def test_isomorphic_cells_cost_the_same_to_run() -> None:
    rng = np.random.default_rng(0)
    for number in rng.choice(len(cell.class_members()), 5, replace=False):
        members = cell.class_members()[number][:4]
        assert len({count_params(_network(arch)) for arch in members}) == 1


def test_disconnected_cell_still_answers() -> None:
    arch = cell.parse("none,none,none,none,none,none")
    assert _network(arch).eval()(torch.randn(2, 1, 12, 12)).shape == (2, 10)


@pytest.mark.parametrize(("shape", "word"), [({"size": 10}, "divisible by 4"), ({"channels": 0}, "at least 1")])
def test_bad_shape(shape: dict[str, int], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Shape(**shape)


def test_no_such_cell() -> None:
    with pytest.raises(ValueError, match=r"0\.\.15624"):
        Network(15625)
