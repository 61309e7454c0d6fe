"""Tables measured by us: the plan, resumable shards, merging, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

from nasbench_lab.core import LabError
from nasbench_lab.experiments import measuring
from nasbench_lab.spaces import cell, chain
from nasbench_lab.tables import stored
from nasbench_lab.tables.measured import Trials, from_trials
from nasbench_lab.training import measure, networks
from nasbench_lab.training.problem import make_problem

TINY = make_problem("digits", epochs=2, part_size=64, held_out_size=100)
PLAN = measuring.Plan(TINY, seeds=(5,), more=(7, 6), best=3, random=2, classes=12)
SIZES = ["--epochs", 2, "--part-size", 64, "--held-out-size", 100]


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    assert measuring.run(PLAN, folder, workers=0) == 12 + 2 * 5
    return folder


def test_a_plan_is_one_trial_of_all_then_more_of_the_best_and_of_random_ones(shards):
    assert len(measuring.Plan(TINY).first()) == 6466
    rows, _ = measure.merge(shards)
    counts = {seed: int((rows["seed"] == seed).sum()) for seed in (5, 6, 7)}
    assert counts == {5: 12, 6: 5, 7: 5}
    first = {int(a): v for a, v, s in zip(rows["arch"], rows["val"][:, -1], rows["seed"], strict=True) if s == 5}
    best = sorted(first, key=first.__getitem__)[-1]
    assert best in rows["arch"][rows["seed"] == 7]


def test_finished_shards_are_not_trained_again(shards):
    assert measuring.run(PLAN, shards, workers=0) == 0


def test_a_missing_shard_is_trained_again_to_the_same_numbers(shards, tmp_path):
    shutil.copytree(shards, tmp_path / "some")
    victim = min((tmp_path / "some").glob("*.npz"))
    victim.unlink()
    assert measuring.run(PLAN, tmp_path / "some", workers=0) > 0
    a, b = measuring.merge("t", shards, partial=True), measuring.merge("t", tmp_path / "some", partial=True)
    np.testing.assert_array_equal(a.schedules[2].val_trials, b.schedules[2].val_trials)
    np.testing.assert_array_equal(a.truth, b.truth)


def test_a_partial_table_holds_what_the_shards_hold(shards):
    table = measuring.merge("some", shards, partial=True)
    rows, _ = measure.merge(shards)
    schedule = table.schedules[2]
    assert schedule.one_run
    assert schedule.val_trials.shape == (cell.SPACE.size, 2, 3)
    for arch, seed, val, test in zip(rows["arch"], rows["seed"], rows["val"], rows["test"], strict=True):
        column = [5, 6, 7].index(seed)
        for member in cell.class_members()[cell.SPACE.classes[arch]]:
            assert schedule.val_trials[member, :, column] == pytest.approx(val, abs=1e-4)
            assert schedule.test_trials[member, column] == pytest.approx(test, abs=1e-4)
    assert int(table.measured.sum()) == sum(
        len(cell.class_members()[c]) for c in np.unique(cell.SPACE.classes[rows["arch"]])
    )
    assert table.about["seeds"] == {"5": 12, "6": 5, "7": 5}
    assert (np.diff(schedule.seconds, axis=1) > 0).all()
    assert {"params_m", "flops_m", "measured_seconds"} == set(table.metrics)


def test_accuracies_are_counts_and_means_are_over_the_trials_that_exist():
    nan = np.nan
    val = np.array([[10.025001, 20.0], [10.075, 21.0], [30.0, nan]], dtype=np.float32).astype(np.float64)
    archs = np.array([cell.class_members()[c][0] for c in (4, 4, 9)])
    trials = Trials(archs, np.array([777, 888, 777]), val, np.array([20.0, 21.0, nan]), np.ones(3))
    table = from_trials(
        "t", trials, cell.SPACE, seconds=np.ones((15625, 2)).cumsum(axis=1), step=0.025, metrics={}, about={}
    )
    schedule = table.schedules[2]
    assert schedule.val_trials[archs[0], 0].tolist() == [10.025, 10.075]
    assert schedule.val[archs[0]].tolist() == [10.05, 20.5]
    assert table.truth[archs[0]] == 20.5
    assert schedule.val[archs[2], 0] == 30.0
    assert np.isnan(schedule.val[archs[2], 1])
    assert not table.measured[archs[2]]


def test_seconds_of_another_processor_are_scaled_by_what_both_trained(shards, tmp_path):
    for path in shards.glob("*.npz"):
        with np.load(path) as file:
            columns = {name: file[name] for name in file.files}
        first = columns["seed"] == 5
        assert first.all() or not first.any()
        columns["seconds"] = np.where(first, 1.0, 4.0).astype(np.float32)
        header = json.loads(str(columns["header"])) | {"processor": "fast" if first.all() else "slow"}
        np.savez(tmp_path / path.name, **(columns | {"header": np.array(json.dumps(header))}))
    rows, _ = measure.merge(tmp_path)
    assert rows["seconds"].tolist() == [1.0] * 22
    said = measuring.merge("two", tmp_path, partial=True).about["units"]["measured_seconds"]
    assert "scaled" in said
    assert "scaled" not in measuring.merge("one", shards, partial=True).about["units"]["measured_seconds"]


CHAIN = make_problem("digits", space="chain", epochs=2, part_size=64, held_out_size=100)


@pytest.fixture(scope="session")
def chain_shards(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("chain_shards")
    plan = measuring.Plan(CHAIN, seeds=(5, 6), classes=20)
    assert measuring.run(plan, folder, workers=0) == 40
    return folder


def test_a_table_of_chains_is_of_their_space_and_of_every_member_of_a_class(chain_shards, tmp_path):
    table = measuring.merge("chains", chain_shards, partial=True)
    rows, headers = measure.merge(chain_shards)
    space, schedule = chain.space(), table.schedules[2]
    assert table.space == space
    assert len(np.unique(space.classes[table.measured])) == 20
    for arch, val in zip(rows["arch"], rows["val"], strict=True):
        assert any(schedule.val_trials[arch, :, t] == pytest.approx(val, abs=1e-4) for t in (0, 1))
        for member in np.flatnonzero(space.classes == space.classes[arch]):
            np.testing.assert_array_equal(schedule.val_trials[member], schedule.val_trials[arch])
    assert table.metrics["flops_m"].tolist() == np.round(networks.CHAINS.flops(CHAIN.shape) / 1e6, 6).tolist()
    assert (schedule.seconds > 0).all()
    assert "space" in headers[0]["task"]
    assert table.about["means"] == "val and test are means over the seeds that were run"
    assert table.about["source"].startswith("nasbench-lab tables train chain")
    again = stored.read(table.save(tmp_path / "chains.npz", compress=True))
    assert (again.digest, again.space, again.space.name) == (table.digest, space, "chain")
    with pytest.raises(LabError, match="352 of 372 classes have no finished training"):
        measuring.merge("chains", chain_shards)
    with pytest.raises(LabError, match="another recipe, data or space"):
        measuring.run(PLAN, chain_shards, workers=0)


def test_chains_are_trained_seed_by_seed_in_an_order_whose_prefix_is_a_sample():
    jobs = measuring.Plan(CHAIN, seeds=(5, 6)).first()
    assert [seed for _, seed in jobs] == [5] * 372 + [6] * 372
    archs = [arch for arch, _ in jobs[:372]]
    assert archs == [arch for arch, _ in jobs[372:]]
    assert sorted(archs) == np.unique(chain.space().representatives).tolist()
    assert archs != sorted(archs)
    with pytest.raises(LabError, match="1 to 372 classes"):
        measuring.Plan(CHAIN, classes=373)


def test_a_table_survives_its_file(shards, tmp_path):
    table = measuring.merge("some", shards, partial=True)
    assert stored.read(table.save(tmp_path / "some.npz", compress=True)).digest == table.digest


def test_missing_classes_are_counted_and_refused(shards):
    with pytest.raises(LabError, match="6,454 of 6,466 classes have no finished training"):
        measuring.merge("t", shards)


def test_what_cannot_be_merged(shards, tmp_path):
    with pytest.raises(LabError, match="no shards"):
        measuring.merge("t", tmp_path / "nothing")
    damaged = shutil.copytree(shards, tmp_path / "damaged")
    min(damaged.glob("*.npz")).write_bytes(b"PK not really")
    with pytest.raises(LabError, match="is not a shard, or is damaged"):
        measuring.merge("t", damaged)
    other = measuring.Plan(make_problem("digits", epochs=3, part_size=64, held_out_size=100), classes=2)
    with pytest.raises(LabError, match="another recipe"):
        measuring.run(other, shards, workers=0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"seeds": ()}, "at least one"),
        ({"seeds": (1, 1)}, "different"),
        ({"seeds": (1,), "more": (1,)}, "different"),
        ({"classes": 0}, "classes"),
        ({"best": -1}, "best"),
    ],
)
def test_plans_that_cannot_be(arguments, message):
    with pytest.raises(LabError, match=message):
        measuring.Plan(TINY, **arguments)


def test_only_digits_so_far():
    with pytest.raises(LabError, match="only digits"):
        measuring.Plan(make_problem("cifar10"))


def test_the_command_trains_goes_on_and_merges(lab, tmp_path):
    arguments = ["tables", "train", "small", "--classes", 4, "--seed", "1", *SIZES, "--out", tmp_path]
    code, out, err = lab(*arguments)
    assert code == 0, err
    assert out.startswith("small: ")
    before = (tmp_path / "small.npz").read_bytes()
    assert lab(*arguments)[0] == 0
    assert (tmp_path / "small.npz").read_bytes() == before
    shards = next((tmp_path / "shards").iterdir())
    code, _, err = lab("tables", "train", "small", "--merge", shards, "--out", tmp_path)
    assert code == 2
    assert "6,462 of 6,466" in err
    code, out, _ = lab("tables", "train", "other", "--merge", shards, "--partial", "--out", tmp_path)
    assert code == 0
    assert "other.npz" in out


@pytest.mark.slow
def test_the_command_trains_chains_where_the_table_is_called_so(lab, tmp_path):
    code, out, err = lab("tables", "train", "chain", "--classes", 3, *SIZES, "--out", tmp_path)
    assert code == 0, err
    assert "of 864 cells" in out
    assert stored.read(tmp_path / "chain.npz").space.name == "chain"


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--space", "fcnet"),
        ("--seed", "a"),
        ("--seed", "1,2"),
        ("--seed", "-1"),
        ("--data", "cifar10"),
        ("--data", "mnist"),
        ("--device", "tpu9"),
    ],
)
def test_the_command_refuses(lab, tmp_path, option, value):
    code, _, err = lab("tables", "train", "small", option, value, "--classes", 2, "--out", tmp_path)
    assert code == 2
    assert "Traceback" not in err
