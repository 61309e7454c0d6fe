"""Nearest neighbours by class: the floor. A cell of a class that was seen has the class's mean.

The distance of two classes is the smallest Hamming distance, on live operations (an edge on no path from input to
output counts as `none`), of a cell of the one and a cell of the other. An unseen class is predicted by the seen ones
no further away than the k-th nearest, ties included, weighted by 1 / distance^2.

The variance of an unseen class is that of its neighbours, drawn half way to its average and multiplied such that 90%
intervals cover the leave-one-class-out errors. Of a seen class it is the variance of one training, pooled over repeated
observations; without any, a tenth of the average of unseen classes (on validation columns it is 5 to 12%). The class's
mean is off by as much, divided by the number of observations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from nasbench_lab.core import FloatArray
from nasbench_lab.spaces import cell, cells, encodings
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.surrogates._rows import LEAST_NOISE, NINE_TENTHS, RowModel
from nasbench_lab.surrogates._scale import check_targets

_OWN = 0.1  # variance of one training, as a share of the average error; where nothing was observed twice


@dataclass
class NearestClasses(RowModel):
    """The k nearest classes.

    Attributes:
        neighbours: k; more where distances tie.
        targets: transform of the scores, a name of `_targets.TRANSFORMS` (blended, rank_gauss, standardised, ...), or none.
    """

    neighbours: int = 8
    targets: str = "blended"

    features = "live"  # no field: distances are defined on these

    def __post_init__(self) -> None:
        check_targets(self.targets)
        if self.neighbours < 1:
            raise ValueError(f"neighbours must be at least 1, got {self.neighbours}")

    def alike(self, space: Space = cell.SPACE) -> tuple[IntArray, IntArray]:
        """See `Surrogate.alike`: the cells of a class."""
        _, first, class_of = np.unique(space.classes, return_index=True, return_inverse=True)
        return first, class_of

    def _rows(self, space: Space) -> encodings.Rows:
        return _members(space)

    def _learn(self, rows: IntArray, targets: FloatArray, rng: np.random.Generator) -> None:
        classes = self.inputs_[:, 0].astype(np.int64)
        self.class_of_row_: IntArray = classes
        self.by_class_: IntArray = np.argsort(classes, kind="stable")
        self.starts_: IntArray = np.searchsorted(classes[self.by_class_], np.arange(classes.max() + 2))
        self.seen_, at, counts = np.unique(self.class_of_row_[rows], return_inverse=True, return_counts=True)
        self.counts_: FloatArray = counts.astype(np.float64)
        self.means_: FloatArray = np.bincount(at, weights=targets) / self.counts_
        between = self._distances(self.seen_)
        np.fill_diagonal(between, np.inf)
        mean, spread = self._from_neighbours(between)
        self.average_ = max(float(spread.mean()), LEAST_NOISE)
        squares = (self.means_ - mean) ** 2 / (spread + self.average_)
        self.factor_ = max(float(np.quantile(squares, 0.9)) / NINE_TENTHS, LEAST_NOISE)
        repeats = len(targets) - len(self.seen_)
        pooled = float(((targets - self.means_[at]) ** 2).sum()) / max(repeats, 1)
        self.noise_ = max(pooled if repeats else _OWN * self.factor_ * 2.0 * self.average_, LEAST_NOISE)

    def _distances(self, asked: IntArray) -> FloatArray:
        """(m, s) distances of classes asked for, distinct and ascending, to the s seen."""
        ours, our_starts = self._rows_of(asked)
        theirs, their_starts = self._rows_of(self.seen_)
        single = self.inputs_[:, 1:].astype(np.float32)
        shared = (single[theirs] @ single[ours].T).astype(
            np.int8
        )  # small integers: an eighth of the memory to go through
        shared = np.maximum.reduceat(shared, their_starts, axis=0)
        shared = np.maximum.reduceat(np.ascontiguousarray(shared.T), our_starts, axis=0)
        distances: FloatArray = single[0].sum() - shared.astype(np.float64)
        return distances

    def _rows_of(self, classes: IntArray) -> tuple[IntArray, IntArray]:
        """The rows of some classes, class by class, and where each begins."""
        parts = [self.by_class_[self.starts_[c] : self.starts_[c + 1]] for c in classes.tolist()]
        sizes = np.array([len(part) for part in parts])
        return np.concatenate(parts), np.concatenate([[0], np.cumsum(sizes)[:-1]])

    def _from_neighbours(self, distances: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Weighted mean and variance, (m,) each, of the nearest seen classes; infinite distances do not count."""
        if distances.shape[1] == 1 and not np.isfinite(distances).all():  # one class alone has no neighbours
            return np.zeros(len(distances)), np.ones(len(distances))
        kth = min(self.neighbours, distances.shape[1]) - 1
        furthest = np.partition(distances, kth, axis=1)[:, [kth]]
        weights = np.where(distances <= np.minimum(furthest, 1e9), 1.0 / np.maximum(distances * distances, 0.25), 0.0)
        weights /= weights.sum(axis=1, keepdims=True)
        mean: FloatArray = weights @ self.means_
        variance: FloatArray = np.maximum(weights @ self.means_**2 - mean**2, 0.0)
        return mean, variance

    def _moments(self, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        asked, back = np.unique(self.class_of_row_[rows], return_inverse=True)
        mean, spread = self._from_neighbours(self._distances(asked))
        variance = self.factor_ * (spread + self.average_)
        place = np.minimum(np.searchsorted(self.seen_, asked), len(self.seen_) - 1)
        seen = self.seen_[place] == asked
        mean[seen] = self.means_[place[seen]]
        variance[seen] = self.noise_ * (1.0 + 1.0 / self.counts_[place[seen]])
        return mean[back], np.sqrt(variance)[back]


@lru_cache(maxsize=8)
def _members(space: Space) -> encodings.Rows:
    """Distinct pairs of class (first column) and live one-hot row."""
    live = encodings.of("live", space) if cells.is_cell(space) else space.one_hot
    return frozen(encodings.distinct(np.concatenate([space.classes[:, None], live], axis=1)))
