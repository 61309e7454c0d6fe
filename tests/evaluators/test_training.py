"""Real training behind the search loop: fidelities, costs, the durable cache, failures told apart, kill and go on."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from nasbench_lab import api, loading
from nasbench_lab.core import LabError, Query
from nasbench_lab.evaluators import training as module
from nasbench_lab.evaluators.training import Training
from nasbench_lab.spaces import cell
from nasbench_lab.study import store
from nasbench_lab.study.plan import open_evaluator
from nasbench_lab.study.runner import search
from nasbench_lab.tables import catalog
from nasbench_lab.training import cost, grouped, kept
from nasbench_lab.training.cache import Cache, Trained
from nasbench_lab.training.data import Images
from nasbench_lab.training.network import CIFAR10, Network, Shape, count_flops, count_params
from nasbench_lab.training.problem import Problem, make_problem
from nasbench_lab.training.recipe import Recipe
from nasbench_lab.training.trainer import Outcome, train

TINY = make_problem("digits", epochs=2, part_size=64, held_out_size=100)
SPEC = "training:data=digits,epochs=2,part_size=64,held_out_size=100"


@pytest.fixture
def trainer(tmp_path) -> Training:
    return Training(TINY, cache=tmp_path / "cache.jsonl")


def line(seed=0, arch=3, digest="d", **changes) -> Trained:
    return Trained(
        **{"digest": digest, "arch": arch, "seed": seed, "val": (10.0, 20.0), "test": 19.0, "seconds": 0.1, **changes}
    )


# Costs


@pytest.mark.parametrize("shape", [Shape(8, 1, 10, 1, 12), CIFAR10, Shape(16, 2, 120, 3, 16)], ids=str)
@pytest.mark.parametrize("arch", [0, 11, 284, 1462, 4557])
def test_costs_in_closed_form_are_those_of_the_network(shape, arch):
    network = Network(arch, shape)
    assert cost.params(shape)[arch] == count_params(network)
    assert cost.flops(shape)[arch] == count_flops(network)


def test_seconds_are_training_so_far_and_one_validation_pass():
    shape = Shape(8, 1, 10, 1, 12)
    seconds = cost.seconds(cost.flops(shape), images=1000, held_out=400, epochs=3)
    expected = cost.flops(shape)[11] * (3 * 1000 * np.arange(1, 4) + 400) / cost.NOMINAL_SPEED
    assert seconds[11] == pytest.approx(expected, abs=1e-4)


def test_no_training_is_free():
    assert cost.seconds(np.array([1.0, 1e9]), images=10, held_out=10, epochs=2).tolist() == [[1e-4, 1e-4], [4.0, 7.0]]


# Answers


def test_one_training_answers_every_fidelity_with_what_the_trainer_gives(trainer):
    first, last = (trainer.evaluate(Query(11, epochs), seed=5) for epochs in (1, 2))
    member = int(cell.representatives()[11])
    outcome = train(member, TINY.load(), TINY.recipe, seed=5)
    assert (first.val, last.val) == outcome.val
    assert 0 < first.seconds < last.seconds
    assert len(trainer.cache.path.read_text().splitlines()) == 1
    assert trainer.truth(11) == outcome.test


def test_isomorphic_cells_are_one_training_and_seeds_are_different_ones(trainer):
    a, b = next(members for members in cell.class_members() if len(members) > 1)[:2]
    assert trainer.evaluate(Query(a, 2), 0).val == trainer.evaluate(Query(b, 2), 0).val
    trainer.evaluate(Query(a, 2), 1)
    assert [trained.seed for trained in trainer.cache.all(trainer.digest)] == [0, 1]


def test_answers_come_from_the_cache(trainer, monkeypatch):
    before = trainer.evaluate(Query(11, 2), 0)
    monkeypatch.setattr(kept, "train", lambda *_, **__: pytest.fail("trained again"))
    assert Training(TINY, cache=trainer.cache.path).evaluate(Query(11, 2), 0) == before


def test_workers_queries_are_trained_at_once_and_recorded_as_ever(tmp_path, monkeypatch):
    def run(name: str):
        evaluator = Training(TINY, cache=tmp_path / name)
        found = search(loading.build("strategies", "random_search"), evaluator, seed=1, max_queries=5, workers=3)
        return evaluator, [(r.order, r.result.query, r.finished) for r in found.records]

    sizes, at_once = [], grouped.train_all
    _, alone = run("one")
    monkeypatch.setattr(grouped, "at_once", lambda _device: True)
    monkeypatch.setattr(grouped, "train_all", lambda jobs, *a, **k: sizes.append(len(jobs)) or at_once(jobs, *a, **k))
    evaluator, together = run("two")
    assert together == alone
    assert sizes == [3]  # then one worker is free at a time
    made = [row.made.split()[0] for row in evaluator.cache.all(evaluator.digest)]
    assert made.count("together") == 3


def test_objectives_are_of_the_edges_that_run(tmp_path):
    trainer = Training(TINY, cache=tmp_path / "c", objectives=("val", "params_m", "flops_m"))
    metrics = trainer.evaluate(Query(11, 1), 0).metrics
    network = Network(int(cell.representatives()[11]), TINY.shape)
    assert metrics == {"params_m": count_params(network) / 1e6, "flops_m": count_flops(network) / 1e6}


def test_the_cache_is_a_growing_table(trainer):
    with pytest.raises(LabError, match="nothing trained yet"):
        trainer.table()
    for arch, seed in ((11, 0), (11, 1), (284, 0)):
        trainer.evaluate(Query(arch, 2), seed)
    table = trainer.table()
    members = set(cell.class_members()[cell.SPACE.classes[11]]) | set(cell.class_members()[cell.SPACE.classes[284]])
    assert set(np.flatnonzero(table.measured)) == members
    assert table.truth[11] == pytest.approx(trainer.truth(11))
    assert table.schedules[2].val_trials.shape == (cell.SPACE.size, 2, 2)
    assert table.schedules[2].seconds[11, 1] == trainer.evaluate(Query(11, 2), 0).seconds


def test_the_digest_names_recipe_data_and_device_but_not_the_place(tmp_path):
    same = Training(TINY, cache=tmp_path / "other").digest
    assert Training(TINY).digest == same
    assert make_problem("digits", epochs=3, part_size=64, held_out_size=100).digest() != same
    assert make_problem("digits", epochs=2, part_size=96, held_out_size=100).digest() != same
    assert TINY.digest("cuda") != same


# Options


def test_open_reads_a_spec_and_its_policy_opens_the_same_again():
    first = open_evaluator(SPEC, catalog.load("toy"), {"objectives": ["val"]})
    again = open_evaluator(
        first.policy["evaluator"], catalog.load("toy"), {"search": first.policy["search"], "trials": "mean"}
    )
    assert first.policy == again.policy
    assert first.policy["evaluator"] == SPEC
    assert first.task.fidelities == (1, 2)
    assert first.task.one_run


def test_cifar10_tables_are_searched_on_the_benchmarks_validation_split(monkeypatch, toy):
    monkeypatch.setattr(
        module.catalog, "load", lambda _name: toy.__class__("t", toy.schedules, {}, {"dataset": "cifar10"})
    )
    opened = Training.open("t")
    assert opened.problem.data == "cifar10-valid"
    assert opened.task.full == 12


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no data set"),
        ({"data": "mnist"}, "no data named 'mnist'"),
        ({"data": "digits", "trials": "sample"}, "own noise"),
        ({"data": "digits", "noise": 0.5}, "own noise"),
        ({"data": "digits", "search": "oracle"}, "whole number"),
        ({"data": "digits", "epochs": "0"}, "whole number"),
        ({"data": "digits", "epochs": "3", "search": 4}, "same thing"),
        ({"data": "digits", "objectives": ("val", "latency_ms/x")}, "no metric"),
        ({"data": "cifar10", "part_size": "64"}, "options of digits"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(LabError, match=message):
        Training.open("toy", **options)


@pytest.mark.parametrize(
    "device",
    ["tpu9", "meta", pytest.param("cuda", marks=pytest.mark.skipif(torch.cuda.is_available(), reason="has one"))],
)
def test_a_device_that_is_not_there(device, tmp_path):
    with pytest.raises(LabError):
        Training(TINY, device=device, cache=tmp_path / "c").evaluate(Query(0, 1), 0)


# The file


def test_a_torn_line_is_skipped_and_closed(tmp_path):
    cache = Cache(tmp_path / "c.jsonl")
    cache.add(line(0))
    with cache.path.open("ab") as file:
        file.write(b'{"digest": "d", "arch": 3, "se')  # killed in the middle
    fresh = Cache(cache.path)
    assert fresh.get(("d", 3, 0)) == line(0)
    fresh.add(line(1))
    assert [t.seed for t in Cache(cache.path).all("d")] == [0, 1]
    assert cache.get(("d", 3, 1)) == line(1)  # an open reader sees it too


WRITER = """
import sys
from pathlib import Path
from nasbench_lab.training.cache import Cache, Trained
cache = Cache(Path(sys.argv[1]))
for seed in range(40):
    cache.add(Trained("d", int(sys.argv[2]), seed, (10.0, 20.0), 19.0, 0.1))
