from __future__ import annotations

import pytest
from conftest import Additive

from nasbench_lab.core import Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.bandits.hyperband import Hyperband
from nasbench_lab.study.runner import search

# Li et al. 2018, table 1 (R = 81, eta = 3) as algorithm 1 gives it: (n_i, r_i), bracket by bracket.
TABLE = [
    [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
    [(34, 3), (11, 9), (3, 27), (1, 81)],
    [(15, 9), (5, 27), (1, 81)],
    [(8, 27), (2, 81)],
    [(5, 81)],
]


@pytest.mark.parametrize("fidelities", [(1, 3, 9, 27, 81), tuple(range(1, 82))])
def test_the_brackets_are_the_papers(fidelities):
    strategy = Hyperband()
    strategy.start(Task(Space((5,)), fidelities), 0)
    brackets = [strategy.bracket(number) for number in range(10)]
    found = [list(zip(bracket.sizes, bracket.rungs, strict=True)) for bracket in brackets]
    assert found == TABLE + TABLE


def test_a_run_goes_through_them():
    evaluator = Additive((5,) * 5, fidelities=(1, 3, 9, 27, 81))
    records = search(Hyperband(), evaluator, seed=0, max_queries=206).records
    expected = [epochs for bracket in TABLE for count, epochs in bracket for _ in range(count)]
    assert [record.result.query.epochs for record in records] == expected


def test_each_level_is_the_best_of_the_one_below():
    evaluator = Additive((5,) * 5, fidelities=(1, 3, 9, 27, 81))
    archs = [record.result.query.arch for record in search(Hyperband(), evaluator, seed=1, max_queries=206).records]
    for bracket in TABLE:
        below: list[int] | None = None
        for count, _ in bracket:
            level, archs = archs[:count], archs[count:]
            if below is not None:
                assert level == sorted(below, key=lambda arch: -evaluator.val[arch])[:count]
            below = level


def test_separate_schedules_get_equal_epochs():
    """Of (12, 200), one cell in 16.7 goes on; then two are trained in full."""
    strategy = Hyperband()
    strategy.start(Task(Space((5,)), (12, 200), one_run=False), 0)
    assert [(b.rungs, b.sizes) for b in map(strategy.bracket, range(2))] == [((12, 200), (17, 1)), ((200,), (2,))]


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="eta must be at least 2, got 1"):
        Hyperband(eta=1)
