from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nasbench_lab.spaces import cell, naming
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space

small = st.lists(st.integers(1, 4), min_size=1, max_size=4).map(tuple)


@st.composite
def spaces(draw):
    options = draw(small)
    size = int(np.prod(options))
    return Space(options, order=np.random.default_rng(draw(st.integers(0, 99))).permutation(size))


@given(spaces())
def test_index_and_row_are_inverse_and_agree_with_the_arrays(space):
    archs = np.arange(space.size)
    assert np.array_equal(space.indices(space.choices), archs)
    assert [space.index(space.row(arch)) for arch in archs] == archs.tolist()
    assert [space.row(arch) for arch in archs] == [tuple(row) for row in space.choices.tolist()]


@given(spaces())
def test_neighbours_are_exactly_the_cells_one_decision_away(space):
    distance = (space.choices[:, None] != space.choices[None]).sum(axis=2)
    for arch in range(space.size):
        assert sorted(space.neighbours_of(arch)) == np.flatnonzero(distance[arch] == 1).tolist()
    assert space.neighbours.shape == (space.size, sum(space.options) - len(space.options))


@given(spaces(), st.integers(0, 2**32))
def test_a_mutation_is_a_neighbour(space, seed):
    rng = np.random.default_rng(seed)
    arch = space.sample(rng)
    if space.size > 1:
        assert space.mutate(arch, rng) in space.neighbours_of(arch)


def test_mutation_draws_the_decision_first_then_its_options_uniformly():
    space, rng = Space((2, 4)), np.random.default_rng(0)
    drawn = [space.mutate(0, rng) for _ in range(6000)]
    counts = np.bincount(drawn, minlength=8)[space.neighbours_of(0)]
    assert counts / 6000 == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6], abs=0.03)


def test_the_neighbour_list_is_fresh():
    space = Space((3, 3))
    space.neighbours_of(0).clear()
    assert len(space.neighbours_of(0)) == 4


def test_one_hot_has_one_one_per_decision():
    one_hot = Space((2, 3)).one_hot
    assert one_hot.shape == (6, 5)
    assert (one_hot[:, :2].sum(axis=1) == 1).all()
    assert (one_hot[:, 2:].sum(axis=1) == 1).all()
    assert len(np.unique(one_hot, axis=0)) == 6


def test_sampling_covers_the_space_evenly():
    space, rng = Space((2, 3)), np.random.default_rng(1)
    counts = np.bincount([space.sample(rng) for _ in range(6000)], minlength=6)
    assert counts == pytest.approx(1000, abs=120)


def test_spaces_are_equal_if_they_hold_the_same_cells_in_the_same_order():
    assert Space((2, 2)) == Space((2, 2))
    assert hash(Space((2, 2))) == hash(Space((2, 2)))
    assert Space((2, 2)) != Space((2, 2), order=np.array([1, 0, 2, 3]))
    assert Space((2, 2)) != Space((2, 2), classes=np.array([0, 0, 1, 1]))
    assert Space((2, 2)) != Space((4,))
    assert len(Space((2, 2))) == 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Space(()), "at least one option"),
        (lambda: Space((2, 0)), "at least one option"),
        (lambda: Space((2, 2), order=np.array([0, 0, 1, 2])), "permutation"),
        (lambda: Space((2, 2), order=np.arange(3)), "permutation"),
        (lambda: Space((2, 2), classes=np.zeros(3)), "classes"),
        (lambda: Space((2, 2)).index((0,)), "expected 2 decisions"),
        (lambda: Space((2, 2)).index((0, 2)), "decision 1 must lie in 0..1, got 2"),
        (lambda: Space((2, 2)).index((-1, 0)), "decision 0"),
        (lambda: Space((2, 2)).indices(np.zeros((3, 3), int)), "last axis"),
        (lambda: Space((2, 2)).indices(np.array([[0, 2]])), "below"),
        (lambda: Space((1, 1)).mutate(0, np.random.default_rng(0)), "nothing to mutate"),
    ],
)
def test_nonsense_is_refused_with_what_is_allowed(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "choices", [[3.9999] * 6, [0.0] * 6, np.zeros(6), ["1"] * 6, [None] * 6, [5] * 6, [-1] * 6, [0] * 5]
)
def test_options_that_are_none_have_no_index(choices):
    with pytest.raises((TypeError, ValueError)):
        cell.SPACE.index(choices)
    with pytest.raises((TypeError, ValueError)):
        cell.SPACE.indices(choices)


@pytest.mark.parametrize("arch", [-1, 15625, 3.0, "3", None])
def test_what_is_no_cell_has_no_row_and_no_neighbours(arch):
    for ask in (cell.SPACE.row, cell.SPACE.neighbours_of, lambda a: cell.SPACE.mutate(a, np.random.default_rng(0))):
        with pytest.raises(ValueError, match="whole number|cells are"):
            ask(arch)


@given(st.lists(st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True), min_size=1, max_size=3), st.data())
def test_a_cell_is_read_as_it_is_written_whatever_its_labels(options, data):
    """Commas, quotation marks, equals signs, blanks and line breaks in a label, or a label that reads like another part."""
    try:
        space = Space([Decision(f"d{i}", tuple(labels)) for i, labels in enumerate(options)])
    except ValueError:  # two labels that cannot be told apart
        assume(False)
    arch = data.draw(st.integers(0, space.size - 1))
    assert naming.parse(space, naming.text(space, arch)) == arch
