"""What a user sees meanwhile, and the same words for the same thing."""

from __future__ import annotations

import shutil

import pytest

from nasbench_lab import api
from nasbench_lab.cli import screen


def test_lines_come_now_and_then(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 9.9, 10.0, 15.0, 20.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    say = screen.now_and_then()
    for number in range(5):
        say(f"line {number}")
    assert capsys.readouterr() == ("", "line 2\nline 4\n")


@pytest.mark.parametrize("clone", [False, True])
def test_reproduce_says_how_far_it_is_where_nobody_watches(clone, lab, tmp_path, monkeypatch):
    api.compare("random_search", "local_search", table="toy", seeds=2, max_queries=3, out=tmp_path / "out")
    if clone:
        shutil.rmtree(tmp_path / "out" / "runs")
    _, out, quiet = lab("reproduce", tmp_path / "out")
    monkeypatch.setattr(screen, "_OFTEN", 0.0)
    code, again, err = lab("reproduce", tmp_path / "out")
    assert (code, again, quiet) == (0, out, "")
    assert f"{2 if clone else 4} compared so far" in err
    assert ("0 compared so far; of the next row 2 of 2 runs are done" in err) == clone


def test_compare_says_how_far_it_is_where_nobody_watches(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(screen, "_OFTEN", 0.0)
    _, out, err = lab(
        "compare", "random_search", "--table", "toy", "--seeds", 2, "--max-queries", 2, "--out", tmp_path / "out"
    )
    assert f"runs to {tmp_path / 'out'}: 2 of 2\n" in err
    assert "runs: 2 of 2" not in out


def test_the_way_to_the_optimum_is_told_in_one_wording(lab, tmp_path):
    """By the facts of a table and by a board of it, with the same number."""
    api.compare("random_search", table="toy", seeds=2, max_queries=3, out=tmp_path / "out")
    board = " ".join((tmp_path / "out" / "leaderboard.md").read_text().split())
    facts = " ".join(lab("tables", "info", "toy")[1].split())
    words = "queries until it has tried an optimum, which is its choice at some time in"
    for text in (board, facts):
        assert text.count(words) == 1
    number = board.partition(words)[0].split()[-1]
    assert facts.partition(words)[0].split()[-1] == number
    assert board.partition(words)[2].split()[0] == facts.partition(words)[2].split()[0]
