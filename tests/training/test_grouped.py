"""Many at once: the same numbers as one by one, in double precision to 1e-9; groups that fit, fail, go on."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor, nn

from nasbench_lab.spaces import cell
from nasbench_lab.training import checkpoint, grouped, memory
from nasbench_lab.training.data import Data, Images
from nasbench_lab.training.digits import Digits
from nasbench_lab.training.engines import make_engine
from nasbench_lab.training.grouped import Job, Run, Settings, train_all
from nasbench_lab.training.networks import CELLS, CHAINS, Networks
from nasbench_lab.training.programs import program, trained
from nasbench_lab.training.recipe import CHAIN, DIGITS, Recipe, rates
from nasbench_lab.training.together import Together, footprint
from nasbench_lab.training.trainer import Outcome, train

CELL = replace(DIGITS, engine="torch", epochs=2, channels=4)
EXACT = 1e-9


class _Precise(Digits):
    def normalise(self, images: Tensor) -> Tensor:
        return images.double()


class _PreciseImages(Images):
    def normalise(self, images: Tensor) -> Tensor:
        return super().normalise(images).double()


def _stored(count: int = 40) -> Images:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (count, 3, 8, 8), generator=generator, dtype=torch.uint8)
    split = x, torch.randint(5, (count,), generator=generator)
    colours = {"mean": (127.0,) * 3, "std": (64.0,) * 3}
    return _PreciseImages("toy", train=split, val=split, test=split, classes=5, **colours)


pytestmark = pytest.mark.usefixtures("one_torch_thread")


def _alone(job: Job, data: Data, networks: Networks) -> tuple[list[tuple[float, float, float]], nn.Module]:
    """Loss, share right and validation of each epoch, and the network, as the reference engine trains it in double."""
    recipe = networks.recipe(job.arch, job.recipe)
    engine = make_engine(job.arch, data, recipe, job.seed, networks=networks)
    engine.network.double()
    steps, found = math.ceil(data.train_size / recipe.batch), []
    for epoch in range(recipe.epochs):
        measured = engine.train(*data.part(job.seed, epoch), rates(recipe, steps, epoch), epoch)
        found.append((*measured, engine.accuracy(*data.held_out("val"))))
    return found, engine.network


def _built(job: Job, data: Data, networks: Networks) -> nn.Module:
    network = make_engine(job.arch, data, networks.recipe(job.arch, job.recipe), job.seed, networks=networks).network
    return network.double()


def _compared(jobs: list[Job], data: Data, networks: Networks, settings: Settings) -> None:
    own = [job._replace(recipe=networks.recipe(job.arch, job.recipe)) for job in jobs]
    run = Run(own, [_built(job, data, networks) for job in own], data, settings, torch.float64)
    curves = [(*run.epoch(epoch), run.accuracy("val")) for epoch in range(jobs[0].recipe.epochs)]
    for k, (job, network) in enumerate(zip(own, run.together.export(), strict=True)):
        expected, reference = _alone(job, data, networks)
        np.testing.assert_allclose(
            [[column[k] for column in epoch] for epoch in curves], expected, rtol=EXACT, atol=EXACT
        )
        for (name, ours), theirs in zip(network.state_dict().items(), reference.state_dict().values(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=EXACT, atol=EXACT, msg=lambda why, n=name: f"{n}: {why}")


DEAD = int(np.flatnonzero((cell.live_choices() == cell.NONE).all(axis=1))[0])  # what is before it gets no gradient
CELL_ARCHS = (1462, 11, 284, 4557, 1462, 14088, DEAD, 3232)
CHAIN_ARCHS = (0, 100, 863, 333, 500, 100, 40, 620)


@pytest.mark.parametrize("way", ["grouped", "each"])
@pytest.mark.parametrize(
    ("networks", "base", "archs"),
    [(CELLS, replace(CELL, cells=2, channels=2), CELL_ARCHS), (CHAINS, replace(CHAIN, epochs=2), CHAIN_ARCHS)],
    ids=["cells", "chains"],
)
def test_together_is_one_by_one(networks: Networks, base: Recipe, archs: tuple[int, ...], way: str) -> None:
    """Own seed, rate, momentum and decay each, norms' statistics included; the last batch is a small one."""
    recipes = [replace(base, lr=0.1 / (k + 1), weight_decay=5e-4 * k, momentum=0.9 - 0.3 * (k % 4)) for k in range(8)]
    jobs = [Job(arch, k // 2, recipe) for k, (arch, recipe) in enumerate(zip(archs, recipes, strict=True))]
    _compared(jobs, _Precise(part_size=80, held_out_size=40), networks, Settings(way))


def test_augmented_images_in_an_order_of_each_are_too() -> None:
    recipe = Recipe(epochs=2, channels=2, cells=1, batch=16, crop=1)
    _compared([Job(arch, seed, recipe) for arch, seed in ((1462, 0), (11, 1), (284, 1))], _stored(), CELLS, Settings())


def test_one_seed_reads_one_batch_of_images() -> None:
    jobs = [Job(arch, 3, replace(CELL, epochs=1)) for arch in CELL_ARCHS[:3]]
    data = _Precise(part_size=64, held_out_size=40)
    assert Run(jobs, [_built(job, data, CELLS) for job in jobs], data, PLAIN, torch.float64).seeds == [3]
    _compared(jobs, data, CELLS, PLAIN)


PLAIN = Settings()


def test_a_program_says_what_a_network_is_made_of() -> None:
    network = make_engine(DEAD, Digits(part_size=32), CELL, 0).network
    operations = program(network)
    assert sum(operation.kind.what == "zero" for operation in operations) == 3
    alive = trained(operations)
    assert not alive[0]  # the stem
    assert alive[-1]
    weights = {id(p) for o in operations for m in (o.layer, o.norm) if m is not None for p in m.parameters()}
    assert weights == {id(p) for p in network.parameters()}
    with pytest.raises(TypeError, match="cells and chains"):
        program(nn.Linear(2, 2))


def test_alike_operations_are_done_as_one() -> None:
    """A thousand candidates are a few dozen operations more than one, not a thousand times as many."""
    data = Digits(part_size=32)

    def batches(count: int) -> int:
        archs = np.random.default_rng(0).integers(15_625, size=count).tolist()
        networks = [make_engine(arch, data, CELL, 0).network for arch in archs]
        return len(Together(networks, [0] * count, device=torch.device("cpu"))._batches)

    assert batches(40) < 60


# Groups


DATA = Digits(part_size=64, held_out_size=100)
JOBS = [Job(arch, seed, CELL) for arch, seed in ((1462, 0), (11, 0), (284, 1), (4557, 1), (14088, 1))]


def _outcomes(jobs: list[Job], **options: Any) -> list[Outcome]:
    found = dict(train_all(jobs, DATA, **options))
    assert sorted(found) == list(range(len(jobs)))
    return [found[number] for number in range(len(jobs))]


def _numbers(outcomes: list[Outcome]) -> list[Any]:
    return [(o.arch, o.seed, o.val, o.train, o.loss, o.test) for o in outcomes]


def test_outcomes_are_those_of_the_trainer() -> None:
    for job, ours in zip(JOBS, _outcomes(JOBS), strict=True):
        theirs = train(job.arch, DATA, job.recipe, seed=job.seed)
        assert (ours.arch, ours.seed, ours.data, ours.recipe) == (theirs.arch, theirs.seed, theirs.data, theirs.recipe)
        np.testing.assert_allclose(ours.loss, theirs.loss, rtol=1e-3)
        np.testing.assert_allclose(ours.val, theirs.val, atol=3)
        assert abs(ours.test - theirs.test) <= 3
        assert ours.seconds > 0


def test_recipes_that_cannot_go_together_are_apart_and_all_come_back() -> None:
    jobs = [job._replace(recipe=replace(CELL, batch=16 + 16 * (k % 2), epochs=1)) for k, job in enumerate(JOBS)]
    assert [(o.arch, o.recipe.batch) for o in _outcomes(jobs)] == [(j.arch, j.recipe.batch) for j in jobs]


def test_one_that_diverges_harms_no_other() -> None:
    wild = JOBS[0]._replace(recipe=replace(CELL, lr=1e20))
    first, *others = _outcomes([wild, *JOBS[1:]])
    assert "diverged in epoch" in first.reason
    assert math.isnan(first.test)
    assert math.isnan(first.val[-1])
    calm = _outcomes(JOBS)[1:]
    np.testing.assert_allclose([o.loss for o in others], [o.loss for o in calm], rtol=1e-4)
    assert all(not o.reason for o in others)


def test_a_group_that_does_not_fit_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, step = list[int](), Together.step

    def greedy(self: Together, *given: Any) -> Any:
        if len(self.networks) > 2:
            sizes.append(len(self.networks))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, *given)

    monkeypatch.setattr(Together, "step", greedy)
    assert len(_outcomes(JOBS)) == 5
    assert sizes == [5]

    def none_fits(*_: Any) -> Any:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(Together, "step", none_fits)
    with pytest.raises(RuntimeError, match="allocate"):
        _outcomes(JOBS[:2])


def test_groups_are_as_large_as_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    one = grouped.needs(_built(JOBS[0], DATA, CELLS).float(), CELL.batch)
    built = list[int]()
    monkeypatch.setattr(memory, "free", lambda _device: int(2.5 * one / 0.8))
    monkeypatch.setattr(
        grouped, "Together", lambda networks, *a, **k: built.append(len(networks)) or Together(networks, *a, **k)
    )
    _outcomes([job._replace(arch=1462) for job in JOBS])
    assert built == [2, 2, 1]
    kept, weights = footprint(_built(JOBS[0], DATA, CELLS))
    assert kept > 12 * 12 * 4
    assert weights == sum(p.numel() for p in _built(JOBS[0], DATA, CELLS).parameters())


def test_a_group_goes_on_from_its_last_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed, save = _outcomes(JOBS[:3]), checkpoint.save

    def dies(*given: Any) -> None:
        save(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        _outcomes(JOBS[:3], checkpoints=tmp_path)
    monkeypatch.setattr(checkpoint, "save", save)
    monkeypatch.setattr(memory, "free", lambda _device: 0)  # the group it began with, whatever there is now
    epochs, epoch = list[int](), Run.epoch
    monkeypatch.setattr(Run, "epoch", lambda self, number: epochs.append(number) or epoch(self, number))
    assert len(list(tmp_path.glob("group-3-*.pt"))) == 1
    assert _numbers(_outcomes(JOBS[:3], checkpoints=tmp_path)) == _numbers(undisturbed)
    assert epochs == [1]
    assert not list(tmp_path.glob("*"))


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="graphs run on cuda alone"):
        _outcomes(JOBS, settings=Settings(graphs=True))
    with pytest.raises(ValueError, match="one network at a time"):
        _outcomes([job._replace(recipe=replace(CELL, engine="fused")) for job in JOBS])
    with pytest.raises(ValueError, match="grouped, each"):
        Settings("vmap")
    with pytest.raises(ValueError, match="grouped, each"):
        Together([], [], device=torch.device("cpu"))
    assert grouped.at_once("cuda:0")
    assert not grouped.at_once("cpu")
