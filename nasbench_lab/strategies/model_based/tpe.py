"""TPE: ask where good cells are dense and others are not, l(x) / g(x) (Bergstra et al. 2011; settings of Watanabe 2023).

The best ceil(gamma n) of n results, at most 25, make the density l, the others g; of `candidates` draws from l the one
with the largest l / g is asked for. Densities are joint over all decisions ("multivariate"), with Optuna's categorical
bandwidth h = (C - 1) / (C + kernels) and a uniform prior as one more kernel. With weights "ei", kernels of l weigh what
their score exceeds the best of the others by, and the prior their mean: l / g is then the expected improvement that
Watanabe derives; "uniform" is Bergstra's.

Deviations: the space is finite, so candidates asked for before are dropped, and when none is left the cell is a
uniform one. In a listed space draws are from l given that the cell exists. A failed result belongs to the others. Cells
being evaluated on other workers do not enter the densities.
It trains at the highest fidelity only; `bohb` is its companion for several.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from nasbench_lab.core import FloatArray, Query, Result, Strategy
from nasbench_lab.strategies._density import Density, Options, drawn
from nasbench_lab.strategies._unseen import unseen
from nasbench_lab.surrogates._settled import largest

Weights = Literal["ei", "uniform"]
_MOST_GOOD = 25  # hyperopt's and Optuna's limit


@dataclass
class Tpe(Strategy):
    """Tree-structured Parzen estimator on categorical decisions.

    Attributes:
        initial: cells of the common design before the densities decide.
        gamma: share of the results that count as good.
        candidates: draws from l that are compared.
        weights: of the kernels of l: "ei" or "uniform".
    """

    initial: int = 10
    gamma: float = 0.15
    candidates: int = 24
    weights: Weights = "ei"

    paper = "Bergstra et al. 2011; Watanabe 2023, arXiv:2304.11127"
    learns_from_any = True

    def __post_init__(self) -> None:
        if self.initial < 2 or self.candidates < 1 or not 0 < self.gamma < 1:
            raise ValueError(
                "need initial >= 2, candidates >= 1, 0 < gamma < 1, "
                f"got {self.initial}, {self.candidates}, {self.gamma}"
            )
        if self.weights not in get_args(Weights):
            raise ValueError(f"weights must be one of {', '.join(get_args(Weights))}, got {self.weights!r}")

    def setup(self) -> None:
        self._seen: set[int] = set()
        self._archs: list[int] = []
        self._scores: list[float] = []

    def propose(self) -> Query | None:
        arch = self._modelled() if len(self._scores) >= self.initial else None
        arch = unseen(self, self._seen) if arch is None else arch
        if arch is None:
            return None
        self._seen.add(arch)
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        self._seen.add(result.query.arch)  # if asked for by another strategy of a portfolio
        self._archs.append(result.query.arch)
        self._scores.append(result.score)

    def densities(self) -> tuple[Density, Density] | None:
        """The densities l and g; None while a side is empty."""
        scores = np.array(self._scores)
        order = np.argsort(-scores, kind="stable")
        good = min(math.ceil(self.gamma * len(scores)), _MOST_GOOD, int(np.isfinite(scores).sum()))
        if not 0 < good < len(scores):
            return None
        rows = self.task.space.choices[np.array(self._archs)[order]]
        weights, prior = self._weights(scores[order], good)
        return self._density(rows[:good], weights, prior), self._density(rows[good:], None, 1.0)

    def _weights(self, scores: FloatArray, good: int) -> tuple[FloatArray | None, float]:
        """Of the good kernels and of the prior; `scores` descending."""
        threshold = float(scores[good])
        if self.weights == "uniform" or threshold == -math.inf:
            return None, 1.0
        weights = np.maximum(scores[:good] - threshold, 1e-12 * min(1.0, float(scores[0]) - threshold or 1.0))
        return weights, float(weights.mean())

    def _density(self, rows: Options, weights: FloatArray | None, prior: float) -> Density:
        options = self.task.space.options
        count = np.array(options, dtype=np.float64)
        return Density(options, rows, (count - 1) / (count + len(rows) + 1), weights=weights, prior=prior)

    def _modelled(self) -> int | None:
        """The candidate with the largest l / g; None if there is none that was not asked for."""
        found = self.densities()
        if found is None:
            return None
        good, others = found
        rows, cells = drawn(good, self.task.space, self.candidates, self.rng)
        archs = cells.tolist()
        fresh = [place for place, arch in enumerate(archs) if arch not in self._seen]
        if not fresh:
            return None
        ratio = (good(rows) / others(rows))[fresh]
        return int(archs[fresh[int(largest(ratio, float(ratio.max()))[0])]])
