"""Shared weights: pure in (seed, epoch), charged for what is computed, saved and restored exactly."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch

from nasbench_lab.training import cost
from nasbench_lab.training.problem import Problem, make_problem
from nasbench_lab.training.shared import Schedule, SharedWeights, reproducible
from nasbench_lab.training.supernet import EVERYTHING, path


def _problem(images: int = 40, channels: int = 2) -> Problem:
    found = make_problem("digits", part_size=images, held_out_size=24)
    return replace(found, recipe=replace(found.recipe, channels=channels))


def _weights(seed: int = 0, **schedule: float) -> SharedWeights:
    return SharedWeights(_problem(), Schedule(**{"epochs": 3, "batch": 8} | schedule), seed=seed)  # type: ignore[arg-type]


def _epoch(weights: SharedWeights, number: int) -> None:
    for i, batch in enumerate(weights.batches(number)):
        weights.learn(batch.images, batch.labels, path(1000 * number + i))


def _same(one: SharedWeights, other: SharedWeights) -> bool:
    pairs = zip(one.network.parameters(), other.network.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs) and one.seconds == other.seconds


def test_batches_depend_on_seed_and_epoch_alone() -> None:
    first, again, other = list(_weights().batches(1)), list(_weights().batches(1)), list(_weights(seed=1).batches(1))
    assert len(first) == 5
    assert all(torch.equal(a, b) for x, y in zip(first, again, strict=True) for a, b in zip(x, y, strict=True))
    assert not torch.equal(first[0].images, other[0].images)


def test_validation_images_of_an_epoch_are_seen_equally_often() -> None:
    weights = _weights()
    images, _ = weights.data.held_out("val")
    seen = torch.cat([batch.val_images for batch in weights.batches(0)])  # 40 of 24: all once, 16 twice
    counts = [int((seen == image).flatten(1).all(dim=1).sum()) for image in images]
    assert sorted(counts) == [1] * 8 + [2] * 16


def test_training_and_validation_images_are_the_problems_own() -> None:
    weights = _weights()
    (images, labels), batch = weights.data.part(0, 2), next(weights.batches(2))
    assert torch.equal(batch.images, images[:8])
    assert torch.equal(batch.labels, labels[:8])


def test_the_rate_is_a_cosine_over_the_epochs() -> None:
    schedule = Schedule(epochs=10, lr=0.1, lr_end=0.02)
    assert [schedule.rate(epoch) for epoch in (0, 5, 10)] == pytest.approx([0.1, 0.06, 0.02])
    weights = _weights()
    rates = [weights.optimizer.param_groups[0]["lr"] for _ in weights.batches(1)]
    assert rates == [weights.schedule.rate(1 + i / 5) for i in range(5)]


def test_a_path_learns_and_what_is_not_on_it_keeps_still() -> None:
    weights = _weights()
    before = {name: p.detach().clone() for name, p in weights.network.named_parameters()}
    batch = next(weights.batches(0))
    weights.learn(batch.images, batch.labels, ((3,), (0,), (0,), (0,), (2,), (0,)))
    moved = {name for name, p in weights.network.named_parameters() if not torch.equal(p, before[name])}
    assert {name.split(".")[-2] for name in moved if ".convs." in name} == {"3-0", "2-4"}
    assert "head.weight" in moved


def test_the_loss_falls() -> None:
    weights = SharedWeights(_problem(256, channels=8), Schedule(epochs=8, batch=32, lr=0.05), seed=0)
    batch = next(weights.batches(0))
    choices = path(1462)
    before = float(weights.loss(batch.images, batch.labels, choices).detach())
    for epoch in range(8):
        for each in weights.batches(epoch):
            weights.learn(each.images, each.labels, choices)
    assert float(weights.loss(batch.images, batch.labels, choices).detach()) < 0.85 * before


def test_the_gradient_is_clipped() -> None:
    weights = _weights(clip=1e-3, momentum=0.0, weight_decay=0.0, lr=1.0, lr_end=1.0)
    before = [p.detach().clone() for p in weights.network.parameters()]
    batch = next(weights.batches(0))
    weights.learn(batch.images, batch.labels, path(1462))
    after = weights.network.parameters()
    moved = sum(float((a - b).square().sum()) for a, b in zip((p.detach() for p in after), before, strict=True)) ** 0.5
    assert moved == pytest.approx(1e-3, rel=1e-2)


def test_cost_is_counted_in_passes() -> None:
    weights = _weights()
    shape, batch = weights.problem.shape, next(weights.batches(0))
    weights.learn(batch.images, batch.labels, path(1462))
    assert weights.seconds == pytest.approx(8 * 3 * cost.flops(shape)[1462] / cost.NOMINAL_SPEED)
    before, gates = weights.seconds, torch.full((6, 5), 0.2, requires_grad=True)
    weights.gradient(batch.images, batch.labels, EVERYTHING, gates, gates)
    edges = 6 * 10 * 3 * shape.size**2 * shape.channels**2
    assert weights.seconds - before == pytest.approx(8 * 2 * (cost.flops(shape).min() + edges) / cost.NOMINAL_SPEED)
    before = weights.seconds
    weights.accuracy(0, batch.images, batch.labels, [batch.images] * 2)
    assert weights.seconds - before == pytest.approx(3 * 8 * cost.flops(shape)[0] / cost.NOMINAL_SPEED)


def test_the_gradient_of_gates_that_reach_nothing_is_zero() -> None:
    weights, gates = _weights(), torch.ones(6, 5, requires_grad=True)
    batch = next(weights.batches(0))
    assert not weights.gradient(batch.images, batch.labels, ((0,),) * 6, gates, gates).any()


def test_restored_and_pickled_weights_go_on_as_the_undisturbed() -> None:
    whole, saved = _weights(), _weights()
    for number in range(3):
        _epoch(whole, number)
    _epoch(saved, 0)
    file = io.BytesIO()
    torch.save(saved.state_dict(), file)
    file.seek(0)
    restored = _weights()
    restored.load_state_dict(torch.load(file, weights_only=True))
    copied = pickle.loads(pickle.dumps(saved))
    for weights in (restored, copied):
        for number in (1, 2):
            _epoch(weights, number)
        assert _same(whole, weights)


def test_validation_images_for_scoring() -> None:
    weights = _weights()
    images, _ = weights.validation(10)
    assert len(images) == 10
    assert torch.equal(images, weights.validation(10)[0])
    assert not torch.equal(images, weights.validation(10, turn=1)[0])
    assert len(weights.validation(1000)[0]) == 24
    assert [len(x) for x in weights.calibration(2)] == [8, 8]


def test_every_cell_is_scored_on_a_batch_of_its_own_and_on_another_one_every_turn(monkeypatch) -> None:
    """Also where the cells need more images than there are: 7 batches of 8 from 24, every image at least twice."""
    weights, seen = _weights(), []
    images = weights.data.normalise(weights.data.held_out("val")[0])

    def accuracy(_self: SharedWeights, arch: int, batch: torch.Tensor, labels: torch.Tensor) -> float:
        assert len(batch) == len(labels) == 8
        seen.append([int((images == image).flatten(1).all(dim=1).nonzero()[0, 0]) for image in batch])
        return float(arch)

    monkeypatch.setattr(SharedWeights, "accuracy", accuracy)
    archs = [5, 3, 9, 1, 2, 8, 4]
    assert weights.accuracies(archs, 8, 0) == archs
    first, seen = seen, []
    weights.accuracies(archs, 8, 1)
    assert all(sorted(one) != sorted(other) for one, other in zip(first, seen, strict=True))
    for three in (first[:3], first[3:6]):
        assert sorted(position for batch in three for position in batch) == list(range(24))
    seen = []
    weights.accuracies(archs, 8, 0)
    assert seen == first


def test_a_batch_is_no_larger_than_there_are_images() -> None:
    weights = _weights()
    weights.accuracies([1462, 0], 1000, 0)
    both = cost.flops(weights.problem.shape)[[1462, 0]].sum()
    assert weights.seconds == pytest.approx(24 * both / cost.NOMINAL_SPEED)


def test_reproducible_leaves_the_threads_as_they_were() -> None:
    before = torch.get_num_threads()
    with reproducible("cpu"):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch": 1}, {"lr": 0.0001}, {"momentum": 1.0}, {"clip": 0.0}])
def test_schedules_out_of_range(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="need"):
        Schedule(**wrong)  # type: ignore[arg-type]
