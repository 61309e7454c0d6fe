"""Scores to targets and back, for models that are fitted to transformed scores: quantiles and moments in units of y.

The transforms and their inverse (`_targets`) are for percentages. Scores in any other unit are moved linearly into the
middle third of 0 to 100 first, so that whatever is predicted within one range of those seen comes back uncut.
The transform "none" is linear: zero mean, unit spread, any value may come back.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.surrogates._targets import TRANSFORMS, Inverse, standardised

NODES, WEIGHTS = frozen(np.polynomial.hermite_e.hermegauss(7))  # exact to degree 13 in a standard normal variable
_FLOOR = 0.02  # no spread is below this share of the spread of what was seen


class Scale:
    """Targets made of scores, and the way back.

    Args:
        transform: a name of `_targets.TRANSFORMS`, or "none".
        y: (n,) scores in any unit.
    """

    def __init__(self, transform: str, y: FloatArray) -> None:
        low, high = float(y.min()), float(y.max())
        size = 1e-9 * (max(abs(low), abs(high)) or 1.0)  # of the scores, whatever their unit
        self._least = max(_FLOOR * float(y.std()), size)
        self._inverse: Inverse | None = None
        if transform == "none":
            self.targets: FloatArray = standardised(y)
            self._offset, self._unit = float(y.mean()), float(y.std()) or 1.0
        else:
            width = max(high - low, size)
            percent = low >= 0.0 and high <= 100.0
            self._offset, self._unit = (0.0, 1.0) if percent else (low - width, 3.0 * width / 100.0)
            share = (y - self._offset) / self._unit
            self.targets = TRANSFORMS[transform](share)
            self._inverse = Inverse(self.targets, share)
        self.lowest = -np.inf if self._inverse is None else float(self.targets.min())

    def back(self, targets: FloatArray) -> FloatArray:
        """Scores of targets of any shape, (..., m)."""
        shares = targets if self._inverse is None else self._inverse(targets)
        scores: FloatArray = self._offset + self._unit * shares
        return scores

    def moments(self, mean: FloatArray, std: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Median and spread about it, (m,) each, of scores whose targets are normal; the order of `mean` is kept.

        After a transform, the median is not below the worst score seen: beyond it lies a slope of which nothing is known.
        """
        mean = np.maximum(mean, self.lowest)
        middle = self.back(mean)
        squares = (self.back(mean + NODES[:, None] * std) - middle) ** 2
        return middle, np.maximum(np.sqrt(WEIGHTS @ squares / WEIGHTS.sum()), self._least)

    def quantiles(self, mean: FloatArray, std: FloatArray, probabilities: tuple[float, ...]) -> tuple[FloatArray, ...]:
        """Quantiles, (m,) each, exact for normal targets as transforms are monotone."""
        return tuple(self.back(np.maximum(mean, self.lowest) + float(ndtri(p)) * std) for p in probabilities)


def check_targets(name: str) -> None:
    """Raises ValueError: no such transform."""
    allowed = ("none", *TRANSFORMS)
    if name not in allowed:
        raise ValueError(f"targets must be one of {', '.join(allowed)}, got {name!r}")
