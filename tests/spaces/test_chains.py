from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.spaces import chains
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space

STAGES = Space(
    [
        Decision("stage_1", ("plain", "down")),
        Decision("units_1", (16, 32, 64), ordered=True),
        Decision("stage_2", ("down", "plain")),  # the same labels, numbered otherwise
        Decision("units_2", (16, 32, 64), ordered=True),
        Decision("loss", ("mse",)),
        Decision("other", ("plain", "up")),
    ]
)


def test_decisions_are_alike_by_their_labels():
    assert chains.alike(STAGES) == [[0, 2], [1, 3]]
    assert chains.alike(Space((2, 3, 1, 1))) == []
    assert chains.alike(Space((2, 3, 2))) == [[0, 2]]


def test_counts_and_places_of_a_few_cells():
    archs = [STAGES.index((0, 0, 1, 2, 0, 0)), STAGES.index((1, 1, 0, 1, 0, 1)), STAGES.index((0, 2, 0, 0, 0, 0))]
    # plain, down, sum of levels (logarithms would need 8 times the width: these are linear)
    assert chains.counts(STAGES)[archs] == pytest.approx(np.array([[2, 0, 1], [0, 2, 2 / 3], [1, 1, 1]]))
    assert chains.places(STAGES)[archs] == pytest.approx(np.array([[0, 0, 1], [0, 0, 0], [-1, 1, -1]]))
    assert chains.counts(Space((2, 3))).shape == chains.places(Space((2, 3))).shape == (6, 0)


@given(st.integers(2, 4), st.integers(2, 5))
def test_every_decision_is_counted_once(options, decisions):
    space = Space((options,) * decisions)
    assert (chains.counts(space).sum(axis=1) == decisions).all()
    assert chains.places(space).sum(axis=1) == pytest.approx(np.zeros(space.size))
    order = space.choices[:, ::-1]  # the chain backwards
    assert np.array_equal(chains.counts(space)[space.indices(order)], chains.counts(space))
    assert chains.places(space)[space.indices(order)] == pytest.approx(-chains.places(space))
