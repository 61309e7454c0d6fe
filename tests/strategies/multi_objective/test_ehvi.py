from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nasbench_lab.strategies.multi_objective._ehvi import boxes, expected_hypervolume_improvement
from nasbench_lab.surrogates._acquisition import expected_improvement

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch.jit, when botorch is imported


def situation(m, seed, points, cells=7):
    rng = np.random.default_rng(seed)
    front = rng.uniform(0, 1, (points, m))
    mean = [rng.uniform(-0.2, 1.2, cells) for _ in range(m)]
    std = [rng.uniform(0.01, 0.5, cells) for _ in range(m)]
    return front, mean, std


def botorch_ehvi(front, mean, std, reference):
    import torch
    from botorch.acquisition.multi_objective.analytic import ExpectedHypervolumeImprovement
    from botorch.utils.multi_objective.box_decompositions.non_dominated import NondominatedPartitioning
    from botorch.utils.testing import MockModel, MockPosterior

    cut = NondominatedPartitioning(ref_point=-torch.tensor(reference), Y=-torch.from_numpy(front))
    centre, spread = -torch.from_numpy(np.stack(mean, axis=1)), torch.from_numpy(np.stack(std, axis=1))
    model = MockModel(MockPosterior(mean=centre[:, None], variance=spread[:, None] ** 2))
    acquisition = ExpectedHypervolumeImprovement(model=model, ref_point=(-reference).tolist(), partitioning=cut)
    return acquisition(torch.zeros(len(mean[0]), 1, 1, dtype=torch.float64)).numpy()


@pytest.mark.needs("torch", "botorch")
@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("points", [1, 2, 9])
def test_values_are_botorchs(m, points):
    reference = np.full(m, 1.1)
    front, mean, std = situation(m, 10 * m + points, points)
    mine = expected_hypervolume_improvement(mean, std, boxes(front, reference))
    assert mine == pytest.approx(botorch_ehvi(front, mean, std, reference), rel=1e-9, abs=1e-12)


@pytest.mark.needs("torch", "botorch")
@given(st.integers(0, 50), st.integers(0, 6), st.integers(1, 3))
def test_values_are_the_mean_of_sampled_improvements(seed, points, m):
    from nasbench_lab.stats import fronts

    reference = np.ones(m)
    front, mean, std = situation(m, seed, points, cells=1)
    exact = expected_hypervolume_improvement(mean, std, boxes(front, reference))[0]
    rng = np.random.default_rng(1)
    draws = np.concatenate(mean) + np.concatenate(std) * rng.standard_normal((2000, m))
    before = fronts.hypervolume(front)
    gains = [fronts.hypervolume(np.concatenate([front, draw[None]])) - before for draw in draws]
    assert abs(np.mean(gains) - exact) < 5 * np.std(gains) / np.sqrt(len(gains)) + 1e-3


def test_with_one_cost_it_is_expected_improvement():
    front, mean, std = situation(1, 0, 4)
    mine = expected_hypervolume_improvement(mean, std, boxes(front, np.array([2.0])))
    assert mine == pytest.approx(expected_improvement(-mean[0], std[0], -front.min()))


def test_two_points_leave_three_strips():
    lower, upper = boxes(np.array([[3.0, 1.0], [1.0, 2.0], [3.0, 2.0], [9.0, 0.0]]), np.array([5.0, 4.0]))
    assert lower[:, 0].tolist() == [-np.inf, 1.0, 3.0]
    assert upper.tolist() == [[1.0, 4.0], [3.0, 2.0], [5.0, 1.0]]


@pytest.mark.parametrize("m", [1, 2, pytest.param(3, marks=pytest.mark.needs("torch", "botorch"))])
def test_nothing_known_leaves_one_box(m):
    lower, upper = boxes(np.empty((0, m)), np.ones(m))
    assert (lower == -np.inf).all()
    assert upper.tolist() == [[1.0] * m]


def test_two_objectives_need_no_torch():
    code = (
        "import sys, nasbench_lab.strategies.multi_objective.ehvi as e\n"
        "from nasbench_lab.core import Result, Task\n"
        "from nasbench_lab.spaces import cell\n"
        "s = e.Ehvi(initial=2); s.start(Task(cell.SPACE, (12,), ('val', 'latency_ms/x')), 0)\n"
        "for i in range(4): s.tell(Result(s.ask(), float(i), 1.0, {'latency_ms/x': 1.0 + i}))\n"
        "sys.exit(any(m in sys.modules for m in ('torch', 'sklearn', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
