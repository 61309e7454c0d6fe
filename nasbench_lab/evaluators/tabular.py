"""Answers queries from a table: search on one schedule's validation scores, scored on test afterwards.

A strategy maximises: where lower scores are better, answers and truth are the table's scores times -1.

Policies, all written into the run's header: which schedule is searched (or the labelled oracle, which sees mean test
accuracy and exists to compare with papers that do the same), which trial a query returns, and extra query noise.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import NO_METRICS, Evaluator, FloatArray, LabError, Query, Result, Task, noise_stream, spread
from nasbench_lab.evaluators._known import dataset_of, from_metrics, from_sources, opened, opened_sources
from nasbench_lab.spaces.frozen import ReadOnly, frozen
from nasbench_lab.stats.measures import Measure
from nasbench_lab.tables import readings, trainings
from nasbench_lab.tables.schedule import Schedule, known_mean
from nasbench_lab.tables.table import Table

ORACLE = "oracle"
ALL = "all"
TRIALS = ("mean", "sample", "split")
Trials = Literal["mean", "sample", "split"]


class Tabular:
    """Evaluator over a `Table`.

    Args:
        table: the benchmark; must be complete.
        search: last epoch of the schedule to search on; "all" (one fidelity per schedule, its last epoch: separate
            trainings, each charged in full); "oracle" (sees mean test of the longest schedule, the labelled exception
            to "search sees validation only"); or None for the table's default.
        trials: "mean" returns the mean over trials; "sample" one trial per (seed, cell), drawn uniformly from those
            that exist, the same at every epoch; "split" the same, of one training, and runs of the seed are scored on the mean
            of the cell's other trainings, so that search and score share no luck (`tables.trainings`). None: as the table's
            header says, "mean" unless it says otherwise.
        noise: standard deviation of extra Gaussian query noise, in units of the score; per (seed, cell, epochs).
        objectives: "val" and any of the table's metrics that every cell has.
        sources: tables of *other* datasets, by the name the study gives them; a strategy may read their validation
            scores after the longest schedule (`Task.known`, "source/<name>").
        reading: how somebody else reads the table, by name (`tables.readings`); "" for as it is meant. Never a default:
            it is part of the evaluator's name in every header, heading and row.

    Raises:
        LabError: an incomplete table, an unknown schedule, policy or metric, "sample" where only means are known, or a
            source of the dataset that is searched.
    """

    def __init__(
        self,
        table: Table,
        *,
        search: int | str | None = None,
        trials: str | None = None,
        noise: float = 0.0,
        objectives: tuple[str, ...] = ("val",),
        sources: Mapping[str, Table] | None = None,
        reading: str = "",
    ) -> None:
        self._as_it_is, self.reading = table, reading
        if reading:
            table = readings.named(reading).read(table)
            trials = "sample" if reading == readings.FILLED else trials or "mean"
        self.table = table
        self.search = self._search(table, search)
        self.trials: str = trials or self._usual(table, self.search, objectives)
        self.noise = spread(noise, "noise")
        self._sources = ReadOnly(sources or {})
        self._schedules = ReadOnly(self._searched(table, self.search))
        self._schedule = self._schedules[max(self._schedules)]
        epochs = tuple(sorted(self._schedules))
        one_run = self._schedule.one_run and len(set(map(id, self._schedules.values()))) == 1
        known = from_metrics(table.metrics) | from_sources(dataset_of(table), self._sources, searched=table)
        try:
            self.task = Task(
                table.space, epochs, objectives, one_run=one_run, known=known, unit=table.unit, better=table.better
            )
        except ValueError as error:
            raise LabError(str(error)) from error
        self._check()
        self._split = trainings.of(table, self._schedule) if self.trials == "split" else None
        self._metrics = self._metric_rows(objectives[1:])
        self._seconds: dict[int, tuple[float, ...]] = {}
        self._values: dict[int, tuple[float, ...]] = {}
        self._seed = -1

    @classmethod
    def open(cls, table: str | Table, *, reading: str = "", **policies: Any) -> Tabular:
        """The evaluator of a table, or of one by name or path; arguments as in the constructor, sources also by name."""
        objectives = tuple(policies.pop("objectives", ("val",)))
        sources = opened_sources(policies.pop("sources", ()))
        if reading:
            policies["reading"] = reading
        return cls(opened(table), objectives=objectives, sources=sources, **policies)

    @staticmethod
    def _usual(table: Table, search: int | str, objectives: tuple[str, ...]) -> str:
        """The policy where none is said: the table's own for its own schedule and one objective, else the mean."""
        return table.default_trials if search == table.default_search and len(objectives) == 1 else "mean"

    @staticmethod
    def _search(table: Table, search: int | str | None) -> int | str:
        if search is None:
            return table.default_search
        if search in (ORACLE, ALL):
            return str(search)
        if str(search).isdecimal():
            return int(search)
        allowed = ", ".join(map(str, table.schedules))
        raise LabError(f"search must be one of {allowed}, {ALL!r} or {ORACLE!r}, got {search!r}")

    @staticmethod
    def _searched(table: Table, search: int | str) -> dict[int, Schedule]:
        """Fidelity -> the schedule whose validation answers it."""
        if search == ALL:
            return dict(table.schedules)
        if search == ORACLE:
            return {table.last.epochs[-1]: table.last}
        schedule = table.schedule(int(search))
        return dict.fromkeys(schedule.epochs, schedule)

    def _check(self) -> None:
        if self.trials not in TRIALS:
            raise LabError(f"trials must be 'mean', 'sample' or 'split', got {self.trials!r}")
        if self.trials == "split" and (isinstance(self.search, str) or self.reading or len(self.task.objectives) > 1):
            what = f"search={self.search!r}" if isinstance(self.search, str) else f"a reading ({self.reading})"
            what = what if isinstance(self.search, str) or self.reading else "several objectives"
            raise LabError(f"trials='split' goes with one objective and a schedule as it is, not with {what}")
        known = int(self.table.measured.sum())
        if known < self.table.space.size:
            raise LabError(
                f"table {self.table.name!r} has scores for {known} of {self.table.space.size} cells; a search needs all"
            )
        only_means = any(schedule.val_trials.shape[2] == 0 for schedule in self._schedules.values())
        if self.trials == "sample" and (self.search == ORACLE or only_means):
            what = (
                "the oracle sees a mean"
                if self.search == ORACLE
                else f"table {self.table.name!r} has one number a cell"
            )
            raise LabError(f"trials='sample' needs single trials, but {what}; use trials='mean' and noise=...")

    def _metric_rows(self, objectives: tuple[str, ...]) -> tuple[Mapping[str, float], ...] | None:
        for name in objectives:
            if name not in self.table.metrics:
                raise LabError(
                    f"table {self.table.name!r} has no metric {name!r}; it has: {', '.join(self.table.metrics)}"
                )
            missing = int(np.isnan(self.table.metrics[name]).sum())
            if missing:
                raise LabError(f"metric {name!r} has no value for {missing} cells, so it cannot be an objective")
        if not objectives:
            return None
        columns = np.stack([self.table.metrics[name] for name in objectives], axis=1).tolist()
        return tuple(ReadOnly(dict(zip(objectives, row, strict=True))) for row in columns)

    @property
    def policy(self) -> dict[str, Any]:
        """What a run header says about this evaluator; `open` rebuilds it."""
        return {
            "evaluator": f"tabular:reading={self.reading}" if self.reading else "tabular",
            "table": self.table.name,
            "digest": self._as_it_is.digest,
            "search": self.search,
            "trials": self.trials,
            "noise": self.noise,
            "objectives": list(self.task.objectives),
            "sources": {name: source.digest for name, source in self._sources.items()},
        } | ({"reading": self.reading} if self.reading else {})

    @property
    def sources(self) -> Mapping[str, Table]:
        """Tables of other datasets, by the name the study gives them."""
        return self._sources

    @property
    def seen(self) -> FloatArray:
        """(A,) what the search sees at the highest fidelity, without noise, larger better. For the scorer's references."""
        values = self.table.truth if self.search == ORACLE else self._schedule.val[:, -1]
        if self._split is not None:  # any of its trainings may answer
            values = frozen(known_mean(np.where(self._split.known, self._split.seen[:, -1], np.nan)))
        return values if self.table.sign > 0 else frozen(-values)

    def evaluate(self, query: Query, seed: int) -> Result:
        """The answer to a query whose `epochs` is one of `task.fidelities`."""
        arch, epochs = query[0], query[1]
        if seed != self._seed:
            self._forget(seed)
        values = self._values.get(epochs) or self._column(epochs)
        metrics = NO_METRICS if self._metrics is None else self._metrics[arch]
        return Result(query, values[arch], self._seconds[epochs][arch], metrics)

    def evaluate_many(self, archs: NDArray[np.int64], epochs: int, seed: int) -> tuple[FloatArray, FloatArray]:
        """(n,) cells -> (n,) scores and (n,) seconds, the same numbers as `evaluate` one by one."""
        if seed != self._seed:
            self._forget(seed)
        schedule = self._answering(epochs)
        return self._vector(epochs)[archs], schedule.seconds[archs, schedule.column(epochs)]

    def truth(self, arch: int) -> float:
        """Mean test score after the longest schedule, larger better: negated where the table's lower scores are better."""
        return self.table.sign * float(self.table.truth[self.task.space.known_cell(arch)])

    def scores(self, seed: int) -> FloatArray:
        """(A,) what runs of a seed are scored with, larger better: `truth`, but of "split" the trainings not searched."""
        values = self.table.truth if self._split is None else self._split.held_out(seed)
        return values if self.table.sign > 0 else -values

    @property
    def split(self) -> trainings.Trainings | None:
        """The trainings that search and score share out between them, if they do."""
        return self._split

    @property
    def held_out(self) -> FloatArray:
        """(n,) all scores that a run can have, in the table's direction."""
        return self.table.truth if self._split is None else self._split.possible

    def _forget(self, seed: int) -> None:
        """Values are kept per seed only where they depend on it."""
        self._seed = seed
        if self.noise or self.trials != "mean":
            self._values.clear()

    def _answering(self, epochs: int) -> Schedule:
        """The schedule whose validation answers a fidelity."""
        if epochs not in self._schedules:
            raise LabError(f"no score after {epochs} epochs; allowed are {', '.join(map(str, self.task.fidelities))}")
        return self._schedules[epochs]

    def _column(self, epochs: int) -> tuple[float, ...]:
        """All cells' answers at one fidelity for the current seed; cached, as tuples are read faster than arrays."""
        if epochs not in self._seconds:
            schedule = self._answering(epochs)
            self._seconds[epochs] = tuple(schedule.seconds[:, schedule.column(epochs)].tolist())
        self._values[epochs] = tuple(self._vector(epochs).tolist())
        return self._values[epochs]

    def _vector(self, epochs: int) -> FloatArray:
        """(A,) answers at one fidelity for the current seed."""
        schedule = self._answering(epochs)
        column = schedule.column(epochs)
        values: FloatArray = self.table.truth if self.search == ORACLE else schedule.val[:, column]
        if self._split is not None:
            values = self._split.answers(column, self._seed)
        if self.trials == "sample":
            values = self._sampled(schedule.val_trials[:, column, :])
        if self.table.sign < 0:
            values = -values
        if self.noise:
            values = values + self.noise * noise_stream(self._seed, epochs).standard_normal(values.shape)
        return values

    def _sampled(self, trials: FloatArray) -> FloatArray:
        """(A, T) trials -> (A,) one of every cell: uniform among those that exist."""
        values: FloatArray = trials[np.arange(len(trials)), trainings.drawn(~np.isnan(trials), self._seed)]
        return values


def score_of(evaluator: Evaluator, arch: int, seed: int) -> float:
    """What a run of a seed that ends with a cell is scored with, larger better; by the truth where seeds make no difference."""
    if not isinstance(evaluator, Tabular):
        return evaluator.truth(arch)
    return float(evaluator.scores(seed)[evaluator.task.space.known_cell(arch)])


def measure_of(evaluator: Evaluator) -> Measure:
    """How the scores are read that an evaluator answers with times their sign; accuracies in percent where it has no table."""
    table = getattr(evaluator, "table", None)
    return table.measure if isinstance(table, Table) else Measure()
