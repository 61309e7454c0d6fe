"""What holds across tables: intervals hold the spread of tables, the verdict says what the tests say."""

from __future__ import annotations

import numpy as np
import pytest

from nasbench_lab.stats import across, significance


def found(ranks, names=None):
    ranks = np.asarray(ranks, dtype=float)
    tables, count = ranks.shape
    places = ranks.argsort(axis=1).argsort(axis=1) + 1.0
    names = names or [f"s{i}" for i in range(count)]
    return across.of(
        names, [f"t{i}" for i in range(tables)], ranks=ranks, regrets=ranks / 10, val_ranks=ranks, places=places, best=places
    )  # fmt: skip


def test_a_winner_everywhere_is_told_apart_from_eight_tables_on():
    rng = np.random.default_rng(0)
    ranks = np.array([1.2, 2.1, 2.7]) + rng.normal(0, 0.1, (12, 3))
    board = found(ranks, ["best", "second", "third"])
    assert [row["strategy"] for row in board["rows"]] == ["best", "second", "third"]
    assert board["rows"][0]["first"] == board["tables"]
    assert "better than every other strategy by the tests" in board["verdict"]
    few = found(ranks[:3], ["best", "second", "third"])
    assert "so few tables tell it apart from no other strategy" in few["verdict"]


def test_who_is_alike_is_named():
    rng = np.random.default_rng(1)
    ranks = np.stack([1.5 + rng.normal(0, 0.3, 14), 1.5 + rng.normal(0, 0.3, 14), 3 + rng.normal(0, 0.1, 14)], axis=1)
    verdict = found(ranks, ["a", "b", "c"])["verdict"]
    assert "not told apart from" in verdict
    assert not verdict.endswith("c.")


def test_who_is_alike_is_what_the_tests_of_the_first_say():
    """Not who nobody is better than: the fourth is told apart from the third, which ranks alike everywhere, and not from the first."""
    rng = np.random.default_rng(3)
    first, third = rng.permutation(np.linspace(1, 4, 14)), 2.8 + rng.normal(0, 0.02, 14)
    board = found(np.stack([first, third + 1.5, third, third + 0.1], axis=1), ["a", "d", "b", "c"])
    assert [row["strategy"] for row in board["rows"]] == ["a", "b", "c", "d"]
    ranks = np.stack([first, third, third + 0.1, third + 1.5], axis=1)
    better = significance.compare(-ranks).better
    alike = [name for name, worse in zip("bcd", better[0, 1:], strict=True) if not worse]
    assert better[1, 2]  # so that the ranks of the third cannot be the first
    assert "c" in alike
    said = (
        "so few tables tell it apart from no other strategy"
        if len(alike) == 3
        else f"not told apart from {', '.join(alike)}"
    )
    assert board["verdict"].endswith(f"{said}.")


def test_the_intervals_hold_seeds_and_tables():
    """95% intervals of the mean over all tables there could be, from 10 of them with noise of seeds: 1,000 boards."""
    rng, hit = np.random.default_rng(2), 0
    for _ in range(1000):
        tables = 2 + rng.normal(0, 0.4, 10)
        row = found(np.stack([tables + rng.normal(0, 0.2, 10), np.full(10, 9.0)], axis=1))["rows"][0]
        hit += row["rank_lo"] <= 2 <= row["rank_hi"]
    assert 915 <= hit <= 985  # 950 expected, standard error 7


def test_cells_are_texts():
    row = found([[1, 2], [1, 2], [2, 1]])["rows"][0]
    assert across.cells(row)[0] == "s0"
    assert len(across.cells(row)) == len(across.HEADS)
    assert set(row) == set(across.COLUMNS)
    assert across.cells(row)[6] == "t0, t1"


def test_equal_tables_have_no_spread():
    row = found([[1, 2]] * 4)["rows"][0]
    assert (row["rank_lo"], row["rank_hi"]) == pytest.approx((1, 1))


def test_intervals_go_no_further_than_ranks_and_regrets_can():
    for row in found([[1, 2, 3], [1, 3, 2], [3, 1, 2]])["rows"]:
        assert 1 <= row["rank_lo"] <= row["rank_mean"] <= row["rank_hi"] <= 3
        assert 0 <= row["regret_lo"] <= row["regret_mean"] <= row["regret_hi"]
