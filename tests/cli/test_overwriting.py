"""An existing file is not overwritten without being told to, and a table's own name never says where it is written."""

from __future__ import annotations

import dataclasses
import json
import os

import numpy as np
import pandas as pd
import pytest
from conftest import make_table

from nasbench_lab.cli import tables as cli_tables
from nasbench_lab.core import LabError
from nasbench_lab.files import writing
from nasbench_lab.tables import stored
from nasbench_lab.tables.formats.tidy import read_tidy

MINE = "what somebody wrote\n"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    from nasbench_lab import api

    out = tmp_path_factory.mktemp("results") / "study"
    api.compare("random_search", "local_search", table="toy", seeds=2, max_queries=5, out=out)
    return out


def commands(results, tmp_path):
    """Command -> the file it would write."""
    return {
        ("tables", "export", "toy", "--format", "csv", "--out"): "toy.csv",
        ("tables", "export", "toy", "--format", "parquet", "--out"): "toy.parquet",
        ("report", results, "--out"): "page.html",
        ("query", "0", "--table", "toy", "--svg"): "cell.svg",
        ("new",): "mine.py",
    }


def test_a_file_that_is_there_stays_unless_forced(lab, results, tmp_path):
    for command, name in commands(results, tmp_path).items():
        path = tmp_path / name
        path.write_text(MINE)
        code, _, err = lab(*command, path)
        assert (code, path.read_text()) == (2, MINE), command
        assert f"{path} is there already; nothing was written" in err
        assert "--force" in err
        assert lab(*command, path, "--force")[0] == 0, command
        assert path.read_bytes() != MINE.encode()


def test_a_link_to_somewhere_else_is_something_that_is_there(lab, tmp_path):
    (tmp_path / "link.csv").symlink_to(tmp_path / "elsewhere")
    assert lab("tables", "export", "toy", "--format", "csv", "--out", tmp_path / "link.csv")[0] == 2
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_of_syne_tune_is_not_written_over(lab, tmp_path):
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "metadata.json").write_text(MINE)
    assert lab("tables", "export", "toy", "--format", "syne-tune", "--out", tmp_path / "box")[0] == 2
    assert os.listdir(tmp_path / "box") == ["metadata.json"]


def test_a_results_folder_writes_its_own_files_anew(lab, results):
    """The page, and by compare the leaderboard."""
    for _ in range(2):
        assert lab("report", results)[0] == 0
        assert lab("report", results, "--out", results / "report.html")[0] == 0
        code, _, err = lab(
            "compare",
            "random_search",
            "local_search",
            "--table",
            "toy",
            "--seeds",
            2,
            "--max-queries",
            5,
            "--out",
            results,
        )
        assert code == 0, err


def test_an_import_replaces_only_the_same_numbers(lab, tmp_path):
    """Twice the same file is no replacement; another one is."""
    frame = make_table("data", trials=0, dataset="data").frame()
    for name, offset in (("one.csv", 0.0), ("other.csv", 0.5)):
        frame.assign(**{"data/12/val": np.clip(frame["data/12/val"] - offset, 0, 100)}).to_csv(
            tmp_path / name, index=False
        )
    to = ("--out", tmp_path / "data", "--source", "x")
    assert [lab("tables", "import", tmp_path / "one.csv", *to)[0] for _ in range(2)] == [0, 0]
    before = (tmp_path / "data" / "data.npz").read_bytes()
    code, _, err = lab("tables", "import", tmp_path / "other.csv", *to)
    assert (code, (tmp_path / "data" / "data.npz").read_bytes()) == (2, before)
    assert "would be replaced by one of 15,625; nothing was written" in err
    assert lab("tables", "import", tmp_path / "other.csv", *to, "--force")[0] == 0
    assert (tmp_path / "data" / "data.npz").read_bytes() != before
    (tmp_path / "data" / "data.npz").write_text(MINE)
    assert lab("tables", "import", tmp_path / "one.csv", *to)[0] == 2
    assert (tmp_path / "data" / "data.npz").read_text() == MINE


NO_NAMES = ("../../x", "/tmp/x", "a/b", "..", ".x", "x\n")


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_tables_own_name_is_a_name(lab, name, tmp_path):
    made = dataclasses.replace(make_table("x"), name=name)
    inside = tmp_path / "a" / "b"
    made.save(inside / "t.npz")
    before = sorted(tmp_path.rglob("*"))
    for read in (lambda: stored.read(inside / "t.npz"), lambda: cli_tables._install([made], inside, force=True)):
        with pytest.raises(LabError, match="a table cannot be called"):
            read()
    for command in (
        ("tables", "info", inside / "t.npz"),
        ("tables", "export", inside / "t.npz", "--format", "csv"),
        ("compare", "random_search", "--table", inside / "t.npz", "--out", tmp_path / "out"),
        ("front", "--table", inside / "t.npz", "--objectives", "x"),
    ):
        code, _, err = lab(*command)
        assert (code, "a table cannot be called" in err, err.count("\n")) == (2, True, 1), command
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.needs("torch")
@pytest.mark.parametrize("name", NO_NAMES)
def test_neither_is_that_of_a_table_to_be_trained(lab, name, tmp_path):
    code, _, err = lab("tables", "train", name, "--merge", tmp_path, "--out", tmp_path / "a" / "b")
    assert (code, "a table cannot be called" in err, err.count("\n")) == (2, True, 1)
    assert list(tmp_path.rglob("*")) == []


def test_a_dataset_in_a_column_is_a_name(tmp_path):
    frame = make_table("x", trials=0, dataset="x").frame()
    for name in ("..", ".hidden", "-x"):
        frame.rename(columns=lambda column, name=name: column.replace("x/", f"{name}/")).to_csv(
            tmp_path / "x.csv", index=False
        )
        with pytest.raises(LabError, match="a table cannot be called"):
            read_tidy(tmp_path / "x.csv")


def test_two_settings_of_similar_names_have_charts_of_their_own(results, tmp_path):
    from nasbench_lab.report import chart_files, publish

    content = json.loads((results / "leaderboard.json").read_text())
    for key in ("rows", "references", "tests"):
        content[key] = content[key] + [row | {"policy": "!"} for row in content[key]]
    for name in ("sha256", "files"):
        content.pop(name, None)
    (tmp_path / "leaderboard.json").write_text(json.dumps(content))
    curves = pd.read_csv(results / "curves.csv")
    pd.concat([curves, curves.assign(policy="!")]).to_csv(tmp_path / "curves.csv", index=False)
    drawn = chart_files.write(publish.content(tmp_path), tmp_path / "charts")
    assert len(drawn) == len(set(drawn)) == len(list((tmp_path / "charts").rglob("*.svg")))


def test_all_or_nothing_is_said_of_several(tmp_path):
    (tmp_path / "b").write_text(MINE)
    (tmp_path / "c").write_text(MINE)
    with pytest.raises(LabError, match=r"b \(and 1 more\) is there already; nothing was written"):
        writing.not_there([tmp_path / "a", tmp_path / "b", tmp_path / "c"], force=False)
    writing.not_there([tmp_path / "a"], force=False)
    writing.not_there([tmp_path / "b"], force=True)
