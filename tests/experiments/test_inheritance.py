"""From scratch or from a supernet's weights: the two trainings differ in where they start, and in nothing else."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

pytest.importorskip("torch")

import torch

from nasbench_lab import api
from nasbench_lab.core import LabError
from nasbench_lab.experiments import inheritance, supernets, validation, validation_report
from nasbench_lab.experiments.validation import Settings
from nasbench_lab.strategies.one_shot._one_shot import CHECKPOINTS
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.training import trainer
from nasbench_lab.training.network import Network
from nasbench_lab.training.problem import make_problem

PROBLEM = make_problem("digits", epochs=1, part_size=64, held_out_size=64)
DARTS = "darts:images=64,batch=16,held_out=64,epochs=2"
SMASH = "smash:images=64,batch=16,held_out=64,epochs=2,select=2,score_images=16"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A study of two one-shot strategies and random search, with its checkpoints."""
    monkeypatch.setenv(CHECKPOINTS, str(tmp_path / "checkpoints"))
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    study = Study(("random_search", DARTS, SMASH), (StudyTask("digits", max_queries=4),), seeds=2)
    api.run(study, tmp_path / "study")
    return tmp_path / "study"


@pytest.mark.parametrize("engine", ["torch", "auto"])
def test_weights_of_the_seed_itself_change_nothing(engine):
    recipe = replace(PROBLEM.recipe, engine=engine)
    data = PROBLEM.load()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        own = Network(1462, PROBLEM.shape).state_dict()
    plain = trainer.train(1462, data, recipe, seed=7)
    assert trainer.train(1462, data, recipe, seed=7, weights=own).test == plain.test
    other = {name: value * 0.5 if "conv" in name else value for name, value in own.items()}
    assert trainer.train(1462, data, recipe, seed=7, weights=other).val != plain.val


def test_a_checkpoint_of_other_weights_is_not_gone_on_from(tmp_path):
    data = PROBLEM.load()
    weights = Network(1462, PROBLEM.shape).state_dict()
    trainer.train(1462, data, PROBLEM.recipe, seed=7, weights=weights, checkpoint=tmp_path / "c.pt")
    with pytest.raises(ValueError, match="checkpoint of another training"):
        trainer.train(1462, data, PROBLEM.recipe, seed=7, checkpoint=tmp_path / "c.pt")


def test_every_one_shot_run_is_trained_both_ways(folder, monkeypatch):
    settings = Settings(PROBLEM, top=1, seeds=2, inherit=True)
    content = validation.validate(str(folder), settings)
    found = content["inheritance"]
    assert [(row["strategy"], row["seed"]) for row in found["rows"]] == [(s, k) for s in (DARTS, SMASH) for k in (0, 1)]
    for row in found["rows"]:
        assert row["gain"] == pytest.approx(row["inherited"] - row["scratch"])
        assert 0 <= row["before"] <= 100
    assert found["all"]["gain"] == pytest.approx(sum(row["gain"] for row in found["rows"]) / 4)
    page = validation_report.to_markdown(content)
    assert "From scratch or from the supernet's weights" in page
    assert f"{found['all']['gain']:+.2f}" in page

    def never(*_args, **_more):
        raise AssertionError("trained again")

    monkeypatch.setattr(trainer, "train", never)  # all is in the cache now, checkpoints were not trained on
    assert validation.validate(str(folder), settings)["inheritance"] == found


def test_all_is_over_strategies_and_what_diverged_is_counted():
    """Fifty runs of each of two strategies that disagree say little of a third: two are what there is."""
    rows = [
        {"strategy": name, "before": 50.0, "scratch": 80.0, "inherited": 80.0 + gain, "gain": gain + 0.01 * (run % 2)}
        for name, gain in (("a", 1.0), ("b", -1.0))
        for run in range(50)
    ]
    rows.append({"strategy": "b", "before": 10.0, "scratch": math.nan, "inherited": 80.0, "gain": math.nan})
    found = inheritance.summary(rows)
    a, b = found["strategies"]
    assert (a["runs"], a["diverged"], b["runs"], b["diverged"]) == (50, 0, 50, 1)
    assert 1 < a["gain_lo"] < a["gain_hi"] < 1.01
    assert (b["before"], b["scratch"]) == (50, 80)
    assert found["all"]["gain"] == pytest.approx(0.005)
    assert found["all"]["gain_lo"] < -12
    assert (found["all"]["runs"], found["all"]["diverged"]) == (100, 1)
    nothing = inheritance.summary(rows[-1:])
    content = {"inheritance": nothing | {"epochs": 6, "seeds": 3}}
    page = "\n".join(validation_report._inheritance(content))
    assert "nan" not in page
    assert "diverged, left out: 1." in page


def test_the_weights_are_those_the_run_ended_with(folder):
    files = sorted((folder / "runs").glob("*.parquet"))
    found = [each for each in inheritance.of_study(files) if each.strategy == DARTS]
    ((_, network), _) = inheritance.heirs(found, PROBLEM)
    strategy = inheritance.loading.build("strategies", DARTS)
    strategy.start(inheritance.core.Task(inheritance.cell.SPACE, (1,)), found[0].seed)
    shared = strategy.weights.network.state_dict()
    own = network.state_dict()
    torch.testing.assert_close(own["head.weight"], shared["head.weight"])
    edge = next(name for name in own if name.startswith("stages.0.edges.") and name.endswith("conv.weight"))
    assert any(torch.equal(own[edge], value) for name, value in shared.items() if name.startswith("stages.0.convs."))


def test_what_cannot_be_inherited_is_said(folder, tmp_path, monkeypatch):
    settings = Settings(PROBLEM, top=1, seeds=1, inherit=True)
    with pytest.raises(LabError, match="'digits' is no results folder"):
        validation.validate("digits", settings)
    wide = replace(PROBLEM, recipe=replace(PROBLEM.recipe, channels=16))
    with pytest.raises(LabError, match="with C=8, N=1; what is trained here is of digits with C=16, N=1"):
        validation.validate(str(folder), replace(settings, problem=wide))
    files = sorted((folder / "runs").glob("random_search*.parquet"))
    with pytest.raises(LabError, match="no run of the study is of a one-shot strategy"):
        inheritance.of_study(files)
    monkeypatch.setenv(CHECKPOINTS, str(tmp_path / "elsewhere"))
    with pytest.raises(LabError, match="no checkpoint of darts.* seed 0: run the study with NASBENCH_LAB_CHECKPOINTS"):
        validation.validate(str(folder), settings)
    watching = supernets.Settings((SMASH,), "digits", seeds=1, cells=20, images=16, every=1)
    supernets.observe(SMASH, watching, 0)  # trains its epochs alone, and not what the search does after them
    files = sorted((folder / "runs").glob("smash*.parquet"))
    with pytest.raises(LabError, match="a checkpoint of 2 of 3 rounds of smash.*with another --out"):
        inheritance.heirs(inheritance.of_study(files), PROBLEM)
    monkeypatch.setenv(CHECKPOINTS, str(tmp_path / "checkpoints"))
    supernets.observe(SMASH, watching, 0)  # beside a finished search: its checkpoints stay as they are
    assert len(inheritance.heirs(inheritance.of_study(files), PROBLEM)) == 2
