"""How well beginnings of curves rank: of tables that have curves, on cells that nothing was learned from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from nasbench_lab.core import stream
from nasbench_lab.tables import catalog, curve_ranks

HEADS = len(curve_ranks.HEADS)


def test_the_last_score_is_ranked_as_by_hand() -> None:
    table = catalog.load("chain")
    first = np.unique(table.space.classes, return_index=True)[1]
    held = stream(0, curve_ranks._STREAM).permutation(first)[curve_ranks.LEARNED :]
    found = {(row["after"], row["predictor"]): row for row in curve_ranks.rows(table)}
    for after in (1, 5):
        row, val = found[after, "last"], table.last.val[held, after - 1]
        assert row["tau"] == pytest.approx(stats.kendalltau(val, table.truth[held]).statistic)
        assert row["n"] == len(first) - curve_ranks.LEARNED
        assert row["pick"] == pytest.approx(table.truth[held][val == val.max()].mean())
    seconds = table.last.seconds[held].mean(axis=0)
    assert found[3, "power"]["share"] == pytest.approx(seconds[2] / seconds[-1], rel=0.05)
    assert {name for after, name in found if after == 1} == {"last", "regression"}
    assert all(len(curve_ranks.cells(row, table.measure)) == HEADS for row in found.values())


def test_where_lower_is_better_the_best_is_the_lowest() -> None:
    table = catalog.load("chain")
    schedule = table.last
    arrays = ("val", "val_trials", "test", "test_trials")
    flipped = replace(schedule, **{name: -getattr(schedule, name) for name in arrays})
    lower = replace(table, schedules={6: flipped}, better="lower", unit="loss")
    there = {(row["after"], row["predictor"]): row for row in curve_ranks.rows(table)}
    for row in curve_ranks.rows(lower):
        same = there[row["after"], row["predictor"]]
        assert row["tau"] == pytest.approx(same["tau"])
        assert row["pick"] == pytest.approx(-same["pick"])


@pytest.mark.parametrize("name", ["cifar10-surrogate"])
def test_nothing_is_said_where_schedules_are_trainings_of_their_own(name: str) -> None:
    assert curve_ranks.rows(catalog.load(name)) == []
