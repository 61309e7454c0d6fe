"""Machines and places as they are: no home, another locale, odd names, closed or full outputs; it works, or is refused in a sentence."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from conftest import make_table
from odd_files import CSV, STRATEGY, STUDY

import nasbench_lab
from nasbench_lab import api, loading
from nasbench_lab.core import LabError
from nasbench_lab.files import paths, writing
from nasbench_lab.strategies.local.local_search import LocalSearch
from nasbench_lab.tables import catalog

QUICK = ("--table", "toy", "--seeds", "2", "--max-queries", "3")
PLAIN = STRATEGY.format(body="")
pytestmark = pytest.mark.usefixtures("repeated_once")


def command(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, with hardly any environment but this."""
    root = str(Path(nasbench_lab.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-m", "nasbench_lab", *map(str, arguments)],
        env={"PYTHONPATH": root, "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"]} | environment,
        capture_output=True, encoding="utf-8", errors="replace", check=False,
    )  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A home folder, and another folder to stand in."""
    (tmp_path / "home").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


def test_a_tilde_is_the_home_folder_wherever_a_path_can_be(lab, home, monkeypatch):
    (home / "mine.py").write_text(PLAIN)
    shutil.copy(catalog.EMBEDDED / "toy.npz", home / "mine.npz")
    (home / "study.toml").write_text(STUDY.replace("random_search", "~/mine.py").replace('"toy"', '"~/mine.npz"'))
    monkeypatch.setenv("NASBENCH_LAB_DATA", "~/data")
    commands = [
        ("compare", "~/mine.py", "--out", "~/compared", *QUICK),
        ("run", "~/study.toml", "--out=~/run"),
        ("leaderboard", "~/compared"),
        ("report", "~/compared", "--out", "~/page.html"),
        ("report", "--all", "~"),
        ("reproduce", "~/compared", "--trust", "all"),
        ("query", "3", "--table", "~/mine.npz", "--svg", "~/cell.svg"),
        ("tables", "info", "~/mine.npz"),
        ("tables", "export", "~/mine.npz", "--format", "csv", "--out", "~/exported.csv"),
        ("list", "~/mine.py"),
        ("compare", "--baseline", "~/compared", "--trust", "all", "--out", "~/again"),
    ]
    for arguments in commands:
        code, _, err = lab(*arguments)
        assert code == 0, (arguments, err)
    assert catalog.target_folder() == home / "data"
    assert api.compare("~/mine.py", table="~/mine.npz", seeds=2, max_queries=3, out="~/api").shape[0] == 1
    assert api.load_table("~/mine.npz").name == "toy"
    assert not list(Path().iterdir())
    there = {"compared", "run", "page.html", "cell.svg", "exported.csv", "again", "api"}
    assert there <= {path.name for path in home.iterdir()}


def test_without_a_home_a_tilde_is_refused_and_the_rest_works(home, monkeypatch, lab):
    def nobody(user: int) -> NoReturn:
        raise KeyError(user)

    monkeypatch.setenv("HOME", "")
    monkeypatch.setattr("pwd.getpwuid", nobody)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.delenv("NASBENCH_LAB_DATA", raising=False)
    code, _, err = lab("compare", "random_search", *QUICK, "--out", "~/x")
    assert (code, "no home folder is known" in err) == (2, True)
    assert not list(Path().iterdir())
    assert lab("compare", "random_search", *QUICK, "--out", "x")[0] == 0
    assert lab("tables", "list")[0] == 0
    Path("t.csv").write_text(CSV)
    code, _, err = lab("tables", "import", "t.csv")
    assert (code, "NASBENCH_LAB_DATA" in err) == (2, True)
    with pytest.raises(LabError, match="no home folder is known for '~nobody-there/x'"):
        paths.home("~nobody-there/x")
    assert paths.home("~.py") == Path("~.py")


def test_without_any_environment(tmp_path):
    done = command("compare", "random_search", *QUICK, "--out", tmp_path / "r")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [{"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "POSIX", "PYTHONIOENCODING": "latin-1"}],
    ids=["C", "ascii", "latin-1"],
)  # fmt: skip
def test_a_locale_without_utf_8(tmp_path, environment):
    (tmp_path / "mine.py").write_text("# Dräws\n" + PLAIN, encoding="utf-8")
    (tmp_path / "study.toml").write_text(
        'title = "Dräw"\n' + STUDY.replace("random_search", f"{tmp_path / 'mine.py'}"), encoding="utf-8"
    )
    for arguments in (
        ("run", tmp_path / "study.toml", "--out", tmp_path / "r"),
        ("report", tmp_path / "r"),
        ("leaderboard", tmp_path / "r"),
    ):
        done = command(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        assert all(line.startswith("note: ") for line in done.stderr.splitlines())
    assert "Dräw" in (tmp_path / "r" / "leaderboard.md").read_text(encoding="utf-8")


def test_marks_of_byte_order_and_coding_lines(tmp_path, lab):
    mark = b"\xef\xbb\xbf"
    (tmp_path / "bom.py").write_bytes(mark + PLAIN.encode())
    (tmp_path / "coding.py").write_bytes(
        b"# -*- coding: latin-1 -*-\n" + PLAIN.replace("Draws", "Dr\xe4ws").encode("latin-1")
    )
    (tmp_path / "bom.toml").write_bytes(mark + STUDY.encode())
    (tmp_path / "bom.csv").write_bytes(mark + CSV.encode())
    for name in ("bom.py", "coding.py"):
        assert lab("compare", tmp_path / name, *QUICK, "--out", tmp_path / name[:-3])[0] == 0
    assert "Dräws" in lab("list", tmp_path / "coding.py")[1]
    assert lab("run", tmp_path / "bom.toml", "--out", tmp_path / "run")[0] == 0
    assert lab("tables", "import", tmp_path / "bom.csv", "--out", tmp_path / "tables")[0] == 0
    manifest = tmp_path / "run" / "manifest.json"
    manifest.write_bytes(mark + manifest.read_bytes())
    assert lab("leaderboard", tmp_path / "run")[0] == 0


@pytest.mark.parametrize(
    "name", ["a:b", "a(b", "a)b", "a=b", "a b", "a,b", "é", "a'b", "~", "-a", "a.py", "a\nb", "a:key=b", "a|b<i>"]
)
def test_a_file_may_have_any_name(tmp_path, lab, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path(f"{name}.py").write_text(PLAIN)
    path = f"./{name}.py"
    for spec in (path, f"{path}:Mine", f"{path}:level=2", f"{path}:Mine:level=2"):
        built = loading.build("strategies", spec)
        assert (type(built).__name__, built.level) == ("Mine", 1 + ("level" in spec.rpartition(".py")[2]))
        assert loading.build("strategies", loading.located(spec)).level == built.level
    assert lab("list", path)[0] == 0


def test_files_of_odd_names_are_compared_reproduced_and_shown(tmp_path, lab, monkeypatch):
    """The same letters, several in a name: one study takes a fourteenth of what fourteen take."""
    monkeypatch.chdir(tmp_path)
    specs = [f"./{name}.py:level=2" for name in ("a(b:c", "a)b=c, d", "é'|<i>", "~", "-a", "a.py", "a\nb", "a:key=b")]
    for spec in specs:
        Path(spec.removesuffix(":level=2")).write_text(PLAIN)
    code, out, err = lab("compare", *specs, "random_search", *QUICK, "--out", "r", "--json")
    assert code == 0
    progress = re.compile(r"runs to r: [\d,]+ of [\d,]+")  # where a machine is slow enough for a line of it
    assert all(line.startswith("note: ") or progress.fullmatch(line) for line in err.splitlines())
    assert {row["strategy"] for row in json.loads(out)} == {"random_search", *specs}
    assert lab("reproduce", "r", "--trust", "all")[0] == 0
    assert lab("report", "r")[0] == 0


def test_two_strategies_in_files_of_one_name_with_helpers_of_one_name(tmp_path, lab, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder, level in (("a", 1), ("b", 2)):
        Path(folder).mkdir()
        Path(folder, "helper.py").write_text(f"LEVEL = {level}\n")
        Path(folder, "mine.py").write_text("import helper\n" + PLAIN.replace("= 1", "= helper.LEVEL"))
    code, out, _ = lab("compare", "a/mine.py", "b/mine.py", *QUICK, "--out", "r", "--json")
    assert code == 0
    assert {row["strategy"] for row in json.loads(out)} == {"a/mine.py", "b/mine.py"}
    assert lab("reproduce", "r", "--trust", "all")[0] == 0
    before = json.loads(Path("r/manifest.json").read_text())
    Path("b/helper.py").write_text("LEVEL = 3\n")
    assert lab("compare", "a/mine.py", "b/mine.py", *QUICK, "--out", "r")[0] == 0
    after = json.loads(Path("r/manifest.json").read_text())
    changed = [old != new for old, new in zip(before["runs"], after["runs"], strict=True)]
    assert changed == [False, True]


def test_the_umask_counts(tmp_path):
    before = os.umask(0o027)
    try:
        writing.write_atomically(tmp_path / "deep" / "file", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "deep" / "file").stat().st_mode) == 0o640
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]


def test_what_is_no_file_is_not_replaced(tmp_path, lab):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        code, _, err = lab("query", "3", "--svg", tmp_path / name, "--force")
        assert (code, "is no file" in err) == (2, True)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_data_folder_with_what_is_no_table(tmp_path, monkeypatch, lab):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path))
    shutil.copy(catalog.EMBEDDED / "toy.npz", tmp_path / "mine.npz")
    (tmp_path / "._mine.npz").write_bytes(b"\0\5\26\7")
    (tmp_path / "gone.npz").symlink_to("nowhere.npz")
    (tmp_path / "folder.npz").mkdir()
    names = {row["table"] for row in json.loads(lab("tables", "list", "--json")[1])}
    assert "mine" in names
    assert not names & {"._mine", "gone", "folder"}
    assert lab("query", "3", "--every-table")[0] == 0


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_what_a_strategy_prints_is_no_part_of_an_answer_in_json(tmp_path, workers):
    body = "print('hello', flush=True); import os; os.system('echo aloud'); "
    (tmp_path / "prints.py").write_text("print('imported')\n" + STRATEGY.format(body=body))
    done = command("compare", tmp_path / "prints.py", *QUICK, "--out", tmp_path / "r", "--json", "--workers", workers)
    assert done.returncode == 0
    assert json.loads(done.stdout)[0]["runs"] == 2
    assert {"imported", "hello", "aloud"} <= set(done.stderr.split())


@pytest.mark.parametrize(
    "redirect", ["<&- >&- 2>&-", *(pytest.param(one, marks=pytest.mark.slow) for one in (">&-", "2>&-"))]
)
def test_closed_streams_are_no_error(tmp_path, redirect):
    words = f"{sys.executable} -m nasbench_lab compare random_search {' '.join(QUICK)} --out {tmp_path / 'r'}"
    done = subprocess.run(
        ["sh", "-c", f"{words} {redirect}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(nasbench_lab.__file__).parents[1],
    )
    assert done.returncode == 0
    assert not re.sub(r"runs: [\d,]+ of [\d,]+\n", "", done.stderr)
    assert "random_search" in (tmp_path / "r" / "leaderboard.md").read_text()


def test_blank_arguments_and_text_that_is_none(lab):
    for argument, said in (("", "blank"), (" \n", "blank"), ("--out=", "blank"), ("\udcff", "UTF-8")):
        code, _, err = lab("compare", argument)
        assert (code, said in err, err.count("\n")) == (2, True, 1)


@pytest.mark.parametrize("first", [2**31 - 2, pytest.param(2**31, marks=pytest.mark.slow), pytest.param(2**53, marks=pytest.mark.slow), 2**63 - 4])  # fmt: skip
def test_large_seeds(tmp_path, lab, first):
    strategies = '["random_search", "regularized_evolution", "gp_bo"]'
    (tmp_path / "s.toml").write_text(
        STUDY.replace('["random_search"]', strategies).replace("seeds = 2", f"seeds = 4\nfirst_seed = {first}")
    )
    assert lab("run", tmp_path / "s.toml", "--out", tmp_path / "r")[0] == 0
    code, out, _ = lab("reproduce", tmp_path / "r")
    assert (code, "12 runs reproduced exactly" in out) == (0, True)
    assert len(api.search("random_search", "toy", seed=np.int64(first), max_queries=3)) == 3


def test_seeds_beyond_all_bounds_are_refused(tmp_path, lab):
    for text in ("seeds = 9999999999", "seeds = 2\nfirst_seed = 9223372036854775807"):
        (tmp_path / "s.toml").write_text(STUDY.replace("seeds = 2", text))
        code, _, err = lab("run", tmp_path / "s.toml", "--out", tmp_path / "r")
        assert (code, "seeds at most" in err) == (2, True)
    for seed in (-1, 2**63, 1.5, True, "1"):
        with pytest.raises(LabError, match="seed must be"):
            api.search("random_search", "toy", seed=seed, max_queries=3)


def test_numpys_numbers_are_numbers(tmp_path):
    budget = {"max_queries": np.float64(4), "noise": np.float32(0.5), "search": np.int64(12)}
    plain = {"max_queries": 4, "noise": 0.5, "search": 12}
    runs = []
    for given, one, two in ((budget, np.int64(2), np.bool_(False)), (plain, 2, False)):
        strategy = LocalSearch(restarts=two)
        board = api.compare(
            strategy, table="toy", seeds=one, simulated_workers=one, workers=np.int8(1), out=tmp_path / "r", **given
        )
        frame = api.search(strategy, "toy", seed=one, workers=one, **given)
        manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
        runs.append((len(board), manifest["runs"], frame["arch"].tolist()))
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [("seeds", "5"), ("seeds", 2.5), ("seeds", True), ("max_queries", "x"), ("max_queries", np.nan), ("noise", None), ("trials", 3),
     ("score", 3), ("objectives", 5), ("sources", 4), ("search", 2.5), ("table", 5), ("out", 5), ("out", ""), ("backend", 3),
     ("simulated_workers", 1.5), ("workers", "2"), ("seeds", np.array([3]))],
)  # fmt: skip
def test_arguments_of_another_type_are_refused(tmp_path, name, value):
    plain = {"table": "toy", "seeds": 2, "max_queries": 3, "out": tmp_path / "r"}
    with pytest.raises(LabError, match=name):
        api.compare("random_search", **plain | {name: value})
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("value", "kind"), [("{1, 2}", "set"), ("numpy.arange(3)", "ndarray"), ("object()", "object"), ("{1: 2}", "dict")]
)
def test_parameters_that_cannot_be_written_down_are_refused(tmp_path, lab, value, kind):
    text = PLAIN.replace("level: int = 1", f"level: object = field(default_factory=lambda: {value})")
    (tmp_path / "mine.py").write_text("import numpy\n" + text.replace("import dataclass", "import dataclass, field"))
    code, _, err = lab("compare", tmp_path / "mine.py", *QUICK, "--out", tmp_path / "r")
    assert code == 2
    assert f"parameter level is a {kind}; only numbers" in err
    assert not (tmp_path / "r").exists()


def test_parameters_that_can_be_written_down_are_run_again(tmp_path, lab):
    values = ["float('inf')", "float('nan')", "numpy.float32(0.5)", "numpy.int64(3)", "(1,2)", "[1.5,None]", "{'a':1}"]
    for number, value in enumerate(values):
        text = PLAIN.replace("level: int = 1", f"level: object = field(default_factory=lambda: {value})")
        text = "import numpy\n" + text.replace("import dataclass", "import dataclass, field")
        (tmp_path / f"mine{number}.py").write_text(text)
    paths = sorted(tmp_path.glob("mine*.py"))
    assert len(paths) == 7
    assert lab("compare", *paths, *QUICK, "--out", tmp_path / "r")[0] == 0
    assert lab("reproduce", tmp_path / "r", "--trust", "all")[0] == 0


@pytest.mark.slow
def test_tables_on_which_everything_ties(tmp_path, lab):
    table = make_table("ties", metrics={"params_m": np.ones(15625)})
    names = ("val", "val_trials", "test", "test_trials", "seconds")
    schedules = {
        last: replace(schedule, **{name: np.full_like(getattr(schedule, name), 50.0) for name in names})
        for last, schedule in table.schedules.items()
    }
    replace(table, schedules=schedules).save(tmp_path / "ties.npz")
    ties = ("--table", tmp_path / "ties.npz")
    out = tmp_path / "r"
    objectives = ("--objectives", "params_m")
    assert (
        lab(
            "compare",
            "random_search",
            "local_search",
            *ties,
            *objectives,
            "--seeds",
            2,
            "--max-queries",
            3,
            "--out",
            out,
        )[0]
        == 0
    )
    assert lab("report", out)[0] == 0
    assert lab("front", *ties, *objectives, "--results", out)[0] == 0
    assert (out / "report.html").stat().st_size < 5e6
    assert (out / "front.svg").stat().st_size < 1e5
