"""How good is a surrogate? Fit it on n random cells, score it on held-out ones, and let it drive a search.

One job is (surrogate, n, seed). Its outcome goes to a small file named by a hash of everything it depends on, so that an
interrupted experiment goes on where it was. All surrogates of a seed get the same cells, and n training cells are the
first n of one permutation, so comparisons are paired. Two ways to hold cells out:

    class   whole isomorphism classes: no held-out cell is the same network as a training one
    cell    random cells, as in the literature: a held-out cell can be the same network as a training one

The regret is that of `gp_bo` with the surrogate in the place of its Gaussian process, run through `engine`; it searches
on validation, whatever the surrogate was assessed on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from nasbench_lab import core, errors, loading, sources
from nasbench_lab.core import FloatArray, LabError
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.experiments import outcomes
from nasbench_lab.experiments.outcomes import Header, Job, Outcome
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.stats import calibration
from nasbench_lab.stats.measures import Measure
from nasbench_lab.study import execute
from nasbench_lab.study.notes import substitutes
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.surrogates._base import predictions
from nasbench_lab.tables import catalog
from nasbench_lab.tables.schedule import Schedule
from nasbench_lab.tables.table import Table

FORMAT = 1  # of outcomes; another format makes other names, so old files are simply not used
TARGETS = ("val", "test", "seconds")
SPLITS = ("class", "cell")
SAMPLE = 400  # held-out cells whose predictions are kept, for a chart
_SPLIT, _FIT = 51, 52  # streams
TRAIN = (50, 100, 200, 400, 800)  # numbers of training cells, where none are given
_SAFE = 0.75  # of the cells that are not held out: some are of classes that are
_FEWEST_HELD_OUT = 20
_WARM = 20  # cells of the fit that is not timed
_BLOCK = 5  # seeds of a search that make one job


@dataclass(frozen=True)
class Settings:
    """What is assessed, and how.

    Attributes:
        surrogates: specs, `name:key=value,...`.
        table: name or path.
        train: numbers of training cells.
        seeds: 0, 1, ..., this many.
        target: "val" or "test" score after the schedule's last epoch, or its "seconds" (less is better).
        search: the schedule; the longest if left out.
        split: "class" or "cell", see the module.
        test_size: held-out cells.
        max_queries: of the searches the surrogates drive; 0 for none.

    Raises:
        LabError: an argument out of range.
    """

    surrogates: tuple[str, ...]
    table: str
    train: tuple[int, ...]
    seeds: int = 10
    target: str = "val"
    search: int | None = None
    split: str = "class"
    test_size: int = 3000
    max_queries: int = 0

    def __post_init__(self) -> None:
        for name, value, allowed in (("target", self.target, TARGETS), ("split", self.split, SPLITS)):
            if value not in allowed:
                raise LabError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
        if not self.surrogates or len(set(self.surrogates)) < len(self.surrogates):
            raise LabError(f"at least one surrogate, and none listed twice; got {', '.join(self.surrogates) or 'none'}")
        if not self.train or min(self.train) < 2 or list(self.train) != sorted(set(self.train)):
            raise LabError(f"numbers of training cells must ascend and be at least 2, got {_listed(self.train)}")
        if self.seeds < 1 or self.max_queries < 0:
            raise LabError(f"seeds must be at least 1, max_queries at least 0; got {self.seeds} and {self.max_queries}")

    @property
    def schedule(self) -> Schedule:
        """The schedule whose scores are predicted, and whose validation is searched."""
        table = catalog.load(self.table)
        return table.last if self.search is None else table.schedule(self.search)

    @property
    def sign(self) -> int:
        """+1 if larger is better. Surrogates learn, and measures see, sign x target."""
        return -1 if self.target == "seconds" else catalog.load(self.table).sign

    @property
    def scores(self) -> FloatArray:
        """(A,) what is predicted, larger is better; nan where it was not measured."""
        schedule = self.schedule
        if self.target == "test":
            return self.sign * schedule.test
        return self.sign * (schedule.val[:, -1] if self.target == "val" else schedule.seconds[:, -1])


def sizes_for(table: str, test_size: int | None, train: tuple[int, ...] | None) -> tuple[int, tuple[int, ...]]:
    """How many cells of a table are held out and trained on, where that is not given: as `Settings` and `TRAIN` say, of a
    small table a third at most, and so many of the rest that a split by classes leaves them too.
    """
    cells = int(catalog.load(table).measured.sum())
    held_out = test_size if test_size is not None else min(Settings.test_size, max(_FEWEST_HELD_OUT, cells // 3))
    left = max(cells - held_out, 0)
    fitting = tuple(count for count in TRAIN if count <= _SAFE * left)
    return held_out, train or fitting or (max(left // 2, 2),)


def split(scores: FloatArray, classes: IntArray, how: str, test_size: int, seed: int) -> tuple[IntArray, IntArray]:
    """Which cells are there to train on, and which are held out; both in random order.

    Args:
        scores: (A,) nan where a cell has none, which is then in neither.
        classes: (A,) of the cells; those of a class are the same network.
        how: "class" or "cell".
        test_size: held-out cells.
        seed: of the permutation.

    Returns:
        (P,) the pool, of which n training cells are the first n, and (test_size,) held-out cells.

    Raises:
        LabError: too few cells are held out to measure anything, or none are left to train on.
    """
    pool = np.flatnonzero(~np.isnan(scores))
    if len(pool) <= _FEWEST_HELD_OUT:
        raise LabError(
            f"{len(pool)} cells with scores are too few: {_FEWEST_HELD_OUT} at least are held out, others trained on"
        )
    if not _FEWEST_HELD_OUT <= test_size < len(pool):
        raise LabError(f"--test-size (test_size) must lie in {_FEWEST_HELD_OUT}..{len(pool) - 1}, got {test_size}")
    rng = core.stream(seed, _SPLIT)
    if how == "cell":
        order = rng.permutation(pool)
        return order[:-test_size], order[-test_size:]
    place = rng.permutation(int(classes.max()) + 1)[classes[pool]]  # of each cell's class, in random order of classes
    last = np.searchsorted(np.cumsum(np.bincount(place)), test_size)  # classes up to this one hold enough cells
    return rng.permutation(pool[place > last]), rng.permutation(pool[place <= last])[:test_size]


def notes(settings: Settings) -> list[str]:
    """What a reader should know of surrogates that are plainer than their specs on this table's space."""
    space = catalog.load(settings.table).space
    return substitutes((spec, spec, space) for spec in settings.surrogates)


