"""Network morphism: function-preserving changes preserve it, the others keep weights, the best child goes on."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from nasbench_lab.core import Task
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot.network_morphism import NetworkMorphism, inherit
from nasbench_lab.training.network import Network, Shape

SHAPE = Shape(channels=4, cells=2, inputs=1, size=8)


def _trained(arch: int) -> Network:
    """With scales, shifts and statistics that are not those of the start."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Network(arch, SHAPE)
        for name, value in network.state_dict().items():
            if value.ndim == 1 and value.is_floating_point():
                value.uniform_(0.5, 1.5) if "var" in name or "weight" in name else value.normal_()
    return network


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((3, 2, 0, 1, 4, 2), (3, 2, 3, 1, 4, 2)),  # none -> 3x3
        ((3, 0, 2, 1, 4, 2), (3, 2, 2, 1, 4, 2)),  # none -> 1x1
        ((0, 0, 0, 3, 3, 3), (2, 0, 0, 3, 3, 3)),  # none -> 1x1, which brings a dead convolution to life
        ((3, 2, 0, 1, 4, 2), (3, 3, 0, 1, 4, 2)),  # 1x1 -> 3x3
        ((2, 1, 2, 3, 4, 3), (2, 1, 3, 3, 4, 3)),
    ],
)
def test_the_function_is_preserved(before, after, training):
    old, new = cell.SPACE.index(before), cell.SPACE.index(after)
    parent = _trained(old).train(training)
    child = inherit(parent, old, new).train(training)
    assert len(list(child.parameters())) >= len(list(parent.parameters()))
    images = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(child(images), parent(images), rtol=1e-5, atol=1e-5)


def test_other_changes_keep_the_weights_that_have_a_place():
    old, new = cell.SPACE.index((3, 2, 0, 1, 4, 3)), cell.SPACE.index((3, 2, 0, 1, 4, 2))
    parent = _trained(old)
    child = inherit(parent, old, new)
    theirs, ours = parent.state_dict(), child.state_dict()
    assert torch.equal(ours["stages.0.edges.0.conv.weight"], theirs["stages.0.edges.0.conv.weight"])
    middle = theirs["stages.0.edges.5.conv.weight"][..., 1:2, 1:2]
    assert torch.equal(ours["stages.0.edges.5.conv.weight"], middle)


def test_what_is_nothing_at_first_can_learn():
    old, new = cell.SPACE.index((3, 2, 0, 1, 4, 2)), cell.SPACE.index((3, 2, 3, 1, 4, 2))
    child = inherit(_trained(old), old, new).train()
    images = torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.nn.functional.cross_entropy(child(images), torch.arange(8)).backward()
    assert child.get_parameter("stages.0.edges.2.bn.weight").grad.abs().max() > 0


def test_the_best_on_validation_is_the_next_parent(monkeypatch):
    monkeypatch.setattr(NetworkMorphism, "_train", lambda *_: None)
    seen = []

    def accuracy(_self, _network, arch):
        seen.append(arch)
        return float(arch)

    monkeypatch.setattr(NetworkMorphism, "_accuracy", accuracy)
    strategy = NetworkMorphism(images=8, batch=8, held_out=16, channels=2, children=4)
    strategy.start(Task(cell.SPACE, (1, 4, 12)), 0)
    parent = strategy.advance(0)
    assert strategy.advance(1) == max(seen)
    assert seen[0] == parent
    assert [int((cell.SPACE.choices[arch] != cell.SPACE.choices[parent]).sum()) for arch in seen[1:]] == [1] * 4
