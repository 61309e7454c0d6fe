"""The spaces that networks are built of: counts against torch, equal configurations, and chains from end to end."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional

from nasbench_lab.core import LabError
from nasbench_lab.spaces import chain
from nasbench_lab.spaces.named import nats_size
from nasbench_lab.training import networks
from nasbench_lab.training.chain_network import ChainNetwork, flops, params
from nasbench_lab.training.measure import Task, blocks, first_trial
from nasbench_lab.training.network import CIFAR10, Shape, count_flops, count_params
from nasbench_lab.training.networks import CELLS, CHAINS
from nasbench_lab.training.problem import Problem, make_problem
from nasbench_lab.training.recipe import CHAIN, DIGITS
from nasbench_lab.training.trainer import train

SHAPE = Shape(channels=1, cells=1, inputs=1, size=chain.SIDE)
TINY = make_problem("digits", space="chain", epochs=2, part_size=64, held_out_size=100)
MEMBERS = np.unique(CHAINS.space.representatives)


pytestmark = pytest.mark.usefixtures("one_torch_thread")


def built(arch: int, seed: int = 0) -> ChainNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ChainNetwork(arch, SHAPE).eval()


def arch_of(*labels: object) -> int:
    decisions = CHAINS.space.decisions
    return CHAINS.space.index([each.number(label) for each, label in zip(decisions, labels, strict=True)])


def test_costs_in_closed_form_are_those_that_torch_counts() -> None:
    """torch does not count pooling: a value that a window looks at, also beyond the border, counts as one here."""
    for arch in MEMBERS[::13].tolist():
        layers = chain.layers(chain.configuration(arch))
        looked_at = sum(layer.side**2 * layer.window**2 for layer in layers if layer.kind == "pool")
        assert params(SHAPE)[arch] == count_params(built(arch))
        assert flops(SHAPE)[arch] == count_flops(built(arch)) + looked_at


def test_the_maps_have_the_sides_that_the_space_says() -> None:
    x = torch.zeros(2, 1, 12, 12)
    for arch in MEMBERS[::7].tolist():
        network, layers = built(arch), list(chain.layers(chain.configuration(arch)))
        sides, value = list[int](), x
        for part in network.layers:
            value = part(value)
            if isinstance(part, (torch.nn.Conv2d, torch.nn.MaxPool2d)):
                sides.append(value.shape[-1])
        assert sides == [layer.side for layer in layers if layer.kind != "fc"]
        assert network(x).shape == (2, 10)


def test_a_pool_is_all_the_pools_one_after_another() -> None:
    images = torch.randn(16, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    pools = [c for c in map(chain.configuration, MEMBERS.tolist()) if c.layer_type == "pool"]
    every = [c for c in map(chain.configuration, range(CHAINS.space.size)) if c.layer_type == "pool"]
    assert {chain.layers(c) for c in every} == {chain.layers(c) for c in pools}
    for given in {replace_lr(c) for c in every}:
        value = images
        for _ in range(given.num_layers):
            value = functional.max_pool2d(value, given.filter_size, given.stride, given.filter_size // 2)
        (layer,) = chain.layers(given)
        found = functional.max_pool2d(images, layer.window, layer.stride, layer.window // 2)
        if found.shape != value.shape:  # every window is the whole canvas
            assert found.shape[-1] == 1
            found = found.expand_as(value)
        assert torch.equal(found, value), given


def replace_lr(given: chain.Configuration) -> chain.Configuration:
    return given._replace(lr=0.1, num_filters=4)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((3, "fc", 3, 8, 1, 0.1), (3, "fc", 7, 8, 2, 0.1)),
        ((6, "pool", 3, 4, 1, 0.1), (3, "pool", 5, 16, 1, 0.1)),
        ((4, "pool", 3, 4, 2, 0.1), (6, "pool", 7, 8, 1, 0.1)),
    ],
)
def test_equal_configurations_are_one_network_and_one_training(
    one: tuple[object, ...], other: tuple[object, ...]
) -> None:
    a, b = arch_of(*one), arch_of(*other)
    assert a != b
    assert CHAINS.space.classes[a] == CHAINS.space.classes[b]
    first, second = built(a), built(b)
    images = torch.randn(4, 1, 12, 12)
    assert {k: v.shape for k, v in first.state_dict().items()} == {k: v.shape for k, v in second.state_dict().items()}
    assert torch.equal(first(images), second(images))
    left, right = (train(arch, TINY.load(), TINY.recipe, seed=3, networks=CHAINS) for arch in (a, b))
    assert (left.val, left.test, left.recipe) == (right.val, right.test, right.recipe)


@pytest.mark.parametrize("labels", [
    (6, "pool", 7, 16, 2, 0.3), (3, "pool", 3, 4, 1, 0.01), (6, "conv", 7, 16, 2, 0.1), (3, "fc", 3, 4, 1, 0.03),
])  # fmt: skip
def test_chains_train_with_their_own_rate(labels: tuple[object, ...]) -> None:
    arch, data = arch_of(*labels), TINY.load()
    outcome = train(arch, data, TINY.recipe, seed=0, networks=CHAINS)
    assert len(outcome.val) == 2
    assert math.isfinite(outcome.test)
    assert outcome.recipe == replace(TINY.recipe, lr=labels[-1])
    assert train(arch, data, replace(TINY.recipe, lr=9.0), seed=0, networks=CHAINS).val == outcome.val


def test_a_resumed_chain_is_the_undisturbed_one(tmp_path) -> None:
    arch, data = arch_of(4, "conv", 3, 4, 2, 0.1), TINY.load()
    whole = train(arch, data, TINY.recipe, seed=1, networks=CHAINS)

    def stop(_progress: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(arch, data, TINY.recipe, seed=1, networks=CHAINS, checkpoint=tmp_path / "c", progress=stop)
    assert train(arch, data, TINY.recipe, seed=1, networks=CHAINS, checkpoint=tmp_path / "c").val == whole.val
    with pytest.raises(ValueError, match="another training"):
        train(arch, data, DIGITS, seed=1, checkpoint=tmp_path / "c")


def test_what_was_named_before_there_were_chains_is_named_as_it_was() -> None:
    """Digests of cells' trainings, shards and caches: those of the version that knew nothing else."""
    cells = make_problem("digits")
    assert cells.digest() == "d74fb293db719da0852fd7fb57beab6a3774fbb3b8bef84304a13ae2b04e0e63"
    assert next(blocks(first_trial(777), cells.task, 64))[0] == "digits-00000-03aa415105.npz"
    assert (cells.part_size, cells.held_out_size, cells.recipe) == (4096, 4000, DIGITS)
    assert "space" not in cells.described
    assert "space" not in cells.task.plain
    chains = make_problem("digits", space="chain")
    assert (chains.part_size, chains.recipe) == (1536, CHAIN)
    assert chains.described["space"] == chains.task.plain["space"] == "chain"


