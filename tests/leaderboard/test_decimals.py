from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest

import nasbench_lab
from nasbench_lab.leaderboard import decimals, wording, written
from nasbench_lab.tables.table import Table


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (["0.5875", "0.58913", ""], ["0.58750", "0.58913", ""]),
        (["0.5875 – 0.589", "0.58871 – 0.6"], ["0.58750 – 0.58900", "0.58871 – 0.60000"]),
        (["74", "98.89", "7.699"], ["74.00", "98.89", "7.699"]),  # four digits each, whatever their size
        (["1,234", "-0.5", "≥ 60"], ["1,234", "-0.5", "≥ 60.0"]),
        (["60", "7"], ["60", "7"]),
        (["0.5", "none", "0.25"], ["0.5", "none", "0.25"]),
        (["1–2", "3.5"], ["1–2", "3.5"]),
    ],
)
def test_numbers_of_a_column_have_as_many_decimals(column, wanted):
    """None has more digits than the longest: where numbers are rounded to digits, zeros beyond would be made up."""
    assert [row[0] for row in decimals.even([[text] for text in column])] == wanted
    assert decimals.even([]) == []


def test_a_difference_has_no_digits_for_what_is_the_same_in_both_scores(tmp_path):
    """Scores about 1e9 that differ by less than one are told apart by fourteen digits; what they differ by is not."""
    scores = 1e9 + np.random.default_rng(0).random(30)
    frame = pd.DataFrame({"a": range(30), "v": scores})
    Table.from_frame(frame, name="huge", decisions="a", val="v").save(tmp_path / "huge.npz")
    nasbench_lab.compare(
        "random_search", "local_search", table=str(tmp_path / "huge.npz"), seeds=6, max_queries=3, out=tmp_path / "out"
    )
    board = written.read_rows(tmp_path / "out")
    for found in board["rows"]:
        row = {name: float("nan") if value is None else value for name, value in found.items()}
        shown = dict(zip(wording.heads_of(row, {}), wording.cells_of(row), strict=True))
        assert shown["regret"] == f"{row['regret_mean']:.6g}"
        assert shown["val regret"] == f"{row['val_regret_mean']:.6g}"
        assert row["digits"] > 12
    amounts = re.findall(r"better by (\S+) \(score\)", (tmp_path / "out" / "leaderboard.md").read_text())
    assert all(amount == f"{float(amount):.6g}" for amount in amounts)


def test_one_query_is_no_queries():
    reference = {
        "budget": "1 query", "random_queries": 1, "random_test": 50.0, "optimum": 60.0, "best_by_search": 60.0,
        "random_queries_to_optimum": 1.0, "random_chance_of_optimum": None,
    }  # fmt: skip
    said = wording.footing(reference)
    assert "50.00 after 1 query and 1 query until it has tried an optimum" in said
    more = wording.footing(reference | {"budget": "9 s", "random_queries": 2, "random_queries_to_optimum": 15.5})
    assert "after 2 queries (the rows' mean) and 15.5 queries until" in more


def test_why_there_is_no_interval():
    """Too few seeds are one reason; with enough of them, a run without an answer is another."""
    assert wording._interval(math.nan, math.nan, 2, True) == "from 20 seeds on"
    assert wording._interval(math.nan, math.nan, 2, False) == ""
    assert wording._interval(0.5, 0.501, 2, False) == "0.500 – 0.501"
