"""A CSV of the user's own: imported, compared, reported; and what cannot be meant, in one sentence with exit code 2."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

import nasbench_lab
from nasbench_lab.cli.app import app
from nasbench_lab.core import LabError
from nasbench_lab.spaces import written
from nasbench_lab.tables import catalog

DECISIONS = "depth,width,op,lr"


@pytest.fixture(scope="module")
def csv(tmp_path_factory):
    """54 rows, four decisions, two trials of an error."""
    rows = [
        {"depth": d, "width": w, "op": op, "lr": lr, "val_a": e, "val_b": e * 1.01, "secs": d * w, "params": d * w * w}
        for d in (2, 4, 6)
        for w in (8, 16, 32)
        for op in ("conv", "pool", "fc")
        for lr in (0.01, 0.1)
        for e in [1.0 / (d * w) + {"conv": 0, "pool": 0.2, "fc": 0.1}[op] + lr]
    ]
    path = tmp_path_factory.mktemp("own") / "mine.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    return path


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, refused: bool = False):
        """What is printed, or the sentence of a refusal (`app.main` prints it and ends with 2)."""
        result = CliRunner().invoke(app, list(map(str, arguments)))
        if refused:
            assert isinstance(result.exception, LabError), result.output
            return " ".join(str(result.exception).split())
        assert result.exit_code == 0, (result.output, result.exception)
        return result.stdout

    return run


def own(csv, *more: object) -> list[object]:
    return ["tables", "import", csv, "--decisions", DECISIONS, "--val", "val_a,val_b", "--better", "lower", *more]


def test_import_compare_report(csv, run, tmp_path):
    said = run(*own(csv, "--seconds", "secs", "--metric", "params", "--unit", "error"))
    assert "mine: 54 cells" in said
    assert "all but val_a" in said
    table = catalog.load("mine")
    assert (table.unit, table.better, table.space.size, list(table.metrics)) == ("error", "lower", 54, ["params"])
    run("compare", "random_search", "local_search", "--table", "mine", "--seeds", 5, "--max-queries", 20)
    for row in json.loads((tmp_path / "results/compare/leaderboard.json").read_text())["rows"]:
        assert (row["unit"], row["better"], row["search"]) == ("error", "lower", "full")
        assert 0 < table.truth.min() <= row["test_mean"] < table.truth.max()
        assert row["regret_mean"] == pytest.approx(row["test_mean"] - table.truth.min())
    run("report", "results/compare")
    assert "error ↓" in next((tmp_path / "results/compare").glob("*.html")).read_text()


def test_without_columns_a_command_is_proposed(csv, run):
    said = run("tables", "import", csv, refused=True)
    assert "--decisions depth,width,op,lr --val val_a,val_b --seconds secs --metric params" in said
    assert not list(catalog.target_folder().glob("*"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--decisions", "depth,width", "--val", "val_a"], "same configuration"),
        (["--decisions", "depth,depth", "--val", "val_a"], "given twice"),
        (["--decisions", DECISIONS, "--val", "val_a,val_a"], "given twice"),
        (["--decisions", DECISIONS, "--val", "val_c"], "no column 'val_c'"),
        (["--decisions", DECISIONS], "say which columns"),
        (["--decisions", DECISIONS, "--val", "val_a", "--better", "best"], "higher or lower"),
        (["--decisions", DECISIONS, "--val", "val_a", "--unit", "%"], "accuracies in percent are all at most 1"),
        (["--decisions", DECISIONS, "--val", "val_a", "--space", "fcnet"], "9 decisions"),
        (["--decisions", DECISIONS, "--val", "val_a", "--space", "mine"], "no space is called 'mine'"),
        (["--decisions", DECISIONS, "--val", "val_a", "--space", "no.toml"], "no.toml"),
        (["--decisions", DECISIONS, "--val", "val_a", "--name", "../x"], ".."),
        (["--decisions", DECISIONS, "--val", "val_a", "--metric", "op"], "both decisions and metrics"),
        (["--decisions", DECISIONS, "--val", "op"], "both"),
    ],
)
def test_what_cannot_be_meant_ends_with_a_sentence(csv, run, arguments, said):
    assert said in run("tables", "import", csv, *arguments, refused=True)
    assert not list(catalog.target_folder().glob("*"))


def test_a_space_from_a_file(csv, run, tmp_path):
    run(*own(csv, "--name", "first"))
    space = tmp_path / "space.toml"
    space.write_text(written.to_toml(catalog.load("first").space))
    run(*own(csv, "--name", "second", "--space", space))
    first, second = catalog.load("first"), catalog.load("second")
    assert second.space == first.space
    assert (second.truth == first.truth).all()
    lines = csv.read_text().splitlines(keepends=True)
    part = tmp_path / "part.csv"
    part.write_text("".join(lines[:-1]))
    assert "1 of 54 cells" in run(*own(part, "--space", space), refused=True)
    run(*own(part))
    assert catalog.load("part").space.listed is not None


@pytest.mark.parametrize("name", ["digits", "toy", "cifar10-surrogate"])
def test_a_table_is_not_put_in_the_place_of_one_of_the_package(lab, tmp_path, monkeypatch, name):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    path = tmp_path / "mine.csv"
    path.write_text("a,acc\n1,2\n2,3\n3,5\n")
    words = ("tables", "import", path, "--name", name, "--decisions", "a", "--val", "acc")
    code, _, err = lab(*words)
    assert (code, "a table of this package" in err) == (2, True)
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").iterdir())
    assert lab(*words, "--force")[0] == 0


def test_what_was_typed_is_kept_in_the_command_that_is_proposed(csv, run):
    """The rest is guessed beside it: no other scores, and lower errors are better."""
    frame = pd.read_csv(csv).rename(columns={"val_a": "loss_a", "val_b": "loss_b"})
    frame.to_csv("loss.csv", index=False)
    said = run("tables", "import", "loss.csv", "--name", "a b", "--val", "loss_b", "--unit", "nats", refused=True)
    wanted = (
        f"--name 'a b' --decisions {DECISIONS} --val loss_b --seconds secs --metric params --better lower --unit nats"
    )
    assert said.endswith(wanted)
    said = run("tables", "import", "loss.csv", "--decisions", "depth,width", "--seconds", "lr", refused=True)
    assert "--decisions depth,width --val loss_a,loss_b --seconds lr --metric params" in said


def test_blanks_at_the_ends_of_names_are_left_out_and_said(csv, run):
    frame = pd.read_csv(csv).rename(columns={"width": " width", "val_b": "val_b "})
    frame.to_csv("blanks.csv", index=False)
    said = run("tables", "import", "blanks.csv", *own(csv)[3:], "--name", "blanks")
    assert "note: blanks at the ends of names of columns are left out: ' width', 'val_b '" in said
    run(*own(csv, "--name", "plain"))
    assert (catalog.load("blanks").truth == catalog.load("plain").truth).all()
    frame.assign(width=1).to_csv("both.csv", index=False)  # " width" and "width" are two columns, and stay two
    said = run("tables", "import", "both.csv", *own(csv)[3:], "--name", "both", refused=True)
    assert "same configuration" in said


def test_a_value_far_from_all_others_is_said(csv, run):
    """A score of 999 among errors, not the ends of a column that spans decades."""
    frame = pd.read_csv(csv)
    assert "far from" not in run(*own(csv, "--name", "plain"))
    frame["secs"] = [10.0 ** (row % 9) for row in range(len(frame))]
    frame.loc[6, "val_a"] = 999
    frame.to_csv("far.csv", index=False)
    said = run("tables", "import", "far.csv", *own(csv)[3:], "--seconds", "secs", "--name", "far")
    assert "note: column 'val_a': 1 value far from the other 53" in said
    assert "taken as given: 999 (row 7)" in said
    assert said.count("far from") == 1
    frame.loc[[6, 17, 30], "val_a"] = -999.0  # what stands for a missing value is there more often
    frame.to_csv("code.csv", index=False)
    said = run("tables", "import", "code.csv", *own(csv)[3:], "--name", "code")
    assert "note: column 'val_a': 3 values far from the other 51" in said


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        (
            "op,v\nconv,1\nNone,2\n",
            ["--decisions", "op", "--val", "v"],
            "row 2: 'None' is read as a missing label; write",
        ),
        (" op,v\nconv,1\nNA,2\n", ["--decisions", "op", "--val", "v"], "row 2: 'NA' is read as a missing label; write"),
        ("op,v\nconv,1\n ,2\nNone,3\n", ["--decisions", "op", "--val", "v"], "row 2: the label is missing; write"),
        (
            "op,v,s\nb,1,1\na,2,-5\nc,2,-6\n",
            ["--decisions", "op", "--val", "v", "--seconds", "s"],
            "column 's', row 2: seconds must not be negative, got -5",
        ),
        ("op,v\nb,1\na, \n", ["--decisions", "op", "--val", "v"], "column 'v', row 2: the number is missing"),
        ("op,v\nb,1\na,2,3,4\n", ["--decisions", "op", "--val", "v"], "line 3 has 4 fields, the header 2"),
        ("op,v\nb,1,1\na,2,3,4\n", ["--decisions", "op", "--val", "v"], "line 3 has 4 fields, the header 2"),
        (
            "op,w,val,test\na,1,1,2\nb,1,2,x\na,2,3,4\nb,2,4,5\n",
            [],
            "Left out: column 'test', row 2: 'x' is not a number.",
        ),
        ("op,w,val,test\na,1,1,2\nb,1,2, \na,2,3,4\nb,2,4,5\n", [], "--decisions op,w --val val --test test"),
        ("op,v,t\na,1.5,2.5\n", [], "It has 1 row and"),
        ("w,v,t\n1,1.5,2.5\n2,2.5,3.5\n", [], "--decisions w --val COL"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(run, tmp_path, text, arguments, said):
    (tmp_path / "odd.csv").write_text(text)
    assert said in run("tables", "import", tmp_path / "odd.csv", *arguments, refused=True)
    assert not list(catalog.target_folder().glob("*"))


def test_only_official_files_are_looked_for_elsewhere(run, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("nothere.csv", "nothere.parquet", "nothere.csv.gz", "nothere.json"):
        assert run("tables", "import", name, refused=True).endswith(f"no such file: {name}")
    for name in ("nothere.pth", "nothere"):
        assert run("tables", "import", name, refused=True).endswith(f"(nor {tmp_path / 'torch' / name})")


def test_a_part_of_all_combinations_is_said_to_be_one(csv, run, tmp_path):
    said = "53 of the 54 combinations of these options are there"
    part = tmp_path / "part.csv"
    part.write_text("".join(csv.read_text().splitlines(keepends=True)[:-1]))
    assert said in run(*own(part))
    assert "combinations" not in run(*own(csv))


def test_a_row_lacks_some_trials_but_not_all(run, tmp_path):
    """One is enough beside test scores; where trials are split it takes two. A field of blanks is one that is missing."""
    path = tmp_path / "lacking.csv"
    path.write_text("a,v1,v2,t\n1,1, ,5\n2,2,3,6\n")
    run("tables", "import", path, "--decisions", "a", "--val", "v1,v2", "--test", "t")
    assert catalog.load("lacking").last.val[:, 0].tolist() == [1.0, 2.5]
    assert "row 1: needs two scores" in run(
        "tables", "import", path, "--decisions", "a", "--val", "v1,v2", refused=True
    )


@pytest.fixture
def losses(run):
    """A file with a loss, lower of which is better, and nothing of a test."""
    Path("losses.csv").write_text(
        "depth,width,loss,secs\n" + "".join(f"{i},{j},{i / j},{i}\n" for i in (1, 2, 3) for j in (4, 8))
    )
    return ("tables", "import", "losses.csv", "--decisions", "depth,width", "--val", "loss")


def test_a_loss_of_which_more_is_better_is_noted_where_nobody_said_so(losses, run):
    said = "note: higher scores are taken to be better, though 'loss' sounds like the contrary: then say --better lower"
    assert said in run(*losses)
    assert "to be better" not in run(*losses, "--better", "higher", "--force")
    assert "to be better" not in run(*losses, "--better", "lower", "--force")
    assert run(*losses, "--better", "lowest", refused=True).endswith("better is higher or lower, got 'lowest'")


def test_a_direction_of_a_metric_that_is_none_is_named(losses, run):
    said = run(*losses, "--metric", "secs:low", refused=True)
    assert said.endswith("metric 'secs': 'lower' or 'higher' values are better, got 'low'")


def test_a_decision_that_there_is_not_is_named_with_the_nearest(losses, run):
    run(*losses, "--better", "lower")
    there = "losses has no decision 'depht'; did you mean depth? It has: depth, width"
    assert run("query", "depht=3,width=8", "--table", "losses", refused=True).endswith(there)
    f = nasbench_lab.objective("losses")
    for cell in ({"depht": 3, "width": 8}, "depht=3,width=8"):
        with pytest.raises(nasbench_lab.LabError, match=re.escape(there)):
            f(cell)


def test_a_front_of_scores_that_are_no_test_does_not_call_them_so(losses, run):
    run(*losses, "--better", "lower", "--unit", "nats", "--metric", "secs:lower")
    said = run("front", "--table", "losses", "--objectives", "secs:lower", "--out", "front")
    assert said.startswith("losses: score against secs:lower")
    assert "test" not in said + Path("front/front.svg").read_text()
