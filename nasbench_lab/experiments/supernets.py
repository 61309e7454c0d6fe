"""Does a supernet rank cells as a table does? Train it, score cells with its weights, epoch by epoch.

One job is (one-shot strategy, seed): the strategy runs its epochs as in a search, and after some of them the same random
classes are scored with the weights as they then are. Its outcome goes to a small file named by a hash of everything it
depends on, so an interrupted experiment goes on where it was. Kept beside the agreement: the cell the search would have
answered after every epoch (skips in it tell of DARTS' collapse) and how undecided its distribution over operations is.

Scoring charges nothing to the simulated clock and changes no weight: what is trained is what a search trains. With
NASBENCH_LAB_CHECKPOINTS set, a study that comes later finds these supernets trained, and with `every=0` the other way round.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_lab import core, loading, sources
from nasbench_lab.core import FloatArray, LabError
from nasbench_lab.experiments import candidates, outcomes
from nasbench_lab.experiments.outcomes import Header, Job, Outcome
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.stats import calibration
from nasbench_lab.study import execute
from nasbench_lab.tables import catalog
from nasbench_lab.tables.table import Table

FORMAT = 1  # of outcomes; another format makes other names, so old files are simply not used
TARGETS = ("val", "test")
TOP = 0.1  # share of the sampled cells that `recall` looks for
FEWEST = 20  # cells below which ranks say nothing
_CELLS = 61  # the stream that draws the cells
_FILES = (
    "spaces/space.py",
    "spaces/cell.py",
    "core.py",
    "stats/calibration.py",
    "experiments/supernets.py",
)  # beside the strategy's own


@dataclass(frozen=True)
class Settings:
    """What is trained and how it is scored.

    Attributes:
        strategies: specs of one-shot strategies, `name:key=value,...`.
        table: whose accuracies are the truth.
        seeds: 0, 1, ..., this many supernets per strategy.
        cells: classes that are scored, drawn at random once for all; 0 for all that were measured.
        every: epochs between two scorings; the last epoch is always scored; 0 for it alone.
        images: validation images a cell is scored on.
        calibration: batches of training images that a cell's norms take their statistics from; 0: the batch at hand.
        target: "test" or "val", the table's mean after its longest schedule.

    Raises:
        LabError: an argument out of range.
    """

    strategies: tuple[str, ...]
    table: str
    seeds: int = 3
    cells: int = 300
    every: int = 5
    images: int = 1000
    calibration: int = 0
    target: str = "test"

    def __post_init__(self) -> None:
        if not self.strategies or len(set(self.strategies)) < len(self.strategies):
            raise LabError(f"at least one strategy, and none listed twice; got {', '.join(self.strategies) or 'none'}")
        if self.target not in TARGETS:
            raise LabError(f"target must be one of {', '.join(TARGETS)}, got {self.target!r}")
        if min(self.seeds, self.images) < 1 or min(self.every, self.calibration) < 0:
            raise LabError(f"seeds and images must be at least 1, every and calibration at least 0; got {self}")
        if self.cells and self.cells < FEWEST:
            raise LabError(f"cells must be 0 (all) or at least {FEWEST}, got {self.cells}")

    @property
    def truth(self) -> FloatArray:
        """(A,) what the supernet's ranking is held against, %; nan where it was not measured."""
        last = catalog.load(self.table).last
        return last.test if self.target == "test" else last.val[:, -1]


def with_options(spec: str, **options: Any) -> str:
    """A spec with further parameters; None is none.

    Raises:
        LabError: the spec itself says something else.
    """
    name, own = loading.split_spec(spec)
    for key, value in options.items():
        if value is not None and own.get(key, str(value)) != str(value):
            raise LabError(f"{spec} says {key}={own[key]}, the option --{key} {value}; leave one of them out")
    merged = {key: str(value) for key, value in options.items() if value is not None} | own
    written = (f"{key}=({value})" if set(value) & set(":,()") else f"{key}={value}" for key, value in merged.items())
    return f"{name}:{','.join(written)}" if merged else name


def sampled(truth: FloatArray, count: int) -> IntArray:
    """One cell of each of `count` random classes (0: of all) with a known score, ascending; the same for everyone.

    Raises:
        LabError: fewer classes than that are known.
    """
    members = np.unique(cell.representatives())
    known = members[~np.isnan(truth[members])]
    if len(known) < max(count, FEWEST):
        raise LabError(f"{max(count, FEWEST)} classes with a known score are needed, the table has {len(known)}")
    if not count:
        return known
    return np.sort(core.stream(0, _CELLS).permutation(known)[:count])


def plan(settings: Settings, out: Path) -> list[Job]:
    """All jobs; everything is checked here, before anything is trained.

    Raises:
        LabError: a strategy without shared weights, a parameter or table that does not exist, or data of another kind.
    """
    table = candidates.built(catalog.load(settings.table))
    sampled(settings.truth, settings.cells)
    headers = [_header(settings, table, spec) for spec in settings.strategies]
    return [
        outcomes.job(header | {"seed": seed}, settings, out, header["strategy"], seed)
        for header in headers
        for seed in range(settings.seeds)
    ]


