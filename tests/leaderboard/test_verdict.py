"""The sentence that a board opens with says what its tests say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_lab.leaderboard import verdict
from nasbench_lab.stats import standings


def setting(
    means: list[float], *, runs: int = 30, sd: float = 0.3, seed: int = 0, by: str = "test accuracy", **measure
):
    """Rows and tests of strategies a, b, c, ... with such mean scores, best first."""
    rng = np.random.default_rng(seed)
    scores = np.asarray(means) + sd * rng.standard_normal((runs, len(means)))
    scores = scores[:, np.argsort(-scores.mean(axis=0))]
    names = [chr(ord("a") + i) for i in range(len(means))]
    columns, tests = standings.of(names, scores, by)
    mean = scores.mean(axis=0)
    ranks = {n: 1 + int((mean > m + 1e-9).sum()) for n, m in zip(names, mean, strict=True)}
    rows = [
        {"strategy": n, "table": "t", "rank": ranks[n], **c, **measure} for n, c in zip(names, columns, strict=True)
    ]
    return rows, tests


def test_who_is_best_by_how_much_and_who_is_not_told_apart_below():
    rows, tests = setting([90.0, 88.0, 87.98])
    pair = next(p for p in tests["pairs"] if (p["one"], p["other"]) == ("a", "b"))
    said = verdict.of(rows, tests)
    assert said.startswith(
        f"a is best: +{pair['difference']:.2f} points over b ({pair['low']:.2f} to {pair['high']:.2f}, p"
    )
    assert "30 seeds); b and c are not told apart" in said


def test_a_small_difference_is_not_shown_as_none():
    rows, tests = setting([90.0, 89.9966], sd=1e-4)
    pair = tests["pairs"][0]
    said = verdict.of(rows, tests)
    assert f"+{pair['difference']:.4f} points over b ({pair['low']:.4f} to {pair['high']:.4f}, p" in said
    assert "0.0034" in said


def test_where_nobody_is_told_apart_nobody_is_best():
    rows, tests = setting([90.0, 90.0, 90.0])
    said = verdict.of(rows, tests)
    assert said.startswith("No strategy is told apart from a, which has the best mean")
    assert "is best" not in said


def test_who_may_be_best_is_named():
    rows, tests = setting([90.0, 89.99, 80.0])
    assert "a has the best mean, but is not told apart from b (30 seeds)" in verdict.of(rows, tests)


def test_units_and_few_seeds():
    rows, tests = setting([-0.1, -0.5], sd=0.01, unit="mean squared error", better="lower")
    assert "better by 0.3" in verdict.of(rows, tests)
    assert "(mean squared error)" in verdict.of(rows, tests)
    rows, tests = setting([90.0, 80.0], runs=3)
    assert "is best" not in verdict.of(rows, tests)  # three seeds separate nothing
    rows, tests = setting([0.9, 0.5], sd=0.01, by="hypervolume")
    assert "of the hypervolume over b" in verdict.of(rows, tests)


def test_a_single_row_and_a_row_without_a_mean():
    rows, tests = setting([90.0])
    assert verdict.of(rows, tests) == ""
    rng = np.random.default_rng(0)
    scores = np.stack([90 + rng.random(20), 80 + rng.random(20), np.full(20, np.nan)], axis=1)
    columns, tests = standings.of(["a", "b", "c"], scores, "test accuracy")
    rows = [
        {"strategy": n, "table": "t", "rank": i, **c} for i, (n, c) in enumerate(zip("abc", columns, strict=True), 1)
    ]
    assert verdict.of(rows, tests).startswith("a is best")
    assert "c" not in verdict.of(rows, tests).replace("points", "")


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from([80.0, 80.1, 81.0, 85.0]), min_size=2, max_size=5), st.integers(2, 25), st.integers(0, 99)
)
def test_it_agrees_with_the_ranks(means, runs, seed):
    rows, tests = setting(means, runs=runs, seed=seed)
    best = [row["strategy"] for row in rows if row["rank_low"] == 1]
    said = verdict.of(rows, tests)
    few = bool(standings.too_few(tests))
    assert ("is best" in said) == (best == ["a"])
    alone = all(not p["separated"] for p in tests["pairs"] if p["one"] == "a")
    assert ("No strategy is told apart" in said) == (alone and not few)
    assert said.startswith("Nothing is told apart") == few


def test_equal_means_are_shared():
    scores = np.repeat([[50.0, 50.0, 40.0]], 20, axis=0)
    columns, tests = standings.of(["a", "b", "c"], scores, "test accuracy")
    rows = [{"strategy": n, "table": "t", "rank": r, **c} for n, r, c in zip("abc", (1, 1, 3), columns, strict=True)]
    assert verdict.of(rows, tests) == "a and b share the best mean (20 seeds)."


@pytest.mark.parametrize(
    ("count", "said"), [(1, "a is best"), (2, "a is unbeaten on both tables, by the tests of each.")]
)
def test_a_board_of_several_tables(count, said):
    sections = []
    for number in range(count):
        rows, tests = setting([90.0, 80.0], seed=number)
        sections.append(([row | {"table": f"t{number}"} for row in rows], tests))
    assert verdict.overall(sections, {}).startswith(said)
    assert verdict.overall(sections * 2, {"verdict": "Across."}) == "Across."
    assert verdict.overall([], {}) == ""


def test_who_is_not_told_apart_from_the_best_may_be_beaten_by_another():
    """The best varies, so that it is told apart from none; the second does not, and beats the third."""
    rng = np.random.default_rng(0)
    second = 90 + rng.normal(0, 0.01, 40)
    scores = np.stack([rng.permutation(np.linspace(80, 101, 40)), second, second - 0.1], axis=1)
    rows, tests = standings.of(["varies", "steady", "worse"], scores, "test accuracy")
    assert rows[2]["rank_low"] == 2
    assert verdict.not_told_apart(tests) == ["steady", "worse"]


def test_who_is_marked_is_named_with_the_mark():
    rows, tests = setting([90.0, 80.0])
    said = verdict.of(rows, tests)
    rows[0]["mark"] = "other records without tables"
    assert verdict.of(rows, tests) == f"{said} Mind: a: other records without tables."
    several = verdict.overall([(rows, tests), (rows, tests)], {})
    assert several.endswith("by the tests of each. Mind: a: other records without tables.")
