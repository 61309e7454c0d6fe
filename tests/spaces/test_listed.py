"""Listed spaces, cells of any operations, and spaces as they are written: against what is true by enumeration."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.core import LabError
from nasbench_lab.spaces import cell, cells, encodings, written
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space

MICRO = cells.make({"none": "none", "id": "skip", "one": "1x1", "three": "3x3"}, name="four operations")


@st.composite
def listings(draw):
    """A listed space of one to four decisions, its cells in any order."""
    options = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    every = np.stack(np.unravel_index(np.arange(np.prod(options)), options), axis=1)
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    rows = rng.permutation(every)[: draw(st.integers(1, len(every)))]
    kept = [np.unique(rows[:, e], return_inverse=True)[1].reshape(-1) for e in range(len(options))]  # no option unused
    rows = np.stack(kept, axis=1)
    decisions = [
        Decision(f"d{e}", tuple(range(int(rows[:, e].max()) + 1)), draw(st.booleans())) for e in range(len(options))
    ]
    return Space(decisions, listed=rows)


@given(listings(), st.integers(0, 100))
def test_neighbours_differ_in_one_decision(space, seed):
    rng = np.random.default_rng(seed)
    differ = (space.choices[:, None] != space.choices[None]).sum(axis=2)
    for arch in range(space.size):
        found = space.neighbours_of(arch)
        assert sorted(found) == np.flatnonzero(differ[arch] == 1).tolist()
        assert space.neighbours[arch].tolist() == found + [arch] * (space.neighbours.shape[1] - len(found))
        assert space.index(space.row(arch)) == arch == space.indices(space.choices[arch])
        if space.size > 1:
            moved = space.mutate(arch, rng)
            assert moved in found if found else moved != arch


@given(listings(), st.integers(0, 100))
def test_the_closest_cell_is_the_least_change(space, seed):
    rng = np.random.default_rng(seed)
    row = tuple(int(rng.integers(count)) for count in space.options)
    found = space.closest(row, rng)
    if row in {space.row(arch) for arch in range(space.size)}:
        assert space.row(found) == row
    levels = [d.levels if d.ordered else None for d in space.decisions]

    def change(arch):
        pairs = zip(space.row(arch), row, levels, strict=True)
        return sum(float(a != b) if level is None else abs(level[a] - level[b]) for a, b, level in pairs)

    assert change(found) == pytest.approx(min(map(change, range(space.size))))


@given(listings())
def test_a_space_is_what_was_written_of_it(space):
    assert written.from_toml(written.to_toml(space), "x.toml") == space == pickle.loads(pickle.dumps(space))
    assert written.made(written.plain(space), written.arrays(space)) == space


def test_spaces_are_compared_by_content():
    assert Space((2, 2), name="a") == Space((2, 2), name="b")
    named = Space([Decision("a", ("x", "y")), Decision("b", ("x", "y"))])
    assert named != Space((2, 2))
    assert named != Space([Decision("a", ("x", "z")), Decision("b", ("x", "y"))])
    rows = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    assert Space((2, 2), listed=rows) != Space((2, 2))
    for space in (cell.SPACE, MICRO):
        assert written.made(written.plain(space), written.arrays(space)) == space


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Space((2, 2), listed=np.array([[0, 0], [0, 0]])), "twice"),
        (lambda: Space((2, 2), listed=np.array([[0, 2], [1, 0]])), "has another"),
        (lambda: Space((2, 2), listed=np.array([[0, 1], [0, 0]])), "no listed cell takes 1"),
        (lambda: Space((2, 2), listed=np.empty((0, 2), int)), "at least one cell"),
        (lambda: Space((2,), listed=np.array([[0], [1]]), order=np.array([1, 0])), "for products"),
        (lambda: Space((1024, 1025)), "1,048,576 cells at most"),
        (lambda: Space([Decision("a", (1,)), Decision("a", (2,))]), "one name"),
        (lambda: Decision("a", ()), "at least one option"),
        (lambda: Decision("a", ("x", "x")), "twice"),
        (lambda: Decision("a", (1, 1.0)), "twice"),
        (lambda: Decision("a", ("x", " ")), "blank"),
        (lambda: Decision("a", (1.0, float("nan"))), "finite"),
        (lambda: Decision("a", (3, 1, 2), ordered=True), "ascend"),
        (lambda: Decision(" ", (1,)), "name"),
        (lambda: Decision("a", (1, 2)).number(3), "has no option 3; it has 1, 2"),
        (lambda: cells.make({"a": "none", "b": "5x5"}, name="x"), "a role for each"),
    ],
)
def test_what_is_no_space_is_refused_by_name(make, said):
    with pytest.raises(ValueError, match=said):
        make()


@pytest.mark.parametrize(
    "text", ["", "decisions = 3", "[decisions]\na = 3", "x = 1\n[decisions]\na = [1]", "[decisions]\na = [1, 1]"]
)
def test_a_file_that_is_no_space_is_refused(text):
    with pytest.raises(LabError, match=r"mine\.toml"):
        written.from_toml(text, "mine.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name = 5\n[decisions]\na = [1, 2]", "name must be a text that is not blank, got 5"),
        ("name = ' '\n[decisions]\na = [1, 2]", "name must be a text"),
        ("roles = 5\n[decisions]\na = [1, 2]", "roles must be a list of strings, got 5"),
        ("roles = ''\n[decisions]\na = [1, 2]", "roles must be a list of strings, got ''"),
        ("roles = []\n[decisions]\na = [1, 2]", "roles are of a four-node cell"),
        ("roles = ['skip']\nlisted = [[0]]\n[decisions]\na = [1, 2]", "got listed ones beside them"),
        ("[decisions]\na = {options = ['x', 'y'], ordered = 'false'}", "ordered must be true or false, got 'false'"),
        ("[decisions]\na = {options = ['x', 'y'], ordered = 5}", "ordered must be true or false, got 5"),
        ("listed = [[0, 1], [0]]\n[decisions]\na = [1]\nb = [1, 2]", r"a list of 2 option numbers.*; row 2 is \[0\]"),
        ("listed = [[0, true]]\n[decisions]\na = [1]\nb = [1, 2]", r"row 1 is \[0, True\]"),
        ("listed = 'all'\n[decisions]\na = [1]", "listed must be a list of cells, got 'all'"),
        (
            "[decisions]\n" + "\n".join(f"d{i} = [1]" for i in range(65)),
            "a space of all combinations has 64 decisions at most, got 65; list its cells",
        ),
    ],
)
def test_a_file_that_is_no_space_says_what_was_got_and_what_is_allowed(text, said):
    with pytest.raises(LabError, match=rf"^mine\.toml: .*{said}"):
        written.from_toml(text, "mine.toml")


def test_a_space_of_more_decisions_than_an_array_has_dimensions_is_written_with_its_cells():
    text = "\n".join(f"d{i} = [1, 2]" if i == 3 else f"d{i} = [1]" for i in range(65))
    cells_there = [[int(i == 3 and cell) for i in range(65)] for cell in range(2)]
    space = written.from_toml(f"listed = {cells_there}\n[decisions]\n{text}", "mine.toml")
    assert space.choices.tolist() == cells_there
    assert written.made(written.plain(space), written.arrays(space)) == space


def test_ordered_numbers_keep_their_scale():
    assert Decision("lr", (0.001, 0.01, 0.1), True).levels == pytest.approx([0, 0.5, 1])
    assert Decision("drop", (0.0, 0.3, 0.6), True).levels == pytest.approx([0, 0.5, 1])
    assert Decision("n", (10, 11, 20), True).levels == pytest.approx([0, 0.1, 1])
    assert Decision("size", ("s", "m", "l"), True).levels == pytest.approx([0, 0.5, 1])
    assert Decision("n", (1, 2.5)).number("2.50") == 1
    assert Decision("n", (1, 2)).number(2.0) == 1


def test_cells_of_four_operations_have_their_place_among_those_of_five():
    assert len(set(MICRO.classes.tolist())) == 1236
    place = encodings.standing(MICRO)
    assert np.array_equal(cell.SPACE.choices[place], MICRO.choices)
    for arch in (0, 77, 4095):
        assert cells.from_string(MICRO, cells.to_string(MICRO, arch)) == arch
    same = cell.SPACE.classes[place]
    assert all(len(set(same[MICRO.classes == number].tolist())) == 1 for number in range(1236))  # the same classes
    assert np.array_equal(encodings.of("path_counts", MICRO), encodings.path_counts()[place])


@given(listings(), st.integers(0, 1000))
def test_found_is_the_index_where_there_is_a_cell_and_minus_one_elsewhere(space, seed):
    rows = np.random.default_rng(seed).integers(space.options, size=(2, 9, len(space.options)))
    every = {tuple(row): arch for arch, row in enumerate(space.choices.tolist())}
    expected = np.array([[every.get(tuple(row), -1) for row in part] for part in rows.tolist()])
    assert np.array_equal(space.found(rows), expected)
    if (expected >= 0).all():
        assert np.array_equal(space.indices(rows), expected)
    else:
        with pytest.raises(ValueError, match="has the options"):
            space.indices(rows)
