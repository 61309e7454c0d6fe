"""Answers queries by a surrogate fitted to a few of a table's cells, in place of the table (Siems et al. 2020, NAS-Bench-301).

`surrogate:model=(gp:kernel=wl),cells=500` fits the model to n random cells, one of each of n classes, at every fidelity
that is searched: validation scores of the schedule, or mean test for the labelled oracle. What the search sees is the
prediction; what it is scored on stays the table's test accuracy, where there is one.

    trials = "mean"     the predicted mean
    trials = "sample"   mean + std * a standard normal number of (seed, cell, epochs): the prediction of a new training
    noise               as of a table; with "sample" both variances add up
    seconds             predicted, linear in how many edges carry each op; or the table's own

A model is fitted once per process and fidelity, on first use; a process that fits anew finds the same.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nasbench_lab import extras, loading
from nasbench_lab.core import FloatArray, LabError, noise_stream, parameters, spread, stream
from nasbench_lab.evaluators._known import Sources, opened, opened_sources
from nasbench_lab.evaluators.tabular import ORACLE, Tabular
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.surrogates._base import predictions
from nasbench_lab.tables.predicted import counts
from nasbench_lab.tables.schedule import Schedule
from nasbench_lab.tables.table import Table

_CELLS, _FIT = 5, 6  # streams of the fit's seed: which cells, and the model's own randomness


@dataclass(frozen=True)
class _Asked:
    """A fit, by all that decides it."""

    key: tuple[object, ...]
    fit: Callable[[], tuple[FloatArray, FloatArray]] = field(compare=False)


@cache
def _fitted(asked: _Asked) -> tuple[FloatArray, FloatArray]:
    """(A,) mean and standard deviation of all cells; fitted once per process."""
    return asked.fit()


class Fitted(Tabular):
    """Evaluator over a surrogate of a table.

    Args:
        table: where the fitted cells' scores come from, and the truth; it may be partial.
        model: spec of a surrogate, "gp:kernel=wl".
        cells: how many classes it is fitted to, at least 2; each by its lowest-index member.
        fit_seed: which classes, and the model's randomness.
        seconds: "predicted" or "table".
        search, trials, noise, objectives, sources: see `Tabular`; here "sample" needs no single trials.

    Raises:
        LabError: no such model, schedule or policy; fewer measured classes than asked for.
    """

    def __init__(
        self,
        table: Table,
        *,
        model: str = "gp",
        cells: int = 500,
        fit_seed: int = 0,
        seconds: str = "predicted",
        search: int | str | None = None,
        trials: Literal["mean", "sample"] | None = None,
        noise: float = 0.0,
        objectives: tuple[str, ...] = ("val",),
        sources: Mapping[str, Table] | None = None,
    ) -> None:
        if seconds not in ("predicted", "table"):
            raise LabError(f"surrogate: seconds must be 'predicted' or 'table', got {seconds!r}")
        self._measured = table
        self.model, self.cells, self.fit_seed, self.seconds = model, cells, fit_seed, seconds
        self._model = loading.build("surrogates", model)
        self._described = {"parameters": parameters(self._model), "file": _file_digest(type(self._model))}
        self.archs = frozen(_chosen(table, cells, fit_seed))
        if seconds == "predicted":
            costed = {last: _costed(schedule, self.archs, table.space) for last, schedule in table.schedules.items()}
            table = replace(table, schedules=costed)
        super().__init__(
            table, search=search, trials=trials or "mean", noise=noise, objectives=objectives, sources=sources
        )

    @classmethod
    def open(  # type: ignore[override]  # its options are its own
        cls,
        table: Table | str,
        *,
        search: int | str | None = None,
        trials: Literal["mean", "sample"] | None = None,
        noise: float = 0.0,
        objectives: tuple[str, ...] = ("val",),
        sources: Sources = (),
        model: str = "gp",
        cells: str = "500",
        fit_seed: str = "0",
        seconds: str = "predicted",
    ) -> Fitted:
        """The evaluator of a spec such as "surrogate:model=gp,cells=500"; options are the spec's text.

        Raises:
            LabError: an option that is out of range.
        """
        return cls(
            opened(table), model=model, cells=_whole("cells", cells), fit_seed=_whole("fit_seed", fit_seed),
            seconds=seconds, search=search, trials=trials, noise=noise, objectives=tuple(objectives),
            sources=opened_sources(sources),
        )  # fmt: skip

    def _check(self) -> None:
        """The table need not be complete, nor hold single trials."""
        if self.trials not in ("mean", "sample"):  # "split" needs trainings, which a prediction has none of
            raise LabError(f"trials must be 'mean' or 'sample' where a surrogate answers, got {self.trials!r}")
        spread(self.noise, "noise")
        if any(np.isnan(schedule.seconds).any() for schedule in self._schedules.values()):
            raise LabError(f"table {self.table.name!r} does not know what every cell costs; use seconds=predicted")

    @property
    def requires(self) -> tuple[str, ...]:
        """The packages the model computes with beyond the core's."""
        return extras.required(self._model)

    @property
    def spec(self) -> str:
        """How a study writes this evaluator."""
        nested = f"({self.model})" if set(self.model) & set(":,=") else self.model
        return f"surrogate:model={nested},cells={self.cells},fit_seed={self.fit_seed},seconds={self.seconds}"

    @property
    def policy(self) -> dict[str, Any]:
        """What a run header says about this evaluator; `open` rebuilds it."""
        own = {"evaluator": self.spec, "digest": self._measured.digest}
        return super().policy | own | {"model": self._described, "cells": self.cells, "fit_seed": self.fit_seed}

    @property
    def seen(self) -> FloatArray:
        """(A,) what the search sees at the highest fidelity, without noise: the predicted means."""
        return self.predicted(self.task.full)[0]

    def predicted(self, epochs: int) -> tuple[FloatArray, FloatArray]:
        """(A,) mean and standard deviation of all cells at one fidelity, larger better; percentages lie in 0 to 100."""
        known = tuple((name, source.digest) for name, source in self._sources.items())
        key = (self._measured.digest, str(self.search), epochs, self.cells, self.fit_seed, repr(self._described), known)
        return _fitted(_Asked(key, lambda: self._fit(epochs)))

    def _fit(self, epochs: int) -> tuple[FloatArray, FloatArray]:
        schedule = self._answering(epochs)
        scores = self.table.sign * (
            self.table.truth if self.search == ORACLE else schedule.val[:, schedule.column(epochs)]
        )
        extra = {"known": self.task.known} if getattr(self._model, "uses_known", False) else {}
        rng = stream(self.fit_seed, _FIT, epochs)
        try:
            self._model.fit(self.archs, scores[self.archs], rng, space=self.table.space, **extra)
            mean, std = predictions(self._model, np.arange(self.table.space.size))
        except ValueError as error:
            raise LabError(f"surrogate {self.model}: {error}") from error
        if self.table.measure.percent:
            low, high = sorted((0.0, 100.0 * self.table.sign))
            mean = np.clip(mean, low, high)
        return frozen((mean, std))

    def _vector(self, epochs: int) -> FloatArray:
        """(A,) answers at one fidelity for the current seed."""
        self._answering(epochs)  # says which fidelities there are
        mean, std = self.predicted(epochs)
        spread = np.hypot(std if self.trials == "sample" else 0.0, self.noise)
        if not np.any(spread):
            return mean
        return mean + spread * noise_stream(self._seed, epochs).standard_normal(mean.shape)


