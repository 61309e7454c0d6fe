"""The kernel of several that a space's scores are likeliest under, chosen anew whenever hyper-parameters are refitted.

Every candidate keeps its own hyper-parameters and goes on from them; what is compared is `Likelihood`, marginal likelihood
times prior, at what each ends with. Only the observed rows are needed for that; the posterior over the pool is that of
the chosen one alone. Another is chosen only if it is better by `_MARGIN`: rounding decides nothing, and a change costs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nasbench_lab.core import FloatArray
from nasbench_lab.surrogates._kernels import Distances, Part, squared_distances
from nasbench_lab.surrogates._likelihood import Layout, Likelihood, Prior
from nasbench_lab.surrogates._pool_gp import PoolGP

_MARGIN = 0.5  # of the logarithm


class Choice:
    """Candidates over one pool, the first chosen to begin with.

    Args:
        candidates: the summands of each kernel, all over the same rows.
    """

    def __init__(self, candidates: Sequence[Sequence[Part]]) -> None:
        self.candidates = [tuple(parts) for parts in candidates]
        self.layouts = [Layout(parts, Prior()) for parts in candidates]
        self.thetas = [layout.median for layout in self.layouts]
        self.chosen = 0

    def fit(self, model: PoolGP, targets: FloatArray, iterations: int) -> PoolGP:
        """The model with the chosen kernel, fitted to the targets of the rows that the given one has observed."""
        if len(self.candidates) == 1:
            return model.fit(targets, iterations=iterations)
        losses = [self._refitted(i, model.rows, targets, iterations) for i in range(len(self.candidates))]
        best = int(np.argmin(losses))
        if losses[best] < losses[self.chosen] - _MARGIN:
            self.chosen = best
            rows, model = model.rows, PoolGP(self.candidates[best], theta=self.thetas[best])
            model.extend(rows)
        else:
            model.theta = self.thetas[self.chosen]
        model.set_targets(targets)
        return model

    def _refitted(self, i: int, rows: Sequence[int], targets: FloatArray, iterations: int) -> float:
        """The loss of a candidate at hyper-parameters that it keeps."""
        likelihood = Likelihood(self.layouts[i], [_inner(part, rows) for part in self.candidates[i]], targets)
        self.thetas[i] = likelihood.minimise(self.thetas[i], iterations)
        return likelihood(self.thetas[i])[0]


def _inner(part: Part, rows: Sequence[int]) -> Distances:
    """What the likelihood needs of some rows; see `Likelihood`."""
    features = part.features[list(rows)]
    if part.ard:
        return features * np.sqrt(part.scale)
    squared = squared_distances(features, features)
    return np.rint(squared).astype(np.intp) if part.whole else squared
