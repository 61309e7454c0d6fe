"""What is read of plug-ins is what importing them says; nothing of them runs."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys
import tomllib
import typing
from pathlib import Path

import pytest
from conftest import skipped_where_absent
from test_extras import NEEDS

from nasbench_lab import core, extras, loading
from nasbench_lab.core import LabError
from nasbench_lab.listing import needs, plugins
from nasbench_lab.study import plan

OURS = [(kind, name) for kind in plugins.KINDS for name in loading.leaves(kind)]
FIELDS = [(kind, name) for kind, name in OURS if kind != "evaluators"]
ROOT = Path(__file__).parents[2]


def read(kind: str, name: str) -> plugins.Plugin:
    (found,) = plugins.named(kind, name)
    return found


def shown(kind: object) -> str:
    return getattr(kind, "__name__", "") if not typing.get_args(kind) else str(kind).replace("typing.", "")


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_what_is_read_is_what_is_imported(kind, name):
    with skipped_where_absent():
        found, cls = read(kind, name), loading.load(kind, name)
        instance = cls()
    given = {field.name for field in dataclasses.fields(cls) if field.init}
    assert found.note == ""
    assert found.summary == loading.summary(cls)
    assert found.paper == getattr(cls, "paper", "")
    assert found.family == getattr(cls, "family", "")
    assert {item.name: item.default for item in found.parameters} == {
        key: value for key, value in core.parameters(instance).items() if key in given
    }
    assert [item.name for item in found.parameters] == [key for key in core.parameters(instance) if key in given]
    hints = typing.get_type_hints(cls)
    assert {item.name: item.type for item in found.parameters} == {key: shown(hints[key]) for key in given}
    for item in found.parameters:
        literal = typing.get_origin(hints[item.name]) is typing.Literal
        assert item.allowed == (typing.get_args(hints[item.name]) if literal else ())


@pytest.mark.parametrize("name", loading.leaves("evaluators"))
def test_the_options_of_an_evaluator_are_those_that_its_spec_can_set(name):
    with skipped_where_absent():
        found, cls = read("evaluators", name), loading.load("evaluators", name)
    signature = inspect.signature(cls.open).parameters
    options = {key: item for key, item in signature.items() if item.kind is item.KEYWORD_ONLY}
    assert ("table", *plan._POLICIES) == plugins.SET_BY_STUDY
    assert {item.name: item.default for item in found.parameters} == {
        key: item.default for key, item in options.items() if key not in plugins.SET_BY_STUDY
    }
    assert found.summary == loading.summary(cls)


@pytest.mark.parametrize(("kind", "name"), OURS)
def test_every_parameter_is_explained(kind, name):
    found = read(kind, name)
    unexplained = [item.name for item in found.parameters if len(item.meaning) < 10]
    assert not unexplained, f"{name}: say in the docstring's Attributes, one a line, what {unexplained} mean"


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_the_example_is_a_spec_that_works(kind, name):
    example = read(kind, name).example
    assert loading.split_spec(example)[0] == name
    with skipped_where_absent():
        assert loading.build(kind, example) is not None


def test_a_family_is_a_folder():
    folders = {
        path.name for path in (ROOT / "nasbench_lab" / "strategies").iterdir() if (path / "__init__.py").is_file()
    }
    assert set(plugins.families()) == folders
    assert [plugin.name for plugin in plugins.families("tree")["tree"]] == ["mcts"]
    with pytest.raises(
        LabError, match=r"no family named 'bandit'; did you mean bandits\?.* Allowed: bandits, baselines"
    ):
        plugins.families("bandit")


def test_an_unknown_name_is_told_with_the_nearest_ones():
    with pytest.raises(
        LabError, match=r"no strategy, surrogate, evaluator or zero-cost score named 'gp_boo'; did you mean gp_bo"
    ):
        plugins.find("gp_boo")
    assert [(plugin.kind, plugin.name) for plugin in plugins.find("gp")] == [("surrogates", "gp")]


def test_the_core_is_what_pyproject_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    dependencies = " ".join(project["dependencies"]).replace("-", "_")
    assert not [package for package in needs.CORE if package not in dependencies]


def test_what_needs_an_extra_is_marked_and_nothing_else():
    """`NEEDS` is what is said where nothing but the core can be imported, a test of its own."""
    marked = {f"{kind}/{name}": set(read(kind, name).needs) for kind, name in OURS if read(kind, name).needs}
    assert set(marked) == set(NEEDS)
    for plugin, (first, _) in NEEDS.items():
        assert set(first.split(" and ")) <= marked[plugin]


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_what_it_needs_is_what_it_declares(kind, name):
    with skipped_where_absent():
        assert set(read(kind, name).needs) == set(extras.required(loading.build(kind, name)))


def test_what_is_absent_is_named(monkeypatch):
    monkeypatch.setattr(extras, "absent", lambda package: package == "torch")
    assert read("strategies", "darts").absent == ("torch",)
    assert "'darts' needs torch, which is not installed" in read("strategies", "darts").install
    assert read("strategies", "gp_bo").absent == ()
    assert read("strategies", "gp_bo").install == ""


def test_facts_of_specs_in_somebodys_results_open_nothing_that_they_name(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("raise SystemExit('this ran')")
    specs = ("local_search:improvement=best", str(path), f"{path}:Mine:a=1", "os.path:join", "gone", "a=b", "")
    facts = plugins.facts_of(iter(specs))
    assert set(facts) == {"local_search:improvement=best"}
    assert facts["local_search:improvement=best"]["family"] == "local"
    assert facts["local_search:improvement=best"]["parameters"] == "improvement=first, restarts=True"


def test_listing_imports_nothing_heavy_and_no_plugin():
    code = (
        "import sys; from nasbench_lab.listing import plugins\n"
        "found = [plugins.members(kind) for kind in plugins.KINDS]\n"
        "print([m for m in sys.modules if m in ('numpy', 'pandas', 'torch', 'sklearn', 'optuna')"
        " or m.startswith(('nasbench_lab.strategies', 'nasbench_lab.surrogates', 'nasbench_lab.evaluators'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
