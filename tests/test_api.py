from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import Additive, make_table

import nasbench_lab
from nasbench_lab import api, loading
from nasbench_lab.core import LabError
from nasbench_lab.study import store
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import Study, StudyTask, load_study
from nasbench_lab.tables import catalog


def test_the_top_level_offers_what_it_lists():
    for name in nasbench_lab.__all__:
        assert getattr(nasbench_lab, name) is not None
        assert name in dir(nasbench_lab)
    with pytest.raises(AttributeError, match="nothing"):
        _ = nasbench_lab.nothing


def test_a_search_is_a_frame_with_the_test_score_joined(toy):
    frame = nasbench_lab.search("local_search", "toy", seed=3, max_queries=30)
    assert len(frame) == 30
    assert np.array_equal(frame["incumbent_test"], toy.truth[frame["incumbent"]])
    assert np.array_equal(frame["val"], toy.schedules[12].val[frame["arch"], -1])
    assert frame["finished"].tolist() == pytest.approx(np.cumsum(frame["seconds"]).tolist())
    again = nasbench_lab.search(loading.build("strategies", "local_search"), toy, seed=3, max_queries=30)
    pd.testing.assert_frame_equal(frame.drop(columns="decided"), again.drop(columns="decided"))


def test_a_search_takes_any_evaluator_and_policies():
    frame = nasbench_lab.search("random_search", Additive(), max_queries=5, workers=2)
    assert frame["incumbent_test"].notna().all()
    noisy = nasbench_lab.search("random_search", "toy", max_queries=5, noise=1.0, objectives=("val", "params_m"))
    assert {"params_m", "val"} <= set(noisy.columns)
    with pytest.raises(LabError, match="budget"):
        nasbench_lab.search("random_search", "toy")


def test_compare_returns_the_leaderboard_it_writes(tmp_path):
    frame = nasbench_lab.compare("random_search", "local_search", table="toy", seeds=4, max_queries=20, out=tmp_path)
    written = json.loads((tmp_path / "leaderboard.json").read_text())["rows"]
    assert frame["strategy"].tolist() == [row["strategy"] for row in written]
    assert frame["test_mean"].tolist() == [row["test_mean"] for row in written]
    assert set(frame["table"]) == {"toy"}
    assert set(frame["kind"]) == {"synthetic"}


def test_compare_without_a_budget_takes_100_queries_and_the_standard_strategies(tmp_path):
    frame = nasbench_lab.compare(table="toy", seeds=1, out=tmp_path)
    assert set(frame["strategy"]) == set(api.DEFAULT_STRATEGIES)
    assert set(frame["queries"]) == {100}


def test_policies_that_depart_from_the_defaults_are_on_the_leaderboard(tmp_path):
    frame = nasbench_lab.compare(
        "random_search",
        table="toy",
        seeds=2,
        max_queries=3,
        out=tmp_path,
        noise=0.5,
        trials="sample",
        repeats="free",
        simulated_workers=2,
    )
    assert frame["policy"].tolist() == ["trials=sample, noise=0.5, repeats=free, 2 simulated workers"]


def test_transfer_scores_the_same_cells_on_another_table(tmp_path):
    other = make_table("other").save(tmp_path / "other.npz")
    frame = nasbench_lab.compare(
        "random_search", table="toy", score=["toy", str(other)], seeds=3, max_queries=5, out=tmp_path / "out"
    )
    assert frame["score"].tolist() == ["toy", "other"]
    runs = store.read(next((tmp_path / "out" / "runs").glob("*.parquet")))
    truth = api.load_table(str(other)).truth[runs.last("incumbent").astype(int)]
    assert frame["test_mean"][1] == pytest.approx(truth.mean())


