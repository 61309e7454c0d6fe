from __future__ import annotations

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nasbench_lab.stats import fronts
from nasbench_lab.stats.fronts import Target


def grids(m, most=12):
    """Points on a coarse grid, so that ties and duplicates are common."""
    return (
        st.integers(1, most)
        .flatmap(lambda n: arrays(np.int64, (n, m), elements=st.integers(0, 6)))
        .map(lambda a: a / 6)
    )


def brute_force_front(costs):
    def beaten(i):
        return any((costs[j] <= costs[i]).all() and (costs[j] < costs[i]).any() for j in range(len(costs)))

    return [not beaten(i) for i in range(len(costs))]


@given(st.one_of(grids(1), grids(2), grids(3)))
def test_non_dominated_is_what_nothing_dominates(costs):
    assert fronts.non_dominated(costs).tolist() == brute_force_front(costs)


def test_cells_without_a_value_are_left_out():
    costs = np.array([[np.nan, 0.0], [1.0, 1.0], [0.0, 2.0], [0.5, np.nan], [2.0, 2.0]])
    assert fronts.non_dominated(costs).tolist() == [False, True, True, False, False]
    scaled = fronts.normalised(costs)
    assert np.isnan(scaled[[0, 3]]).all()
    assert scaled[[1, 2, 4]].tolist() == [[0.5, 0.0], [0.0, 1.0], [1.0, 1.0]]


def test_a_cost_that_never_changes_and_no_cost_at_all():
    assert fronts.normalised(np.array([[3.0, 1.0], [3.0, 2.0]])).tolist() == [[0.0, 0.0], [0.0, 1.0]]
    with pytest.raises(ValueError, match="no cell has a value"):
        fronts.normalised(np.full((2, 2), np.nan))


@given(grids(2))
def test_hypervolume_of_two_costs_is_the_area_of_the_steps(points):
    area, height = 0.0, 1.0
    for x, y in sorted(map(tuple, points.tolist())):
        area += (1.0 - x) * max(0.0, height - y)
        height = min(height, y)
    assert fronts.hypervolume(points) == pytest.approx(area)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.jit, when botorch is imported
@given(grids(3, most=8))
def test_hypervolume_agrees_with_botorch(points):
    torch = pytest.importorskip("torch")
    from botorch.utils.multi_objective.hypervolume import Hypervolume

    front = points[fronts.non_dominated(points)]
    theirs = Hypervolume(ref_point=-torch.ones(3, dtype=torch.float64)).compute(-torch.from_numpy(front))
    assert fronts.hypervolume(points) == pytest.approx(theirs)


@given(grids(2), grids(2))
def test_igd_plus_and_epsilon_are_their_definitions(points, front):
    excess = np.maximum(points[:, None, :] - front[None, :, :], 0.0)
    assert fronts.igd_plus(points, front) == pytest.approx(np.linalg.norm(excess, axis=2).min(axis=0).mean())
    shift = (points[:, None, :] - front[None, :, :]).max(axis=2).min(axis=0).max()
    assert fronts.epsilon(points, front) == pytest.approx(shift)
    assert fronts.igd_plus(front, front) == fronts.epsilon(front, front) == 0


def test_nothing_reached_counts_as_the_reference_point():
    nothing, front = np.empty((0, 2)), np.array([[0.0, 1.0], [1.0, 0.0]])
    assert fronts.hypervolume(nothing) == 0.0
    assert fronts.epsilon(nothing, front) == 1.0
    assert fronts.igd_plus(nothing, front) == 1.0


def test_attainment_counts_the_runs_that_reach_a_point():
    archives = [np.array([[0.2, 0.8], [0.8, 0.2]]), np.array([[0.5, 0.5]]), np.empty((0, 2))]
    at = np.array([[0.8, 0.8], [0.5, 0.5], [0.2, 0.8], [0.1, 0.1], [1.0, 1.0]])
    assert fronts.attainment(archives, at).tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 3, 0, 2 / 3])


def test_the_median_front_of_three_runs():
    archives = [np.array([[0.1, 0.1]]), np.array([[0.2, 0.6], [0.6, 0.2]]), np.array([[0.4, 0.4]])]
    median = fronts.attainment_front(archives, 0.5)
    # two of three: the first run and either of the others
    assert median.tolist() == [[0.2, 0.6], [0.4, 0.4], [0.6, 0.2]]
    assert fronts.attainment_front(archives, 0.1).tolist() == [[0.1, 0.1]]
    assert fronts.attainment_front(archives, 1.0).tolist() == [[0.4, 0.6], [0.6, 0.4]]


@given(st.lists(grids(2, most=5), min_size=1, max_size=6), st.sampled_from([0.25, 0.5, 0.75, 1.0]))
def test_points_of_an_attainment_front_are_attained(archives, share):
    found = fronts.attainment_front(archives, share)
    assert (fronts.attainment(archives, found) >= share - 1e-12).all()
    assert fronts.non_dominated(found).all()


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match="share in"):
        fronts.attainment_front([np.ones((1, 2))], share)


@given(grids(2), st.data())
def test_a_target_measures_archives_of_its_cells(costs, data):
    target = Target(np.concatenate([costs, [[2.0, 2.0]]]))
    cells = np.array(data.draw(st.lists(st.integers(-1, len(costs)), min_size=1, max_size=20)))
    curve = target.curve(cells)
    assert (np.diff(curve) >= -1e-12).all()
    assert curve[-1] == pytest.approx(target.reached(cells[cells >= 0]))
    assert 0 <= curve[-1] <= 1 + 1e-12
    assert target.reached(target.cells) == pytest.approx(1.0)
    assert target.igd_plus(target.cells) == target.epsilon(target.cells) == 0
    assert target.epsilon(cells[cells >= 0]) >= 0
    assert np.allclose(target.costs_at(target.points), target.costs)


def test_equal_cells_are_one_point_of_the_front():
    target = Target(np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))
    assert target.cells.tolist() == [2, 0, 1]
    assert target.size == 2


def test_an_unanswered_cell_adds_nothing():
    target = Target(np.array([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [np.nan, 0.0]]))
    assert target.curve(np.array([3, -1, 2, 3])).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_moocore_itself_ranks_as_we_assume():
    """`keep_weakly` keeps equal points: an upgrade that changes it would change fronts."""
    assert moocore.is_nondominated(np.array([[0.0, 1.0], [0.0, 1.0]]), keep_weakly=True).tolist() == [True, True]
