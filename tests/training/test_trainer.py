"""Training: the fused engine against torch, determinism, exact resume, divergence, shards that survive SIGKILL."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch.nn import functional

from nasbench_lab.spaces import cell
from nasbench_lab.training import fused, grouped
from nasbench_lab.training.data import Images
from nasbench_lab.training.digits import Digits, stream
from nasbench_lab.training.engines import TorchEngine, make_engine
from nasbench_lab.training.measure import Task, first_trial, measure, merge, more_trials
from nasbench_lab.training.network import Network, Shape
from nasbench_lab.training.recipe import DIGITS, Recipe, rates
from nasbench_lab.training.trainer import Progress, train

SMALL = Shape(channels=8, cells=1, inputs=1, size=12)
QUICK = replace(DIGITS, epochs=2)
DATA = Digits(part_size=256, held_out_size=200)
ENGINES = ["torch", pytest.param("fused", marks=pytest.mark.skipif(fused.library() is None, reason="no C++ compiler"))]
needs_compiler = pytest.mark.skipif(fused.library() is None, reason="no C++ compiler")


pytestmark = pytest.mark.usefixtures("one_torch_thread")


def _network(arch: int, shape: Shape = SMALL) -> Network:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return Network(arch, shape)


@needs_compiler
@pytest.mark.parametrize("arch", [0, 11, 284, 1462, 14088, 4557, 11569, 3232])
@pytest.mark.parametrize("batch", [32, 128])
def test_fused_gradient_is_torchs(arch: int, batch: int) -> None:
    network = _network(arch).train()
    images, labels = stream(0, 0, batch, DATA.clutter)
    engine = fused.Fused(network, batch)
    gradient = np.zeros_like(engine.params)
    loss, right = engine.train(images, labels, np.array([0.1]), momentum=0.9, weight_decay=5e-4, gradient=gradient)
    logits = network(torch.from_numpy(images))
    expected = functional.cross_entropy(logits, torch.from_numpy(labels))
    expected.backward()  # type: ignore[no-untyped-call]
    theirs = torch.cat([p.grad.reshape(-1) for p in network.parameters() if p.grad is not None]).numpy()
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert right == pytest.approx((logits.argmax(1).numpy() == labels).mean())
    # Not to the last bit: a ReLU whose input is zero up to rounding may fall on either side.
    assert np.median(np.abs(gradient - theirs)) < 1e-3 * np.abs(theirs).max()
    assert np.linalg.norm(gradient - theirs) < 0.02 * np.linalg.norm(theirs)


def _five_steps(shape: Shape, seed: int) -> float:
    """How far the weights are from torch's after five steps of SGD with Nesterov, as a share of how far they went."""
    network = _network(11, shape)
    start = torch.cat([p.detach().reshape(-1) for p in network.parameters()]).numpy()
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(320, shape.inputs, shape.size, shape.size)).astype(np.float32)
    labels = rng.integers(shape.classes, size=320)
    engine = fused.Fused(network, 64)
    engine.train(images, labels, np.full(5, 0.01), momentum=0.9, weight_decay=5e-4)
    optimizer = torch.optim.SGD(network.parameters(), 0.01, 0.9, nesterov=True, weight_decay=5e-4)
    network.train()
    for x, y in zip(torch.split(torch.from_numpy(images), 64), torch.split(torch.from_numpy(labels), 64), strict=True):
        optimizer.zero_grad()
        functional.cross_entropy(network(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    network.eval()
    with torch.no_grad():
        accuracy = float((network(torch.from_numpy(images)).argmax(1).numpy() == labels).mean())
    exported = engine.export().state_dict()
    assert np.isfinite(np.concatenate([v.numpy().reshape(-1) for v in exported.values()])).all()
    theirs = torch.cat([p.detach().reshape(-1) for p in network.parameters()]).numpy()
    apart = float(np.linalg.norm(engine.params - theirs) / np.linalg.norm(theirs - start))
    assert apart > 1e-3 or engine.accuracy(images, labels) == pytest.approx(accuracy, abs=0.01)
    return apart


@needs_compiler
@pytest.mark.parametrize("shape", [SMALL, Shape(channels=16, cells=2, inputs=3, size=8, classes=7)])
def test_fused_steps_are_torchs(shape: Shape) -> None:
    """The same weights but for rounding (1e-5), in draws where no ReLU's input is zero up to that.

    Where one is, either side of it may be taken, and weights part by up to 0.4, torch's in single precision from its own
    in double precision no less. Half of the draws are such, on which ones depends on the processor: sixteen in a row never.
    """
    assert any(_five_steps(shape, seed) < 1e-3 for seed in range(16))


@needs_compiler
def test_fused_refuses_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        fused.Fused(_network(0, Shape(channels=4, cells=1, inputs=1, size=8)), 32)
    with pytest.raises(ValueError, match="whole batches"):
        train(0, Digits(part_size=100, held_out_size=32), replace(QUICK, engine="fused"), seed=0)
    engine = fused.Fused(_network(0), 32)
    with pytest.raises(ValueError, match="images must be"):
        engine.accuracy(np.zeros((3, 1, 8, 8), dtype=np.float32), np.zeros(3, dtype=np.int64))
    empty = np.zeros((32, 1, 12, 12), dtype=np.float32)
    with pytest.raises(ValueError, match="need 64 images"):
        engine.train(empty, np.zeros(32, dtype=np.int64), np.ones(2), momentum=0.9, weight_decay=0.0)


@pytest.mark.parametrize("engine", ENGINES)
def test_same_seed_same_bits(engine: str) -> None:
    recipe = replace(QUICK, engine=engine)
    first, again = (train(11, DATA, recipe, seed=3) for _ in range(2))
    assert (first.val, first.train, first.loss, first.test) == (again.val, again.train, again.loss, again.test)
    assert first.val != train(11, DATA, recipe, seed=4).val
    assert first.recipe == recipe
    assert first.engine == engine


def test_global_generators_are_left_alone() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state().clone()
    train(0, DATA, QUICK, seed=3)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("engine", ENGINES)
def test_resume_is_exact(engine: str, tmp_path: Path) -> None:
    recipe = replace(DIGITS, epochs=3, engine=engine)
    undisturbed = train(284, DATA, recipe, seed=1)

    def stop(state: Progress) -> None:
        if state.epoch == 2:
            raise KeyboardInterrupt

    file = tmp_path / "a.pt"
    with pytest.raises(KeyboardInterrupt):
        train(284, DATA, recipe, seed=1, checkpoint=file, progress=stop)
    resumed = train(284, DATA, recipe, seed=1, checkpoint=file)
    assert replace(resumed, seconds=0) == replace(undisturbed, seconds=0)
    with pytest.raises(ValueError, match="another training"):
        train(285, DATA, recipe, seed=1, checkpoint=file)


def test_resume_is_exact_with_augmentation(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(256, (70, 3, 8, 8), generator=generator, dtype=torch.uint8)
    split = x, torch.randint(5, (70,), generator=generator)
    data = Images("toy", train=split, val=split, test=split, classes=5, mean=(127.0,) * 3, std=(64.0,) * 3)
    recipe = Recipe(epochs=2, channels=4, cells=1, batch=32, crop=2)
    whole = train(0, data, recipe, seed=0)

    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(0, data, recipe, seed=0, checkpoint=tmp_path / "b.pt", progress=stop)
    assert replace(train(0, data, recipe, seed=0, checkpoint=tmp_path / "b.pt"), seconds=0) == replace(whole, seconds=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_divergence_is_a_nan_with_a_reason(engine: str) -> None:
    outcome = train(1462, DATA, replace(QUICK, engine=engine, lr=1e20), seed=0)
    assert math.isnan(outcome.test)
    assert "diverged in epoch" in outcome.reason
    assert len(outcome.val) == QUICK.epochs
    assert math.isnan(outcome.val[-1])


def test_it_learns_and_reports() -> None:
    seen: list[Progress] = []
    recipe = replace(DIGITS, epochs=2)
    outcome = train(1462, Digits(part_size=3072, held_out_size=500), recipe, seed=0, progress=seen.append)
    assert outcome.test > 35
    assert outcome.loss[1] < outcome.loss[0]
    assert [s.epoch for s in seen] == [1, 2]
    assert seen[-1].seconds_left == 0
    assert seen[0].images_per_second > 0
    assert outcome.seconds > 0


def test_cosine_ends_at_zero() -> None:
    whole = np.concatenate([rates(Recipe(epochs=4), 10, epoch) for epoch in range(4)])
    assert whole[0] == pytest.approx(0.1)
    assert whole[20] == pytest.approx(0.05)
    assert 0 < whole[-1] < 0.001
    assert (np.diff(whole) < 0).all()


@pytest.mark.parametrize("options", [{"bf16": True}, {"channels_last": True}])
def test_torch_options_train_too(options: dict[str, bool]) -> None:
    recipe = replace(QUICK, engine="torch", epochs=1, **options)
    assert math.isfinite(train(0, DATA, recipe, seed=0).test)


@pytest.mark.parametrize("wrong", [
    {"epochs": 0}, {"momentum": 1.0}, {"engine": "jax"}, {"engine": "fused"}, {"crop": -1},
])  # fmt: skip
def test_bad_recipe(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"must be|need|no flip"):
        Recipe(**wrong)  # type: ignore[arg-type]


def test_without_a_compiler_torch_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "library", lambda: None)
    assert isinstance(make_engine(0, DATA, QUICK, 0), TorchEngine)


TASK = Task(replace(DIGITS, epochs=2), part_size=64, held_out_size=64)


def test_shards_are_skipped_and_merged(tmp_path: Path) -> None:
    jobs = first_trial(777)[:5]
    calls: list[int] = []
    assert measure(TASK, jobs[:2], tmp_path, workers=0, block=2) == 2
    assert measure(TASK, jobs, tmp_path, workers=0, block=2, progress=lambda done, *_: calls.append(done)) == 3
    assert calls == [4, 5]
    assert measure(TASK, jobs, tmp_path, workers=0, block=2) == 0
    table, headers = merge(tmp_path)
    assert sorted(table["arch"].tolist()) == sorted(arch for arch, _ in jobs)
    assert table["val"].shape == (5, 2)
    assert len(headers) == 3
    expected = train(jobs[4][0], TASK.data("cpu"), TASK.recipe, seed=777)
    row = table["arch"].tolist().index(jobs[4][0])
    np.testing.assert_allclose(table["val"][row], np.array(expected.val), rtol=1e-6)


def test_a_block_is_trained_at_once_where_the_device_is_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = first_trial(777)[:3]
    measure(TASK, jobs, tmp_path / "one", workers=0)
    monkeypatch.setattr(grouped, "at_once", lambda _device: True)
    measure(TASK, jobs, tmp_path / "two", workers=0)
    (alone, _), (together, headers) = merge(tmp_path / "one"), merge(tmp_path / "two")
    assert headers[0]["engine"] == ["together (grouped)"]
    assert together["arch"].tolist() == alone["arch"].tolist()
    np.testing.assert_allclose(together["val"], alone["val"], atol=8)


def test_merge_refuses_a_mixture(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no shards"):
        merge(tmp_path)
    measure(TASK, [(0, 1)], tmp_path, workers=0)
    measure(replace(TASK, held_out_size=32), [(0, 1)], tmp_path, workers=0)
    with pytest.raises(ValueError, match="different tasks"):
        merge(tmp_path)


def test_more_trials_are_balanced_and_disjoint() -> None:
    jobs = np.array(first_trial(7)[:50])
    val = np.random.default_rng(0).random((50, 2)).astype(np.float32)
    val[3, 1] = np.nan
    table = {"arch": jobs[:, 0], "seed": jobs[:, 1], "val": val}
    further = more_trials(table, 7, (8, 9), best=10, random=20)
    assert len(further) == len(set(further)) == 60
    best = set(jobs[np.argsort(-np.nan_to_num(val[:, 1], nan=-1))[:10], 0].tolist())
    assert best <= {arch for arch, seed in further if seed == 9}
    assert {arch for arch, _ in further[:20:2]} == best


def test_first_trial_covers_every_class_once() -> None:
    archs = [arch for arch, _ in first_trial(1)]
    assert len({int(cell.SPACE.classes[a]) for a in archs}) == len(archs) == len(cell.class_members())


SCRIPT = """
from dataclasses import replace
from pathlib import Path
from nasbench_lab.training.measure import Task, first_trial, measure
from nasbench_lab.training.recipe import DIGITS
if __name__ == "__main__":
    task = Task(replace(DIGITS, epochs=2), part_size=64, held_out_size=64)
    measure(task, first_trial(777)[:60], Path({folder!r}), workers=1, block=4)
"""


@pytest.mark.slow
def test_sigkill_loses_nothing_finished(tmp_path: Path) -> None:
    script, folder = tmp_path / "run.py", tmp_path / "shards"
    script.write_text(SCRIPT.format(folder=str(folder)))
    process = subprocess.Popen([sys.executable, str(script)], start_new_session=True)
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*.npz"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {p: p.read_bytes() for p in folder.glob("*.npz")}
    assert 2 <= len(kept) < 15
    added = measure(TASK, first_trial(777)[:60], folder, workers=0, block=4)
    assert added == 60 - 4 * len(kept)
    assert all(path.read_bytes() == content for path, content in kept.items())
    table, _ = merge(folder)
    assert len(table["arch"]) == 60
