"""Expected hypervolume improvement with a Gaussian process per objective, over the whole space (Emmerich et al. 2011).

The acquisition value of every cell not yet asked for is exact (`_ehvi`), where botorch's qLogNEHVI (Daulton et al. 2021;
Ament et al. 2023) draws samples and climbs a gradient: over a finite space there is nothing to climb. What they add
is not needed here: the front is that of the observed values, since asking a table again brings the same value.

Costs are the models' targets: scores are transformed as in `gp_bo`, other objectives standardised. The reference point
lies a tenth of the observed range beyond the worst value seen. With several workers, a cell being evaluated counts as
observed with what is expected of it, in the models and on the front. With one objective this is expected improvement.

Two objectives cost about 10 to 20 ms a query, more cost what their boxes cost: with three and 80 points on the front there
are 185, and a query takes 0.1 s.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nasbench_lab.core import FloatArray, Query, Result, Strategy, Task
from nasbench_lab.strategies.multi_objective._ehvi import boxes, expected_hypervolume_improvement
from nasbench_lab.strategies.multi_objective._objective_gps import ObjectiveGps
from nasbench_lab.strategies.multi_objective._pareto import costs_of
from nasbench_lab.surrogates._settled import best
from nasbench_lab.surrogates._targets import TRANSFORMS

_LEAST = 1e-4  # improvements below this are differences of larger numbers: they are compared in this unit
_BEYOND = 0.1  # reference point: so much of the range beyond the worst


@dataclass
class Ehvi(Strategy):
    """Bayesian optimisation of the front at the highest fidelity.

    Attributes:
        initial: cells of the common design before the models decide.
        targets: transform of the scores, see `surrogates/_targets`.
    """

    initial: int = 5
    targets: str = "blended"

    paper = "Emmerich et al. 2011; Daulton et al. 2021, arXiv:2105.08195"

    def requires(self, task: Task) -> tuple[str, ...]:
        """Boxes of more than two objectives are botorch's, see `_ehvi`."""
        return ("botorch", "torch") if len(task.objectives) > 2 else ()

    def __post_init__(self) -> None:
        if self.initial < 1 or self.targets not in TRANSFORMS:
            raise ValueError(
                f"need initial >= 1 and targets one of {', '.join(TRANSFORMS)}, got {self.initial} and {self.targets!r}"
            )

    def setup(self) -> None:
        self._asked = np.zeros(self.task.space.size, dtype=bool)
        self._count = 0
        self._pending: list[int] = []
        self._gps = ObjectiveGps(self.task, self.targets)

    def propose(self) -> Query | None:
        if self._count == len(self._asked):
            return None
        early = self._count < self.initial or len(self._gps.archs) < 2
        arch = self._designed() if early else self._chosen()
        self._asked[arch] = True
        self._count += 1
        self._pending.append(arch)
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        arch = result.query.arch
        if arch in self._pending:
            self._pending.remove(arch)
        costs = costs_of(result, self.task)
        if costs is not None:
            self._gps.add(arch, costs)

    def _designed(self) -> int:
        """The next cell of the common design that was not asked for."""
        while self._asked[arch := self.design()]:
            pass
        return arch

    def _chosen(self) -> int:
        """The cell that is expected to enlarge the hypervolume most; of equals one at random."""
        mean, std = self._gps.predict(self._pending)
        front = self._gps.targets
        span = front.max(axis=0) - front.min(axis=0)
        reference = front.max(axis=0) + _BEYOND * np.where(span > 0, span, 1.0)
        expected = np.stack([column[self._pending] for column in mean], axis=1)
        cut = boxes(np.concatenate([front, expected]), reference)
        values: FloatArray = np.full(len(self._asked), -np.inf)
        free = np.flatnonzero(~self._asked)
        values[free] = expected_hypervolume_improvement([m[free] for m in mean], [s[free] for s in std], cut)
        return best(values, self.rng, max(float(values.max()), _LEAST))
