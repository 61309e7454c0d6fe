from __future__ import annotations

from collections import Counter

import pytest
from conftest import Additive

from nasbench_lab.strategies._unseen import unseen
from nasbench_lab.strategies.baselines.random_search import RandomSearch


def started(options=(5, 4)):
    strategy = RandomSearch()
    strategy.start(Additive(options).task, 0)
    return strategy


def test_the_cells_are_the_common_design():
    first, second = started((5,) * 6), started((5,) * 6)
    assert [unseen(first, set()) for _ in range(20)] == [second.design() for _ in range(20)]


def test_every_cell_comes_once():
    strategy, seen = started(), set()
    for _ in range(20):
        arch = unseen(strategy, seen)
        assert arch not in seen
        seen.add(arch)
    assert seen == set(range(20))
    assert unseen(strategy, seen) is None


def test_the_last_cells_are_uniform_too():
    strategy = started((1000,))
    seen = set(range(998))
    counts = Counter(unseen(strategy, seen) for _ in range(600))
    assert set(counts) == {998, 999}
    assert counts[998] == pytest.approx(300, abs=75)
