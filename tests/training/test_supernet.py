"""The supernet: a path is the stand-alone network, only what is needed is computed and counted, gates are gates."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from nasbench_lab.spaces import cell
from nasbench_lab.training import cost
from nasbench_lab.training.network import Network, Shape
from nasbench_lab.training.supernet import EVERYTHING, Choices, SearchCell, Supernet, multiply_adds, path, plan

SMALL = Shape(channels=4, cells=2, inputs=1, size=8)
ARCHS = st.integers(0, cell.SPACE.size - 1)


def _supernet(shape: Shape = SMALL, *, affine: bool = False, seed: int = 0) -> Supernet:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Supernet(shape, affine=affine)
        for parameter in network.parameters():  # scales and shifts that are not 1 and 0
            if parameter.ndim == 1:
                torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return network


def _images(count: int = 6, shape: Shape = SMALL, seed: int = 1) -> Tensor:
    return torch.randn(count, shape.inputs, shape.size, shape.size, generator=torch.Generator().manual_seed(seed))


def _plainly(stage: SearchCell, x: Tensor, choices: Choices, gates: Tensor) -> Tensor:
    """The cell as it is defined: every operation of every edge by itself, gated, and summed; nothing comes of nothing."""
    nodes: list[Tensor | None] = [x, None, None, None]
    for e, (source, target) in enumerate(cell.EDGES):
        value = nodes[source]
        if value is None:
            continue
        for op in choices[e]:
            if op == cell.SKIP:
                out = value
            elif op == cell.POOL:
                out = functional.avg_pool2d(value, 3, 1, 1, count_include_pad=False)
            elif op == cell.NONE:
                continue
            else:
                conv = stage.convs[f"{op}-{e}"]
                out = functional.batch_norm(conv(functional.relu(value)), None, None, training=True)
                if stage.norms:
                    norm = stage.norms[f"{op}-{e}"]
                    out = out * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)
            present = nodes[target]
            nodes[target] = gates[e, op] * out + (0 if present is None else present)
    return torch.zeros_like(x) if nodes[3] is None else nodes[3]


@pytest.mark.parametrize("affine", [False, True])
def test_a_path_is_the_stand_alone_network_with_the_same_weights(affine: bool) -> None:
    supernet, images = _supernet(affine=affine), _images()
    for arch in np.random.default_rng(0).integers(cell.SPACE.size, size=50).tolist():
        network = supernet.standalone(arch)
        assert network.training
        torch.testing.assert_close(supernet(images, path(arch)), network(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("affine", [False, True])
@settings(max_examples=20, deadline=None)
@given(st.lists(st.sets(st.integers(0, 4)), min_size=6, max_size=6), st.integers(0, 1000))
def test_any_sub_space_is_the_gated_sum_of_its_operations(affine: bool, chosen: list[set[int]], seed: int) -> None:
    """Outputs and gradients, also where nothing reaches the output."""
    choices = tuple(tuple(sorted(ops)) for ops in chosen)
    stage = _supernet(affine=affine).stages[0].double()
    x = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    gates = torch.rand(6, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).requires_grad_()
    ours, plain = stage(x, plan(choices), gates), _plainly(stage, x, choices, gates)
    torch.testing.assert_close(ours, plain)
    if ours.requires_grad:
        weight = torch.randn(ours.shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
        wanted = [gates, *(p for p in stage.parameters())]
        for mine, other in zip(*(
            torch.autograd.grad((out * weight).sum(), wanted, materialize_grads=True) for out in (ours, plain)
        ), strict=True):  # fmt: skip
            torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-8)


@settings(max_examples=15, deadline=None)
@given(ARCHS)
def test_no_gates_and_gates_of_one_are_the_same(arch: int) -> None:
    supernet, images = _supernet(), _images()
    with torch.no_grad():
        torch.testing.assert_close(supernet(images, path(arch)), supernet(images, path(arch), torch.ones(6, 5)))


def _counted(supernet: Supernet, choices: Choices) -> float:
    image = torch.zeros(1, supernet.shape.inputs, supernet.shape.size, supernet.shape.size)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        supernet(image, choices)
    return counter.get_total_flops() // 2 + supernet.shape.classes


@settings(max_examples=15, deadline=None)
@given(ARCHS)
def test_a_path_computes_one_operation_per_edge_and_nothing_dead(arch: int) -> None:
    supernet = _supernet()
    assert _counted(supernet, path(arch)) == multiply_adds(SMALL, path(arch)) == cost.flops(SMALL)[arch]


def test_the_mixture_computes_two_convolutions_on_every_edge() -> None:
    supernet = _supernet()
    assert _counted(supernet, EVERYTHING) == multiply_adds(SMALL, EVERYTHING)
    assert plan(EVERYTHING).convolutions == (6, 6)


def test_only_the_path_gets_gradients() -> None:
    supernet, arch = _supernet(), cell.parse("nor_conv_3x3,none,none,none,nor_conv_1x1,none")
    supernet(_images(), path(arch)).sum().backward()
    trained = {name for name, p in supernet.named_parameters() if p.grad is not None and ".convs." in name}
    cells = [i for i, stage in enumerate(supernet.stages) if isinstance(stage, SearchCell)]
    assert trained == {f"stages.{i}.convs.{conv}.weight" for i in cells for conv in ("3-0", "2-4")}


def test_no_running_statistics_are_kept_or_used() -> None:
    supernet = _supernet()
    assert not [name for name, _ in supernet.named_buffers()]
    images, other = _images(), _images(seed=2)
    before = supernet(images, path(11))
    supernet(other, path(11))
    assert torch.equal(before, supernet(images, path(11)))
    assert torch.equal(before, supernet.eval()(images, path(11)))


def test_recalibration_gives_the_norms_the_mean_statistics_of_the_batches() -> None:
    supernet = _supernet()
    batches = [_images(seed=seed) for seed in (3, 4, 5)]
    network = supernet.standalone(11, batches)
    assert not network.training
    stem = torch.stack([network.stem.conv(x).mean(dim=(0, 2, 3)) for x in batches]).mean(0)
    torch.testing.assert_close(network.stem.bn.running_mean, stem)
    many = _images(256)  # one batch: evaluating is training on it, but for the n - 1 of variances
    one = supernet.standalone(11, [many])
    torch.testing.assert_close(one(many), supernet(many, path(11)), rtol=0.01, atol=0.01)


@pytest.mark.parametrize("channels", [1, 3])
def test_other_shapes(channels: int) -> None:
    shape = Shape(channels=channels, cells=1, classes=7, inputs=3, size=4)
    supernet = _supernet(shape)
    assert supernet(_images(shape=shape), EVERYTHING, torch.full((6, 5), 0.2)).shape == (6, 7)
    assert isinstance(supernet.standalone(5), Network)


def test_choices_that_do_not_exist() -> None:
    with pytest.raises(ValueError, match="six tuples of operations"):
        plan(((0,),) * 5)
    with pytest.raises(ValueError, match="six tuples of operations"):
        plan(((5,),) * 6)


def test_the_global_random_state_is_left_alone() -> None:
    supernet = _supernet()
    before = torch.get_rng_state()
    supernet.standalone(3, [_images()])
    assert torch.equal(before, torch.get_rng_state())
