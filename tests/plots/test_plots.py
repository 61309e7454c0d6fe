"""Charts on the data that breaks charts: one strategy, forty, nothing but ties, zero regret, unknown intervals."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest

from nasbench_lab.leaderboard import landscapes
from nasbench_lab.plots import compare, landscape, rank_ranges, style
from nasbench_lab.plots import curves as plots_curves
from nasbench_lab.plots.curves import FLOOR, Axis, Reference
from nasbench_lab.spaces import cell
from nasbench_lab.stats.measures import Measure

MANY = [f"strategy_{i}" for i in range(39)] + ["random_search"]


def frame_of(names, values=None, interval=True):
    at = (1, 10, 100)
    rows = []
    for i, name in enumerate(names):
        means = values or [10 / (i + 1), 1 / (i + 1), 0.1 / (i + 1)]
        rows += [
            (name, x, y, y * 0.8 if interval else math.nan, y * 1.2 if interval else math.nan)
            for x, y in zip(at, means, strict=True)
        ]
    return pd.DataFrame(rows, columns=["strategy", "at", "mean", "low", "high"])


def drawn(chart, names):
    return style.for_page(style.svg(chart), {name: i for i, name in enumerate(names)}, "chart")


@pytest.mark.parametrize("names", [["only"], ["a", "b"], MANY], ids=["one", "two", "forty"])
@pytest.mark.parametrize("make", [plots_curves.ranks, plots_curves.targets_hit, plots_curves.profile])
def test_every_strategy_is_a_line_and_the_best_have_names(make, names):
    frame = frame_of(names, [0.1, 0.5, 0.9], interval=False)
    text = drawn(make(frame, style.looks(names), names), names)
    for i, name in enumerate(names):
        assert f'data-s="{i}"' in text
        assert (f">{style.looks(names)[name].label}</text>" in text) == (name in style.emphasised(names))


def test_no_regret_is_drawn_at_the_floor_and_references_are_named():
    references = [Reference("exact", (1.0, 100.0), (3.0, 0.5)), Reference("ceiling", (0.0,), (0.3,))]
    frame = frame_of(["a"], [1.0, 0.0, 0.0], interval=True)
    chart = plots_curves.regret(frame, style.looks(["a"]), ["a"], axis="queries", references=references)
    text = style.svg(chart)
    assert ">exact</text>" in text
    assert ">ceiling</text>" in text
    assert ">0.01</text>" in text
    assert "NaN" not in text


def test_ticks_are_ones_twos_and_fives():
    assert plots_curves.ticks(0.9, 21) == [1, 2, 5, 10, 20]
    assert plots_curves.ticks(FLOOR, 0.1) == [0.01, 0.02, 0.05, 0.1]
    assert plots_curves.ticks(1e-4, 1e3) == [10.0**k for k in range(-4, 4)]


def test_an_axis_of_ten_says_ten():
    text = style.svg(plots_curves.ranks(frame_of(MANY, [1.0, 10.0, 20.0]), style.looks(MANY), MANY))
    assert ">10</text>" in text
    assert "e+" not in text


def test_ranges_of_ranks_are_a_bar_and_a_dot_per_strategy():
    frame = pd.DataFrame({"strategy": ["a", "b", "c"], "rank": [1, 2, 3], "low": [1, 1, 3], "high": [2, 2, 3]})
    text = drawn(rank_ranges.rank_ranges(frame, style.looks("abc"), list("abc")), list("abc"))
    for i, name in enumerate("abc"):
        assert text.count(f'data-s="{i}"') == 2
        assert f">{name}</text>" in text
    assert ">3</text>" in text


def test_the_matrix_shows_numbers_of_few_and_grey_for_not_separated():
    order = ["a", "b", "c"]
    better = np.array([[0.5, 0.9, 0.6], [0.1, 0.5, 0.4], [0.4, 0.6, 0.5]])
    separated = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 0]], dtype=bool)
    text = drawn(compare.better(better, separated, order, style.looks(order)), order)
    assert ">0.90</text>" in text
    assert text.count("#c9ced4") == 4
    many = drawn(compare.better(np.full((40, 40), 0.5), np.zeros((40, 40), dtype=bool), MANY, style.looks(MANY)), MANY)
    assert ">0.50</text>" not in many
    assert many.count("data-t=") == 40 * 39


def test_points_of_deciding_keep_their_names_apart():
    rows = [
        {"strategy": f"s{i}", "milliseconds": 1.0 + 1e-3 * i, "regret": 0.5, "low": 0.4, "high": math.nan}
        for i in range(6)
    ]
    names = [row["strategy"] for row in rows]
    placed = compare._labelled(pd.DataFrame(rows), names, style.looks(names), (0.3, 3.0), (0.1, 1.0))
    assert len(set(zip(placed["align"], placed["at"].round(6), strict=True))) == 6
    text = style.svg(compare.cost_of_deciding(pd.DataFrame(rows), style.looks(names), names))
    assert ">test regret at the end, points</text>" in text
    assert ">real time deciding, ms per query</text>" in text


def test_names_of_deciding_avoid_points_that_have_none():
    looks = style.looks(["a", "grey"])
    row = {"milliseconds": 1.0, "regret": 0.3, "low": 0.28, "high": 0.33}
    beside = row | {"milliseconds": 1.1}
    alone, crowded = (
        compare._labelled(pd.DataFrame(rows), ["a"], looks, (0.1, 10.0), (0.1, 1.0)).iloc[0]
        for rows in ([row | {"strategy": "a"}], [row | {"strategy": "a"}, beside | {"strategy": "grey"}])
    )
    assert (alone["align"], alone["at"]) == ("left", pytest.approx(0.3))
    assert crowded["align"] == "right" or crowded["at"] != pytest.approx(0.3)


def test_a_small_tick_keeps_its_digits_on_the_page():
    rows = [
        {"strategy": name, "milliseconds": ms, "regret": 0.5, "low": math.nan, "high": math.nan}
        for name, ms in (("a", 0.002), ("b", 0.01))
    ]
    text = drawn(compare.cost_of_deciding(pd.DataFrame(rows), style.looks(["a", "b"]), ["a", "b"]), ["a", "b"])
    ticks = re.findall(r">(0\.\d+)</text>", text)
    assert {"0.001", "0.002", "0.005", "0.01"} <= set(ticks)
    assert "0.00" not in ticks


def test_nobody_who_thinks_no_time_breaks_the_chart():
    rows = [
        {"strategy": "a", "milliseconds": 0.0, "regret": 0.5, "low": math.nan, "high": math.nan},
        {"strategy": "b", "milliseconds": 1.0, "regret": 0.0, "low": 0.0, "high": 0.0},
    ]
    text = drawn(compare.cost_of_deciding(pd.DataFrame(rows), style.looks(["a", "b"]), ["a", "b"]), ["a", "b"])
    assert 'data-s="1"' in text
    assert "NaN" not in text


def test_fronts_with_and_without_strategies():
    exact = pd.DataFrame({"test": [90.0, 92.0, 94.0], "cost": [1.0, 2.0, 4.0], "cell": ["cell 1", "cell 2", "cell 3"]})
    attained = pd.DataFrame({"strategy": "a", "test": [89.0, 93.0], "cost": [1.5, 3.0]})
    text = drawn(compare.fronts(exact, attained, style.looks(["a"]), ["a"], cost="latency"), ["a"])
    assert 'data-s="0"' in text
    assert "cell 3" in text
    assert "<svg" in drawn(compare.fronts(exact, attained.iloc[:0], {}, [], cost="latency"), [])


def test_a_linear_axis_of_one_value():
    frame = frame_of(["a"], [2.0, 2.0, 2.0])
    chart = plots_curves.curves(frame, style.looks(["a"]), ["a"], x=Axis("queries", log=True), y=Axis("value"))
    assert "NaN" not in style.svg(chart)


def test_the_landscape_of_a_table(toy):
    content = landscapes.of(cell.SPACE, toy.truth, Measure())
    assert sum(row["cells"] for row in content["distance"]) == len(toy.truth)
    assert content["distance"][0]["best"] == pytest.approx(toy.truth.max(), abs=1e-3)
    for chart in (
        landscape.distance(content["distance"]),
        landscape.distribution(content["edges"], content["counts"]),
        landscape.local_optima(content["local_optima"]),
    ):
        assert "NaN" not in style.svg(chart)
