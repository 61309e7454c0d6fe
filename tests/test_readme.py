"""README: its commands for a table of one's own do what it says, and its figures are those of the committed results."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from typer.testing import CliRunner

from nasbench_lab.cli.app import app

REPOSITORY = Path(__file__).parents[1]


def test_a_table_of_ones_own_in_three_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    block = re.search(r"<!-- own-table -->\n```sh\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    commands = [shlex.split(line)[1:] for line in block[1].splitlines()]
    assert len(commands) == 3
    for words in commands:
        if words[0] == "compare":
            words += ["--seeds", "20"]  # not 50: the same in less time
        words = [str(REPOSITORY / word) if word.startswith("docs/") else word for word in words]
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0, (result.output, result.exception)
    rows = json.loads((tmp_path / "results/mine_table/leaderboard.json").read_text())["rows"]
    assert {row["unit"] for row in rows} == {"error"}
    assert rows[0]["test_mean"] < rows[-1]["test_mean"]  # lower is better, best first
    assert (tmp_path / "results/mine_table/report.html").is_file()


# README's figures of strategies


def _said(name: str) -> dict:
    return json.loads((REPOSITORY / "results" / name / "leaderboard.json").read_text())


README = re.sub(r"\s+", " ", (REPOSITORY / "README.md").read_text())


def test_the_answer_of_the_first_command_is_that_of_its_board():
    board = (REPOSITORY / "results/suite/leaderboard.md").read_text()
    answer = re.search(r"^\*\*(.*)\*\*$", board, re.MULTILINE)[1]
    assert f'*"{answer}"*' in README


def test_queries_to_the_optimum_are_those_of_the_boards():
    needed = {
        name: [
            row["queries_to_optimum_mean"]
            for table in ("cifar10", "cifar100")
            for row in _said(folder)["rows"]
            if row["strategy"] == name
            and row["table"] == table
            and row["reached_optimum"] == 1.0
            and row["runs"] == 500
        ]
        for name, folder in {"gp_bo": "nb201_gp_bo", "local_search": "nb201_oracle"}.items()
    }
    a, b = needed["gp_bo"]
    c, d = needed["local_search"]
    assert re.search(
        rf"`gp_bo` needs {a:.1f} ± [.\d]+ and {b:.1f} ± [.\d]+ queries on average to the cell with", README
    )
    assert re.search(rf"local search needs {c:.0f} ± \d+ and {d:.0f} ± \d+ \(`results/nb201_oracle`", README)


def test_ranks_over_tables_are_those_of_the_board_across_them():
    found = _said("spaces")
    first, *others = found["across"]["rows"]
    apart = found["across"]["verdict"].partition("not told apart from ")[2].rstrip(".").split(", ")
    words = (
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
    )
    named = dict(enumerate(words, start=2))
    assert first["strategy"] == "gp_bo"
    assert (
        f"Over {named[len(found['across']['tables'])]} tables of five spaces (`results/spaces`, 100 queries, 50 seeds)"
        in README
    )
    ranks = f"{first['rank_mean']:.1f} ({first['rank_lo']:.1f} to {first['rank_hi']:.1f}) by test and {first['val_rank_mean']:.1f} by"
    assert f"it has the best mean rank of {named[len(others) + 1]} strategies, {ranks} validation" in README
    alike = (
        f"is not told apart from {named[len(apart)]} of them" if len(apart) > 1 else "is told apart from none of them"
    )
    assert (len(apart) > 1) == ("no other strategy" not in found["across"]["verdict"])
    assert alike in README


def test_predicted_tables_rank_strategies_as_well_as_it_says():
    taus = [
        row["end_tau"]
        for row in _said("nb201_surrogates")["agreement"]
        if {row["one"], row["other"]} in ({f"cifar{n}", f"cifar{n}-surrogate (predicted)"} for n in (10, 100))
    ]
    assert len(taus) == 2
    assert f"as the real tables do to tau {min(taus):.1f}" in README
