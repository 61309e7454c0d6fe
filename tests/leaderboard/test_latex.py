"""Tables for papers: what they say, that nothing in a name is a command, and that LaTeX takes them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import nasbench_lab
from nasbench_lab.cli.app import app
from nasbench_lab.core import LabError
from nasbench_lab.leaderboard import details, latex, protocols, verdict, written
from nasbench_lab.stats import standings


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("latex") / "a"
    names = ("random_search", "local_search", "regularized_evolution:population=10,sample=4")
    nasbench_lab.compare(*names, table=["toy", "cifar10-surrogate"], seeds=20, max_queries=30, out=out)
    return out


def test_the_table_says_what_the_board_says(folder):
    text, content = nasbench_lab.to_latex(folder), written.read_rows(folder)
    for row in content["rows"]:
        line = next(each for each in text.split("\n") if each.strip().startswith(latex.escaped(row["strategy"]) + " &"))
        assert f"{row['test_mean']:.2f}" in line
        assert f"[{row['test_lo']:.2f}, {row['test_hi']:.2f}]" in line
        assert (f"\\textbf{{{row['test_mean']:.2f}}}" in line) == any(
            each["rank"] == 1 and f"{each['test_mean']:.2f}" == f"{row['test_mean']:.2f}" for each in content["rows"]
        )
    bests = {tests["strategies"][0] for tests in content["tests"]}
    pairs = [pair for tests in content["tests"] for pair in tests["pairs"] if pair["one"] == tests["strategies"][0]]
    stars = sum(not pair["separated"] for pair in pairs)
    assert bests <= {row["strategy"] for row in content["rows"] if row["rank"] == 1}
    assert text.count(r"$^{\ast}$") == stars + 1  # and once in the caption
    caption = next(line for line in text.split("\n") if "caption" in line)
    assert "20 seeds, 30 queries" in caption
    assert "toy (synthetic)" in text
    assert "\\\\" in text


def test_a_star_is_what_the_verdict_says_of_the_best():
    """On all committed boards."""
    for path in sorted((Path(__file__).parents[2] / "results").glob("*/leaderboard.json")):
        content = written.read_rows(path.parent)
        for reference, tests in zip(content["references"], content["tests"], strict=True):
            rows = [row for row in content["rows"] if details.key_of(row) == details.key_of(reference)]
            alike = verdict.not_told_apart(tests)
            best = [row["strategy"] for row in rows if row["rank"] == 1]
            text = latex.table([{"references": [reference], "tests": [tests], "rows": rows}])
            starred = set(alike) | (set(best) if len(best) > 1 else set())
            wanted = 0 if standings.too_few(tests) else len(starred) + 1  # once in the caption
            assert text.count(r"$^{\ast}$") == wanted, (path, tests["table"])


def test_what_few_seeds_cannot_say_is_not_promised(tmp_path):
    nasbench_lab.compare("random_search", "local_search", table="toy", seeds=3, max_queries=5, out=tmp_path)
    text = nasbench_lab.to_latex(tmp_path)
    assert "nothing is told apart, as seeds are too few" in text
    assert "intervals" not in text
    assert r"\ast" not in text


def test_more_settings_than_columns_stand_below(folder):
    one, two = (nasbench_lab.to_latex(folder, columns=n) for n in (2, 1))
    assert (one.count("begin{tabular}{lrr}"), two.count("begin{tabular}{lr}")) == (1, 2)
    assert nasbench_lab.to_latex(folder, folder).count("begin{tabular}{lrrrr}") == 1
    assert r"$\pm$" in nasbench_lab.to_latex(folder, spread="plusminus")
    assert "scriptsize" not in nasbench_lab.to_latex(folder, spread="none")


def caption(text: str) -> str:
    return next(line for line in text.split("\n") if "caption" in line)


def test_what_settings_share_is_said_once_and_what_they_do_not_where_they_stand(folder, tmp_path):
    """Of one table above its columns, of several in the caption."""
    out = tmp_path / "b"
    nasbench_lab.compare(
        "random_search", "local_search", table="toy", seeds=20, max_queries=12, trials="sample", out=out
    )
    one = nasbench_lab.to_latex(out, out)
    assert "20 seeds, 12 queries" in caption(one)
    assert "queries" not in one.replace(caption(one), "")
    mixed = nasbench_lab.to_latex(folder, out)
    assert "20 seeds, 30 queries (toy (synthetic) (2): 12 queries), search sees" in caption(mixed)
    assert "mean of trainings seen (toy (synthetic) (2): one training seen). Bold" in caption(mixed)
    assert mixed.replace(caption(mixed), "").count("toy (synthetic) (2)") == 1
    rows = written.read_rows(folder)
    same = {key: [each for each in rows[key] if each["table"] == "toy"] for key in ("references", "tests", "rows")}
    apart = latex.table([same, written.read_rows(out)])
    assert " & 30 queries & 12 queries" in apart
    assert " & mean of trainings seen & one training seen" in apart
    assert "30 queries" not in caption(apart)


def test_policies_are_said_in_words(folder):
    row = written.read_rows(folder)["rows"][0]
    policy = "trials=split, noise=0.5, repeats=free-class, 2 simulated workers, objectives val, params_m"
    said = list(protocols.protocol(row | {"policy": policy}).values())
    assert said[-5:] == [
        "one training seen, scored on the others",
        "noise of 0.5 added",
        "repeated and isomorphic queries free",
        "2 simulated workers",
        "objectives val, params_m",
    ]


@given(st.text(max_size=30))
def test_no_text_is_a_command(text):
    found = latex.escaped(text)
    for known in sorted(latex.ESCAPED.values(), key=len, reverse=True):
        found = found.replace(known, "")
    assert not set(found) & set("\\&%$#_{}~^\n")


def test_the_command_and_its_refusals(folder, tmp_path):
    run = CliRunner().invoke
    out = tmp_path / "table.tex"
    assert run(app, ["latex", str(folder), "--out", str(out)]).exit_code == 0
    assert out.read_text() == nasbench_lab.to_latex(folder)
    with pytest.raises(LabError, match="spread must be interval, plusminus, none, got 'sd'"):
        nasbench_lab.to_latex(folder, spread="sd")
    with pytest.raises(LabError, match="at least one"):
        nasbench_lab.to_latex()
    with pytest.raises(LabError):
        nasbench_lab.to_latex(tmp_path / "nothing")


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="LaTeX itself is not installed")
@pytest.mark.slow
def test_latex_takes_it(folder, tmp_path):
    hostile = written.read_rows(folder)
    for row in hostile["rows"]:
        row["strategy"] = row["strategy"] + r" a_b%$#&~^{}\end{x} “ü” ≥ → µ"
    text = latex.table([written.read_rows(folder), hostile], columns=2, spread="plusminus")
    body = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\usepackage{{textcomp}}\\begin{{document}}\n{text}\\end{{document}}\n"
    (tmp_path / "t.tex").write_text(body)
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", "t.tex"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, re.findall(r"^!.*$", done.stdout, re.M)
    assert (tmp_path / "t.pdf").stat().st_size > 10_000
