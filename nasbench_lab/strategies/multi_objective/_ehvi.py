"""Expected hypervolume improvement of independent Gaussian costs, exactly, for many cells at once.

The region that a front does not dominate is cut into B boxes (l, u], l possibly -inf. A cell with costs y dominates the
product of (u_j - max(l_j, y_j))+ of each box, and with psi_j(a) = E (a - y_j)+ the expectation factorises:

    EHVI = sum over boxes of the product over j of psi_j(u_j) - psi_j(l_j)

(Emmerich et al. 2011; Yang et al. 2019). With two costs the boxes are the strips between neighbouring points of the front;
with more they are those of botorch's `FastNondominatedPartitioning` (Lacour et al. 2017). psi is computed once per
distinct edge. Tests hold values against botorch's `ExpectedHypervolumeImprovement`.
"""

from __future__ import annotations

import numpy as np

from nasbench_lab.core import FloatArray
from nasbench_lab.surrogates._acquisition import expected_improvement

Boxes = tuple[FloatArray, FloatArray]  # lower and upper corners, (B, m) each


def boxes(front: FloatArray, reference: FloatArray) -> Boxes:
    """What a front (k, m) of costs leaves undominated below `reference` (m,), as disjoint boxes."""
    front = front[(front < reference).all(axis=1)]
    if len(reference) == 1:
        return np.array([[-np.inf]]), np.minimum(reference, front.min(axis=0, initial=np.inf))[None]
    if len(reference) == 2:
        return _strips(front, reference)
    return _partitioned(front, reference)


def _strips(front: FloatArray, reference: FloatArray) -> Boxes:
    """Between neighbours in the first cost, the second must lie below that of the neighbour to the left."""
    front = front[np.lexsort(front.T[::-1])]
    best = np.minimum.accumulate(np.concatenate([[np.inf], front[:-1, 1]]))
    front = front[front[:, 1] < best] if len(front) else front
    edges = np.concatenate([[-np.inf], front[:, 0], reference[:1]])
    heights = np.concatenate([reference[1:], front[:, 1]])
    lower = np.stack([edges[:-1], np.full(len(heights), -np.inf)], axis=1)
    return lower, np.stack([edges[1:], heights], axis=1)


def _partitioned(front: FloatArray, reference: FloatArray) -> Boxes:
    import torch
    from botorch.utils.multi_objective.box_decompositions.non_dominated import FastNondominatedPartitioning

    points = torch.from_numpy(-front) if len(front) else torch.empty((0, len(reference)), dtype=torch.float64)
    cut = FastNondominatedPartitioning(ref_point=torch.from_numpy(-reference), Y=points)
    low, high = cut.get_hypercell_bounds().numpy()  # of what is maximised
    return -high, -low


def expected_hypervolume_improvement(mean: list[FloatArray], std: list[FloatArray], cut: Boxes) -> FloatArray:
    """(n,) expectation for n cells; `mean` and `std` hold (n,) per cost."""
    lower, upper = cut
    total: FloatArray = np.ones((len(lower), len(mean[0])))
    for j, (centre, spread) in enumerate(zip(mean, std, strict=True)):
        edges, inverse = np.unique(np.concatenate([lower[:, j], upper[:, j]]), return_inverse=True)
        psi = np.zeros((len(edges), len(centre)))
        for row, edge in zip(psi, edges.tolist(), strict=True):
            if edge > -np.inf:
                row[:] = expected_improvement(-centre, spread, -edge)
        below, above = inverse[: len(lower)], inverse[len(lower) :]
        total *= psi[above] - psi[below]
    value: FloatArray = total.sum(axis=0)
    return value
