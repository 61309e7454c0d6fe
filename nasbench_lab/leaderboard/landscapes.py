"""A table's scores as a landscape: by distance to the nearest optimum, their distribution, local optima and their basins."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import cells
from nasbench_lab.spaces.space import Space
from nasbench_lab.stats import references, shares
from nasbench_lab.stats.measures import Measure

Row = dict[str, Any]
EQUAL = 1e-9  # points: scores that differ by less are equal
_OPTIMA = 1000  # listed, those with the largest basins and the best; and best cells up to which distances are taken
_ROUNDING = 1e-12  # of the scores: closer together they differ by rounding
_BINS = 48
_QUANTILES = (5, 25, 50, 75, 95)


def of(space: Space, truth: FloatArray, measure: Measure) -> Row:
    """The landscape of a table; scores in its direction, `q05` to `q95` from its worse to its better cells.

    A basin is the share of cells from which going to the best neighbour, while that is better, ends there. Distances are
    numbers of decisions, and are left out ("distance" is empty) where more than a thousand cells share the best score.

    Args:
        space: of the cells.
        truth: (N,) test scores, larger is better; nan where there is none.
        measure: how they are read.

    Returns:
        "distance", "edges", "counts", "below" (the worst), "local_optima"; of more than a thousand of these "optima", how
        many there are; of a space that is not of four-node cells "differ", in what cells differ. Empty where there are
        no scores.
    """
    finite = truth[~np.isnan(truth)]
    if not finite.size:
        return {}
    unit = measure.scale(measure.sign * finite)
    known = np.where(np.isnan(truth), -np.inf, truth)
    optima = np.flatnonzero(known >= known.max() - EQUAL * unit)
    edges, counts = _distribution(finite, measure)
    local = _local_optima(space, known, optima, measure)
    found: Row = {
        "distance": _by_distance(space, truth, optima, measure) if len(optima) <= _OPTIMA else [],
        "edges": [measure.rounded(edge, 4) for edge in edges],
        "counts": counts,
        "below": measure.rounded(measure.sign * float(finite.min()), 2),
        "local_optima": _kept(local),
    }
    found |= {"optima": len(local)} if len(local) > _OPTIMA else {}
    return found if cells.is_cell(space) else found | {"differ": "decisions"}


def _kept(local: list[Row]) -> list[Row]:
    """Those that are listed, in the same order."""
    places = sorted(range(len(local)), key=lambda i: (not local[i]["best"], -local[i]["basin"], i))[:_OPTIMA]
    return [local[i] for i in sorted(places)]


def _by_distance(space: Space, truth: FloatArray, optima: NDArray[np.int64], measure: Measure) -> list[Row]:
    """A row per number of decisions in which cells differ from the nearest optimum."""
    choices = space.choices
    distance = np.full(space.size, len(space.options), dtype=np.int64)
    for best in optima:
        np.minimum(distance, (choices != choices[best]).sum(axis=1), out=distance)
    rows = []
    for edits in range(int(distance.max()) + 1):
        values = truth[(distance == edits) & ~np.isnan(truth)]
        if len(values):
            cuts = np.quantile(values, np.array(_QUANTILES) / 100)
            named = {f"q{share:02d}": _read(v, measure) for share, v in zip(_QUANTILES, cuts.tolist(), strict=True)}
            rows.append({"distance": edits, "cells": len(values), "best": _read(float(values.max()), measure), **named})
    return rows


def _read(score: float, measure: Measure) -> float:
    return measure.rounded(measure.sign * score, 3)


def _distribution(finite: FloatArray, measure: Measure) -> tuple[list[float], list[int]]:
    """Edges and counts of the bins, ascending; what is worse than 95% of all is counted in the worst bin."""
    low, high = float(np.quantile(finite, 0.05)), float(finite.max())
    if high - low <= _ROUNDING * max(abs(low), abs(high)):  # scores that differ by rounding alone are one bar
        room = 0.5 * (abs(low) or 1.0)
        counts, edges = np.array([len(finite)]), np.array([low - room, high + room])
    else:
        counts, edges = np.histogram(np.clip(finite, low, None), bins=_BINS)
    if measure.sign < 0:
        counts, edges = counts[::-1], -edges[::-1]
    return edges.tolist(), counts.tolist()


def _local_optima(space: Space, known: FloatArray, optima: NDArray[np.int64], measure: Measure) -> list[Row]:
    """All of them, best first."""
    around = space.neighbours if space.neighbours.shape[1] else np.arange(space.size)[:, None]
    found, best = references.local_search(known, known, around), set(optima.tolist())
    local = [
        {
            "cell": int(arch),
            "test": measure.rounded(measure.sign * float(known[arch]), 4),
            "basin": shares.rounded(float(share), 6),
            "best": int(arch) in best,
        }
        for arch, share in zip(found.optima, found.basins, strict=True)
        if np.isfinite(known[arch])
    ]
    return sorted(local, key=lambda row: (-measure.sign * row["test"], row["cell"]))