def _chosen(table: Table, count: int, seed: int) -> IntArray:
    """(count,) cells: the lowest-index members of random classes that were measured."""
    first = np.unique(table.space.representatives)
    known = first[table.measured[first]]
    if not 2 <= count <= len(known):
        raise LabError(f"surrogate: cells must lie in 2..{len(known)}, the measured classes, got {count}")
    return np.sort(stream(seed, _CELLS).permutation(known)[:count])


def _costed(schedule: Schedule, archs: IntArray, space: Space) -> Schedule:
    """The schedule with seconds predicted from those of some cells; none is cheaper than the cheapest of these.

    Linear in a NAS-Bench-201 cell's counts of operations, in any other space in the options taken.
    """
    known = schedule.seconds[archs]
    rows = counts() if space == cell.SPACE else np.concatenate([np.ones((space.size, 1)), space.one_hot], axis=1)
    slopes = np.linalg.lstsq(rows[archs], known, rcond=None)[0]
    seconds = np.maximum(rows @ slopes, known.min(axis=0))
    return replace(schedule, seconds=np.maximum.accumulate(np.round(seconds, 3), axis=1))


def _file_digest(model: type[Any]) -> str:
    """Of the model's file, so that somebody's own model that was edited makes other runs; ours are followed anyway."""
    return hashlib.sha256(Path(inspect.getfile(model)).read_bytes()).hexdigest()[:16]


def _whole(name: str, text: str) -> int:
    if not text.isdecimal():
        raise LabError(f"surrogate: {name} must be a whole number, got {text!r}")
    return int(text)
