"""SMASH: the hypernetwork makes the convolutions of a cell, and it is what learns."""

from __future__ import annotations

import torch

from nasbench_lab import cell
from nasbench_lab.core import Task
from nasbench_lab.strategies.smash import Smash


def _started(**settings: bool) -> Smash:
    strategy = Smash(images=16, batch=8, held_out=16, channels=2, epochs=2, score_images=8, **settings)
    strategy.start(Task(cell.SPACE, (1, 4, 12)), 0)
    return strategy


def test_weights_are_made_for_what_the_cell_computes_and_depend_on_it():
    hyper = _started().hyper
    one = cell.SPACE.index((3, 0, 0, 1, 2, 0))
    made, other = hyper(one), hyper(cell.SPACE.index((3, 0, 0, 3, 2, 0)))
    ops = cell.ops(one)
    assert {name.split(".")[-2] for name in made} == {f"{op}-{e}" for e, op in enumerate(ops) if op in (2, 3)} - (
        {f"{ops[e]}-{e}" for e in range(6) if int(cell.live_choices()[one][e]) == cell.NONE}
    )
    shared = set(made) & set(other)
    assert shared
    assert not any(torch.equal(made[name], other[name]) for name in shared)


def test_bf16_is_heeded():
    images = torch.randn(4, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    arch = cell.SPACE.index((3, 0, 0, 1, 2, 0))
    with torch.no_grad():
        exact, rounded = (_started(bf16=bf16).logits(arch, images) for bf16 in (False, True))
    assert rounded.dtype == torch.float32
    assert torch.equal(rounded, rounded.bfloat16().float())
    assert not torch.equal(exact, rounded)


def test_a_dead_edge_changes_nothing():
    hyper = _started().hyper
    dead = [hyper(cell.SPACE.index((0, 0, op, 3, 0, 0))) for op in range(5)]  # nothing reaches edge 2's source
    assert all(made.keys() == dead[0].keys() for made in dead)
    assert all(torch.equal(made[name], dead[0][name]) for made in dead for name in made)


def test_the_hypernetwork_learns_and_the_supernets_own_convolutions_do_not():
    strategy = _started()
    network = strategy.weights.network
    hyper = [p.detach().clone() for p in strategy.hyper.parameters()]
    own = {name: p.detach().clone() for name, p in network.named_parameters()}
    strategy.train(0)
    assert any(not torch.equal(a, b) for a, b in zip(hyper, strategy.hyper.parameters(), strict=True))
    moved = {name for name, p in network.named_parameters() if not torch.equal(own[name], p)}
    assert "head.weight" in moved
    assert not [name for name in moved if ".convs." in name]
