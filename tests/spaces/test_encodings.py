from __future__ import annotations

import numpy as np
import pytest

from nasbench_lab.spaces import cell
from nasbench_lab.spaces import encodings as features
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space

RESIDUAL = cell.SPACE.index([3, 3, 3, 1, 3, 3])  # a skip from input to output, everything else conv3x3


def named(arch: int) -> dict[str, float]:
    return dict(zip(features.STRUCTURE, features.structure()[arch].tolist(), strict=True))


def test_shapes() -> None:
    assert features.path_counts().shape == (15625, 40)
    assert features.multisets().shape == (15625, 20)
    assert features.structure().shape == (15625, len(features.STRUCTURE))
    assert features.wl().shape[0] == features.adjacency().shape[0] == features.cost().shape[0] == 15625


def test_path_features_are_equal_within_a_class() -> None:
    first = np.unique(cell.SPACE.classes, return_index=True)[1][cell.SPACE.classes]
    for table in (features.path_counts(), features.multisets(), features.path_set()):
        np.testing.assert_array_equal(table, table[first])


def test_structure_of_a_residual_cell() -> None:
    found = named(RESIDUAL)
    assert found["paths"] == 4
    assert (found["most convs on a path"], found["fewest convs on a path"]) == (3, 0)
    assert [found[f"paths with {n} convs"] for n in range(4)] == [1, 0, 2, 1]
    assert found["live nor_conv_3x3"] == 5
    assert found["mean convs per path"] == 7 / 4


def test_a_dead_cell_has_no_paths() -> None:
    dead = cell.SPACE.index([3, 3, 3, 0, 0, 0])
    assert named(dead)["paths"] == named(dead)["live nor_conv_3x3"] == 0
    assert named(dead)["most convs on a path"] == -1
    assert not features.path_counts()[dead].any()


def test_skips_are_removed_from_paths() -> None:
    direct = features.path_counts()[cell.SPACE.index([0, 0, 0, 3, 0, 0])]
    around = features.path_counts()[cell.SPACE.index([1, 0, 1, 0, 0, 3])]
    np.testing.assert_array_equal(direct, around)
    assert direct.sum() == 1


def test_adjacency_agrees_with_cell() -> None:
    for arch in (0, 77, 9930):
        matrix, _ = cell.adjacency(arch)
        np.testing.assert_array_equal(features.adjacency()[arch, :28], matrix[np.triu_indices(8, 1)])


def test_live_one_hot_rows_sum_to_six() -> None:
    np.testing.assert_array_equal(features.one_hot(live=True).sum(axis=1), 6)


def test_rows_of_other_spaces_say_options_levels_and_what_alike_decisions_share():
    space = Space(
        [Decision("a", ("x", "y", "z")), Decision("b", ("z", "x", "y")), Decision("c", (1, 2, 4), ordered=True)]
    )
    arch = space.index((1, 0, 1))
    plain, full = (features.rows(name, space) for name in ("one_hot", "structure_paths"))
    assert plain.values[arch].tolist() == pytest.approx([0, 1, 0, 1, 0, 0, 0, 1, 0, 1 / 3])
    assert full.values[arch].tolist() == pytest.approx([*plain.values[arch], 0, 1, 1])
    assert features.plain_decisions(space).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert np.array_equal(plain.row_of, np.arange(space.size))
    assert len(np.unique(plain.values, axis=0)) == space.size