def test_what_no_networks_are_built_of_is_refused() -> None:
    with pytest.raises(LabError, match="networks are built for nas-bench-201 and chain alone"):
        networks.of_space(nats_size(), "table 'sizes'")
    assert networks.of_space(CHAINS.space, "it") is CHAINS
    assert networks.of_space(CELLS.space, "it") is CELLS
    with pytest.raises(LabError, match="no networks are built of a space 'nats-size'"):
        make_problem("digits", space="nats-size")
    with pytest.raises(LabError, match="no networks are built"):
        Task(DIGITS, space="fcnet")
    with pytest.raises(LabError, match="for the canvases of digits alone, got data 'cifar10'"):
        make_problem("cifar10", space="chain")
    with pytest.raises(LabError, match="at least 2 images in a batch; 65 images in batches of 32 leave 1"):
        make_problem("digits", space="chain", part_size=65)
    assert make_problem("digits", part_size=65).images == 65
    with pytest.raises(ValueError, match="12x12, got size 32"):
        ChainNetwork(0, CIFAR10)
    with pytest.raises(ValueError, match="0..863"):
        ChainNetwork(864, SHAPE)
    with pytest.raises(ValueError, match="the fused engine runs cells alone, got chains"):
        train(0, TINY.load(), replace(TINY.recipe, engine="fused"), seed=0, networks=CHAINS)
    with pytest.raises(LabError, match="at least 2"):
        Problem("digits", replace(CHAIN, batch=1), space="chain")
