"""A comparison on several tables, from the command line's study to the board's files."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from nasbench_lab import api
from nasbench_lab.core import LabError
from nasbench_lab.report import pages
from nasbench_lab.spaces import naming
from nasbench_lab.spaces.space import Space
from nasbench_lab.tables.table import Table

SPACE = Space((4, 3, 3))


@pytest.fixture
def tables(tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path))
    frame = pd.DataFrame(naming.columns(SPACE))
    for i, better in enumerate(("higher", "lower", "higher")):
        scores = np.random.default_rng(i).normal(0, 1, (36, 2))
        table = Table.from_frame(
            frame.assign(val=scores[:, 0], test=scores.sum(axis=1)), name=f"t{i}", decisions=list(frame), val=["val"],
            test=["test"], better=better, unit="nats",
        )  # fmt: skip
        table.save(tmp_path / f"t{i}.npz")
    return ["t0", "t1", "t2"]


def compared(tables, out, strategies=("random_search", "local_search")):
    return api.compare(*strategies, table=tables, seeds=6, max_queries=12, out=out)


def test_three_tables_have_a_board_across_them(tables, tmp_path):
    frame = compared(tables, tmp_path / "out")
    assert frame["table"].tolist() == ["t0", "t0", "t1", "t1", "t2", "t2"]
    content = json.loads((tmp_path / "out/leaderboard.json").read_text())
    across = content["across"]
    assert across["tables"] == tables
    by_table = frame.pivot(index="table", columns="strategy", values="rank_mean")
    for row in across["rows"]:
        assert row["rank_mean"] == pytest.approx(by_table[row["strategy"]].mean())
        own = [r for r in content["rows"] if r["strategy"] == row["strategy"]]
        assert row["unbeaten"] == [r["table"] for r in own if r["rank_low"] == 1]
        assert row["first"] == [r["table"] for r in own if r["rank"] == 1]
        assert 0 <= row["regret_mean"] < 1
    page = (tmp_path / "out/leaderboard.md").read_text()
    assert "## Across tables" in page
    assert across["verdict"] in page


def test_fewer_or_unlike_tables_have_none(tables, tmp_path):
    compared(tables[:2], tmp_path / "two")
    assert "across" not in json.loads((tmp_path / "two/leaderboard.json").read_text())


def test_what_goes_with_one_table_is_refused_with_several(tables, tmp_path):
    with pytest.raises(LabError, match="score goes with one table, got t0, t1"):
        api.compare("random_search", table=["t0", "t1"], score="t2", out=tmp_path / "x")
    with pytest.raises(LabError, match="twice"):
        api.compare("random_search", table=["t0", "t0"], out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def flat(tmp_path):
    """A table whose test scores are all equal, saved as t2."""
    frame = pd.DataFrame(naming.columns(SPACE))
    scores = np.random.default_rng(2).normal(0, 1, 36)
    Table.from_frame(
        frame.assign(val=scores, test=0.1), name="t2", decisions=list(frame), val=["val"], test=["test"],
        better="higher", unit="nats",
    ).save(tmp_path / "t2.npz")  # fmt: skip


def test_a_board_says_why_it_has_none_across_its_tables(tables, tmp_path, lab):
    flat(tmp_path)
    asked = ("random_search", "--table", "t0", "--table", "t1", "--table", "t2", "--seeds", 2, "--max-queries", 4)
    code, _, err = lab("compare", *asked, "--out", tmp_path / "out")
    why = "no board across tables: all test scores of t2 are equal"
    assert code == 0
    assert why in err
    content = json.loads((tmp_path / "out/leaderboard.json").read_text())
    assert "across" not in content
    assert content["notes"] == [why]
    assert why in (tmp_path / "out/leaderboard.md").read_text()
    assert why in pages.page(pages.read(tmp_path / "out"))
    assert lab("reproduce", tmp_path / "out")[0] == 0


def test_runs_without_an_answer_are_named(tables, tmp_path, lab):
    asked = ("random_search", "--table", "t0", "--table", "t1", "--table", "t2", "--seeds", 2, "--max-seconds", 1e-9)
    code, _, err = lab("compare", *asked, "--out", tmp_path / "out")
    assert code == 0
    assert "no board across tables: 2 of 2 runs of random_search on t0 ended without an answer; 2 of 2" in err