def plan(settings: Settings, out: Path) -> list[Job]:
    """All jobs; everything is checked here, before anything runs.

    Raises:
        LabError: a surrogate, parameter, table or schedule that does not exist, or more training cells than there are.
    """
    table, scores = catalog.load(settings.table), settings.scores
    classes = table.space.classes
    for spec in settings.surrogates:
        loading.build("surrogates", spec)
    for seed in range(settings.seeds):
        pool = len(split(scores, classes, settings.split, settings.test_size, seed)[0])
        if settings.train[-1] > pool:
            raise LabError(
                f"{settings.train[-1]} training cells are too many: {pool} are left, seed {seed}, "
                f"when {settings.test_size} are held out by {settings.split}; "
                f"give fewer with --train, or hold out fewer with --test-size ({_FEWEST_HELD_OUT} at least)"
            )
    if settings.max_queries:
        resolve(search_study(settings))
    return [
        outcomes.job(
            _header(settings, table, spec) | {"train": count, "seed": seed}, settings, out, Path(spec).stem, count, seed
        )
        for spec in settings.surrogates
        for count in settings.train
        for seed in range(settings.seeds)
    ]


def _header(settings: Settings, table: Table, spec: str) -> Header:
    model = loading.build("surrogates", spec)
    header = {
        "format": FORMAT,
        "surrogate": spec,
        "parameters": core.parameters(model),
        "digest": table.digest,
        "schedule": settings.schedule.epochs[-1],
        "target": settings.target,
        "split": settings.split,
        "test_size": settings.test_size,
        "code": sources.assessment_digest(type(model), spec),
        "versions": sources.versions(model),
    }
    plain: Header = json.loads(json.dumps(header))
    return plain


def run_job(job: Job) -> int:
    """Fit, predict, measure, write; returns 1, a job done. This is what a worker process executes.

    Raises:
        LabError: the surrogate failed, or it is not the one that was planned.
    """
    settings, spec = job.settings, job.header["surrogate"]
    count, seed = job.header["train"], job.header["seed"]
    table = catalog.load(settings.table)
    if _header(settings, table, spec) | {"train": count, "seed": seed} != job.header:
        raise LabError(f"table {settings.table}, the code of {spec} or the lab changed meanwhile; run it again")
    pool, held_out = split(settings.scores, table.space.classes, settings.split, settings.test_size, seed)
    try:
        with errors.contained(spec):
            outcome = assess(spec, settings, pool[:count], held_out, seed=seed)
    except LabError:
        raise
    except Exception as error:  # the surrogate is somebody's code: say what it did, without our traceback
        raise LabError(f"{spec} failed on {count} cells, seed {seed}: {errors.place(error)}") from error
    job.write(outcome)
    return 1


