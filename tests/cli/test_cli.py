from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import make_table
from test_loading import FILE

from nasbench_lab import __version__
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog

QUICK = ("--table", "toy", "--seeds", "2", "--max-queries", "5")
NEEDED = {
    "table", "strategy", "runs", "queries", "seconds", "test_mean", "test_lo", "test_hi", "regret_mean", "rank_mean",
    "queries_to_optimum_mean", "reached_optimum", "decision_seconds_per_query",
}  # fmt: skip


@pytest.fixture
def done(lab, tmp_path):
    code, _, _ = lab("compare", "random_search", "local_search", *QUICK, "--out", tmp_path / "done")
    assert code == 0
    return tmp_path / "done"


def test_compare_shows_and_writes_the_leaderboard(lab, tmp_path):
    code, out, _ = lab("compare", "random_search", "local_search:improvement=best", *QUICK, "--out", tmp_path / "r")
    assert code == 0
    assert "local_search:improvement=best" in out
    assert "synthetic" in out
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == [
        "curves.csv", "details.json", "leaderboard.csv", "leaderboard.json", "leaderboard.md", "manifest.json", "runs",
    ]  # fmt: skip


def test_compare_json_prints_the_rows_and_nothing_else(lab, tmp_path):
    code, out, _ = lab("compare", "random_search", *QUICK, "--out", tmp_path, "--json", "--search", "oracle")
    rows = json.loads(out, parse_constant=pytest.fail)
    assert code == 0
    assert set(rows[0]) >= NEEDED
    assert (rows[0]["runs"], rows[0]["queries"], rows[0]["search"]) == (2, 5, "oracle")
    assert rows == json.loads((tmp_path / "leaderboard.json").read_text())["rows"]


def test_a_strategy_without_what_it_is_for_is_noted_and_the_note_is_kept(lab, tmp_path):
    code, out, err = lab("compare", "zero_shot_prior", "random_search", *QUICK, "--json", "--out", tmp_path)
    assert code == 0
    assert err.startswith("note: zero_shot_prior: no other dataset's scores to read on toy (12 epochs); no --source")
    assert [
        f"note: {note}" for note in json.loads((tmp_path / "manifest.json").read_text())["notes"]
    ] == err.splitlines()
    assert len(json.loads(out)) == 2


def test_compare_goes_on_where_it_was(lab, done):
    times = {path: path.stat().st_mtime_ns for path in (done / "runs").iterdir()}
    assert lab("compare", "random_search", "local_search", *QUICK, "--out", done)[0] == 0
    assert {path: path.stat().st_mtime_ns for path in (done / "runs").iterdir()} == times


