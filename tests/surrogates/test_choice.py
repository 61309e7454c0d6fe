"""Kernels for any space, and the choice among them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from nasbench_lab.core import FloatArray, stream
from nasbench_lab.spaces import cell, cells, encodings
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space
from nasbench_lab.surrogates._canonical import candidates, pool_of
from nasbench_lab.surrogates._choice import Choice
from nasbench_lab.surrogates._pool_gp import PoolGP
from nasbench_lab.surrogates.gp import GaussianProcess
from nasbench_lab.testing.small_spaces import SPACES

CHAIN = Space([Decision(f"stage {i}", ("same", "conv", "pool")) for i in range(6)])
MICRO = cells.make({"none": "none", "id": "skip", "one": "1x1", "three": "3x3"}, name="four operations")


def counted(space: Space, seed: int) -> FloatArray:
    """Scores that depend on how often labels are taken alone."""
    often = (space.choices == 1).sum(axis=1)
    out: FloatArray = (
        5.0 * np.sqrt(often) - (space.choices == 2).sum(axis=1) + 0.1 * stream(seed, 1).normal(size=space.size)
    )
    return out


def by_decision(space: Space, seed: int) -> FloatArray:
    """Scores to which every decision adds its own, one by one the opposite of the last."""
    signs = np.where(np.arange(6) % 2, 1.0, -1.0)
    out: FloatArray = 3.0 * (space.choices == 1) @ signs + 0.1 * stream(seed, 1).normal(size=space.size)
    return out


@pytest.mark.parametrize(("scores", "expected"), [(counted, {"counts", "places"}), (by_decision, {"choices"})])
def test_the_kernel_that_fits_is_chosen(scores, expected):
    for seed in range(3):
        y = scores(CHAIN, seed)
        archs = stream(seed, 2).choice(CHAIN.size, 60, replace=False)
        model = GaussianProcess(targets="none").fit(archs, (y[archs] - y.mean()) / y.std(), space=CHAIN)
        assert candidates(CHAIN, "canonical")[model.choice_.chosen] in expected
        rest = np.setdiff1d(np.arange(CHAIN.size), archs)
        assert kendalltau(model.predict(rest)[0], y[rest]).statistic > 0.7  # most scores nearly tie


def test_what_is_chosen_has_the_least_loss_and_predicts_as_if_it_were_alone():
    y = counted(CHAIN, 0)
    archs = stream(0, 2).choice(CHAIN.size, 40, replace=False)
    targets = (y[archs] - y.mean()) / y.std()
    pools = [pool_of(CHAIN, name) for name in ("choices", "counts")]
    choice = Choice([pool.parts for pool in pools])
    model = PoolGP(pools[0].parts)
    model.extend(archs.tolist())
    model = choice.fit(model, targets, 60)
    alone = [PoolGP(pool.parts) for pool in pools]
    for each in alone:
        each.extend(archs.tolist())
        each.fit(targets, iterations=60)
    losses = [each.loss(each.theta, targets)[0] for each in alone]
    assert choice.chosen == int(np.argmin(losses)) == 1
    for one, other in zip(model.posterior(), alone[1].posterior(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_kernels_by_space():
    assert candidates(cell.SPACE, "canonical") == candidates(MICRO, "canonical") == ("canonical",)
    assert candidates(CHAIN, "canonical") == candidates(CHAIN, "wl") == ("counts", "places", "choices")
    assert candidates(Space((2, 3)), "canonical") == ("choices",)
    assert candidates(CHAIN, "one_hot") == ("one_hot",)
    assert [part.name for part in pool_of(Space((2, 3)), "counts").parts] == ["choices"]


@pytest.mark.parametrize("kernel", ["canonical", "path", "wl", "canonical3"])
def test_equal_cells_of_any_operations_are_alike(kernel):
    pool = pool_of(MICRO, kernel)
    of = encodings.standing(MICRO)
    theirs = pool_of(cell.SPACE, kernel).row_of[of]
    assert len(np.unique(np.stack([pool.row_of, theirs]), axis=1).T) == len(np.unique(theirs)) == pool.row_of.max() + 1


@given(st.sampled_from(sorted(SPACES)), st.integers(0, 100))
def test_one_length_scale_per_decision(kind, seed):
    space = SPACES[kind]
    (part, *_) = pool_of(space, "choices").parts
    assert part.lengthscales == len(space.options)
    long = np.where(np.arange(len(space.options)) == seed % len(space.options), 1e6, 1.0)
    rows = part.scaled(long)  # a decision that does not matter
    others = np.delete(space.choices, seed % len(space.options), axis=1)
    same = (others[:, None] == others[None]).all(axis=2)
    apart = ((rows[:, None] - rows[None]) ** 2).sum(axis=2)
    assert (apart[same] < 1e-9).all()
    assert (apart[~same] > 1e-3).all()


def test_ordered_options_are_near_each_other():
    space = SPACES["ordered decisions, one of them without a choice"]
    rows = pool_of(space, "choices").parts[0].scaled(np.ones(4))
    first, second, last = (rows[space.index((option, 0, 0, 0))] for option in (0, 1, 3))
    assert np.linalg.norm(second - first) * 3 == pytest.approx(np.linalg.norm(last - first))