def _header(settings: Settings, table: Table, spec: str) -> Header:
    strategy = built(spec)
    if strategy.data.removesuffix("-valid") != table.dataset:
        raise LabError(
            f"{spec} trains on {strategy.data}, table {table.name} is of {table.dataset}; choose with --table"
        )
    if settings.calibration and not strategy.recalibrates:
        raise LabError(f"{spec} cannot recalibrate norms; leave calibration at 0, got {settings.calibration}")
    header = {
        "format": FORMAT,
        "strategy": spec,
        "parameters": core.parameters(strategy),
        "problem": strategy.problem().described,
        "digest": table.digest,
        "target": settings.target,
        "cells": settings.cells,
        "every": settings.every,
        "images": settings.images,
        "calibration": settings.calibration,
        "code": sources.digest_of([sources.ROOT / name for name in _FILES], type(strategy)),
        "versions": sources.versions(strategy),
    }
    plain: Header = json.loads(json.dumps(header))
    return plain


def built(spec: str) -> Any:
    """The one-shot strategy of a spec.

    Raises:
        LabError: it does not exist, or has no weights that all cells share.
    """
    strategy = loading.build("strategies", spec)
    if not getattr(strategy, "shares_weights", False):
        raise LabError(f"{spec} has no supernet; these have: {', '.join(sharing())}")
    return strategy


def sharing() -> list[str]:
    """Names of the strategies here whose cells share weights."""
    found = []
    for name in loading.names("strategies"):
        try:
            cls = loading.load("strategies", name)
        except LabError:  # one that needs something not installed
            continue
        found += [name] if getattr(cls, "shares_weights", False) else []
    return found


def run(settings: Settings, out: Path, *, workers: int = 1, progress: execute.Progress | None = None) -> list[Job]:
    """Train what is not done yet; returns all jobs.

    Args:
        settings: what to train and score.
        out: results folder; outcomes go to `out/runs`.
        workers: processes.
        progress: called with (supernets done, all of them).

    Raises:
        LabError: something does not exist or failed; what is finished is kept.
    """
    jobs = plan(settings, out)
    report = progress or (lambda _done, _total: None)
    outcomes.run(run_job, jobs, out, workers=workers, report=lambda done: report(done, len(jobs)))
    return jobs


def run_job(job: Job) -> int:
    """Train, score, write; returns 1, a job done. This is what a worker process executes.

    Raises:
        LabError: the strategy is not the one that was planned.
    """
    settings, spec, seed = job.settings, job.header["strategy"], job.header["seed"]
    if _header(settings, catalog.load(settings.table), spec) | {"seed": seed} != job.header:
        raise LabError(f"table {settings.table}, the code of {spec} or the lab changed meanwhile; run it again")
    job.write(observe(spec, settings, seed))
    return 1


def observe(spec: str, settings: Settings, seed: int) -> Outcome:
    """Everything that is measured of one supernet, as JSON values.

    Returns:
        points: per scoring `epoch`, simulated `seconds`, and `agreement`'s numbers, null once the weights diverged.
        epochs: per epoch the search's `answer` (-1 where it has none yet), its `skips`, and the `entropy` of its choices
            (mean over edges, in nats; null where it has no distribution, and before the last epoch if `every` is 0).
        scores: (cells,) of the last scoring, %, for the cells of `sampled`.
    """
    strategy = built(spec)
    strategy.resumes = not settings.every  # a checkpoint knows the state after its last epoch only
    strategy.start(core.Task(cell.SPACE, (1,)), seed)
    truth = settings.truth
    archs = sampled(truth, settings.cells)
    points, epochs, scores = [], [], np.empty(0)
    for number in range(1, strategy.epochs + 1):
        query = strategy.ask()
        strategy.tell(core.Result(query, math.nan, query.overhead))
        answer = int(query.arch) if strategy.answers_while_training else -1
        skips = cell.ops(answer).count(cell.SKIP) if answer >= 0 else None
        last = number == strategy.epochs
        entropy = strategy.entropy() if settings.every or last else None
        epochs.append({"epoch": number, "answer": answer, "skips": skips, "entropy": entropy})
        if last or (settings.every and number % settings.every == 0):
            scores = strategy.inherited(archs.tolist(), settings.images, settings.calibration)
            found = agreement(truth[archs], scores)
            known = found if not strategy.diverged else dict.fromkeys(found)  # weights that are no numbers rank nothing
            points.append({"epoch": number, "seconds": strategy.weights.seconds} | known)
    return {"points": points, "epochs": epochs, "scores": np.round(scores, 3).tolist()}


def agreement(truth: FloatArray, scores: FloatArray) -> dict[str, float]:
    """How well scores order (n,) cells.

    Returns:
        tau, spearman: rank correlations with the truth; 0 where all scores are equal.
        recall: share of the truly best tenth among the tenth that scores best, ties in expectation.
        regret: truth of the best of these cells less that of the one that scores best (mean of equals), in points.
        level: mean score, %.
    """
    found = calibration.ranking(truth, scores)
    best = scores == scores.max()
    return {
        "tau": found["tau"],
        "spearman": found["spearman"],
        "recall": calibration.top_recall(truth, scores, calibration.top_count(len(truth), TOP)),
        "regret": float(truth.max() - truth[best].mean()),
        "level": float(scores.mean()),
    }
