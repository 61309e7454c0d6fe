from __future__ import annotations

import json
import math
import os
import shutil

import pytest
from conftest import make_table
from run_files import forge
from typer.testing import CliRunner

import nasbench_lab
from nasbench_lab.cli.app import app
from nasbench_lab.cli.reproduce import told
from nasbench_lab.core import LabError
from nasbench_lab.experiments.reproduce import Outcome, reproduce
from nasbench_lab.files.sealed import seal
from nasbench_lab.study import store

pytestmark = pytest.mark.usefixtures("repeated_once")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("finished")
    nasbench_lab.compare("random_search", "reinforce", table="toy", seeds=3, max_queries=6, out=out)
    return out


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def verdicts(folder, **how):
    return [outcome.verdict for outcome in reproduce(folder, **how)]


def runs_of(folder, **how):
    """What became of single runs; what is shown is of `test_forgeries`."""
    return [outcome for outcome in reproduce(folder, **how) if ":" in outcome.id]


def first_file(folder):
    return sorted((folder / "runs").glob("*.parquet"))[0]


def test_what_was_run_is_reproduced(folder):
    outcomes = list(reproduce(folder))
    assert [outcome.verdict for outcome in outcomes] == ["same"] * 6
    chosen = outcomes[4].id
    assert [outcome.id for outcome in reproduce(folder, run=chosen)] == [chosen]
    assert len(list(reproduce(folder, run=chosen.partition(":")[0]))) == 3


def test_a_folder_without_runs_is_compared_by_digest(folder):
    shutil.rmtree(folder / "runs")
    assert verdicts(folder) == ["same", "same"]
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["runs"][1]["records_sha256"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(seal(manifest)))
    assert verdicts(folder) == ["same", "differs"]
    assert list(reproduce(folder))[1].cause == "Nothing it depends on has changed"
    manifest["versions"]["numpy"] = "1.0"
    (folder / "manifest.json").write_text(json.dumps(seal(manifest)))
    assert "numpy 1.0 then" in list(reproduce(folder))[1].cause


def test_one_run_of_a_folder_without_runs_is_compared_by_digest(folder):
    ids = [entry["id"] for entry in json.loads((folder / "manifest.json").read_text())["runs"]]
    shutil.rmtree(folder / "runs")
    assert [(each.id, each.verdict) for each in reproduce(folder, run=ids[1])] == [(ids[1], "same")]
    with pytest.raises(LabError, match=f"one digest for all seeds of {ids[1]}: --run {ids[1]} compares"):
        list(reproduce(folder, run=f"{ids[1]}:0"))
    with pytest.raises(LabError, match=f"no run 'ffff': .* has no runs/, and its manifest names .*{ids[0]}"):
        list(reproduce(folder, run="ffff"))


def test_a_reason_is_told_once_with_its_seeds():
    other = [Outcome(f"id:{seed}", "x", "not run", "the table is another one now") for seed in range(30)]
    [(block, lines)] = told(iter(other))
    assert len(block) == 30
    assert lines == ["not run  id  x, 30 of 30 runs", "    seed 0, 1, 2 and 27 more: the table is another one now"]
    differ = [
        Outcome(f"id:{seed}", "x", "differs", f"first at query {seed}", "Changed since: numpy") for seed in range(9)
    ]
    [(_, lines)] = told(iter([Outcome("id:9", "x", "same"), *differ]))
    assert lines[0] == "differs  id  x, 9 of 10 runs"
    assert lines[-2:] == ["    and 6 more", "    Changed since: numpy"]
    assert [lines for _, lines in told(iter([Outcome("id", "x", "same"), Outcome("other", "y", "same")]))] == [[], []]


def test_a_record_that_differs_is_found_and_said_where(folder):
    path = first_file(folder)
    val = store.read(path).columns["val"].copy()
    val[8] += 1  # seed 1, query 2
    val[0] = math.nan
    forge(path, val=val)
    outcomes = runs_of(folder)
    assert outcomes[0].reason.startswith("first at query 0: val nan then,")
    assert outcomes[1].reason.startswith(f"first at query 2: val {val[8]} then,")
    assert outcomes[1].cause == "Nothing it depends on has changed"
    assert [outcome.verdict for outcome in outcomes] == ["differs"] * 2 + ["same"] * 4


def test_what_changed_since_is_named(folder):
    path = first_file(folder)
    runs = store.read(path)
    forge(path, {"code": "0" * 16, "versions": runs.header["versions"] | {"numpy": "1.0"}}, val=runs.columns["val"] + 1)
    cause = runs_of(folder)[0].cause
    assert "numpy 1.0 then" in cause
    assert "code of the strategy or of the loop" in cause


