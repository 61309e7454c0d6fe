from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from conftest import held_out
from conftest import structure_scores as scores
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor

from nasbench_lab.core import stream
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.surrogates._rows import NINE_TENTHS
from nasbench_lab.surrogates.forest import Forest


@pytest.mark.parametrize("kind", ["random", "extra"])
@pytest.mark.parametrize("trees", [10, 100])
def test_it_ranks_held_out_cells_and_its_intervals_cover(kind, trees, cells: IntArray) -> None:
    found = held_out(lambda: Forest(kind=kind, trees=trees), cells, 200, fits=6)
    assert found.tau > 0.75
    assert 0.85 < found.between < 0.99


@pytest.mark.parametrize(("kind", "theirs"), [("random", RandomForestRegressor), ("extra", ExtraTreesRegressor)])
def test_trees_are_scikit_learns(kind, theirs, cells: IntArray) -> None:
    model = Forest(kind=kind, trees=7, min_leaf=3, targets="none").fit(cells[:80], scores(cells[:80]), stream(0, 2))
    targets, rows, seed = model.scale_.targets, model.trees_in_[:300], int(stream(0, 2).integers(2**31))
    seen = model.trees_in_[model.row_of_[cells[:80]]]
    forest = theirs(7, max_features=0.8, min_samples_leaf=3, bootstrap=True, random_state=seed).fit(seen, targets)
    mean, variance = model._by_tree(rows)
    for number, (tree, drawn) in enumerate(zip(forest.estimators_, forest.estimators_samples_, strict=True)):
        np.testing.assert_array_equal(mean[number], tree.predict(rows))
        np.testing.assert_array_equal(model.counts_[number], np.bincount(drawn, minlength=80))
        inside = targets[drawn][tree.apply(seen[drawn]) == tree.apply(rows)[0]]
        assert variance[number, 0] == pytest.approx(inside.var(), abs=1e-9)


def test_variance_is_within_plus_between(cells: IntArray) -> None:
    model = Forest(trees=20, min_leaf=4, targets="none").fit(cells[:80], scores(cells[:80]), stream(0, 3))
    rows = np.arange(50)
    mean, variance = model._by_tree(model.trees_in_[rows])
    second_moment = (variance + mean**2).mean(axis=0)
    total = model._moments(rows)[1] ** 2 * NINE_TENTHS / model.within_.at(mean.mean(axis=0)) - model.average_
    np.testing.assert_allclose(total, second_moment - mean.mean(axis=0) ** 2, atol=1e-9)


def test_what_cannot_be_learnt_becomes_noise(cells: IntArray) -> None:
    y = stream(5, 1).normal(60, 5, 200)
    model = Forest(features="one_hot", min_leaf=5, targets="none").fit(cells[:200], y, stream(0, 4))
    assert np.median(model.predict(cells)[1]) == pytest.approx(5.0, rel=0.35)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"features": "x"}, "features must be one of"),
        ({"kind": "x"}, "kind must be one of"),
        ({"trees": 1}, "trees >= 2"),
        ({"max_features": 0.0}, "max_features <= 1"),
    ],
)
def test_complaints(wrong, said) -> None:
    with pytest.raises(ValueError, match=said):
        Forest(**wrong)
