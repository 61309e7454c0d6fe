"""Kernels by name, and the pool of distinct rows that a space's cells fall into.

    canonical     a Matern-5/2 with a length scale per column of `_features.structure`, plus one each on how many paths of
                  each kind there are and which there are: the default (5,179 rows for 15,625 cells)
    one_hot       Matern-5/2 on one-hot rows with a length scale per option: any space
    categorical   exp(-Hamming distance / l) as botorch's `CategoricalKernel`, one length scale: any space
    path          Matern-5/2 on BANANAS' path encoding (White et al. 2021)
    wl            dot product of normalised Weisfeiler-Lehman counts (Ru et al. 2021, NAS-BOWL)
    canonical3    the sum of three Matern-5/2 of `numbers.md` section 5: live one-hot, path counts, op counts

Whatever is not a NAS-Bench-201 cell gets `one_hot` instead of the last four and of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import numpy as np

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import cell, encodings
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.surrogates._kernels import Part, Pool
from nasbench_lab.surrogates._targets import known_quantiles

KERNELS = ("canonical", "one_hot", "categorical", "path", "wl", "canonical3")
_SIDE = 0.25  # prior variance of what is beside the structure


@lru_cache(maxsize=8)
def pool_of(space: Space, kernel: str = "canonical") -> Pool:
    """The pool and the kernel over it; computed once per process.

    Raises:
        ValueError: no such kernel.
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, got {kernel!r}")
    everywhere = kernel in ("one_hot", "categorical")
    parts = _parts(space, kernel if everywhere or space == cell.SPACE else "one_hot")
    if everywhere or space != cell.SPACE:
        return Pool(parts, frozen(np.arange(space.size)))
    rows = np.concatenate([part.features for part in parts], axis=1)
    _, first, row_of = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    distinct = [
        Part(p.name, frozen(p.features[first]), ard=p.ard, profile=p.profile, variance=p.variance) for p in parts
    ]
    return Pool(tuple(distinct), frozen(row_of.reshape(-1).astype(np.int64)))


@lru_cache(maxsize=8)
def first_of(space: Space, kernel: str) -> IntArray:
    """(M,) the lowest-index cell of every row of a pool."""
    return frozen(np.unique(pool_of(space, kernel).row_of, return_index=True)[1].astype(np.int64))


def with_known(space: Space, kernel: str, known: Mapping[str, FloatArray]) -> Pool:
    """A pool with a row per cell and a further part: zero-cost scores and sizes known of all cells, as normal quantiles.

    A cell without a score has the median one. Scores of other datasets ("source/...") and costs are left out.
    """
    columns = [values for name, values in known.items() if name.partition("/")[0] in ("proxy", "params_m", "flops_m")]
    parts, row_of = pool_of(space, kernel)
    everywhere = tuple(
        Part(p.name, p.features[row_of], ard=p.ard, profile=p.profile, variance=p.variance) for p in parts
    )
    if not columns:
        return Pool(everywhere, np.arange(space.size))
    return Pool(
        (*everywhere, Part("known", np.stack([known_quantiles(c) for c in columns], axis=1), ard=True)),
        np.arange(space.size),
    )


def _parts(space: Space, kernel: str) -> tuple[Part, ...]:
    """The summands over all cells."""
    if kernel == "one_hot":
        return (Part("one-hot", space.one_hot, ard=True),)
    if kernel == "categorical":
        return (Part("one-hot", space.one_hot, profile="exponential"),)
    if kernel == "path":
        return (Part("paths", cell.path_encoding()),)
    if kernel == "wl":
        return (Part("wl", _unit(encodings.wl()), profile="linear"),)
    if kernel == "canonical3":
        named = {"live one-hot": encodings.one_hot(live=True), "paths": encodings.path_counts()}
        return tuple(Part(k, v, variance=1 / 3) for k, v in {**named, "op counts": encodings.op_counts()}.items())
    return (
        Part("structure", encodings.structure(), ard=True, variance=3.0),
        Part("paths", encodings.path_counts(), variance=_SIDE),
        Part("path set", encodings.path_set(), variance=_SIDE),
    )


def _unit(rows: FloatArray) -> FloatArray:
    """Rows of length 1, after a constant column that keeps empty cells from vanishing."""
    wide = np.concatenate([np.ones((len(rows), 1)), rows], axis=1)
    unit: FloatArray = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return unit
