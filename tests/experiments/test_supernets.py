"""Supernets held against a table: looking on changes nothing, measures are what they say, an experiment can be resumed."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

pytest.importorskip("torch")

from nasbench_lab import core, loading
from nasbench_lab.core import LabError
from nasbench_lab.experiments import supernet_report, supernets
from nasbench_lab.experiments.supernets import Settings
from nasbench_lab.spaces import cell
from nasbench_lab.stats import means
from nasbench_lab.strategies.one_shot._one_shot import CHECKPOINTS

TINY = "images=32,batch=16,held_out=32,channels=2,epochs=3"
SMALL = {"cells": 20, "images": 32, "seeds": 1, "every": 1}
SPECS = {
    "darts": f"darts:{TINY}",
    "enas": f"enas:{TINY},controller_steps=1,aggregate=2,select=2,score_batch=8",
    "smash": f"smash:{TINY},select=4,per_round=2,score_images=8",
    "spos": f"spos:{TINY},select=4,per_round=2,score_images=8,calibration=1",
}


def _search(spec: str, seed: int) -> list[tuple[int, float]]:
    """What a search answers with, and what that costs."""
    strategy = loading.build("strategies", spec)
    strategy.start(core.Task(cell.SPACE, (1, 4)), seed)
    found = []
    while (query := strategy.ask()) is not None:
        strategy.tell(core.Result(query, 50.0, query.overhead))
        found.append((query.arch, query.overhead))
    return found


@pytest.mark.parametrize("name", SPECS)
def test_looking_on_changes_nothing(name, tmp_path, monkeypatch):
    """A search that goes on from a supernet that was scored meanwhile is the undisturbed one, and the other way round."""
    spec = SPECS[name]
    alone = _search(spec, 3)
    monkeypatch.setenv(CHECKPOINTS, str(tmp_path))
    settings = Settings((spec,), "digits", **SMALL)
    watched = supernets.observe(spec, settings, 3)
    (file,) = tmp_path.iterdir()
    trained = file.stat().st_mtime_ns
    only_last = supernets.observe(spec, Settings((spec,), "digits", **SMALL | {"every": 0}), 3)
    assert file.stat().st_mtime_ns == trained, "trained again"
    assert only_last["points"] == watched["points"][-1:]
    assert only_last["scores"] == watched["scores"]
    assert _search(spec, 3) == alone
    seconds = [point["seconds"] for point in watched["points"]]
    np.testing.assert_allclose(seconds, np.cumsum([cost for _, cost in alone])[:3])
    if name != "smash" and name != "spos":  # these have no answer while they train
        assert [epoch["answer"] for epoch in watched["epochs"]] == [arch for arch, _ in alone]
        assert [epoch["skips"] for epoch in watched["epochs"]] == [cell.ops(arch).count(cell.SKIP) for arch, _ in alone]


def test_entropy_starts_uniform_and_is_that_of_the_distribution():
    for name in ("darts", "enas"):
        strategy = loading.build("strategies", SPECS[name])
        strategy.start(core.Task(cell.SPACE, (1,)), 0)
        assert strategy.entropy() == pytest.approx(math.log(5), abs=0.02)
    darts = loading.build("strategies", SPECS["darts"])
    darts.start(core.Task(cell.SPACE, (1,)), 0)
    darts.alpha.data[:, 0] = 100.0
    assert darts.entropy() == pytest.approx(0.0, abs=1e-9)
    assert loading.build("strategies", SPECS["spos"]).entropy() is None


@given(st.lists(st.floats(0, 100), min_size=20, max_size=60, unique=True))
def test_agreement_of_a_ranking_with_itself_and_its_reverse(values):
    truth = np.array(values)
    same, reverse = supernets.agreement(truth, truth), supernets.agreement(truth, -truth)
    assert same["tau"] == pytest.approx(1)
    assert same["recall"] == 1
    assert same["regret"] == 0
    assert reverse["tau"] == pytest.approx(-1)
    assert reverse["recall"] == 0
    assert reverse["regret"] == pytest.approx(truth.max() - truth.min())


def test_agreement_where_all_score_the_same():
    truth = np.arange(40.0)
    found = supernets.agreement(truth, np.full(40, 10.0))
    assert (found["tau"], found["spearman"], found["level"]) == (0, 0, 10)
    assert found["recall"] == pytest.approx(0.1)  # chance
    assert found["regret"] == pytest.approx(39 - 19.5)


def test_sampled_cells_are_of_different_classes_and_known():
    truth = np.where(np.arange(cell.SPACE.size) % 3 == 0, np.nan, 50.0)
    archs = supernets.sampled(truth, 100)
    assert len(set(cell.SPACE.classes[archs])) == len(archs) == 100
    assert not np.isnan(truth[archs]).any()
    assert (np.diff(archs) > 0).all()
    np.testing.assert_array_equal(archs, supernets.sampled(truth, 100))
    everything = supernets.sampled(np.zeros(cell.SPACE.size), 0)
    assert len(everything) == 6466
    with pytest.raises(LabError, match="100 classes with a known score are needed, the table has 0"):
        supernets.sampled(np.full(cell.SPACE.size, np.nan), 100)


def test_options_go_into_specs_and_must_not_contradict_them():
    assert supernets.with_options("spos", epochs=3, device=None) == "spos:epochs=3"
    assert supernets.with_options("spos:fair=true", epochs=3) == "spos:epochs=3,fair=true"
    assert supernets.with_options("spos:epochs=3", epochs=3) == "spos:epochs=3"
    with pytest.raises(LabError, match="spos:epochs=9 says epochs=9, the option --epochs 3; leave one of them out"):
        supernets.with_options("spos:epochs=9", epochs=3)
    assert supernets.with_options("pkg.mod:Cls", epochs=3) == "pkg.mod:Cls:epochs=3"
    assert supernets.with_options("spos", epochs=None) == "spos"


@pytest.mark.parametrize(
    ("spec", "more", "message"),
    [
        ("local_search", {}, "local_search has no supernet; these have: darts"),
        ("network_morphism", {}, "network_morphism has no supernet"),
        ("nothing", {}, "no strategy named 'nothing'"),
        ("spos:data=cifar10-valid", {}, "trains on cifar10-valid, table digits is of digits"),
        ("smash", {"calibration": 2}, "smash cannot recalibrate norms; leave calibration at 0, got 2"),
        ("spos", {"cells": 7}, "cells must be 0 .all. or at least 20, got 7"),
        ("spos", {"cells": 7000}, "7000 classes with a known score are needed, the table has 6466"),
        ("spos", {"target": "train"}, "target must be one of val, test, got 'train'"),
        ("spos", {"seeds": 0}, "seeds and images must be at least 1"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_trained(spec, more, message, tmp_path):
    with pytest.raises(LabError, match=message):
        supernets.plan(Settings((spec,), "digits", **more), tmp_path)


@pytest.mark.parametrize("how", [("--device", "banana"), ("darts:device=banana",)])
def test_a_device_that_is_not_there_is_refused_with_a_message(how, lab, tmp_path):
    code, _, err = lab("supernet", *how, "--classes", "20", "--out", tmp_path / "out")
    assert code == 2
    assert "no such device: 'banana'; use cpu, cuda or cuda:0" in err
    assert not (tmp_path / "out").exists()


def test_an_experiment_goes_on_where_it_was_and_its_files_say_what_was_measured(tmp_path, monkeypatch):
    settings = Settings((SPECS["darts"], SPECS["spos"]), "digits", **SMALL | {"seeds": 2})
    seen = []
    jobs = supernets.run(settings, tmp_path, progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 4)
    assert seen[-1] == (4, 4)
    jobs[0].path.write_text(jobs[0].path.read_text()[:-20])  # cut short, as by a full disk
    with pytest.raises(LabError, match="1 supernets are missing or damaged"):
        supernet_report.build(settings, jobs)
    trained = []
    monkeypatch.setattr(supernets, "observe", _noting(supernets.observe, trained))
    supernets.run(settings, tmp_path)
    assert trained == [SPECS["darts"]]

    content = supernet_report.build(settings, jobs)
    written = {path.name for path in supernet_report.write(content, tmp_path)}
    assert written == set(supernet_report.FILES)
    page = (tmp_path / "supernets.md").read_text()
    rows = {row["strategy"]: row for row in json.loads((tmp_path / "supernets.json").read_text())["rows"]}
    taus = [job.read()["points"][-1]["tau"] for job in jobs if job.header["strategy"] == SPECS["spos"]]
    assert rows[SPECS["spos"]]["tau"] == pytest.approx(np.mean(taus))
    assert rows[SPECS["spos"]]["skips"] is None
    assert rows[SPECS["darts"]]["skips"] is not None
    assert means.shown(rows[SPECS["spos"]], "tau", 3) in page
    assert content["command"] in page
    assert f"±{max(row['tau_classes'] for row in rows.values()):.3f} more (95%)" in page
    assert (tmp_path / "agreement.svg").read_text().count("<path") > 2


def test_the_error_of_drawn_classes_is_how_far_another_draw_moves_tau():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=2000)
    scores = truth + rng.normal(size=(2, 2000))
    taus, errors = [], []
    for _ in range(300):
        drawn = rng.permutation(2000)[:100]
        taus.append(np.mean([stats.kendalltau(truth[drawn], own[drawn]).statistic for own in scores]))
        errors.append(supernet_report.classes_error(truth[drawn], scores[:, drawn].tolist(), 100 / 2000))
    assert np.mean(errors) == pytest.approx(1.96 * np.std(taus), rel=0.1)
    assert supernet_report.classes_error(truth, scores.tolist(), 1.0) == 0


def test_charts_that_have_nothing_to_show_are_not_written(tmp_path):
    settings = Settings((SPECS["spos"],), "digits", **SMALL)
    (tmp_path / "skips.svg").write_text("of an earlier experiment")
    jobs = supernets.run(settings, tmp_path)
    supernet_report.write(supernet_report.build(settings, jobs), tmp_path)
    assert not (tmp_path / "skips.svg").exists()
    assert not (tmp_path / "entropy.svg").exists()
    assert "skips.svg" not in (tmp_path / "supernets.md").read_text()


def _noting(function, specs):
    def wrapped(spec, settings, seed):
        specs.append(spec)
        return function(spec, settings, seed)

    return wrapped


def test_supernets_that_diverged_are_counted_and_rank_nothing(tmp_path):
    spec = f"spos:{TINY},learning_rate=1e30,clip=inf"
    settings = Settings((spec, SPECS["spos"]), "digits", **SMALL)
    content = supernet_report.build(settings, supernets.run(settings, tmp_path))
    assert [(row["strategy"], row["diverged"]) for row in content["rows"]] == [(SPECS["spos"], 0), (spec, 1)]
    assert content["rows"][1]["tau"] is None
    supernet_report.write(content, tmp_path)
    assert f"`{spec}` (1 of 1 diverged)" in (tmp_path / "supernets.md").read_text()
    assert "NaN" not in (tmp_path / "supernets.json").read_text()


def test_a_folder_that_cannot_be_written_is_said_before_anything_is_trained(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(supernets, "observe", None)
    with pytest.raises(LabError, match="cannot be written"):
        supernets.run(Settings((SPECS["spos"],), "digits", **SMALL), tmp_path / "file")


def test_two_seeds_have_no_interval():
    assert means.row("x", np.array([1.0, 2.0])) == {"x": 1.5, "x_lo": None, "x_hi": None}
    three = means.row("x", np.array([1.0, 2.0, np.nan, 3.0]))
    assert three["x"] == 2.0
    assert three["x_lo"] < 2.0 < three["x_hi"]
