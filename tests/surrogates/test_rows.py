"""How far errors reach, where a search asks and elsewhere; and what anybody's model may predict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import stream
from nasbench_lab.surrogates._base import predictions
from nasbench_lab.surrogates._rows import NineTenths

COUNT = 100


def share_within(worse: float, repeats: int = 400) -> tuple[float, float]:
    """Of new errors, all and those of the best tenth of predictions, whose errors are so many times as large."""
    rng, found = stream(3, 1), []
    for _ in range(repeats):
        means = rng.standard_normal(2 * COUNT)
        errors = np.abs(rng.standard_normal(2 * COUNT)) * np.where(means > 1.2816, worse, 1.0)
        within = NineTenths.of(means[:COUNT], errors[:COUNT])
        inside = errors[COUNT:] <= within.at(means[COUNT:])
        found.append((inside.mean(), inside[means[COUNT:] > 1.2816].mean()))
    everywhere, there = np.mean(found, axis=0)
    return float(everywhere), float(there)


@pytest.mark.parametrize("worse", [1.0, 3.0, 0.3])
def test_nine_in_ten_errors_are_within_everywhere_and_where_the_best_are_predicted(worse: float) -> None:
    everywhere, there = share_within(worse)
    assert everywhere == pytest.approx(0.9, abs=0.03)
    assert there == pytest.approx(0.9, abs=0.06)  # who is the best tenth is known from the sample only


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0, 9)), min_size=1, max_size=60), st.floats(0, 3))
def test_what_holds_of_any_sample(pairs: list[tuple[float, float]], least: float) -> None:
    means, errors = (np.array(column) for column in zip(*pairs, strict=True))
    within = NineTenths.of(means, errors, least)
    best = means >= within.edge
    assert set(within.at(means[best])) <= {within.best}
    assert set(within.at(means[~best])) <= {within.others}
    assert min(within.others, within.best) >= least
    assert max(within.others, within.best) <= max(errors.max(), least)
    if len(pairs) < 20:  # one error would speak for many cells
        assert not best.any()
    if best.any():
        assert min(best.sum(), (~best).sum()) >= 10


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (np.zeros(4), "not a pair of means"),
        ((np.zeros(3), np.ones(4)), r"the mean has shape \(3,\) for 4 cells"),
        ((np.zeros(4), 1.0), r"the standard deviation has shape \(\) for 4 cells"),
        ((np.full(4, np.nan), np.ones(4)), "the mean is not a finite number"),
        ((["a"] * 4, np.ones(4)), "the mean is not a finite number"),
        ((np.zeros(4), np.full(4, np.inf)), "the standard deviation is not a finite number"),
        ((np.zeros(4), np.array([1, 1, -0.5, 1])), "a standard deviation is negative, -0.5"),
    ],
)
def test_what_is_no_prediction_is_refused_by_name(found: object, said: str) -> None:
    class Mine:
        def predict(self, archs: object) -> object:
            return found

    with pytest.raises(ValueError, match=f"Mine.predict.*{said}"):
        predictions(Mine(), np.arange(4))


def test_a_prediction_is_taken_as_it_is() -> None:
    class Mine:
        def predict(self, archs: object) -> object:
            return [[1, 2], (0.0, 3.0)]

    mean, std = predictions(Mine(), np.arange(2))
    assert (mean.tolist(), std.tolist()) == ([1.0, 2.0], [0.0, 3.0])
