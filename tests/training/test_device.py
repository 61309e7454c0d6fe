"""Clean on any device, shown without one: on `meta`, where there are no numbers, whatever would wait for them is seen.

`Watch` answers what asks a device for a number with a zero and notes it, as it notes what moves between places, operations
on tensors of two places (a GPU would copy, or refuse) and whatever draws. A step may do none of it: the notes of an
epoch must not grow with its steps.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from conftest import few
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from nasbench_lab.training import problem as problems
from nasbench_lab.training import seeding, supernet
from nasbench_lab.training.data import Images, of_epoch
from nasbench_lab.training.digits import Digits
from nasbench_lab.training.engines import make_engine
from nasbench_lab.training.grouped import Job, Run
from nasbench_lab.training.network import Network, Shape
from nasbench_lab.training.networks import CELLS, CHAINS, Networks
from nasbench_lab.training.problem import make_problem
from nasbench_lab.training.recipe import CHAIN, DIGITS, Recipe
from nasbench_lab.training.shared import Schedule, SharedWeights
from nasbench_lab.training.zero_cost import _score
from nasbench_lab.training.zero_cost._batch import Batch

META = torch.device("meta")
DRAWS = ("rand", "normal", "bernoulli", "exponential", "dropout", "uniform", "multinomial", "dirichlet")


class Watch(TorchDispatchMode):
    """Notes waiting, moving, mixing and drawing."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def __torch_dispatch__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        name = func.__name__.partition(".")[0]
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        places = {t.device.type for t in tensors if t.ndim or t.is_meta}  # numbers of the CPU may go anywhere
        if name == "_local_scalar_dense":
            self.notes.append("waits")
            return 0 if tensors[0].is_meta else func(*args, **kwargs)
        if name == "_to_copy" and "device" in kwargs and places != {torch.device(kwargs["device"]).type}:
            self.notes.append("moves")
            if tensors[0].is_meta:
                return torch.zeros(tensors[0].shape, dtype=kwargs.get("dtype") or tensors[0].dtype)
        elif len(places) > 1:
            self.notes.append("moves" if name == "copy_" else f"mixes in {name}")
        if any(word in name for word in DRAWS) and not name.endswith("backward"):
            self.notes.append("draws")
        return func(*args, **kwargs)


def watched(run: Callable[[], object]) -> list[str]:
    with Watch() as watch:
        run()
    return watch.notes


def images(count: int, device: torch.device | str = META) -> Images:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (count, 3, 8, 8), generator=generator, dtype=torch.uint8)
    part = x, torch.randint(5, (count,), generator=generator)
    colours = {"mean": (127.0,) * 3, "std": (64.0,) * 3}
    return Images("toy", train=part, val=part, test=part, classes=5, device=device, **colours)


def same_for(notes: Mapping[int, list[str]], *, most: int) -> None:
    """The notes do not depend on the steps, nor is anything mixed; `most` bounds them."""
    lengths = {steps: len(found) for steps, found in notes.items()}
    assert len(set(lengths.values())) == 1, notes
    for found in notes.values():
        assert not [note for note in found if note.startswith("mixes")]
        assert len(found) <= most


def test_the_watch_sees_what_it_is_for() -> None:
    there = torch.ones(3, device=META)
    assert watched(lambda: float(there.sum())) == ["waits"]
    assert watched(lambda: there.cpu()) == ["moves"]
    assert watched(lambda: torch.ones(3).to(META)) == ["moves"]
    assert watched(lambda: there[torch.tensor([0, 2])])[0].startswith("mixes")
    assert watched(lambda: torch.rand(3, device=META)) == ["draws"]
    with pytest.raises((RuntimeError, NotImplementedError)):
        watched(lambda: there[there > 0])  # how many there are, only the device knows


