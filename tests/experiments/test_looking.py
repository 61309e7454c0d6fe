"""Looking at somebody's results runs none of their code; running it again needs the user's word."""

from __future__ import annotations

import json
import shlex
import shutil

import pytest
from typer.testing import CliRunner

import nasbench_lab
from nasbench_lab import trust
from nasbench_lab.cli.app import app
from nasbench_lab.core import LabError
from nasbench_lab.experiments import regression
from nasbench_lab.experiments import reproduce as again
from nasbench_lab.study.study import Study, StudyTask, to_json

MARKED = '''"""Theirs: leaves a mark wherever it is imported."""
from dataclasses import dataclass
from pathlib import Path
from nasbench_lab import Query, Strategy
MARK = Path(__file__).with_name("mark")
MARK.write_text("was here")

@dataclass
class Theirs(Strategy):
    family = "local"
    paper = "Somebody 2026"

    def propose(self):
        return Query(self.design(), self.task.full)

    def observe(self, result):
        pass
'''


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Results with objectives, so that every command has something to look at."""
    base = tmp_path_factory.mktemp("theirs")
    (base / "theirs.py").write_text(MARKED)
    nasbench_lab.compare(
        "mo_random",
        str(base / "theirs.py"),
        table="toy",
        objectives="params_m",
        seeds=2,
        max_queries=5,
        out=base / "results" / "out",
    )
    return base


@pytest.fixture(params=["runs", "clone"])
def base(request, made, tmp_path, monkeypatch):
    """Somebody's folder in which the file that they name would leave its mark."""
    if request.param == "clone":
        kept = shutil.move(made / "results" / "out" / "runs", tmp_path / "runs")
    (made / "mark").unlink(missing_ok=True)
    monkeypatch.setattr("nasbench_lab.imports._files", {})
    yield made
    if request.param == "clone":
        shutil.move(kept, made / "results" / "out" / "runs")


LOOKS = [
    ["leaderboard", "OUT"],
    ["leaderboard", "OUT", "--json"],
    ["leaderboard", "--all", "RESULTS"],
    ["report", "OUT"],
    ["report", "--all", "RESULTS"],
    ["front", "--table", "toy", "--objectives", "params_m", "--results", "OUT"],
    pytest.param(
        [
            "validate",
            "OUT",
            "--inherit",
            "--top",
            "1",
            "--seeds",
            "1",
            "--epochs",
            "1",
            "--part-size",
            "32",
            "--held-out-size",
            "32",
        ],
        marks=pytest.mark.needs("torch", "sklearn"),
    ),
    ["reproduce", "OUT"],
    ["compare", "--baseline", "OUT", "--out", "NEW"],
]


@pytest.mark.parametrize("command", LOOKS, ids=lambda command: " ".join(command[:3]))
def test_looking_runs_no_code(command, base, tmp_path):
    names = {"OUT": str(base / "results" / "out"), "RESULTS": str(base / "results"), "NEW": str(tmp_path / "new")}
    before = json.loads((base / "results" / "out" / "leaderboard.json").read_text())["rows"]
    ended = CliRunner().invoke(app, [names.get(word, word) for word in command])
    assert not (base / "mark").exists(), ended.output
    assert ended.exception is None or isinstance(ended.exception, (SystemExit, LabError)), ended.output
    assert json.loads((base / "results" / "out" / "leaderboard.json").read_text())["rows"] == before
    if command[0] == "report" and command[1] == "OUT":
        assert "Theirs: leaves a mark wherever it is imported" in (base / "results" / "out" / "report.html").read_text()
    if command[0] == "reproduce":
        assert ended.exit_code == 1
        assert "runs only where it is trusted" in ended.output


def test_what_is_trusted_is_run(base):
    out = str(base / "results" / "out")
    ended = CliRunner().invoke(app, ["reproduce", out, "--trust", str(base / "theirs.py")])
    assert (base / "mark").exists()
    assert ended.exit_code == 0, ended.output
    assert "tables and shown values as they were" in ended.output


def test_a_baseline_runs_what_the_user_names(made):
    out, theirs = made / "results" / "out", str(made / "theirs.py")
    with pytest.raises(LabError, match="somebody's code: name the strategies to run, or --trust"):
        regression.study_of(out, [], None)
    assert regression.study_of(out, [], None, [theirs]).strategies == ("mo_random", theirs)
    assert regression.study_of(out, [theirs], None).strategies == (theirs,)


@pytest.mark.parametrize(
    ("spec", "foreign"),
    [
        ("local_search:improvement=best", False),
        ("gp_bo:surrogate=(mlp:members=3,width=10)", False),
        ("gp_bo:surrogate=(my.py:M)", True),
        ("gp_bo:surrogate=sklearn.linear_model:Ridge", True),
        ("my.py", True),
        ("os.path:join", True),
        ("external:command=rm", True),
        ("unknown", True),
        ("a:b=(", True),
    ],
)
def test_what_is_somebodys_is_known_by_its_text(spec, foreign):
    assert trust.foreign("strategies", spec) is foreign


@pytest.mark.parametrize(
    ("spec", "trusted", "left"),
    [
        ("a.py:C:n=2", ["a.py:C:n=2"], []),
        ("a.py:C:n=2", ["a.py:C"], []),
        ("a.py:C:n=2", ["a.py"], []),
        ("a.py:C:n=2", ["./x/../a.py"], []),
        ("a.py:C:n=2", ["HERE/a.py"], []),
        ("HERE/a.py:C:n=2", ["a.py:C"], []),
        ("a.py:C:n=2", ["a.py:D", "b.py", "C", "n=2", ""], ["a.py:C"]),
        ("pkg.mod:C", ["pkg.mod"], []),
        ("pkg.mod:C", ["pkg"], ["pkg.mod:C"]),
        ("gp_bo:surrogate=(m.py:M:n=1)", ["m.py"], []),
        ("gp_bo:surrogate=(m.py:M:n=1)", ["gp_bo"], ["m.py:M"]),
        ("a.py:surrogate=m.py", ["a.py"], ["m.py"]),
        ("a.py:surrogate=m.py", ["a.py", "m.py"], []),
        ("a.py:surrogate=m.py", [], ["a.py", "m.py"]),
        ("a.py:surrogate=m.py", None, []),
        ("external:command=(node x.js)", ["node x.js"], []),
        ("external:command=(node x.js)", ["external"], ["external:command=(node x.js)"]),
        ("gp_bo", [], []),
    ],
)
def test_one_rule_says_whose_code_is_trusted(spec, trusted, left, tmp_path, monkeypatch):
    """By `reproduce` and by `compare --baseline`: a name stands for the code it names, however it is written, and no more."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.py").write_text("class C: pass\nclass D: pass\n")
    spec = spec.replace("HERE", str(tmp_path))
    trusted = trusted and [name.replace("HERE", str(tmp_path)) for name in trusted]
    assert trust.untrusted("strategies", spec, trusted) == left
    study = Study((spec,), (StudyTask("toy", max_queries=2),), seeds=1)
    (tmp_path / "manifest.json").write_text(json.dumps({"study": to_json(study), "tables": {}, "runs": []}))
    folder = again._Folder(tmp_path, study, {}, trusted)
    if left:
        assert all(f"--trust {shlex.quote(name)}" in folder.refused(spec) for name in left)
        with pytest.raises(LabError, match="--trust"):
            regression.study_of(tmp_path, [], None, trusted)
    else:
        assert folder.refused(spec) == ""
        assert regression.study_of(tmp_path, [], None, trusted) == study
