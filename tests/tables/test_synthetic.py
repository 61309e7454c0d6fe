from __future__ import annotations

import numpy as np

from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog
from nasbench_lab.tables.synthetic import make_toy


def test_the_embedded_toy_is_what_the_generator_makes():
    assert make_toy().digest == catalog.load("toy").digest


def test_toy_says_that_it_is_synthetic(toy):
    assert toy.kind == "synthetic"
    assert "synthetic" in toy.label
    assert "nothing was trained" in toy.about["title"]


def test_isomorphic_cells_share_their_numbers(toy):
    first = np.unique(cell.SPACE.classes, return_index=True)[1][cell.SPACE.classes]
    for values in (toy.truth, toy.last.val, toy.last.seconds):
        assert np.array_equal(values, values[first])


def test_toy_is_complete_and_worth_searching(toy):
    assert toy.measured.all()
    assert toy.last.epochs == (1, 4, 12)
    assert toy.truth.max() - np.median(toy.truth) > 3
    ranks = [np.argsort(np.argsort(values)) for values in (toy.last.val[:, 0], toy.last.val[:, -1], toy.truth)]
    assert 0.8 < np.corrcoef(ranks[0], ranks[2])[0, 1] < np.corrcoef(ranks[1], ranks[2])[0, 1] < 0.999
