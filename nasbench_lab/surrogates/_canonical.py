"""Kernels by name, and the pool of distinct rows that a space's cells fall into.

    canonical     four-node cells: a Matern-5/2 with a length scale per column of `encodings.structure`, plus one each on how
                  many paths of each kind there are and which there are (5,179 rows for NAS-Bench-201's 15,625 cells).
                  Any other space: whichever of `counts`, `places` and `choices` has the best marginal likelihood
    choices       Matern-5/2 with a length scale per decision: its one-hot option, its level if it is ordered
    counts        `choices`, plus one on how often labels are taken that several decisions share (`spaces.chains`)
    places        `counts`, the second part knowing also how late they are taken
    one_hot       Matern-5/2 on one-hot rows with a length scale per option
    categorical   exp(-Hamming distance / l) as botorch's `CategoricalKernel`, one length scale
    path          Matern-5/2 on BANANAS' path encoding (White et al. 2021)
    wl            dot product of normalised Weisfeiler-Lehman counts (Ru et al. 2021, NAS-BOWL)
    canonical3    the sum of three Matern-5/2 of `numbers.md` section 5: live one-hot, path counts, op counts

The first and the last three know four-node cells, by the roles of their operations; elsewhere all four are `canonical`.

How the kernels of other spaces were chosen: by the predictive density and Kendall's tau of the upper fifth after 30 and 80
cells, half of these from that fifth, on validation columns of TransNAS-Bench-101 (four tasks, cells without roles and
chains), NAS-Bench-Macro (one run) and FC-Net (two tasks, one seed); log density, tau: one_hot -.095 .245, one-hot with a
length scale per decision -.078 .249, `choices` -.047 .260, `counts` -.006 .281, `places` -.024 .274 (best on one space).
Median length scales, noise and their widths, tried on the same columns, were best as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import cell, cells, chains, encodings
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.surrogates._kernels import Part, Pool
from nasbench_lab.surrogates._targets import known_quantiles

_OF_CELLS = ("canonical", "path", "wl", "canonical3")
KERNELS = ("canonical", "choices", "counts", "places", "one_hot", "categorical", *_OF_CELLS[1:])
_SIDE = 0.25  # prior variance of what is beside the structure


def candidates(space: Space, kernel: str) -> tuple[str, ...]:
    """The kernels that a name stands for on a space: one, or several to choose from by marginal likelihood.

    Raises:
        ValueError: no such kernel.
    """
    if kernel not in KERNELS:
        raise ValueError(f"kernel must be one of {', '.join(KERNELS)}, got {kernel!r}")
    if kernel not in _OF_CELLS or cells.is_cell(space):
        return (kernel,)
    return ("counts", "places", "choices") if chains.alike(space) else ("choices",)


@lru_cache(maxsize=16)
def pool_of(space: Space, kernel: str = "canonical") -> Pool:
    """The pool and the kernel over it, the first where a name stands for several; computed once per process.

    Raises:
        ValueError: no such kernel.
    """
    kernel = candidates(space, kernel)[0]
    parts = _parts(space, kernel)
    if kernel not in _OF_CELLS:
        return Pool(parts, frozen(np.arange(space.size)))
    rows = np.concatenate([part.features for part in parts], axis=1)
    _, first, row_of = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    distinct = [replace(part, features=frozen(part.features[first])) for part in parts]
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
    everywhere = tuple(replace(part, features=part.features[row_of]) for part in parts)
    if not columns:
        return Pool(everywhere, np.arange(space.size))
    return Pool(
        (*everywhere, Part("known", np.stack([known_quantiles(c) for c in columns], axis=1), ard=True)),
        np.arange(space.size),
    )


def _parts(space: Space, kernel: str) -> tuple[Part, ...]:
    """The summands over all cells."""
    if kernel in ("choices", "counts", "places"):
        shared = {"choices": [], "counts": [chains.counts], "places": [chains.counts, chains.places]}[kernel]
        beside = np.concatenate([np.empty((space.size, 0)), *(made(space) for made in shared)], axis=1)
        own = _choices(space)
        return (own, Part(kernel, frozen(beside), ard=True)) if beside.shape[1] else (own,)
    if kernel == "one_hot":
        return (Part("one-hot", space.one_hot, ard=True),)
    if kernel == "categorical":
        return (Part("one-hot", space.one_hot, profile="exponential"),)
    of = encodings.standing(space)
    if kernel == "path":
        return (Part("paths", cell.path_encoding()[of]),)
    if kernel == "wl":
        return (Part("wl", _unit(encodings.wl())[of], profile="linear"),)
    if kernel == "canonical3":
        named = {"live one-hot": encodings.one_hot(live=True), "paths": encodings.path_counts()}
        return tuple(Part(k, v[of], variance=1 / 3) for k, v in {**named, "op counts": encodings.op_counts()}.items())
    return (
        Part("structure", encodings.structure()[of], ard=True, variance=3.0),
        Part("paths", encodings.path_counts()[of], variance=_SIDE),
        Part("path set", encodings.path_set()[of], variance=_SIDE),
    )


def _choices(space: Space) -> Part:
    """A length scale per decision: one column of levels where options are ordered or two, else one-hot columns."""
    columns, groups = [], list[int]()
    for edge, each in enumerate(space.decisions):
        levels = each.ordered or len(each.options) < 3
        columns.append(space.levels[:, [edge]] if levels else np.eye(len(each.options))[space.choices[:, edge]])
        groups += [edge] * columns[-1].shape[1]
    return Part("choices", frozen(np.concatenate(columns, axis=1)), ard=True, groups=np.array(groups))


def _unit(rows: FloatArray) -> FloatArray:
    """Rows of length 1, after a constant column that keeps empty cells from vanishing."""
    wide = np.concatenate([np.ones((len(rows), 1)), rows], axis=1)
    unit: FloatArray = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    return unit
