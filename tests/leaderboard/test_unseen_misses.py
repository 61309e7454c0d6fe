"""Boards of runs that agree: intervals that are never nothing, shares that are never all but if they are."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nasbench_lab.leaderboard import details, ranking, wording
from nasbench_lab.leaderboard.parts import Entry, Setting
from nasbench_lab.spaces.space import Space
from nasbench_lab.study import store


def setting_of(truth, seen=None, table="a"):
    seen = np.arange(float(len(truth))) if seen is None else seen
    truth, space = np.asarray(truth, dtype=float), Space((len(truth),))
    return Setting(table, table, "measured", "12", 1.0, math.inf, "", seen, truth, space=space)


def runs_ending_at(cells):
    """Runs of one query each."""
    count = len(cells)
    columns = {name: np.ones(count) for name in ("val", "seconds", "finished", store.MEASURED)}
    columns |= {name: np.zeros(count, dtype=np.int64) for name in ("order", "epochs")}
    columns |= {"seed": np.arange(count), "arch": np.asarray(cells), "incumbent": np.asarray(cells)}
    return store.Runs({}, columns, np.arange(count), np.arange(count + 1), dict.fromkeys(range(count), "queries"))


cells_of_two = arrays(
    np.int64, st.tuples(st.integers(20, 60), st.just(2)), elements=st.sampled_from([0, 1, 2, 2, 2, 2, 2, 2])
)


@settings(max_examples=15)
@given(cells_of_two, arrays(float, 3, elements=st.integers(0, 6).map(lambda x: 90 + x / 3)))
def test_an_interval_is_never_nothing_unless_the_table_allows_no_other_value(cells, truth):
    pair = [setting_of(truth, table=name) for name in "ab"]
    entries = [
        Entry(setting, name, runs_ending_at(own)) for setting in pair for name, own in zip("xy", cells.T, strict=True)
    ]
    board = ranking.build("made", entries)
    other = truth.max() > truth.min()
    for row in board.rows:
        assert (row["test_lo"] < row["test_hi"]) == other
        assert (row["regret_lo"] < row["regret_hi"]) == other
        assert row["val_regret_lo"] < row["val_regret_hi"]
        assert row["test_lo"] <= row["test_mean"] + 1e-9
        assert row["test_mean"] <= row["test_hi"] + 1e-9
        shown = wording.cells_of(row)[wording.MARKDOWN.index("95% interval")]
        assert (len(set(shown.split(" – "))) == 2) == other
    assert ((board.curves["test_lo"] < board.curves["test_hi"])[board.curves["test_lo"].notna()] == other).all()
    for section in board.sections:
        assert all((pair["low"] < pair["high"]) == other for pair in section.tests["pairs"])
    assert all(row[f"{kind}_low"] < row[f"{kind}_high"] for row in board.overall for kind in ("mean", "median"))
    assert len(board.overall) == (2 if other else 0)


def test_a_run_of_500_that_misses_is_seen():
    truth = [90.0, 95.0]
    for misses, text in ((0, "100%"), (1, "99.8%"), (499, "0.2%"), (500, "0%")):
        entry = Entry(setting_of(truth), "x", runs_ending_at((np.arange(500) >= misses).astype(int)))
        (row,) = ranking.build("made", [entry]).rows
        assert wording.cells_of(row)[wording.MARKDOWN.index("reached")] == text
        (setting,) = details.of([entry])["settings"]
        hit = setting["targets"]["share"][0][-1]
        assert (hit == 1) == (misses == 0)


def test_the_regret_seen_by_the_search_may_be_larger_than_any_that_was_met():
    entry = Entry(setting_of([90.0, 95.0]), "x", runs_ending_at(np.ones(50, dtype=np.int64)))
    (row,) = ranking.build("made", [entry]).rows
    share = 1 - 0.025 ** (1 / 50)
    assert (row["val_regret_lo"], row["val_regret_hi"]) == (0, pytest.approx(share))
    assert (row["test_lo"], row["test_hi"]) == (pytest.approx(95 - 5 * share), 95)
