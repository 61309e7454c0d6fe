from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.spaces import cell
from nasbench_lab.spaces.cell import CONV1, CONV3, NONE, SKIP, SPACE

ARCHS = range(SPACE.size)


def test_all_strings_are_different_and_read_back():
    strings = [cell.to_string(arch) for arch in ARCHS]
    assert len(set(strings)) == 15625
    assert [cell.from_string(text) for text in strings] == list(ARCHS)


def test_the_official_order_is_the_lexicographic_one_shuffled_with_seed_88():
    """Built here as the benchmark's authors did: nested loops over strings, then `random.Random(88).shuffle`."""
    strings = []
    for a, b, c, d, e, f in product(cell.OPS, repeat=6):
        strings.append(f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|")
    random.Random(88).shuffle(strings)
    assert [cell.to_string(arch) for arch in ARCHS] == strings


@pytest.mark.parametrize(
    ("arch", "text"),
    [
        (0, "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"),
        (9, "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|nor_conv_3x3~2|"),
        (123, "|avg_pool_3x3~0|+|avg_pool_3x3~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|nor_conv_3x3~2|"),
        (11472, "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|"),
        (1462, "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|nor_conv_3x3~0|nor_conv_3x3~1|nor_conv_3x3~2|"),
    ],
)
def test_published_cells_have_their_published_index(arch, text):
    assert cell.to_string(arch) == text
    assert cell.from_string(f"  {text}\n") == arch


def test_naslib_tuples_read_back_and_follow_naslibs_edge_order():
    assert len({cell.to_naslib(arch) for arch in ARCHS}) == 15625
    assert all(cell.from_naslib(cell.to_naslib(arch)) == arch for arch in ARCHS)
    # edges 12 13 14 23 24 34; 0 skip 1 none 2 conv3x3 3 conv1x1 4 avgpool
    arch = cell.from_string("|nor_conv_3x3~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|avg_pool_3x3~1|nor_conv_3x3~2|")
    assert cell.to_naslib(arch) == (2, 1, 3, 0, 4, 2)


def test_every_spelling_of_a_cell_is_parsed():
    arch = 4242
    names = [cell.OPS[op] for op in cell.ops(arch)]
    spellings = (arch, str(arch), cell.to_string(arch), ", ".join(names), ",".join(map(str, cell.ops(arch))))
    assert [cell.parse(text) for text in spellings] == [arch] * 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("15625", "0..15624"),
        ("-1", "0..15624"),
        ("--1", "not a cell"),
        ("²", "not a cell"),
        ("", "not a cell"),
        ("none,none", "not a cell"),
        ("none,none,none,none,none,conv", "not a cell"),
        ("|none~0|", "3 nodes"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|", "node 3 needs 3 edges"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~1|", "edge 2->3"),
        ("|none~0|+|none~0|conv~1|+|none~0|none~1|none~2|", "edge 1->2"),
        ("none~0+|none~0|none~1|+|none~0|none~1|none~2|", "node 1"),
    ],
)
def test_what_is_no_cell_is_refused_and_said_why(text, message):
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        cell.parse(text)


@given(st.text(max_size=40) | st.text(alphabet="|+~012nonekip,", max_size=60))
def test_any_text_is_a_cell_or_a_value_error(text):
    try:
        assert 0 <= cell.parse(text) < SPACE.size
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("row", [(0,) * 5, (0,) * 7, (0, 0, 0, 0, 0, 5), (-1, 0, 0, 0, 0, 0)])
def test_a_malformed_naslib_tuple_is_refused(row):
    with pytest.raises(ValueError, match="six numbers"):
        cell.from_naslib(row)


def test_adjacency_is_upper_triangular_and_reads_back():
    for arch in range(0, SPACE.size, 25):
        matrix, labels = cell.adjacency(arch)
        assert not np.tril(matrix).any()
        assert cell.from_adjacency(matrix, labels) == arch


def test_adjacency_arcs_join_an_edges_end_to_the_next_ones_start():
    row = (CONV3, NONE, SKIP, NONE, NONE, CONV1)  # 0-1 conv3, 1-2 skip, 2-3 conv1: one path
    matrix, labels = cell.adjacency(SPACE.index(row))
    assert {tuple(map(int, arc)) for arc in np.argwhere(matrix)} == {(0, 1), (1, 3), (3, 6), (6, 7)}
    assert labels[1] == "nor_conv_3x3"


def test_a_matrix_that_does_not_belong_to_its_labels_is_refused():
    matrix, labels = cell.adjacency(11472)
    with pytest.raises(ValueError, match="matrix"):
        cell.from_adjacency(1 - matrix, labels)
    with pytest.raises(ValueError, match="six ops"):
        cell.from_adjacency(matrix, labels[:7])