@pytest.mark.needs("sklearn")
def test_the_manifest_names_every_package_that_took_part_in_some_run(tmp_path):
    api.compare("random_search", "smac_forest", table="toy", seeds=1, max_queries=3, out=tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert {"numpy", "scikit-learn"} <= set(manifest["versions"])
    assert "torch" not in manifest["versions"]


def test_the_manifest_names_study_tables_versions_and_record_digests(tmp_path):
    nasbench_lab.compare("random_search", table="toy", seeds=2, max_queries=3, out=tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text(), parse_constant=pytest.fail)
    assert manifest["tables"]["toy"]["digest"] == api.load_table("toy").digest
    assert manifest["runs"][0]["records_sha256"] == store.digest(
        store.read(next((tmp_path / "runs").glob("*.parquet"))).columns
    )
    assert load_study(tmp_path).strategies == ("random_search",)


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", "{}", '{"study": null}', '{"study": {"tasks": [1]}}', '{"study": {"tasks": [{"tabel": "x"}]}}'],
)
def test_a_broken_manifest_is_a_lab_error(tmp_path, manifest):
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(LabError, match="manifest"):
        load_study(tmp_path)


def test_importing_the_package_is_cheap():
    code = (
        "import sys, nasbench_lab, nasbench_lab.cli.app; "
        "print([m for m in ('torch', 'sklearn', 'pandas', 'pyarrow', 'scipy', 'altair', 'joblib') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


@pytest.mark.needs("torch", "sklearn")
def test_runs_that_train_are_blocks_of_their_own_so_that_an_interruption_loses_one_at_most():
    def blocks(*strategies, **policies):
        study = Study(strategies, (StudyTask("digits", max_queries=5, **policies),), seeds=3)
        return resolve(study).study.block

    assert blocks("random_search") is None
    assert blocks("random_search", "darts:epochs=2") == 1
    assert blocks("random_search", evaluator="training:epochs=1") == 1


def test_an_argument_that_does_not_exist_is_named():
    with pytest.raises(TypeError, match="seed"):
        nasbench_lab.compare("random_search", seed=3)
    with pytest.raises(TypeError, match="max_querie"):
        nasbench_lab.search("local_search", "toy", max_querie=5)


def test_one_further_objective_may_be_a_text(tmp_path):
    frame = nasbench_lab.compare(
        "mo_random", table="toy", objectives="params_m", seeds=2, max_queries=5, out=tmp_path / "out"
    )
    assert "hypervolume_mean" in frame


def test_a_table_says_what_it_is_in_one_line():
    assert "\n" not in repr(nasbench_lab.load_table("toy"))
    assert "toy" in repr(nasbench_lab.load_table("toy"))


def test_nothing_said_means_the_suite_and_a_strategy_alone_the_first_of_it():
    said = {
        "score": (),
        "search": None,
        "seeds": 1,
        "max_queries": 5,
        "max_seconds": math.inf,
        "trials": None,
        "noise": 0.0,
    }
    said |= {"objectives": ("val",), "sources": (), "simulated_workers": 1, "repeats": "charge", "evaluator": "tabular"}
    suite = api.make_study((), table=None, **said)
    assert tuple(task.table for task in suite.tasks) == catalog.suite()
    assert [task.table for task in api.make_study(("local_search",), table=None, **said).tasks] == ["digits"]


def test_a_table_that_is_nobodys_file_is_compared_on_like_any_other(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = [{"op": op, "width": width, "acc": 50 + width + 3 * (op == "b")} for op in "abc" for width in (1, 2, 4)]
    table = nasbench_lab.Table.from_frame(
        pd.DataFrame(rows), name="mine", decisions=["op", "width"], val=["acc"], unit="%"
    )
    board = nasbench_lab.compare("random_search", table=[table, "toy"], seeds=3, max_queries=4, out=tmp_path / "out")
    assert board["table"].tolist() == ["mine", "toy"]
    again = nasbench_lab.compare("random_search", table=table, seeds=3, max_queries=4, out=tmp_path / "two", workers=2)
    assert again["test_mean"].tolist() == board["test_mean"].tolist()[:1]
