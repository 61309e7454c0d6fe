"""Which versions stand in the header of a run: of what took part, and of nothing else."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Additive

from nasbench_lab import imports, loading, sources
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.study import runner
from nasbench_lab.tables import catalog

CORE = {"numpy", "scipy", "nasbench-lab", "python", "machine"}


@pytest.mark.parametrize("spec", ["gp_bo", "bananas", "ehvi", "transfer_gp", "pnas", "regularized_evolution"])
def test_what_is_installed_beside_takes_no_part(spec):
    evaluator = Tabular.open("toy")
    assert set(sources.versions(loading.build("strategies", spec), evaluator, task=evaluator.task)) == CORE


@pytest.mark.needs("sklearn", "torch", "botorch")
@pytest.mark.parametrize(
    ("spec", "more"),
    [
        ("smac_forest", {"scikit-learn"}),
        ("gp_bo:surrogate=gcn", {"torch"}),
        ("pnas:surrogate=gbdt", {"scikit-learn"}),
        ("dppnet:predictor=forest", {"scikit-learn"}),
        ("gp_bo:surrogate=(gp:engine=gpytorch)", {"torch", "gpytorch", "botorch"}),
        ("meta_bayes_linear:surrogate=forest", {"torch", "scikit-learn"}),
        ("darts", {"torch", "scikit-learn"}),
        ("darts:data=cifar10-valid", {"torch"}),
    ],
)
def test_what_a_strategy_computes_with_is_named(spec, more):
    assert set(sources.versions(loading.build("strategies", spec))) == CORE | more


@pytest.mark.needs("botorch")
def test_some_need_more_on_one_task_than_on_another():
    strategy, task = loading.build("strategies", "ehvi"), Additive().task
    three = replace(task, objectives=("val", "params_m", "flops_m"))
    assert set(sources.versions(strategy, task=three)) == CORE | {"torch", "botorch"}


def test_all_that_somebody_elses_file_imports_counts(tmp_path):
    (tmp_path / "beside_me.py").write_text("import pyarrow\n")
    file = tmp_path / "mine.py"
    file.write_text(
        "import json, sys\nsys.path.insert(0, " + repr(str(tmp_path)) + ")\nimport beside_me\n"
        "from dataclasses import dataclass\nfrom nasbench_lab import Strategy\n"
        "@dataclass\nclass Mine(Strategy):\n"
        "    def propose(self):\n        import pandas\n    def observe(self, result):\n        import not_there\n"
    )
    found = sources.versions(loading.build("strategies", str(file)))
    assert set(found) == CORE | {"pandas", "pyarrow"}
    assert found["pandas"] == sources.installed(["pandas"])["pandas"] != "not installed"
    assert sources.installed(["no-such-package"]) == {"no-such-package": "not installed"}


def test_what_is_loaded_is_gone_through_as_often_however_much_it_is(tmp_path, monkeypatch):
    """A long session holds thousands of modules: going through them for each of an author's files took minutes."""
    walks, shared = [], imports.shared
    monkeypatch.setattr(imports, "shared", lambda: walks.append(1) or shared())
    counts = []
    for number in range(3):
        file = tmp_path / f"mine{number}.py"
        (tmp_path / f"beside{number}.py").write_text("A = 1\n")
        file.write_text(
            f"import beside{number}\nfrom nasbench_lab import Strategy\nclass Mine(Strategy):\n"
            "    def propose(self):\n        pass\n    def observe(self, result):\n        pass\n"
        )
        strategy = loading.load("strategies", str(file))
        walks.clear()
        sources.taken(strategy, Tabular, (str(file), "tabular"))
        counts.append(len(walks))
    assert len(set(counts)) == 1
    assert counts[0] < 6


HOLDERS = {  # what numbers come through on their way, and what says no
    *("errors.py", "extras.py", "loading.py"),
    *("tables/table.py", "tables/schedule.py"),  # hold a table, whose digest is in the header
}


@pytest.mark.parametrize("policy", [{}, {"trials": "sample"}, {"trials": "split"}, {"trials": "mean", "noise": 0.5}])
@pytest.mark.parametrize("spec", ["random_search", "gp_bo", "hyperband", "portfolio", "transfer_gp"])
def test_every_file_that_a_run_calls_is_in_its_digest(spec, policy, monkeypatch):
    """Found where they are called, not where they are imported: what draws a training had been left out."""
    strategy, evaluator = loading.build("strategies", spec), Tabular(catalog.load("digits"), **policy)
    called, hashed = set[str](), set[Path]()
    monkeypatch.setattr(sources, "_sha256", lambda files: hashed.update(files) or "")
    sources.digest(strategy, Tabular, (spec, "tabular"), evaluator.policy)
    sys.setprofile(lambda frame, event, _: called.add(frame.f_code.co_filename) if event == "call" else None)
    try:
        runner.search(strategy, evaluator, seed=1, max_queries=6)
    finally:
        sys.setprofile(None)
    ours = {Path(name).relative_to(sources.ROOT) for name in called if Path(name).is_relative_to(sources.ROOT)}
    assert {path.as_posix() for path in ours - {path.relative_to(sources.ROOT) for path in hashed}} <= HOLDERS


def test_what_draws_trainings_is_in_no_digest_where_none_is_drawn():
    strategy = loading.build("strategies", "random_search")
    digests = {
        trials: sources.digest(strategy, Tabular, policy={"trials": trials}) for trials in ("mean", "sample", "split")
    }
    assert digests["sample"] == digests["split"] != digests["mean"] == sources.digest(strategy, Tabular)