def assess(spec: str, settings: Settings, train: IntArray, held_out: IntArray, *, seed: int) -> Outcome:
    """Everything that is measured of one fitted surrogate, as JSON values."""
    scores = settings.scores
    everything = np.arange(len(scores))
    _fitted(spec, settings, train[:_WARM], seed)[0].predict(held_out)  # features and libraries are loaded, untimed
    with threadpool_limits(limits=1):  # so that times compare, and bits do not depend on the number of workers
        model, fit_seconds = _fitted(spec, settings, train, seed)
        predict_seconds = min(_seconds(lambda: model.predict(everything)) for _ in range(3))
        mean, std = predictions(model, held_out)
        quantiles = np.stack(model.quantiles(held_out, calibration.LEVELS))
    if quantiles.shape[-1:] != held_out.shape or not np.isfinite(quantiles).all():
        raise LabError(f"{spec} predicts a quantile that is not finite on {len(train)} cells, seed {seed}")
    truth, sign, some = scores[held_out], settings.sign, slice(SAMPLE)
    ends = (quantiles[0], quantiles[-1])[::sign]
    shown = {"truth": truth, "mean": mean, "low": ends[0], "high": ends[1]}
    return {
        "measures": calibration.measures(truth, mean, std, quantiles)
        | {"fit_s": fit_seconds, "predict_ms": 1000 * predict_seconds},
        "observed": calibration.observed(truth, quantiles).tolist(),
        "sample": {name: _shown(settings, sign * values[some]) for name, values in shown.items()},
    }


def _shown(settings: Settings, values: FloatArray) -> list[float]:
    """Predictions as they are drawn: percentages and seconds with four decimals, others with eight significant digits."""
    measure = Measure() if settings.target == "seconds" else catalog.load(settings.table).measure
    return [measure.rounded(value, 4) for value in values.tolist()]


def _fitted(spec: str, settings: Settings, train: IntArray, seed: int) -> tuple[Any, float]:
    """A surrogate fitted on some cells, and the seconds that took."""
    model = loading.build("surrogates", spec)
    known: dict[str, Any] = {"known": _known(settings.table)} if getattr(model, "uses_known", False) else {}
    known["space"] = catalog.load(settings.table).space
    y, rng = settings.scores[train], core.stream(seed, _FIT, len(train))
    return model, _seconds(lambda: model.fit(train, y, rng, **known))


@cache
def _known(table: str) -> Any:
    """What is known of all cells before any is trained: sizes and zero-cost scores."""
    return Tabular(catalog.load(table)).task.known


def _seconds(work: Callable[[], Any]) -> float:
    begin = perf_counter()
    work()
    return perf_counter() - begin


def run(settings: Settings, out: Path, *, workers: int = 1, progress: execute.Progress | None = None) -> list[Job]:
    """Run what is not done yet, fits first, then searches; returns the jobs of the fits.

    Args:
        settings: what to assess.
        out: results folder; outcomes and runs go to `out/runs`.
        workers: processes.
        progress: called with (fits and searches done, all of them).

    Raises:
        LabError: something does not exist or failed; what is finished is kept.
    """
    jobs = plan(settings, out)
    searches = settings.seeds * len(settings.surrogates) if settings.max_queries else 0
    report = progress or (lambda _done, _total: None)
    total = len(jobs) + searches
    outcomes.run(run_job, jobs, out, workers=workers, report=lambda done: report(done, total))
    if searches:
        searched = resolve(search_study(settings))
        execute.run(searched, out, workers=workers, progress=lambda some, _all: report(len(jobs) + some, total))
    return jobs


def search_study(settings: Settings) -> Study:
    """`gp_bo` driven by each of the surrogates, on validation."""
    search = settings.schedule.epochs[-1]
    task = StudyTask(settings.table, search=search, max_queries=settings.max_queries)
    strategies = tuple(f"gp_bo:surrogate=({spec})" for spec in settings.surrogates)
    return Study(strategies, (task,), settings.seeds, "Surrogates that drive a search", block=_BLOCK)


def regrets(settings: Settings, out: Path) -> dict[str, dict[str, FloatArray]]:
    """Surrogate -> "val" and "test" regret (R,) of the incumbent after the last query, in the table's unit.

    Of validation: against the best validation score of all cells after the schedule that is searched; of test: against
    the best mean test accuracy after the longest schedule. Empty if nothing was searched.

    Raises:
        LabError: runs are missing.
    """
    if not settings.max_queries:
        return {}
    table = catalog.load(settings.table)
    seen, truth = table.sign * settings.schedule.val[:, -1], table.sign * table.truth
    found = {}
    for spec, (_, runs) in zip(settings.surrogates, execute.collect(resolve(search_study(settings)), out), strict=True):
        incumbents = runs.last("incumbent").astype(int)
        found[spec] = {"val": seen.max() - seen[incumbents], "test": truth.max() - truth[incumbents]}
    return found


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values)) or "none"
