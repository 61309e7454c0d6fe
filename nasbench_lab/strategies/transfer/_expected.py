"""What sources expect as one more feature of a cell, and the meta-trained head as a side note, beside the kernel of the cells.

    y = f(e(x)) + phi(x)' w + g(x) + noise,   e = phi' w0,   f ~ GP,   w ~ N(0, v diag(1 / lambda)),   g ~ GP(0, k)

phi, w0 and lambda are meta-trained as `surrogates/_meta_linear` says. There e is the mean that is expected beforehand, with
slope 1, and so misleads once a search has come among the best cells, where the orders of datasets differ. Here its part in y
is learned with all other variances by marginal likelihood, and the kernel without anything learned is a candidate beside
(`surrogates/_choice`): that is what is left where sources say nothing. Ours; the parts are the papers' named there.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import encodings
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.spaces.space import Space
from nasbench_lab.surrogates._canonical import candidates, first_of, pool_of
from nasbench_lab.surrogates._kernels import Part, Pool
from nasbench_lab.surrogates._meta_linear import FEATURES, Tasks, trained
from nasbench_lab.surrogates.gp import GaussianProcess

_EXPECTED, _HEAD = 3.0, 0.25  # prior medians of variances: as much as the structure of a cell, and a side note


class ExpectedFeature(GaussianProcess):
    """A Gaussian process that may use what the sources expect, as a surrogate of targets as they are.

    Args:
        tasks: meta-trained on; once per process for equal contents.
        space: the cells.

    Attributes:
        expected: (N,) what the sources expect of every cell, before any result; of about unit spread.
    """

    def __init__(self, tasks: Tasks, space: Space) -> None:
        super().__init__(targets="none", spent=0.0)
        learned, row_of = trained(tasks, space), encodings.rows(FEATURES, space).row_of
        self.expected: FloatArray = frozen((learned.features @ learned.mean)[row_of])
        self._head: FloatArray = learned.features / np.sqrt(learned.precision)

    def _pools(self, space: Space, known: Mapping[str, FloatArray] | None) -> list[Pool]:
        """With and without what was learned, for every kernel that fits the space: marginal likelihood chooses.

        A linear kernel on weighted features is a linear head with a prior on its weights; rows get unit length.
        """
        first = first_of(space, self.kernel)
        head = self._head[encodings.rows(FEATURES, space).row_of[first]]
        learned = (
            Part("expected", self.expected[first][:, None], variance=_EXPECTED),
            Part("head", head / np.linalg.norm(head, axis=1, keepdims=True), profile="linear", variance=_HEAD),
        )
        pools = [pool_of(space, kernel) for kernel in candidates(space, self.kernel)]
        return [Pool((*learned, *parts), row_of) for parts, row_of in pools] + pools
