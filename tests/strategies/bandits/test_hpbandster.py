"""The published BOHB row's script: its kernels are statsmodels', its brackets HpBandSter's, its bookkeeping its own."""

from __future__ import annotations

import math

import numpy as np
import pytest
from conftest import Additive

from nasbench_lab.core import Query, Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.bandits._hpbandster import BUDGETS, Kernels, Models, Script
from nasbench_lab.strategies.bandits.bohb import Bohb
from nasbench_lab.study.runner import search

# Made with statsmodels 0.15.0: KDEMultivariate(rows, "uuuuuu", bw="normal_reference"), bw clipped at 0.3, pdf of four rows.
ROWS = [[4, 3, 1, 0, 1, 0], [0, 0, 0, 0, 1, 3], [2, 3, 2, 0, 1, 2], [2, 4, 0, 0, 1, 0], [1, 4, 1, 0, 1, 2], [4, 0, 0, 0, 1, 2],
        [0, 1, 1, 4, 1, 0], [0, 0, 0, 4, 1, 2], [1, 3, 2, 4, 1, 3], [4, 4, 1, 4, 1, 2], [4, 3, 2, 4, 1, 0], [2, 3, 2, 4, 1, 1]]  # fmt: skip
WIDTHS = [1.307247274381559, 1.277867179363547, 0.6750595897406421, 1.653551540837123, 0.3, 0.9217921600997107]
DENSITIES = {
    (4, 3, 1, 0, 1, 0): -0.0018674321243144505,
    (4, 4, 2, 4, 1, 3): -0.004974271429021737,
    (1, 0, 0, 2, 1, 0): 0.0013264840344767157,
    (1, 0, 0, 2, 0, 0): math.nan,
}


def test_kernels_are_those_of_statsmodels():
    kernels = Kernels(np.array(ROWS))
    assert kernels.bandwidths == pytest.approx(WIDTHS, rel=1e-12)
    for row, expected in DENSITIES.items():
        assert kernels(row) == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_brackets_are_hpbandsters():
    script = Script()
    script.start(Task(Space((5,) * 6), (12,)), 0)
    found = [(script.bracket(number).rungs, script.bracket(number).sizes) for number in range(4)]
    assert found[:3] == [((22, 67, 200), (9, 3, 1)), ((67, 200), (3, 1)), ((200,), (3,))]
    assert found[3] == found[0]


def test_a_model_needs_more_points_of_both_kinds_than_decisions_and_the_largest_budget_leads():
    models, rng = Models(), np.random.default_rng(0)
    for count in range(1, 15):
        models.add(22, float(count), tuple(rng.integers(5, size=6)))
        assert (models.largest is None) == (count < 14)
    good, bad = models.largest
    assert (len(good.rows), len(bad.rows)) == (7, 7)
    assert good.rows.tolist() == [list(row) for _, row in sorted(models._seen[22], reverse=True)][:7]
    for count in range(14):
        models.add(200, float(count), tuple(rng.integers(5, size=6)))
    assert models.largest[0] is not good
    models.add(22, 1.0, (0,) * 6)  # nobody looks at it any more
    assert len(models._seen[22]) == 14


def test_what_is_promoted_is_asked_again_and_the_answer_is_of_the_largest_budget():
    strategy = Bohb(protocol="nas-bench-201")
    strategy.start(Task(Space((5,) * 6), (12,)), 0)
    asked, best = [], -1.0
    for _ in range(9 + 3):
        query = strategy.ask()
        asked.append(query.arch)
        best = max(best, float(query.arch))
        strategy.tell(Result(query, float(query.arch), 1.0))
    first = asked[:9]
    assert asked[9:] == sorted(first, reverse=True)[:3]
    assert strategy.recommend() == max(first)  # none at the largest budget yet: the best of all
    last = strategy.ask()
    assert last == Query(max(first), 12)
    strategy.tell(Result(last, -5.0, 1.0))
    assert strategy.recommend() == max(first)
    better = strategy.ask()  # the next bracket begins at 67
    strategy.tell(Result(better, 1e9, 1.0))
    assert strategy.recommend() == max(first)


def test_every_thirteen_queries_of_nine_cells_are_paid():
    evaluator = Additive((5,) * 6, fidelities=(12,))
    records = search(Bohb(protocol="nas-bench-201"), evaluator, seed=0, max_queries=13, repeats="charge").records
    assert len(records) == 13
    assert len({record.result.query.arch for record in records}) <= 9
    assert BUDGETS[-1] == 200
    assert {record.result.query.epochs for record in records} == {12}


def test_a_draw_whose_ratio_is_no_number_is_taken_where_only_the_bad_lack_the_option():
    models, counts = Models(), (2,) * 6
    rows = [[0, *bits] for bits in np.random.default_rng(1).integers(2, size=(7, 5)).tolist()]
    rows[0][0] = 1  # the good ones have both options of the first decision, the bad ones have one
    for i, row in enumerate([*rows, *([0, *row[1:]] for row in rows)]):
        models.add(22, float(-i), tuple(row))
    good, bad = models.largest
    taken = [models.proposal(counts, np.random.default_rng(seed)) for seed in range(200)]
    assert all(row is None or len(row) == 6 for row in taken)
    odd = [row for row in taken if row is not None and row[0] == 1]
    assert odd
    assert all(not math.isfinite(bad(row)) and math.isfinite(good(row)) for row in odd)


@pytest.mark.parametrize("field", ["eta=2", "num_samples=4", "replacement=True"])
def test_nothing_else_is_set_beside_it(field):
    name, value = field.split("=")
    with pytest.raises(ValueError, match=f"leave out {name}"):
        Bohb(protocol="nas-bench-201", **{name: eval(value)})
    with pytest.raises(ValueError, match="protocol must be one of"):
        Bohb(protocol="other")