def test_run_reads_a_study_file(lab, tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text('strategies = ["random_search"]\nseeds = 9\n[[task]]\ntable = "toy"\nmax_queries = 4\n')
    code, out, _ = lab("run", file, "--out", tmp_path / "r", "--seeds", "3", "--json")
    assert code == 0
    assert json.loads(out)[0]["runs"] == 3


def test_leaderboard_rebuilds_from_runs_and_shows_what_is_written_without(lab, done):
    written = (done / "leaderboard.json").read_bytes()
    (done / "leaderboard.json").unlink()
    assert lab("leaderboard", done)[0] == 0
    assert (done / "leaderboard.json").read_bytes() == written
    (done / "runs").rename(done / "elsewhere")
    code, out, _ = lab("leaderboard", done)
    assert code == 0
    assert out.startswith("# ")
    assert json.loads(lab("leaderboard", done, "--json")[1]) == json.loads(written)["rows"]


def test_query_takes_every_spelling(lab):
    outputs = {
        lab("query", text, "--table", "toy") for text in ("1462", cell.to_string(1462), ",".join(["nor_conv_3x3"] * 6))
    }
    assert len(outputs) == 1
    code, out, _ = outputs.pop()
    assert code == 0
    assert "1.531546 M" in out
    assert json.loads(lab("query", "1462", "--table", "toy", "--json")[1])["cell"] == 1462


def test_query_draws_the_cell_and_knows_its_neighbours_and_every_table(lab, tmp_path):
    code, out, _ = lab("query", "1462", "--table", "toy", "--svg", tmp_path / "cell.svg", "--every-table", "--json")
    assert code == 0
    assert (tmp_path / "cell.svg").read_text().count("conv 3×3") == 6
    facts = json.loads(out)
    assert len(facts["neighbours"]) == 24
    scores = [score["value"] for score in facts["neighbours"].values()]
    assert scores == sorted(scores, reverse=True)
    assert {
        f"{table.label}, {score} after {max(table.schedules)} epochs"
        for table in map(catalog.load, catalog.available())
        if table.space == catalog.load("toy").space
        for score in ("val", "test")
    } == set(facts["elsewhere"])
    assert facts["neighbours_by"] == "test after 12 epochs on toy (synthetic)"
    best = next(iter(facts["neighbours"]))
    said = lab("query", "1462", "--table", "toy")[1]
    assert "the best of 24 by: test after 12 epochs on toy (synthetic)\n" in said
    assert f"            {best}: " in said


def test_tables_lists_and_describes(lab):
    code, out, _ = lab("tables", "list")
    assert code == 0
    assert "toy" in out
    assert "synthetic" in out
    assert catalog.load("toy").digest in lab("tables", "info", "toy")[1]
    assert json.loads(lab("tables", "info", "toy", "--json")[1])["digest"] == catalog.load("toy").digest


def test_import_makes_tables_that_can_be_compared_on(lab, tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    table = make_table("mini", trials=0)
    lines = ["index,mini/12/val,mini/12/test,mini/12/seconds"]
    lines += [f"{i},{table.last.val[i, 0]},{table.last.test[i]},{table.last.seconds[i, 0]}" for i in range(15625)]
    (tmp_path / "mini.csv").write_text("\n".join(lines))
    code, out, _ = lab("tables", "import", tmp_path / "mini.csv", "--source", "a test", "--licence", "MIT")
    assert code == 0
    assert "mini: 15,625 cells" in out
    assert "a test" in lab("tables", "info", "mini")[1]
    assert (
        lab(
            "compare", "random_search", "--table", "mini", "--seeds", "2", "--max-queries", "3", "--out", tmp_path / "r"
        )[0]
        == 0
    )


def test_check_passes_a_right_strategy_and_fails_a_wrong_one(lab, tmp_path):
    (tmp_path / "mine.py").write_text(FILE)
    code, out, _ = lab("check", f"{tmp_path / 'mine.py'}")
    assert code == 1  # always the same cell: another seed gives the same records
    assert "FAIL  another seed, other records" in out
    assert "pass  same seed, same records" in out
    (tmp_path / "raises.py").write_text(FILE.replace("return Query(self.cell, self.task.full)", "return 1 / 0"))
    code, out, err = lab("check", tmp_path / "raises.py")
    assert code == 1
    assert "FAIL  proposes cells of the space at the task's fidelities\n" in out
    assert out.count("FAIL  ") == 1
    assert out.count("ZeroDivisionError") == 1  # one cause
    assert re.search(r"\n1 check failed, \d+ others not run\n$", out)
    later = FILE.replace("return Query(", "if self.task.max_queries != 20: 1 / 0\n        return Query(")
    (tmp_path / "later.py").write_text(later)
    code, out, err = lab("check", tmp_path / "later.py")
    failed = out.count("FAIL  ")
    assert failed > 3  # all but what runs as the first does
    assert out.count("ZeroDivisionError") == 1
    assert re.search(rf'\n({failed}|{failed - 1}) checks, the first: "[^"]+"\n    ZeroDivisionError', out)
    assert out.endswith(f"\n{failed} checks failed\n")
    assert "Traceback" not in out + err


def test_check_of_our_own_passes(lab):
    code, out, _ = lab("check", "random_search")
    assert code == 0
    assert "all checks passed" in out


def test_reproduce_says_what_it_found(lab, done):
    code, out, _ = lab("reproduce", done)
    assert (code, out) == (
        0,
        "4 runs reproduced exactly, 0 differ, 0 could not be run; tables and shown values as they were\n",
    )
    path = sorted((done / "runs").glob("*.parquet"))[0]
    run = path.stem.split("-")[-2]
    assert lab("reproduce", done, "--run", f"{run}:1")[1].startswith("1 runs reproduced")


def test_reproduce_exits_1_if_anything_differs(lab, done):
    from run_files import forge

    from nasbench_lab.study import store

    path = sorted((done / "runs").glob("*.parquet"))[0]
    forge(path, val=store.read(path).columns["val"] + 1)
    code, out, _ = lab("reproduce", done)
    assert code == 1
    assert out.count("differs  ") == 2  # the runs, and the digest of records that the manifest shows
    assert ", 2 of 2 runs" in out
    assert "seed 0: first at query 0: val" in out
    assert out.count("Nothing it depends on has changed") == 1


def test_version_and_help(lab):
    assert lab("--version")[1].strip() == __version__
    assert "compare" in lab("--help")[1]
    code, out, err = lab()
    assert "compare" in out + err


def test_help_names_values_and_not_the_types_of_a_library(lab):
    said = "".join(
        lab(*command, "--help")[1] for command in (["compare"], ["validate"], ["front"], ["tables", "train"])
    )
    for words in ("--seeds N", "--max-seconds X", "--table TABLE", "--objectives METRIC", "x>=1"):
        assert words in said
    assert " range" not in said


ERRORS = [
    (["compare", "locl_search", *QUICK], "did you mean local_search"),
    (["compare", "local_search:speed=1", *QUICK], "has no parameter 'speed'; it has: improvement, restarts"),
    (["compare", "local_search:improvement=worst", *QUICK], "improvement must be"),
    (["compare", "regularized_evolution:population=0", *QUICK], "1 <= sample <= population"),
    (["compare", "random_search", "random_search", *QUICK], "listed twice"),
    (["compare", "random_search", "--table", "tyo"], "did you mean toy"),
    (["compare", "random_search", "--table", "no/such.npz"], "no such table file"),
    (["compare", "random_search", *QUICK, "--score", "nope"], "no table named 'nope'"),
    (["compare", "random_search", *QUICK, "--search", "200"], "no schedule of 200 epochs; it has 12"),
    (["compare", "random_search", *QUICK, "--search", "best"], "search must be one of 12, 'all' or 'oracle'"),
    (["compare", "random_search", *QUICK, "--search", "²"], "search must be one of 12, 'all' or 'oracle'"),
    (
        ["compare", "random_search", *QUICK, "--objectives", "foo"],
        "'foo' is no objective beside 'val' on table 'toy'; it has: params_m",
    ),
    (
        ["serve-ask", "--table", "toy", "--objectives", "foo"],
        "'foo' is no objective beside 'val' on table 'toy'; it has: params_m",
    ),
    (["compare", "random_search", *QUICK, "--trials", "all"], "'mean', 'sample' or 'split', got 'all'"),
    (["compare", "random_search", *QUICK, "--repeats", "never"], "charge, free, free-class"),
    (["compare", "random_search", *QUICK, "--backend", "nonsense"], "engine 'nonsense' cannot be used"),
    (["compare", "random_search", "--table", "toy", "--max-queries", "2.5"], "whole number"),
    (["compare", "random_search", "--table", "toy", "--max-queries", "nan"], "whole number|--max-queries"),
    (["compare", "random_search", "--table", "toy", "--max-seconds", "0"], "positive"),
    (["compare", "random_search", "--table", "toy", "--seeds", "0"], "--seeds"),
    (["compare", "random_search", "--table", "toy", "--seeds", "many"], "--seeds"),
    (["compare", "--nonsense"], "--nonsense"),
    (["nonsense"], "nonsense"),
    (["run", "no.toml"], "no such study file"),
    (["leaderboard", "no/such/folder"], "no such results folder|not a results folder"),
    (["reproduce", "no/such/folder"], "no such results folder"),
    (["query", "15625"], "0..15624"),
    (["query", "conv"], "not a cell"),
    (["query", "3", "--table", "nope"], "no table named"),
    (["tables", "info", "nope"], "no table named"),
    (["tables", "import", "no.csv"], "no such file"),
    (["check", "nope"], "no strategy named"),
    (["check", "nope.nope"], "no strategy named"),
    (["check", "no/such.py"], "no such file"),
    (["check", "os:path"], "has no class"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), ERRORS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_bad_input_is_a_message_on_stderr_exit_2_and_nothing_written(lab, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    code, out, err = lab(*arguments)
    assert code == 2
    assert any(part in err for part in message.split("|"))
    assert "Traceback" not in out + err
    assert list(tmp_path.iterdir()) == []


def files_that_are_bad(folder: Path) -> dict[str, tuple[list[str], str]]:
    (folder / "bad.toml").write_text("strategies = [")
    (folder / "bad.csv").write_bytes(b"\x00\xff\xfe,\n")
    (folder / "bad.parquet").write_bytes(b"PAR1 not really PAR1")
    (folder / "bad.npz").write_bytes(catalog.find("toy").read_bytes()[:5000])
    (folder / "bad.py").write_text("def (:")
    (folder / "notes.txt").write_text("hello")
    (folder / "empty").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken" / "manifest.json").write_text("{")
    (folder / "half").mkdir()
    (folder / "half" / "leaderboard.json").write_text('{"rows": [1]}')
    (folder / "half" / "manifest.json").write_text('{"study": {"strategies": ["x"], "tasks": [{"table": "toy"}]}}')
    return {
        "study": (["run", "bad.toml"], "cannot be read as TOML"),
        "csv": (["tables", "import", "bad.csv"], "bad.csv"),
        "parquet": (["tables", "import", "bad.parquet"], "cannot be read as parquet"),
        "text": (["tables", "import", "notes.txt"], ".parquet, .csv"),
        "table": (["tables", "info", "bad.npz"], "damaged"),
        "search table": (["compare", "random_search", "--table", "bad.npz"], "damaged"),
        "score table": (["compare", "random_search", "--table", "toy", "--score", "bad.npz"], "damaged"),
        "strategy": (["check", "bad.py"], "SyntaxError"),
        "empty folder": (["leaderboard", "empty"], "no manifest.json"),
        "manifest": (["leaderboard", "broken"], "is not a file of results, or is damaged"),
        "no page": (["leaderboard", "half"], "leaderboard.md"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "study",
        "csv",
        "parquet",
        "text",
        "table",
        "search table",
        "score table",
        "strategy",
        "empty folder",
        "manifest",
        "no page",
    ],
)
def test_a_bad_file_is_a_message_on_stderr_exit_2_and_nothing_written(lab, tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    arguments, message = files_that_are_bad(tmp_path)[case]
    before = sorted(tmp_path.rglob("*"))
    code, out, err = lab(*arguments)
    assert code == 2
    assert message in err
    assert "Traceback" not in out + err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_cannot_be_written_is_said(lab, blocked, tmp_path):
    code, out, err = lab("compare", "random_search", *QUICK, "--out", blocked)
    assert (code, "cannot write" in err, "Traceback" in out + err) == (2, True, False)
    lines = ["index,m/12/val,m/12/test,m/12/seconds"] + [f"{i},50,50,1" for i in range(15625)]
    (tmp_path / "m.csv").write_text("\n".join(lines))
    code, out, err = lab("tables", "import", tmp_path / "m.csv", "--out", blocked)
    assert (code, "cannot write" in err, "Traceback" in out + err) == (2, True, False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "m.csv"]


def test_a_damaged_run_is_refused_by_leaderboard_and_reproduce(lab, done):
    path = sorted((done / "runs").glob("*.parquet"))[0]
    path.write_bytes(path.read_bytes()[:-30])
    code, _, err = lab("leaderboard", done)
    assert (code, f"as written, not rebuilt: {path} is" in err) == (0, True)
    code, out, _ = lab("reproduce", done)
    assert (code, "damaged" in out, "\n2 runs reproduced exactly, 0 differ, 2 could not be run" in out) == (
        1,
        True,
        True,
    )


def test_the_installed_command_behaves_as_the_function(tmp_path):
    program = Path(sys.executable).parent / "nasbench-lab"
    command = [str(program), "compare", "nope", "--out", str(tmp_path / "r")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.strip().startswith("nasbench-lab: no strategy named 'nope'")
    assert not (tmp_path / "r").exists()


def test_a_reader_that_goes_away_is_no_error():
    code = "import sys; sys.argv = ['nasbench-lab', 'list']; from nasbench_lab.cli.app import main; main()"
    read, write = os.pipe()
    os.close(read)
    result = subprocess.run([sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert "Traceback" not in result.stderr
