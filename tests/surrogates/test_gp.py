from __future__ import annotations

import numpy as np
import pytest
from conftest import held_out
from conftest import structure_scores as scores

from nasbench_lab import loading
from nasbench_lab.core import stream
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.surrogates._canonical import KERNELS
from nasbench_lab.surrogates._targets import TRANSFORMS, Inverse
from nasbench_lab.surrogates.gp import GaussianProcess


@pytest.mark.parametrize("kernel", KERNELS)
def test_it_ranks_held_out_cells(kernel: str, cells: IntArray) -> None:
    assert held_out(lambda: GaussianProcess(kernel=kernel), cells, 120, fits=4).tau > 0.55


@pytest.mark.parametrize("targets", list(TRANSFORMS))
def test_intervals_cover(targets: str, cells: IntArray) -> None:
    model = GaussianProcess(targets=targets).fit(cells[:150], scores(cells[:150]))
    y = scores(cells[-2000:])
    low, middle, high = model.quantiles(cells[-2000:], (0.05, 0.5, 0.95))
    assert (low <= middle).all()
    assert (middle <= high).all()
    assert 0.8 < np.mean((low <= y) & (y <= high)) <= 1.0


@pytest.mark.parametrize("targets", list(TRANSFORMS))
def test_transforms_are_monotone_and_inverted(targets: str) -> None:
    y = np.round(stream(2, 1).normal(90, 3, 50), 1)  # with ties
    z = TRANSFORMS[targets](y)
    order = np.argsort(y, kind="stable")
    assert (np.diff(z[order]) >= -1e-12).all()
    assert TRANSFORMS[targets](np.full(4, 10.0)) == pytest.approx(0, abs=1e-9)
    if targets != "winsorised":  # what is cut off is not known any more
        np.testing.assert_allclose(Inverse(z, y)(z), y, atol=1e-6)


def test_the_engines_agree(cells: IntArray) -> None:
    pytest.importorskip("gpytorch")
    y = scores(cells[:40])
    fast = GaussianProcess(iterations=200).fit(cells[:40], y)
    reference = GaussianProcess(engine="gpytorch", iterations=200).fit(cells[:40], y)
    np.testing.assert_allclose(fast.predict(cells[40:200])[0], reference.predict(cells[40:200])[0], atol=0.2)


def test_scikit_learn_can_clone_it() -> None:
    base = pytest.importorskip("sklearn.base")
    assert base.clone(GaussianProcess(kernel="path")).kernel == "path"
    assert GaussianProcess().set_params(iterations=5).iterations == 5


def test_complaints(cells: IntArray) -> None:
    with pytest.raises(ValueError, match="kernel must be one of"):
        GaussianProcess(kernel="rbf")
    with pytest.raises(ValueError, match="at least 2 cells"):
        GaussianProcess().fit(cells[:1], np.array([1.0]))
    with pytest.raises(ValueError, match="finite"):
        GaussianProcess().fit(cells[:2], np.array([1.0, np.nan]))
    with pytest.raises(ValueError, match="no parameter 'x'"):
        GaussianProcess().set_params(x=1)
    assert isinstance(loading.build("surrogates", "gp:kernel=wl"), GaussianProcess)
