from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from nasbench_lab.core import FloatArray, stream
from nasbench_lab.spaces import cell, encodings
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.surrogates.knn import NearestClasses


def scores(archs: IntArray) -> FloatArray:
    noise = stream(1, 9).standard_normal(cell.SPACE.size)[archs]
    out: FloatArray = 60 + 6 * encodings.structure()[archs][:, 0] + 0.5 * noise
    return out


def test_every_member_of_a_seen_class_has_its_mean(cells: IntArray) -> None:
    first, second, third = next(m for m in cell.class_members() if len(m) == 3)
    classes, once = np.unique(cell.SPACE.classes[cells], return_index=True)
    others = cells[once[classes != cell.SPACE.classes[first]][:30]]
    archs = np.array([first, second, *others])
    y = np.array([50.0, 60.0, *scores(others)])
    mean, std = NearestClasses(targets="none").fit(archs, y).predict(np.array([first, second, third, *cells[-300:]]))
    assert mean[:3] == pytest.approx([55.0] * 3)
    assert len(set(std[:3].tolist())) == 1
    assert std[0] == pytest.approx((50 * 1.5) ** 0.5)  # (60 - 50)^2 / 2 on one degree of freedom, twice observed


def test_distances_are_the_smallest_over_members(cells: IntArray) -> None:
    model = NearestClasses().fit(cells[:20], scores(cells[:20]))
    live = cell.live_choices()
    asked = np.unique(cell.SPACE.classes[cells[100:140]])
    found = model._distances(asked)
    members = cell.class_members()
    for i, ours in enumerate(asked.tolist()):
        for j, theirs in enumerate(model.seen_.tolist()):
            pairs = (live[list(members[ours])][:, None] != live[list(members[theirs])][None]).sum(axis=2)
            assert found[i, j] == pairs.min()


def test_an_unseen_class_has_the_weighted_mean_of_the_nearest() -> None:
    space = Space((2, 2, 2))
    archs = np.array([space.index(row) for row in ((0, 0, 0), (1, 1, 0), (1, 1, 1))])
    model = NearestClasses(neighbours=2, targets="none").fit(archs, np.array([1.0, 2.0, 6.0]), space=space)
    asked = space.index((0, 1, 0))  # at distances 1, 1, 2: the third is not among the two nearest
    assert model.predict(np.array([asked]))[0] == pytest.approx(1.5)
    all_three = NearestClasses(neighbours=3, targets="none").fit(archs, np.array([1.0, 2.0, 6.0]), space=space)
    assert all_three.predict(np.array([asked]))[0] == pytest.approx((1 + 2 + 6 / 4) / 2.25)


def test_it_ranks_held_out_cells_and_its_intervals_cover(cells: IntArray) -> None:
    tau, cover = [], []
    for archs in cells[:1800].reshape(6, 300):  # one fit's cover differs from another's by .016
        model = NearestClasses().fit(archs, scores(archs))
        unseen = cells[-3000:][~np.isin(cell.SPACE.classes[cells[-3000:]], model.seen_)]
        y = scores(unseen)
        low, high = model.quantiles(unseen, (0.05, 0.95))
        tau.append(kendalltau(model.predict(unseen)[0], y).statistic)
        cover.append(np.mean((low <= y) & (y <= high)))
    assert np.mean(tau) > 0.35
    assert 0.83 < np.mean(cover) < 0.98


def test_complaints() -> None:
    with pytest.raises(ValueError, match="neighbours must be at least 1"):
        NearestClasses(neighbours=0)
    with pytest.raises(ValueError, match="targets must be one of"):
        NearestClasses(targets="x")
