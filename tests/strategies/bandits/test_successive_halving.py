from __future__ import annotations

import math

import pytest
from conftest import Additive

from nasbench_lab.strategies.bandits.successive_halving import SuccessiveHalving
from nasbench_lab.study.runner import search


def asked(records, epochs):
    return [record.result.query.arch for record in records if record.result.query.epochs == epochs]


@pytest.mark.parametrize(("cells", "sizes"), [(0, (9, 3, 1)), (27, (27, 9, 3)), (20, (20, 6, 2)), (2, (2, 1, 1))])
def test_a_bracket_trains_the_best_of_each_rung_further(cells, sizes):
    evaluator = Additive((5,) * 4)
    records = search(SuccessiveHalving(cells=cells), evaluator, seed=0, max_queries=sum(sizes)).records
    began = asked(records, 1)
    ranked = sorted(began, key=lambda arch: -evaluator.val[arch])
    assert tuple(len(asked(records, epochs)) for epochs in (1, 3, 9)) == sizes
    assert asked(records, 3) == ranked[: sizes[1]]
    assert asked(records, 9) == ranked[: sizes[2]]
    assert records[-1].incumbent == ranked[0]


def test_a_bracket_costs_its_rungs_and_the_next_one_follows():
    evaluator = Additive((5,) * 4, cost=1.0)
    records = search(SuccessiveHalving(), evaluator, seed=0, max_queries=26).records
    assert records[12].finished == 9 * 1 + 3 * 2 + 1 * 6
    assert [record.result.query.epochs for record in records[13:]] == [1] * 9 + [3] * 3 + [9]


def test_failures_make_room_for_nobody():
    evaluator = Additive((5,) * 4)
    evaluator.val[:] = math.nan
    evaluator.val[::40] = 1.0
    records = search(SuccessiveHalving(cells=60), evaluator, seed=1, max_queries=200).records
    assert all(record.result.query.arch % 40 == 0 for record in records if record.result.query.epochs > 1)
    assert asked(records, 9)


@pytest.mark.parametrize("arguments", [{"eta": 1}, {"cells": -1}])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        SuccessiveHalving(**arguments)
