from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

pytest.importorskip("torch")

from nasbench_lab import loading
from nasbench_lab.core import FloatArray, LabError, stream
from nasbench_lab.spaces import cell, encodings
from nasbench_lab.surrogates.gcn import GraphNetworks


def depth_scores() -> FloatArray:
    """A made-up accuracy that depends on the graph: how many convolutions lie on one path, and how many paths there are."""
    structure = encodings.structure()
    return 50 + 8 * structure[:, 0] + 2 * structure[:, 8]


def test_it_learns_what_depends_on_the_graph() -> None:
    y, cells = depth_scores(), stream(4, 2).permutation(cell.SPACE.size)
    model = GraphNetworks(steps=120).fit(cells[:150], y[cells[:150]], stream(4, 3))
    mean, std = model.predict(cells[-1500:])
    assert kendalltau(mean, y[cells[-1500:]]).statistic > 0.75
    assert (std > 0).all()


def test_operations_on_no_path_change_nothing() -> None:
    dead = [cell.SPACE.index((op, 0, 0, 3, 0, 0)) for op in range(5)]  # edge 0-1 leads nowhere
    y, cells = depth_scores(), stream(4, 2).permutation(cell.SPACE.size)
    model = GraphNetworks(steps=20).fit(cells[:40], y[cells[:40]], stream(4, 3))
    assert np.ptp(model.predict(np.array(dead))[0]) == pytest.approx(0, abs=1e-4)


def test_bad_parameters_are_refused() -> None:
    for spec in ("gcn:members=1", "gcn:layers=0", "gcn:targets=cube", "gcn:learning_rate=0"):
        with pytest.raises(LabError):
            loading.build("surrogates", spec)
