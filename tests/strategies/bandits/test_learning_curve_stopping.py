from __future__ import annotations

import numpy as np
import pytest
from conftest import Additive
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nasbench_lab.core import Result, Task
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.bandits.learning_curve_stopping import LearningCurveStopping, extrapolate
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.study.runner import search


class PowerLaws(Additive):
    """Each cell's curve is an exact power law with its own ceiling and exponent."""

    def __init__(self, epochs=20, **arguments) -> None:
        super().__init__((5,) * 4, fidelities=tuple(range(1, epochs + 1)), cost=1.0, **arguments)
        rng = np.random.default_rng(1)
        self.exponent, self.drop = rng.uniform(0.5, 2, 625), rng.uniform(10, 40, 625)

    def evaluate(self, query, seed):
        arch, epochs, _ = query
        val = 50 + self.val[arch] - self.drop[arch] * epochs ** -self.exponent[arch]
        return Result(query, float(val), float(epochs))


@given(st.floats(40, 100), st.floats(1, 60), st.floats(0.1, 3), st.integers(3, 10))
def test_power_laws_are_extrapolated(ceiling, drop, exponent, count):
    epochs = np.arange(1.0, count + 1)
    vals = ceiling - drop * epochs**-exponent
    assert extrapolate(epochs, vals, 20.0) == pytest.approx(ceiling - drop * 20.0**-exponent, abs=0.05 * drop)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=12))
def test_a_curve_is_never_expected_to_fall(vals):
    epochs = np.arange(1.0, len(vals) + 1)
    assert extrapolate(epochs, np.array(vals), 30.0) >= np.mean(vals) - 1e-9


def test_the_hopeless_are_stopped_and_the_best_is_not():
    evaluator = PowerLaws()
    records = search(LearningCurveStopping(checkpoints=20), evaluator, seed=0, max_seconds=1500).records
    reached = {}
    for record in records:
        query = record.result.query
        reached[query.arch] = max(reached.get(query.arch, 0), query.epochs)
    final = {arch: evaluator.evaluate((arch, 20, 0.0), 0).val for arch in reached}
    stopped = [arch for arch, epochs in reached.items() if epochs < 20]
    assert len(reached) > 1.5 * 1500 / 20  # random search sees 75 cells
    assert len(stopped) > len(reached) / 2
    assert records[-1].incumbent == max(final, key=final.__getitem__)


def test_the_first_cells_are_trained_in_full_and_nobody_is_stopped_before_the_third_point():
    records = search(LearningCurveStopping(checkpoints=20), PowerLaws(), seed=0, max_queries=600).records
    by_cell: dict[int, list[int]] = {}
    for record in records:
        by_cell.setdefault(record.result.query.arch, []).append(record.result.query.epochs)
    curves = list(by_cell.values())[:-1]  # the last may be cut by the budget
    assert all(curve == list(range(1, len(curve) + 1)) for curve in curves)
    assert [len(curve) for curve in curves[:5]] == [20] * 5
    assert min(map(len, curves)) == 3


def test_the_chance_is_a_student_t_prediction_from_finished_curves():
    strategy = LearningCurveStopping(initial=3, checkpoints=5)
    strategy.start(Task(Space((5,) * 4), (1, 2, 3, 4, 5)), 0)
    times = np.arange(1.0, 6.0)
    curves = [[50, 60, 65, 67, 70.0], [40, 50, 58, 60, 66.0], [30, 50, 55, 61, 62.0]]
    errors = [curve[-1] - extrapolate(times[:3], np.array(curve[:3]), 5.0) for curve in curves]
    for curve in curves:
        query = strategy.ask()
        for val in curve:
            strategy.tell(Result(query, val, 1.0))
            query = strategy.ask()
        strategy._going.clear()
        strategy._curves.clear()
    new = [45.0, 52.0, 56.0]
    expected = extrapolate(times[:3], np.array(new), 5.0) + np.mean(errors)
    scale = np.std(errors, ddof=1) * np.sqrt(1 + 1 / 3)
    assert strategy.chance(new) == pytest.approx(stats.t.sf(70.0, 2, expected, scale))
    assert strategy.chance(new[:2]) == 1


@pytest.mark.parametrize(("fidelities", "one_run"), [((12,), True), ((1, 4, 12), True), (tuple(range(1, 13)), False)])
def test_without_curves_it_is_random_search(fidelities, one_run):
    evaluator = Additive((5,) * 4, fidelities=fidelities, one_run=one_run)
    mine, uniform = (
        [r.result.query for r in search(strategy, evaluator, seed=0, max_queries=30).records]
        for strategy in (LearningCurveStopping(), RandomSearch())
    )
    assert mine == uniform


@given(st.integers(4, 300), st.integers(4, 12))
def test_checkpoints_are_spread_and_end_with_the_last_epoch(epochs, checkpoints):
    strategy = LearningCurveStopping(checkpoints=checkpoints)
    strategy.start(Task(Space((2,)), tuple(range(1, epochs + 1))), 0)
    steps = strategy._steps
    assert len(steps) == min(checkpoints, epochs)
    assert steps[-1] == epochs
    gaps = np.diff([0, *steps])
    assert gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(
    "arguments", [{"threshold": -0.1}, {"threshold": 1.1}, {"initial": 2}, {"points": 1}, {"checkpoints": 0}]
)
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        LearningCurveStopping(**arguments)
