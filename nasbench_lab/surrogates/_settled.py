"""Choices that another processor makes as well: computed numbers compared so that rounding decides nothing.

BLAS and vector instructions sum in an order of the processor's own, so the last digits of what is computed differ between
machines. Whoever chooses by such numbers compares them here. What is left to chance is a difference that by itself comes
within rounding errors (1e-12, say) of the tolerance: unlike two values that should be equal, that does not happen.

Two more rules belong to it. What amplifies errors must not start from them: hyper-parameters walk on a grid
(`_likelihood`), networks are trained with exact sums (`_network`). And what is not unique must not be used: of an
eigenbasis, only what does not change with signs and rotations (`bayes_linear`).
"""

from __future__ import annotations

import numpy as np

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces.space import IntArray

TOLERANCE = 1e-6  # in units of the values: far above rounding errors, far below differences that mean anything


def best(values: FloatArray, rng: np.random.Generator, unit: float = 1.0) -> int:
    """The place of the largest of (n,) values, none of them nan; of those equal to it (`largest`) one at random."""
    places = largest(values, unit)
    return int(places[int(rng.integers(len(places)))])


def largest(values: FloatArray, unit: float = 1.0) -> IntArray:
    """The places of the largest values: all within the tolerance of the very largest.

    Args:
        values: (n,), n at least 1, none of them nan.
        unit: a difference of this size is a large one.
    """
    return np.flatnonzero(values >= values.max() - TOLERANCE * unit)


def settled(values: FloatArray, unit: float = 1.0) -> FloatArray:
    """(n,) the values to sort by: whole multiples of the tolerance, and equal where neighbours in order are within it."""
    step = TOLERANCE * unit
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.concatenate([[True], ordered[1:] > ordered[:-1] + step])
    out = np.empty_like(ordered)
    out[order] = (step * np.rint(ordered[first] / step))[np.cumsum(first) - 1]
    return out
