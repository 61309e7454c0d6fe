"""SMASH: the hypernetwork makes the convolutions of a cell, and it is what learns."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from nasbench_lab.core import Result, Task
from nasbench_lab.spaces import cell
from nasbench_lab.strategies.one_shot.smash import Smash

TASK = Task(cell.SPACE, (1, 4, 12))


def _started(**settings: bool) -> Smash:
    strategy = Smash(images=16, batch=8, held_out=16, channels=2, epochs=2, score_images=8, **settings)
    strategy.start(TASK, 0)
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


def test_cells_share_part_of_the_weights_that_are_made_for_them():
    """Without a part in common one cell's step would tell the next nothing."""
    strategy = Smash(images=32, batch=16, held_out=32, channels=4, epochs=2, select=2)
    strategy.start(TASK, 0)
    rng = np.random.default_rng(0)
    threes = [arch for arch in rng.integers(cell.SPACE.size, size=400).tolist() if cell.ops(arch)[3] == cell.CONV3]
    made = [strategy.hyper(arch).get(f"stages.0.convs.{cell.CONV3}-3.weight") for arch in threes]
    kernels = torch.stack([kernel.flatten() for kernel in made if kernel is not None])
    directions = kernels / kernels.norm(dim=1, keepdim=True)
    likeness = (directions @ directions.T).detach().numpy()[np.triu_indices(len(directions), 1)]
    assert likeness.min() > 0.3
    assert likeness.mean() < 0.999  # and part of their own


def test_the_hypernetwork_learns_at_its_own_rate():
    strategy = Smash(images=32, batch=16, held_out=32, channels=2, epochs=2, select=2)
    strategy.start(TASK, 0)
    before = {name: value.clone() for name, value in strategy.hyper.state_dict().items()}
    for _ in range(2):
        strategy.tell(Result(query := strategy.ask(), 50.0, query.overhead))
    after = strategy.hyper.state_dict()
    assert any(not torch.equal(before[name], after[name]) for name in before)
    moved = max(float((after[name] - before[name]).abs().max()) for name in before)
    assert moved <= 1.7e-3 * 4  # four steps of Adam at 1e-3 or less; the first are a little longer with these betas