"""


def test_two_writers_do_not_tear_each_other(tmp_path):
    path = tmp_path / "c.jsonl"
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(arch)]) for arch in range(3)]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    lines = path.read_text().splitlines()
    assert len(lines) == 120
    assert {(t["arch"], t["seed"]) for t in map(json.loads, lines)} == {(a, s) for a in range(3) for s in range(40)}


def test_of_two_answers_the_first_counts(tmp_path):
    cache, other = Cache(tmp_path / "c"), Cache(tmp_path / "c")
    cache.add(line(0, test=50.0))
    assert other.add(line(0, test=60.0)).test == 50.0
    assert len((tmp_path / "c").read_text().splitlines()) == 1


def test_divergence_is_an_answer_with_its_reason(trainer, monkeypatch):
    nan = math.nan
    diverged = Outcome(
        3,
        0,
        "digits",
        TINY.recipe,
        "torch",
        "cpu",
        (30.0, nan),
        (1.0, nan),
        (1.0, nan),
        nan,
        0.1,
        "diverged in epoch 2",
    )
    monkeypatch.setattr(kept, "train", lambda *_, **__: diverged)
    assert trainer.evaluate(Query(3, 1), 0).val == 30.0
    assert math.isnan(trainer.evaluate(Query(3, 2), 0).val)
    assert math.isnan(trainer.truth(3))
    assert json.loads(trainer.cache.path.read_text())["reason"] == "diverged in epoch 2"
    assert np.isnan(trainer.table().truth).all()


def test_a_full_disk_says_so_and_keeps_what_is_finished(trainer, monkeypatch):
    trainer.evaluate(Query(11, 2), 0)
    kept = trainer.cache.path.read_bytes()

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(LabError, match="disk is full"):
            trainer.evaluate(Query(284, 2), 0)
    assert trainer.cache.path.read_bytes() == kept
    trainer.evaluate(Query(284, 2), 0)
    assert trainer.cache.path.read_bytes().startswith(kept)


def test_a_cache_that_cannot_be_written(blocked):
    with pytest.raises(LabError, match="cannot write"):
        Training(TINY, cache=blocked / "c.jsonl").evaluate(Query(0, 1), 0)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_says_so(trainer, monkeypatch, error):
    def starve(*_, **__):
        raise error

    monkeypatch.setattr(kept, "train", starve)
    with pytest.raises(LabError, match="out of memory while training cell"):
        trainer.evaluate(Query(11, 1), 0)


def test_other_errors_are_not_called_out_of_memory(trainer, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("size mismatch")

    monkeypatch.setattr(kept, "train", broken)
    with pytest.raises(RuntimeError, match="size mismatch"):
        trainer.evaluate(Query(11, 1), 0)


def test_stored_images_are_trained_with_a_checkpoint_that_goes_when_it_is_done(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    pictures = torch.from_numpy(rng.integers(0, 256, (48, 3, 32, 32), dtype=np.uint8))
    split = (pictures, torch.from_numpy(rng.integers(10, size=48)))
    images = Images("cifar10-valid", train=split, val=split, test=split, classes=10, mean=(125.0,) * 3, std=(63.0,) * 3)
    monkeypatch.setattr("nasbench_lab.training.problem.sets.open_data", lambda _name, device: images)
    recipe = Recipe(epochs=2, channels=8, cells=1, batch=16)
    trainer = Training(Problem("cifar10-valid", recipe), cache=tmp_path / "c.jsonl")
    seen = []

    def watched(*arguments, checkpoint, **rest):
        seen.append(checkpoint)
        return train(*arguments, checkpoint=checkpoint, **rest)

    monkeypatch.setattr(kept, "train", watched)
    result = trainer.evaluate(Query(11, 2), 0)
    assert 0 <= result.val <= 100
    assert seen[0].parent == tmp_path / "checkpoints"
    assert not list((tmp_path / "checkpoints").iterdir())
    assert json.loads(trainer.cache.path.read_text())["made"] == "torch cpu"


# In a study


def test_compare_trains_and_reproduces(lab, tmp_path):
    arguments = ["--table", "toy", "--evaluator", SPEC, "--seeds", 2, "--max-queries", 6, "--out", tmp_path]
    code, out, err = lab("compare", "random_search", "local_search", *arguments)
    assert code == 0, err
    assert SPEC in out
    code, out, _ = lab("reproduce", tmp_path)
    assert code == 0
    assert out.splitlines()[-1].startswith("4 runs reproduced exactly, 0 differ")


def test_search_takes_the_evaluator(trainer):
    frame = api.search("random_search", trainer, seed=0, max_queries=4)
    assert frame["incumbent_test"].notna().all()
    assert (frame["decided"] < 0.05).all()  # training is not thinking


COMMAND = "import torch; torch.set_num_threads(1); from nasbench_lab.cli.app import main; main()"
SLOWER = "training:data=digits,epochs=2,part_size=2048,held_out_size=1000"


@pytest.mark.slow
def test_a_search_killed_with_sigkill_goes_on_to_the_same_records(tmp_path):
    def start(name: str) -> subprocess.Popen[bytes]:
        arguments = [
            "compare",
            "local_search",
            "--table",
            "toy",
            "--evaluator",
            f"{SLOWER},cache={tmp_path / name}.jsonl",
        ]
        arguments += ["--seeds", "1", "--max-queries", "20", "--out", str(tmp_path / name)]
        command = [sys.executable, "-c", COMMAND, *arguments]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def finished(name: str) -> int:
        path = tmp_path / f"{name}.jsonl"
        return len(path.read_bytes().splitlines()) if path.exists() else 0

    assert start("whole").wait() == 0
    for enough in (3, 9, 14):
        process = start("killed")
        while finished("killed") < enough and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
    interrupted = finished("killed")
    assert interrupted >= 9
    assert start("killed").wait() == 0
    whole, killed = (store.read(next((tmp_path / name / "runs").glob("*.parquet"))) for name in ("whole", "killed"))
    assert store.digest(whole.columns) == store.digest(killed.columns)
    assert finished("whole") == finished("killed")  # nothing was trained twice
