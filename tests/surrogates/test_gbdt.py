from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from conftest import held_out

from nasbench_lab.core import stream
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.surrogates.gbdt import BoostedTrees


@pytest.mark.slow
def test_it_ranks_held_out_cells_and_its_intervals_cover(cells: IntArray) -> None:
    found = held_out(BoostedTrees, cells, 200, fits=4)
    assert found.tau > 0.75
    assert 0.82 < found.between < 0.99


def test_quantiles_are_skewed_where_the_scores_are() -> None:
    space = Space((2, 2))
    archs = np.tile(np.arange(4), 100)
    y = np.where(archs < 2, 1.0, -1.0) * stream(6, 1).exponential(10.0, 400)
    model = BoostedTrees(targets="none", folds=2, features="one_hot").fit(archs, y, stream(0, 2), space=space)
    low, middle, high = model.quantiles(np.arange(4), (0.05, 0.5, 0.95))
    assert (high - middle > 1.5 * (middle - low))[:2].all()
    assert (high - middle < (middle - low) / 1.5)[2:].all()


@pytest.mark.slow
def test_the_margin_makes_nine_in_ten_of_the_left_out_lie_between(cells: IntArray) -> None:
    """Of n left-out errors: the share that then lies between is .9 with a standard deviation of .3 / sqrt(n), here .008."""
    y = stream(6, 2).normal(60, 5, 1400)  # nothing to learn: what is learnt all the same must be made up for
    model = BoostedTrees(targets="none").fit(cells[:1400], y, stream(0, 3))
    assert min(model.margin_.others, model.margin_.best) > 0
    fresh = stream(6, 3).normal(60, 5, 5000)
    low, high = model.quantiles(cells[-5000:], (0.05, 0.95))
    assert 0.85 < np.mean((low <= fresh) & (fresh <= high)) < 0.99


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"features": "x"}, "features must be one of"),
        ({"folds": 1}, "folds must be at least 2"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
    ],
)
def test_complaints(wrong, said) -> None:
    with pytest.raises(ValueError, match=said):
        BoostedTrees(**wrong)
