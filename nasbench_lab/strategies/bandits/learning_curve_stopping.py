"""Random search that stops trainings whose extrapolated curve will hardly reach the best (after Domhan et al., IJCAI 2015).

A cell is trained from checkpoint to checkpoint. From `points` of them on, y(t) = c - a t^(-b) (their family "pow3", a >= 0)
is fitted by least squares and read at the last epoch; the cell is stopped if the probability of beating the best fully
trained cell is below `threshold`, the paper's criterion and its 0.05.

Deviations: one family instead of a weighted eleven, and no MCMC: how far the extrapolation of a checkpoint is off, and in
which direction (a decaying learning rate lifts the last epochs above any power law), is taken from the cells that were
trained to the end, as a Student-t prediction; so the first `initial` cells always are. A stopped cell keeps its own low
score instead of the predicted one. Cells are uniform; the paper also tries it inside SMAC and TPE.

It needs curves: with fewer than `points` + 1 fidelities (3 + 1), or where fidelities are not points of one training, it
trains every cell in full, as random search does. Every checkpoint is a query, so its budget is seconds, not queries.

The recommendation is the best fully trained cell as soon as there is one, which is after one cell.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

from nasbench_lab.core import FloatArray, Query, Result, Strategy
from nasbench_lab.strategies._unseen import unseen
from nasbench_lab.surrogates import _curves


def extrapolate(epochs: FloatArray, vals: FloatArray, last: float) -> float:
    """The least-squares power law through a curve, (k,) epochs and (k,) scores with k >= 2, at epoch `last`."""
    return float(_curves.power(epochs, vals[None], last)[0])


@dataclass
class LearningCurveStopping(Strategy):
    """Uniform cells, trained step by step and given up when hopeless.

    Attributes:
        threshold: a training goes on while the probability that it beats the best is at least this.
        initial: cells that are trained in full before any is stopped, at least 3.
        points: checkpoints before the first decision, at least 2.
        checkpoints: how many there are at most, evenly spread over the fidelities.
    """

    threshold: float = 0.05
    initial: int = 5
    points: int = 3
    checkpoints: int = 10

    paper = "Domhan et al. 2015, IJCAI"

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is a probability, got {self.threshold}")
        if self.initial < 3 or not 2 <= self.points < self.checkpoints:
            raise ValueError(
                f"need initial >= 3 and 2 <= points < checkpoints, got {self.initial}, {self.points}, {self.checkpoints}"
            )

    def setup(self) -> None:
        self._steps = self._chosen_steps()
        self._times = np.array(self._steps, dtype=np.float64)
        self._seen: set[int] = set()
        self._curves: dict[int, list[float]] = {}
        self._going: deque[int] = deque()  # cells whose training goes on
        self._errors: list[list[float]] = [[] for _ in self._steps]  # final score minus extrapolation, per checkpoint
        self._best = -math.inf

    def propose(self) -> Query | None:
        if self._going:
            arch = self._going.popleft()
            return Query(arch, self._steps[len(self._curves[arch])])
        new = unseen(self, self._seen)
        if new is None:
            return None
        self._seen.add(new)
        self._curves[new] = []
        return Query(new, self._steps[0])

    def observe(self, result: Result) -> None:
        arch = result.query.arch
        curve = self._curves.get(arch)
        if curve is None:
            return
        if result.val != result.val:  # a failed training is not gone on with
            del self._curves[arch]
            return
        curve.append(result.val)
        if len(curve) == len(self._steps):
            self._finish(self._curves.pop(arch))
        elif self.chance(curve) < self.threshold:
            del self._curves[arch]
        else:
            self._going.append(arch)

    def chance(self, curve: list[float]) -> float:
        """The probability that a training beats the best finished one; 1 while nothing can be said."""
        errors = self._errors[len(curve) - 1]
        if len(curve) < self.points or len(errors) < self.initial:
            return 1.0
        spread = max(float(np.std(errors, ddof=1)), 1e-9) * math.sqrt(1 + 1 / len(errors))
        expected = self._extrapolated(curve) + float(np.mean(errors))
        return float(stdtr(len(errors) - 1, (expected - self._best) / spread))

    def _finish(self, curve: list[float]) -> None:
        self._best = max(self._best, curve[-1])
        for count in range(self.points, len(curve)):
            self._errors[count - 1].append(curve[-1] - self._extrapolated(curve[:count]))

    def _extrapolated(self, curve: list[float]) -> float:
        return extrapolate(self._times[: len(curve)], np.array(curve), self._times[-1])

    def _chosen_steps(self) -> tuple[int, ...]:
        """The checkpoints; the full training alone where there is no curve to extrapolate."""
        fidelities = self.task.fidelities
        count = min(self.checkpoints, len(fidelities))
        if not self.task.one_run or count <= self.points:
            return (self.task.full,)
        places = np.linspace(-1, len(fidelities) - 1, count + 1)[1:].round().astype(int)
        return tuple(fidelities[place] for place in places)