@pytest.mark.parametrize("runs", ["there", "gone"])
@pytest.mark.needs("torch", "sklearn")
def test_one_shot_runs_are_trained_again_whatever_checkpoints_there_are(runs, tmp_path, monkeypatch):
    from nasbench_lab.strategies.one_shot._one_shot import CHECKPOINTS
    from nasbench_lab.training.shared import SharedWeights

    monkeypatch.setenv(CHECKPOINTS, str(tmp_path / "checkpoints"))
    spec = "rsps:images=32,batch=16,held_out=32,channels=2,epochs=2,select=2,score_batch=8"
    nasbench_lab.compare(spec, table="digits", seeds=1, max_queries=3, out=tmp_path / "out")
    if runs == "gone":
        shutil.rmtree(tmp_path / "out" / "runs")
    trained = []
    learn = SharedWeights.learn
    monkeypatch.setattr(SharedWeights, "learn", lambda self, *args: trained.append(1) or learn(self, *args))
    (outcome,) = reproduce(tmp_path / "out")
    assert (outcome.verdict, len(trained)) == ("same", 4)
    assert os.environ[CHECKPOINTS] == str(tmp_path / "checkpoints")


def test_a_run_that_cannot_be_run_is_said_for_every_seed(folder):
    path = first_file(folder)
    forge(path, {"evaluator": store.read(path).header["evaluator"] | {"digest": "f" * 64}})
    outcomes = runs_of(folder)
    assert [outcome.verdict for outcome in outcomes] == ["not run"] * 3 + ["same"] * 3
    assert "another one now" in outcomes[0].reason


def test_runs_of_an_edited_strategy_are_superseded_not_different(tmp_path):
    file = tmp_path / "mine.py"
    code = (
        "from dataclasses import dataclass\nfrom nasbench_lab import Query, Strategy\nimport helper_of_mine\n"
        "@dataclass\nclass Mine(Strategy):\n    def propose(self):\n"
        "        return Query(helper_of_mine.pick(self), self.task.full)\n    def observe(self, result):\n        pass\n"
    )
    (tmp_path / "helper_of_mine.py").write_text("def pick(s):\n    return s.design()\n")
    file.write_text("import sys\nsys.path.insert(0, '" + str(tmp_path) + "')\n" + code)
    nasbench_lab.compare(str(file), table="toy", seeds=3, max_queries=5, out=tmp_path / "out")
    (tmp_path / "helper_of_mine.py").write_text("def pick(s):\n    return s.design()  # edited\n")
    nasbench_lab.compare(str(file), table="toy", seeds=3, max_queries=5, out=tmp_path / "out")
    assert len(list((tmp_path / "out" / "runs").glob("*.parquet"))) == 2  # an edited helper makes other runs
    assert verdicts(tmp_path / "out", trusted=[str(file)]) == ["same"] * 3


def test_runs_on_a_table_given_by_path_are_reproduced(tmp_path):
    path = make_table("own").save(tmp_path / "own.npz")
    nasbench_lab.compare("random_search", table=str(path), seeds=2, max_queries=4, out=tmp_path / "out")
    assert verdicts(tmp_path / "out") == ["same", "same"]


def test_nothing_to_reproduce_is_a_lab_error(folder, tmp_path):
    with pytest.raises(LabError, match="no run 'ffff'"):
        list(reproduce(folder, run="ffff"))
    with pytest.raises(LabError, match="no such results folder"):
        list(reproduce(tmp_path / "nothing"))


def test_what_is_counted_is_runs_once(folder, capsys):
    """Those of a damaged file are three, and the same ones in two files are no more than in one."""
    first, other = sorted((folder / "runs").glob("*.parquet"))
    shutil.copy(other, other.with_name(other.name.replace("-000000", "-000001")))
    first.write_bytes(first.read_bytes()[:-9])
    said = CliRunner().invoke(app, ["reproduce", str(folder)])
    assert said.exit_code == 1
    assert "\n3 runs reproduced exactly, 0 differ, 3 could not be run;" in said.output
    chosen = CliRunner().invoke(app, ["reproduce", str(folder), "--run", first.stem.split("-")[-2]])
    assert chosen.exit_code == 1
    assert "\n0 runs reproduced exactly, 0 differ, 3 could not be run" in chosen.output


def test_a_damaged_file_does_not_stop_the_others(folder):
    path = first_file(folder)
    path.write_bytes(path.read_bytes()[:-9])
    assert [each.verdict for each in runs_of(folder)] == ["same"] * 3
    told = [(each.id, each.verdict) for each in reproduce(folder) if ":" not in each.id]
    assert (path.stem.split("-")[-2], "not run") in told
    assert {verdict for _, verdict in told} == {"not run"}
