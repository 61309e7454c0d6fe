"""Answers queries by training: the same search loop on real networks, with every finished training kept.

A configuration stands for its class: the lowest-index member is trained, as in the tables measured by us, so that cells
the benchmark calls the same give the same answer and cost one training. (In 764 of the 6,466 classes members differ in
which branches share weights; which one is trained is part of the result.) The run's seed is the training's seed:
seed k gives every strategy the same outcome for a cell (common random numbers). One training answers all fidelities.

Seconds are simulated, proportional to multiply-adds (`training.cost`), so that records depend neither on the machine's
speed nor on what came from the cache. A search that died is simply run again: the cache answers up to where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_lab.core import NO_METRICS, LabError, Query, Result, Task
from nasbench_lab.evaluators._known import Sources, from_metrics, from_sources, opened, opened_sources
from nasbench_lab.files import paths
from nasbench_lab.tables import catalog, measured
from nasbench_lab.tables.table import Table
from nasbench_lab.training import cost, networks
from nasbench_lab.training.cache import Cache, Trained
from nasbench_lab.training.data import Data
from nasbench_lab.training.kept import Wanted, answers
from nasbench_lab.training.problem import Problem, check_device, make_problem

_METRICS = ("params_m", "flops_m")


class Training:
    """Evaluator that trains.

    Args:
        problem: data and recipe.
        device: "cpu" or "cuda".
        cache: file of finished trainings; in the data folder, named after the data and the digest, if left out.
        objectives: "val" and any of "params_m", "flops_m", of the edges that are run.
        table: name of the table that scores, for the record.
        spec: how a study writes this evaluator, for the record.
        sources: tables of other datasets, by name; see `Tabular`.

    Raises:
        LabError: an unknown objective or device.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        device: str = "cpu",
        cache: Path | None = None,
        objectives: tuple[str, ...] = ("val",),
        table: str = "",
        spec: str = "training",
        sources: Mapping[str, Table] | None = None,
    ) -> None:
        if unknown := [name for name in objectives[1:] if name not in _METRICS]:
            raise LabError(f"training has no metric {unknown[0]!r}; it has: {', '.join(_METRICS)}")
        check_device(device)
        self.problem, self.device, self.table_name, self.spec = problem, device, table, spec
        self.digest = problem.digest(device)
        self.cache = Cache(cache or default_cache(problem, device))
        self._sources = dict(sources or {})
        built, images, held_out = problem.networks, problem.images, problem.held_out
        flops, params = built.flops(problem.shape), built.params(problem.shape)
        self._seconds = cost.seconds(flops, images=images, held_out=held_out, epochs=problem.recipe.epochs)
        self._columns = {"params_m": params / 1e6, "flops_m": flops / 1e6}
        known = from_metrics(self._columns) | from_sources(problem.data, self._sources)
        fidelities = tuple(range(1, problem.recipe.epochs + 1))
        try:
            self.task = Task(built.space, fidelities, tuple(objectives), one_run=True, known=known)
        except ValueError as error:
            raise LabError(str(error)) from error
        self._data: Data | None = None

    @classmethod
    def open(
        cls,
        table: Table | str,
        *,
        search: int | str | None = None,
        trials: str | None = None,
        noise: float = 0.0,
        objectives: tuple[str, ...] = ("val",),
        sources: Sources = (),
        data: str | None = None,
        device: str = "cpu",
        cache: str | None = None,
        epochs: str | None = None,
        part_size: str | None = None,
        held_out_size: str | None = None,
    ) -> Training:
        """The evaluator of a spec such as "training:device=cuda,epochs=12"; options are the spec's text.

        Args:
            table: itself, its name or path; scores the incumbents; its dataset is trained on unless `data` says otherwise.
            search: number of epochs, like `epochs`; None for the recipe's.
            trials, noise: a training is one trial, with its own noise; anything but the defaults is refused.
            objectives: "val" and any of "params_m", "flops_m".
            sources: tables of other datasets that a strategy may read.
            data: what is trained on; the table's dataset if left out.
            device: "cpu" or "cuda".
            cache: file of finished trainings; in the data folder, named after the data and the digest, if left out.
            epochs: another number than the recipe's.
            part_size: canvases per epoch, digits only; another number than the recipe's.
            held_out_size: canvases for validation and test each, digits only; another number than the recipe's.

        Raises:
            LabError: an option that does not exist, is out of range or does not go with real training.
        """
        if trials not in (None, "mean") or noise:
            raise LabError("real training has its own noise: one trial per seed and cell; leave trials and noise alone")
        given = {"data": data, "device": device, "cache": cache, "epochs": epochs}
        given |= {"part_size": part_size, "held_out_size": held_out_size}
        scoring = opened(table)
        space = networks.of_space(scoring.space, f"table {scoring.name!r}").space.name
        chosen = data or str(scoring.about.get("dataset", "none"))
        if chosen in ("none", ""):
            raise LabError(
                f"table {scoring.name!r} has no data set to train on; name one, for example training:data=digits"
            )
        if chosen == "cifar10" and data is None:
            chosen = "cifar10-valid"  # the benchmark searches on half of the training images and validates on the other
        sizes = {"part_size": _whole("part_size", part_size), "held_out_size": _whole("held_out_size", held_out_size)}
        problem = make_problem(chosen, space=space, epochs=_epochs(epochs, search), **sizes)
        written = ",".join(f"{k}={v}" for k, v in given.items() if v is not None and (k, v) != ("device", "cpu"))
        return cls(
            problem, device=device, cache=paths.home(cache) if cache else None, objectives=objectives, table=scoring.name,
            spec=f"training:{written}" if written else "training", sources=opened_sources(sources),
        )  # fmt: skip

    @property
    def requires(self) -> tuple[str, ...]:
        """The packages it computes with beyond the core's; the digits are scikit-learn's."""
        return ("torch", "sklearn") if self.problem.data == "digits" else ("torch",)

    @property
    def policy(self) -> dict[str, Any]:
        """What a run header says about this evaluator; `open` rebuilds it."""
        return {
            "evaluator": self.spec,
            "table": self.table_name,
            "digest": self.digest,
            "search": self.task.full,
            "trials": "mean",
            "noise": 0.0,
            "objectives": list(self.task.objectives),
            "sources": {name: source.digest for name, source in self._sources.items()},
            "data": self.problem.described,
            "recipe": asdict(self.problem.recipe),
        }

    def evaluate(self, query: Query, seed: int) -> Result:
        """The validation accuracy after `query.epochs`, trained now or read from the cache; nan if it diverged."""
        trained = self.trained(query.arch, seed)
        arch = trained.arch
        own = {name: float(self._columns[name][arch]) for name in self.task.objectives[1:]}
        seconds = float(self._seconds[arch, query.epochs - 1])
        return Result(query, trained.val[query.epochs - 1], seconds, own or NO_METRICS)

    def truth(self, arch: int) -> float:
        """Mean test accuracy over the seeds trained so far; nan before the first. Nothing is trained for it."""
        member = self._member(arch)
        scores = [t.test for t in self.cache.all(self.digest) if t.arch == member and not np.isnan(t.test)]
        return float(np.mean(scores)) if scores else float("nan")

    def trained(self, arch: int, seed: int) -> Trained:
        """The finished training of a cell's class with a seed.

        Raises:
            LabError: out of memory, or the disk is full; what is finished is kept.
        """
        return self.trained_all([(arch, seed)])[0]

    def trained_all(self, jobs: Sequence[tuple[int, int]], report: Callable[[], None] = lambda: None) -> list[Trained]:
        """The finished trainings of (cell, seed) pairs; those that are missing are done at once where the device is a GPU.

        Args:
            jobs: cells stand for their classes.
            report: called after every training, and for every one that was there.

        Raises:
            LabError: out of memory, or the disk is full; what is finished is kept.
        """
        wanted = [Wanted(self.digest, self.problem, self._member(arch), seed) for arch, seed in jobs]
        return answers(self.cache, wanted, self._loaded, self.device, report)

    def prepare(self, queries: Sequence[Query], seed: int) -> None:
        """Train what these queries will ask for, at once; `evaluate` then finds it."""
        self.trained_all([(query.arch, seed) for query in queries if query.epochs])

    def _member(self, arch: int) -> int:
        """The configuration that is trained for a class."""
        return int(self.task.space.representatives[arch])

    def table(self, name: str = "trained") -> Table:
        """Everything in the cache as a table: it grows with every training, and is partial until all cells are in.

        Raises:
            LabError: nothing is finished yet.
        """
        rows = self.cache.all(self.digest)
        if not rows:
            raise LabError(f"nothing trained yet in {self.cache.path}")
        trials = measured.Trials(
            arch=np.array([row.arch for row in rows]),
            seed=np.array([row.seed for row in rows]),
            val=np.array([row.val for row in rows]),
            test=np.array([row.test for row in rows]),
            seconds=np.array([row.seconds for row in rows]),
        )
        about = {"kind": "measured", "dataset": self.problem.data, "recipe": asdict(self.problem.recipe)}
        step = 100 / self.problem.held_out
        return measured.from_trials(
            name, trials, self.task.space, seconds=self._seconds, step=step, metrics=self._columns, about=about
        )

    def _loaded(self) -> Data:
        if self._data is None:
            self._data = self.problem.load(self.device)
        return self._data


def default_cache(problem: Problem, device: str = "cpu") -> Path:
    """Where finished trainings of a problem are kept unless told otherwise."""
    return catalog.target_folder() / "trained" / f"{problem.data}-{problem.digest(device)[:12]}.jsonl"


def _epochs(epochs: str | None, search: int | str | None) -> int | None:
    wanted = _whole("epochs", epochs)
    searched = _whole("search", None if search is None else str(search))
    if None not in (wanted, searched) and wanted != searched:
        raise LabError(f"search and epochs are the same thing for training; got {searched} and {wanted}")
    return searched if wanted is None else wanted


def _whole(name: str, text: str | None) -> int | None:
    if text is None or (text.isdecimal() and int(text) > 0):
        return None if text is None else int(text)
    raise LabError(f"training: {name} must be a whole number of at least 1, got {text!r}")