def test_there_are_6466_classes_numbered_by_their_first_member():
    members = cell.class_members()
    assert len(members) == 6466
    assert sorted(arch for group in members for arch in group) == list(ARCHS)
    assert [group[0] for group in members] == sorted(group[0] for group in members)
    assert all(SPACE.classes[arch] == number for number, group in enumerate(members) for arch in group)


def test_members_of_a_class_compute_the_same_function():
    """With every op a multiplication by a random number (none by 0, skip by 1), a cell is a polynomial."""
    gains = np.array([0.0, 1.0, *np.random.default_rng(0).uniform(1, 2, 3)])[SPACE.choices]
    one = gains[:, 0]
    two = gains[:, 1] + one * gains[:, 2]
    value = gains[:, 3] + one * gains[:, 4] + two * gains[:, 5]
    for group in cell.class_members():
        assert value[list(group)] == pytest.approx(value[group[0]], rel=1e-9)


def test_the_class_rule_is_the_official_one_on_known_cases():
    through_skip = cell.canonical_string((CONV3, NONE, SKIP, NONE, NONE, CONV1))
    direct = cell.canonical_string((NONE, CONV3, NONE, NONE, NONE, CONV1))
    assert through_skip == direct
    by_node_1 = cell.canonical_string((CONV3, NONE, NONE, NONE, CONV1, NONE))
    assert by_node_1 != direct  # the same function, but the official rule keeps dead terms, hence 6,466 and not 5,390
    dead = {cell.canonical_string((op, NONE, NONE, NONE, NONE, NONE)) for op in range(5)}
    assert len(dead) == 1  # an op that leads nowhere does not matter


def test_reachable_edges_are_those_on_a_path_from_input_to_output():
    row = (CONV3, CONV1, NONE, NONE, NONE, CONV3)  # 0-2-3 is whole; 0-1 leads nowhere
    arch = SPACE.index(row)
    assert cell.reachable()[arch].tolist() == [False, True, False, False, False, True]
    assert cell.live_choices()[arch].tolist() == [NONE, CONV1, NONE, NONE, NONE, CONV3]


def test_dropping_dead_edges_never_changes_reachability():
    live = SPACE.indices(cell.live_choices())
    assert np.array_equal(cell.reachable()[live], cell.reachable())
    assert np.array_equal(cell.live_choices()[live], cell.live_choices())


def test_path_encoding_marks_the_op_sequences_from_input_to_output():
    arch = SPACE.index((CONV3, NONE, SKIP, CONV1, NONE, CONV1))  # paths: conv1; conv3-skip-conv1
    expected = {CONV1, 30 + 25 * CONV3 + 5 * SKIP + CONV1}
    assert set(np.flatnonzero(cell.path_encoding()[arch]).tolist()) == expected
    assert cell.path_encoding().shape == (15625, 155)


def test_disconnected_cells_have_no_path():
    assert np.array_equal(cell.path_encoding().any(axis=1), cell.reachable().any(axis=1))


@pytest.mark.parametrize(
    ("arch", "params", "flops"), [(0, 0.129306, 15.64736), (11, 0.802426, 113.95137), (284, 0.101306, 11.7152)]
)
def test_params_and_flops_are_the_published_ones(arch, params, flops):
    assert cell.params_m("cifar10")[arch] == pytest.approx(params, abs=5e-7)
    assert cell.flops_m("cifar10")[arch] == pytest.approx(flops, abs=1.01e-5)  # published with five rounded digits


def test_params_and_flops_of_the_all_3x3_cell():
    assert cell.params_m("cifar10")[1462] == pytest.approx(1.531546, abs=5e-7)
    assert cell.flops_m("cifar10")[1462] == pytest.approx(220.12, abs=0.005)


def test_params_differ_between_datasets_by_the_classifier_alone():
    difference = cell.params_m("cifar100") - cell.params_m("cifar10")
    assert difference == pytest.approx(90 * 65 / 1e6)  # 90 more outputs of a 64-wide linear layer with bias


def test_unknown_datasets_are_refused():
    with pytest.raises(ValueError, match=r"cifar10.*got 'mnist'"):
        cell.params_m("mnist")
    with pytest.raises(ValueError, match="mnist"):
        cell.flops_m("mnist")


def test_op_counts_add_up():
    assert (cell.op_counts().sum(axis=1) == 6).all()
    live = cell.op_counts(live=True)
    assert (live.sum(axis=1) == 6).all()
    assert (live[:, NONE] >= cell.op_counts()[:, NONE]).all()
