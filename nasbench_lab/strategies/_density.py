"""Densities over categorical choices: mixtures of products of Aitchison-Aitken kernels, shared by `tpe` and `bohb`.

Notation: E decisions, C_e options of decision e, n centres. The kernel of centre i at decision e gives its own option
1 - h_ie and each other one h_ie / (C_e - 1) (Aitchison & Aitken 1976); h = (C - 1) / C makes it uniform, which is the
widest it gets here: beyond, other options would be likelier than the centre's own.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces.space import IntArray, Space

_ROUNDS = 20  # of draws, before fewer cells of a listed space than asked for are enough
Options = NDArray[np.signedinteger]


def widest(options: tuple[int, ...]) -> FloatArray:
    """(E,) bandwidths at which kernels are uniform."""
    count = np.array(options, dtype=np.float64)
    return (count - 1) / count


def drawn(
    density: Density, space: Space, count: int, rng: np.random.Generator, *, widen: float = 1.0
) -> tuple[Options, IntArray]:
    """(m, E) draws from a density given that such cells exist, and their (m,) indices; m = count in a product.

    In a listed space what does not exist is drawn anew, `_ROUNDS` times at most: m may then be smaller, or 0.
    """
    kept: list[Options] = []
    found: list[IntArray] = []
    for _ in range(_ROUNDS):
        rows = density.sample(count - sum(map(len, found)), rng, widen=widen)
        archs = space.found(rows)
        kept.append(rows[archs >= 0])
        found.append(archs[archs >= 0])
        if sum(map(len, found)) == count:
            break
    return np.concatenate(kept), np.concatenate(found)


class Density:
    """p(x) = sum_i w_i prod_e K(x_e; centre_ie, h_ie).

    Args:
        options: of every decision.
        centres: (n, E) options, n at least 1.
        bandwidths: broadcastable to (n, E); anything above the uniform kernel's is cut to it.
        weights: (n,) not negative, not all zero; equal ones if left out.
        prior: weight of one more centre with uniform kernels, in the unit of `weights`.
    """

    def __init__(
        self,
        options: tuple[int, ...],
        centres: Options,
        bandwidths: FloatArray | float,
        *,
        weights: FloatArray | None = None,
        prior: float = 0.0,
    ) -> None:
        self._counts = np.array(options)
        centres = np.asarray(centres, dtype=np.int64)
        width = np.minimum(np.broadcast_to(bandwidths, centres.shape), widest(options))
        weight = np.ones(len(centres)) if weights is None else np.asarray(weights, dtype=np.float64)
        if prior > 0:
            centres = np.concatenate([centres, np.zeros((1, len(options)), dtype=np.int64)])
            width = np.concatenate([width, widest(options)[None]])
            weight = np.append(weight, prior)
        self.centres, self.bandwidths, self.weights = centres, width, weight / weight.sum()

    def __call__(self, rows: Options) -> FloatArray:
        """(m, E) choices -> (m,) probabilities."""
        other = self.bandwidths / np.maximum(self._counts - 1, 1)
        value = np.ones((len(rows), len(self.centres)))
        for edge in range(len(self._counts)):
            own = rows[:, edge, None] == self.centres[:, edge]
            value *= np.where(own, 1.0 - self.bandwidths[:, edge], other[:, edge])
        density: FloatArray = value @ self.weights
        return density

    def sample(self, count: int, rng: np.random.Generator, *, widen: float = 1.0) -> Options:
        """(count, E) draws, from kernels with bandwidths multiplied by `widen`."""
        picked = rng.choice(len(self.centres), size=count, p=self.weights)
        centres = self.centres[picked]
        width = np.minimum(widen * self.bandwidths[picked], (self._counts - 1) / self._counts)
        shift = 1 + np.floor(rng.random(centres.shape) * (self._counts - 1)).astype(np.int64)
        moved = rng.random(centres.shape) < width
        rows: Options = np.where(moved, (centres + shift) % self._counts, centres)
        return rows
