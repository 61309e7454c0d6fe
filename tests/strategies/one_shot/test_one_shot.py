"""What one-shot strategies share: one epoch per query on the simulated clock, exact resume, settings that are refused."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

import torch

from nasbench_lab import loading
from nasbench_lab.core import LabError, Query, Result, Strategy, Task
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.one_shot._one_shot import CHECKPOINTS, Differentiable, best_of
from nasbench_lab.strategies.one_shot.darts import Darts
from nasbench_lab.strategies.one_shot.gdas import Gdas
from nasbench_lab.strategies.one_shot.rsps import Rsps
from nasbench_lab.training.shared import SharedWeights

TASK = Task(cell.SPACE, (1, 4, 12))
TINY = "images=8,batch=8,held_out=16,channels=2"
RANKED = f"{TINY},epochs=3,select=6,per_round=2,score_images=8"
ALL = {
    "darts": f"{TINY},epochs=5,order=2",
    "drnas": f"{TINY},epochs=5",
    "enas": f"{TINY},epochs=5,controller_steps=1,aggregate=2,select=2,score_batch=8",
    "gdas": f"{TINY},epochs=5",
    "network_morphism": f"{TINY},epochs=5,first_epochs=1,children=2",
    "one_shot_evolution": f"{RANKED},population=3,sample=2",
    "one_shot_random": RANKED,
    "rsps": f"{TINY},epochs=5,select=2,score_batch=8",
    "setn": f"{TINY},epochs=5,select=2,score_batch=8",
    "smash": RANKED,
    "spos": f"{RANKED},calibration=1",
}


def _ask(strategy: Strategy, count: int) -> list[Query]:
    asked = []
    for _ in range(count):
        query = strategy.ask()
        if query is None:
            break
        asked.append(query)
        strategy.tell(Result(query, 50.0, query.overhead))
    return asked


@pytest.mark.parametrize("name", ALL)
def test_a_run_that_died_goes_on_to_the_same_bits(name, tmp_path, monkeypatch):
    """What is left of a dead run is its last checkpoint: a new instance finds it, replays, and goes on."""

    def started() -> Strategy:
        strategy = loading.build("strategies", f"{name}:{ALL[name]}")
        strategy.start(TASK, 3)
        return strategy

    whole = _ask(started(), 20)
    monkeypatch.setenv(CHECKPOINTS, str(tmp_path))
    _ask(started(), 4)
    (file,) = tmp_path.iterdir()
    before = file.stat().st_mtime_ns
    resumed = started()
    assert _ask(resumed, 4) == whole[:4]
    assert file.stat().st_mtime_ns == before  # replayed, not computed again
    assert _ask(resumed, 20) == whole[4:]


def test_an_epoch_per_query_charged_and_one_at_a_time():
    strategy = loading.build("strategies", f"gdas:{ALL['gdas']}")
    strategy.start(TASK, 0)
    assert strategy.recommend() == -1
    query = strategy.ask()
    assert query is not None
    assert query.epochs == 0
    assert query.overhead > 0
    assert strategy.ask() is None  # the epoch is in flight
    strategy.tell(Result(query, 1.0, query.overhead))
    assert strategy.recommend() == query.arch
    assert len(_ask(strategy, 20)) == 4


def test_a_single_path_costs_less_than_the_mixture():
    spent = {}
    for name in ("gdas", "darts"):
        strategy = loading.build("strategies", f"{name}:{TINY},epochs=2")
        strategy.start(TASK, 0)
        spent[name] = sum(query.overhead for query in _ask(strategy, 2))
    assert spent["gdas"] < spent["darts"]


def test_the_best_is_the_one_with_the_most_right_answers(monkeypatch):
    strategy = Rsps(images=8, batch=8, held_out=16, channels=2)
    strategy.start(TASK, 0)
    accuracies = {5: 20.0, 900: 60.0, 7: 60.0, 3: 10.0}
    monkeypatch.setattr(SharedWeights, "accuracy", lambda _self, arch, _images, _labels: accuracies[arch])
    assert best_of(strategy.weights, list(accuracies), 4, 0) == 900


@pytest.mark.parametrize("name", ALL)
def test_a_search_whose_weights_diverge_still_answers(name):
    strategy = loading.build("strategies", f"{name}:{ALL[name]},learning_rate=1e35")
    strategy.start(TASK, 0)
    asked = _ask(strategy, 20)
    assert len(asked) == strategy.rounds
    if isinstance(strategy, Differentiable):
        assert bool(strategy.alpha.isfinite().all())
    else:
        assert strategy.recommend() == asked[-1].arch


@pytest.mark.parametrize("options", [(2, 3, 2), (5,) * 6])
def test_only_the_cell_space(options):
    with pytest.raises(LabError, match="NAS-Bench-201 cell only"):
        Darts().start(Task(Space(options), (1, 3)), 0)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("darts:order=3", "order must be 1 or 2"),
        ("darts:data=nothing", "no data named"),
        ("gdas:tau_min=0", "tau_min > 0"),
        ("rsps:select=0", "at least 1"),
        ("spos:mutation=0", "0 < mutation"),
        ("enas:aggregate=0", "aggregate"),
        ("setn:select=0", "1 <= select"),
        ("smash:code=0", "code must be at least 1"),
        ("smash:calibration=1", "calibration must be 0"),
        ("one_shot_random:drop=1", "drop must lie"),
        ("one_shot_evolution:sample=0", "1 <= sample <= population"),
        ("network_morphism:children=0", "at least 1"),
        ("drnas:arch_learning_rate=0", "arch_learning_rate > 0"),
        ("rsps:channels=-1", "must not be negative"),
    ],
)
def test_settings_out_of_range_are_refused(spec, message):
    with pytest.raises((ValueError, LabError), match=message):
        loading.build("strategies", spec)


def test_alpha_learns_on_validation_and_weights_on_training_images(monkeypatch):
    seen: dict[str, list[torch.Tensor]] = {"learn": [], "gradient": []}
    for name, images_seen in seen.items():
        real = getattr(SharedWeights, name)

        def spy(self, images, *rest, real=real, images_seen=images_seen):
            images_seen.append(images)
            return real(self, images, *rest)

        monkeypatch.setattr(SharedWeights, name, spy)
    strategy = Gdas(images=16, batch=8, held_out=16, channels=2, epochs=2)
    strategy.start(TASK, 0)
    strategy.ask()
    batches = list(strategy.weights.batches(0))
    assert all(torch.equal(x, b.images) for x, b in zip(seen["learn"], batches, strict=True))
    assert all(torch.equal(x, b.val_images) for x, b in zip(seen["gradient"], batches, strict=True))


def test_a_damaged_checkpoint_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(CHECKPOINTS, str(tmp_path))
    strategy = Gdas(images=8, batch=8, held_out=16, channels=2, epochs=2)
    strategy.start(TASK, 3)
    _ask(strategy, 1)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"not a checkpoint"):
        file.write_bytes(damaged)
        with pytest.raises(LabError, match=rf"checkpoint {file} is damaged .*; delete it and run again"):
            Gdas(images=8, batch=8, held_out=16, channels=2, epochs=2).start(TASK, 3)


def test_who_does_not_resume_leaves_a_checkpoint_as_it_is(tmp_path, monkeypatch):
    """It may hold rounds that the run that looks on will never do."""
    monkeypatch.setenv(CHECKPOINTS, str(tmp_path))
    settings = {"images": 8, "batch": 8, "held_out": 16, "channels": 2, "epochs": 3}
    strategy = Gdas(**settings)
    strategy.start(TASK, 3)
    _ask(strategy, 3)
    (file,) = tmp_path.iterdir()
    before = file.read_bytes()
    other = Gdas(**settings)
    other.resumes = False
    other.start(TASK, 3)
    assert other.trained == 0
    assert len(_ask(other, 2)) == other.trained == 2
    assert file.read_bytes() == before


def test_images_that_were_trained_on_are_no_validation():
    with pytest.raises(ValueError, match="cifar10 validates on images it trains on: search on cifar10-valid"):
        Gdas(data="cifar10")


def test_a_device_that_is_not_there_is_said():
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(LabError, match="no CUDA device here"):
        Gdas(device="cuda", images=8, held_out=8).start(TASK, 0)


def test_weights_that_are_no_numbers_are_known():
    strategy = Gdas(images=8, batch=8, held_out=16, channels=2, epochs=1)
    strategy.start(TASK, 0)
    assert not strategy.diverged
    with torch.no_grad():
        next(iter(strategy.weights.network.parameters())).fill_(float("nan"))
    assert strategy.diverged
