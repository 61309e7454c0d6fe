from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Additive, make_table

import nasbench_lab
from nasbench_lab import api, store
from nasbench_lab.core import LabError


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
    again = nasbench_lab.search(api.loading.build("strategies", "local_search"), toy, seed=3, max_queries=30)
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
    runs = store.read(next((tmp_path / "out" / "runs").iterdir()))
    truth = api.load_table(str(other)).truth[runs.last("incumbent").astype(int)]
    assert frame["test_mean"][1] == pytest.approx(truth.mean())


def test_the_manifest_names_study_tables_versions_and_record_digests(tmp_path):
    nasbench_lab.compare("random_search", table="toy", seeds=2, max_queries=3, out=tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text(), parse_constant=pytest.fail)
    assert manifest["tables"]["toy"]["digest"] == api.load_table("toy").digest
    assert manifest["runs"][0]["records_sha256"] == store.digest(
        store.read(next((tmp_path / "runs").iterdir())).columns
    )
    assert api.load_study(tmp_path).strategies == ("random_search",)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("finished")
    nasbench_lab.compare("random_search", "reinforce", table="toy", seeds=3, max_queries=6, out=out)
    return out


@pytest.fixture
def folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def test_what_was_run_is_reproduced(folder):
    outcomes = list(api.reproduce(folder))
    assert len(outcomes) == 6
    assert {outcome.difference for outcome in outcomes} == {""}
    chosen = outcomes[4].id
    assert [outcome.id for outcome in api.reproduce(folder, run=chosen)] == [chosen]
    assert len(list(api.reproduce(folder, run=chosen.partition(":")[0]))) == 3


def forge(path, header=None, **columns):
    """Rewrite a run file with other content and a digest that fits."""
    runs = store.read(path)
    values = dict(runs.columns) | columns
    header = runs.header | (header or {})
    ended = {str(seed): why for seed, why in runs.ended.items()}
    meta = {"header": header, "ended": ended, "sha256": store._seal(header, ended, values)}
    table = pa.table({name: pa.array(value) for name, value in values.items()})
    pq.write_table(table.replace_schema_metadata({b"nasbench_lab": json.dumps(meta).encode()}), path)


def test_a_record_that_differs_is_found_and_said_where(folder):
    path = sorted((folder / "runs").iterdir())[0]
    val = store.read(path).columns["val"].copy()
    val[8] += 1  # seed 1, query 2
    val[0] = math.nan
    forge(path, val=val)
    differences = [outcome.difference for outcome in api.reproduce(folder)]
    assert differences[0].startswith("first at query 0: val nan then,")
    assert differences[1].startswith(f"first at query 2: val {val[8]} then,")
    assert "Nothing it depends on has changed" in differences[1]
    assert differences[2:] == [""] * 4


def test_what_changed_since_is_named(folder):
    path = sorted((folder / "runs").iterdir())[0]
    runs = store.read(path)
    forge(path, {"code": "0" * 16, "versions": runs.header["versions"] | {"numpy": "1.0"}}, val=runs.columns["val"] + 1)
    difference = next(iter(api.reproduce(folder))).difference
    assert "numpy 1.0 then" in difference
    assert "code of the strategy or of the loop" in difference


def test_another_table_under_the_name_is_said(folder):
    path = sorted((folder / "runs").iterdir())[0]
    forge(path, {"evaluator": store.read(path).header["evaluator"] | {"digest": "f" * 64}})
    assert "another one now" in next(iter(api.reproduce(folder))).difference


def test_runs_on_a_table_given_by_path_are_reproduced(tmp_path):
    path = make_table("own").save(tmp_path / "own.npz")
    nasbench_lab.compare("random_search", table=str(path), seeds=2, max_queries=4, out=tmp_path / "out")
    assert [outcome.difference for outcome in api.reproduce(tmp_path / "out")] == ["", ""]


def test_nothing_to_reproduce_is_a_lab_error(folder, tmp_path):
    with pytest.raises(LabError, match="no run 'ffff'"):
        list(api.reproduce(folder, run="ffff"))
    with pytest.raises(LabError, match="no runs in"):
        list(api.reproduce(tmp_path / "nothing"))
    path = sorted((folder / "runs").iterdir())[0]
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(LabError, match="damaged"):
        list(api.reproduce(folder))


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", "{}", '{"study": null}', '{"study": {"tasks": [1]}}', '{"study": {"tasks": [{"tabel": "x"}]}}'],
)
def test_a_broken_manifest_is_a_lab_error(tmp_path, manifest):
    (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(LabError, match="manifest"):
        api.load_study(tmp_path)


def test_importing_the_package_is_cheap():
    code = (
        "import sys, nasbench_lab, nasbench_lab.cli; "
        "print([m for m in ('torch', 'sklearn', 'pandas', 'pyarrow', 'scipy', 'altair', 'joblib') if m in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