OPTIONS = [{}, {"channels_last": True, "flip": False}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_a_step_of_the_trainer_waits_for_nothing_and_moves_nothing(options: dict[str, Any]) -> None:
    recipe, notes = replace(Recipe(epochs=1, channels=4, cells=1, batch=8), **options), {}
    for steps in (1, 3):
        data = images(8 * steps)
        engine, part = make_engine(1462, data, recipe, 0), data.part(0, 0)
        notes[steps] = watched(partial(engine.train, *part, np.full(steps, 0.1), 0))
    same_for(notes, most=6)  # the loss and the hits; mirrors and crops drawn on the CPU, and moved


@pytest.mark.parametrize(("networks", "recipe"), [(CELLS, DIGITS), (CHAINS, CHAIN)], ids=["cells", "chains"])
def test_neither_do_those_of_the_digits(networks: Networks, recipe: Recipe) -> None:
    notes, recipe = {}, replace(recipe, engine="torch", batch=16)
    for steps in (1, 3):
        data = Digits(part_size=16 * steps, held_out_size=500 * steps, device=META)
        engine = make_engine(37, data, recipe, 0, networks=networks)
        part = data.part(0, 0)
        data.held_out("val")
        notes[steps] = watched(
            lambda e=engine, p=part, n=steps, d=data: (e.train(*p, np.full(n, 0.1), 0), e.accuracy(*d.held_out("val")))
        )
    same_for(notes, most=4)  # of training the loss and the hits, of validation the hits


@pytest.mark.parametrize("seeds", [(3, 3, 3), (0, 1, 1)], ids=["one seed", "two seeds"])
def test_neither_does_a_step_of_a_group(seeds: tuple[int, ...]) -> None:
    recipe, notes = Recipe(epochs=1, channels=2, cells=1, batch=8), {}
    for steps in (1, 3):
        data = images(8 * steps)
        jobs = [Job(1462 + k, seed, replace(recipe, lr=0.1 * (k + 1))) for k, seed in enumerate(seeds)]
        run = Run(jobs, [Network(job.arch, Shape(2, 1, 5, 3, 8)) for job in jobs], data)
        notes[steps] = watched(lambda r=run: (r.epoch(0), r.accuracy("val")))
    same_for(notes, most=14)  # orders, mirrors and crops of each seed, rates; what was measured


def test_a_step_of_the_supernet_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problems, "check_device", lambda _device, **_: None)
    plain = torch.optim.SGD  # there is no fused one of meta
    monkeypatch.setattr(torch.optim, "SGD", lambda *given, **options: plain(*given, **options | {"fused": None}))
    notes = {}
    for steps in (2, 4):
        found = make_problem("digits", part_size=8 * steps, held_out_size=24)
        recipe = replace(found.recipe, channels=2, cells=1, flip=True, crop=1)
        weights = SharedWeights(replace(found, recipe=recipe), Schedule(epochs=2, batch=8), seed=0, device="meta")
        weights.data.held_out("val")
        gates = torch.full((6, 5), 0.2, device=META, requires_grad=True)

        def epoch(weights: SharedWeights = weights, gates: torch.Tensor = gates) -> None:
            for batch in weights.batches(0):
                weights.learn(batch.images, batch.labels, supernet.path(1462))
                weights.gradient(batch.val_images, batch.val_labels, supernet.EVERYTHING, gates, gates)

        notes[steps] = watched(epoch)
    same_for(notes, most=8)


@pytest.mark.parametrize("name", few(_score.names(), "fisher", "naswot", "snip", "zen"))
def test_a_zero_cost_score_asks_the_device_once_and_tells_it_once(name: str) -> None:
    """What it draws comes over together, and so does what it finds, however deep the network."""
    place = torch.device("cpu") if name in ("naswot", "jacob_cov", "epe_nas") else META  # of groups and kernels
    score, notes, images = _score.load(name), {}, torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    for depth in (1, 2):
        network = Network(1462, Shape(2, depth, 3, 1, 8)).to(place)
        batch = Batch(images.to(place), torch.arange(4, device=place) % 2)
        found = watched(lambda n=network, b=batch: _score.measure(score, n, b, seed=0))
        notes[depth] = [note for note in found if note != "draws"]
    same_for(notes, most=5)


def test_a_seed_means_the_same_on_any_device() -> None:
    there, here = (of_epoch(images(40, place), [3], 1, flip=True, crop=2) for place in (META, "cpu"))
    assert there.shift is not None
    assert here.shift is not None
    assert there.shift.shape == here.shift.shape
    found = watched(lambda: of_epoch(images(40), [3], 1, flip=True, crop=2))
    assert found.count("draws") == 1 + 1 + 2  # on the CPU: two of the images, mirrors and shifts


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
@pytest.mark.parametrize("place", [META, torch.device("cpu")], ids=str)
def test_a_checkpoint_goes_on_anywhere(place: torch.device) -> None:
    """What one device saved is loaded on the CPU, and taken by an engine on another with nothing left behind."""
    recipe = replace(DIGITS, engine="torch")
    first = make_engine(11, Digits(part_size=32, held_out_size=8), recipe, 0)
    first.train(*Digits(part_size=32).part(0, 0), np.array([0.1]), 0)
    other = make_engine(11, Digits(part_size=32, held_out_size=8, device=place), recipe, 1)
    other.restore(first.state())
    held = tree_leaves_of(other)
    assert len(held) > 20
    assert {t.device.type for t in held} == {place.type}
    if place.type == "cpu":
        assert all(torch.equal(a, b) for a, b in zip(held, tree_leaves_of(first), strict=True))


def tree_leaves_of(engine: Any) -> list[torch.Tensor]:
    return [t for t in tree_leaves(engine.state()) if isinstance(t, torch.Tensor)]


def test_seeding_leaves_every_other_generator_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("all devices were seeded")

    monkeypatch.setattr(torch, "manual_seed", refuse)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", refuse)
    before = torch.random.get_rng_state().clone()
    with seeding.seeded(5):
        first = torch.rand(3)
        make_engine(11, Digits(part_size=32, held_out_size=8), replace(DIGITS, engine="torch"), 0)
        _score.measure(
            _score.load("zen"),
            Network(11, Shape(4, 1, 10, 1, 8)),
            Batch(torch.zeros(2, 1, 8, 8), torch.zeros(2, dtype=torch.int64)),
            seed=1,
        )
    with seeding.seeded(5):
        assert torch.equal(first, torch.rand(3))
    assert torch.equal(before, torch.random.get_rng_state())


def test_no_other_device_is_seeded_anywhere_in_the_package() -> None:
    """`fork_rng(devices=[])` around torch's own `manual_seed` gives back the CPU's state alone."""
    for path in (Path(problems.__file__).parents[1]).rglob("*.py"):
        calls = {ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)}
        assert "torch.manual_seed" not in calls or path.name == "_estimators.py", path
