"""Measuring a table of our own: which trainings, in which order, and shards -> one complete `.npz`.

The plan is that of the embedded tables: one trial of every class, in an order of which any prefix is a random
sample, then further seeds for the best by that trial and for a random sample of the others, so that noise is known
where searches end and everywhere else. Shards make it resumable (`training.measure`); merging reads shards only.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_lab.core import LabError
from nasbench_lab.tables import measured, trainings
from nasbench_lab.tables.table import Table
from nasbench_lab.training import cost, measure, memory
from nasbench_lab.training.digits import Clutter
from nasbench_lab.training.networks import CELLS
from nasbench_lab.training.problem import Problem, check_device
from nasbench_lab.training.recipe import Recipe

Progress = Callable[[int, int, float], None]  # done, total, seconds left
LIMIT_MB = 2.0  # of a table that ships with the package


@dataclass(frozen=True)
class Plan:
    """Which trainings a table is made of.

    Args:
        problem: data and recipe.
        seeds: every class is trained with each of these.
        more: further seeds, for the best by the first of `seeds` and a random sample of the others.
        best, random: how many of each.
        classes: only so many classes, a random sample; None for all.

    Raises:
        LabError: no seed, or a number out of range.
    """

    problem: Problem
    seeds: tuple[int, ...] = (777,)
    more: tuple[int, ...] = ()
    best: int = 500
    random: int = 500
    classes: int | None = None

    def __post_init__(self) -> None:
        every = self.seeds + self.more
        if not self.seeds or len(set(every)) < len(every) or min(every) < 0:
            raise LabError(f"seeds are different whole numbers, at least one; got {self.seeds} and {self.more}")
        most = len(np.unique(self.problem.networks.space.classes))
        if min(self.best, self.random) < 0 or (self.classes is not None and not 1 <= self.classes <= most):
            raise LabError(f"need best, random >= 0 and 1 to {most} classes, got {self}")
        if self.problem.data != "digits":
            raise LabError(f"only digits can be measured into a table so far, got {self.problem.data!r}")

    def first(self) -> list[measure.Job]:
        """The trainings that do not depend on any result, seed by seed."""
        space = self.problem.networks.space
        return [job for seed in self.seeds for job in measure.first_trial(seed, space=space)[: self.classes]]

    def further(self, table: measure.Table) -> list[measure.Job]:
        """The trainings chosen by the first trial's final validation."""
        return measure.more_trials(table, self.seeds[0], self.more, best=self.best, random=self.random)


def run(plan: Plan, shards: Path, *, workers: int = 1, device: str = "cpu", progress: Progress | None = None) -> int:
    """Train what is missing in a folder of shards; returns how many trainings this call added.

    Raises:
        LabError: no such device, a folder of other shards, or one that cannot be written (the disk is full, say).
    """
    check_device(device)
    task, options = plan.problem.task, {"workers": workers, "device": device, "progress": progress}
    try:
        if shards.is_dir() and any(shards.glob("*.npz")):
            _same_task(shards, task)
        added = measure.measure(task, plan.first(), shards, **options)  # type: ignore[arg-type]
        if plan.more:
            table, _ = measure.merge(shards)
            added += measure.measure(task, plan.further(table), shards, **options)  # type: ignore[arg-type]
    except OSError as error:
        raise LabError(f"cannot write shards to {shards}: {error.strerror or error}. Finished ones are kept") from error
    except (MemoryError, BrokenProcessPool, RuntimeError) as error:
        if not (isinstance(error, BrokenProcessPool) or memory.starved(error)):
            raise
        raise LabError("out of memory: a worker died. Finished shards are kept; go on with fewer --workers") from error
    return added


def _same_task(shards: Path, task: measure.Task) -> None:
    found = _read(shards)[1][0]["task"]
    if found != task.plain:
        raise LabError(f"{shards} holds shards of another recipe, data or space; name another folder with --shards")


def _read(shards: Path) -> tuple[measure.Table, list[dict[str, Any]]]:
    """All shards of a folder.

    Raises:
        LabError: none, damaged, or of different tasks.
    """
    try:
        return measure.merge(shards)
    except Exception as error:  # ours say what is wrong; columns may not fit together
        raise LabError(f"the shards in {shards} cannot be merged: {error}") from error


def merge(name: str, shards: Path, *, partial: bool = False) -> Table:
    """The table of a folder of shards.

    Args:
        name: of the table.
        shards: folder; all shards in it are of one task.
        partial: allow classes without a finished training (nan); such a table cannot be searched.

    Raises:
        LabError: no shards, shards that do not belong together, or missing classes.
    """
    rows, headers = _read(shards)
    task = headers[0]["task"]
    problem = _problem(task)
    networks, shape = problem.networks, problem.shape
    flops, params, space = networks.flops(shape), networks.params(shape), networks.space
    trials = measured.Trials(
        arch=rows["arch"].astype(np.int64),
        seed=rows["seed"].astype(np.int64),
        val=rows["val"].astype(np.float64),
        test=rows["test"].astype(np.float64),
        seconds=rows["seconds"].astype(np.float64),
    )
    table = measured.from_trials(
        name,
        trials,
        space,
        seconds=cost.seconds(flops, images=problem.images, held_out=problem.held_out, epochs=problem.recipe.epochs),
        step=100 / problem.held_out,
        metrics={"params_m": params / 1e6, "flops_m": np.round(flops / 1e6, 6)},
        about=_about(problem, headers, trials),
    )
    count = len(np.unique(space.classes))
    missing = count - len(np.unique(space.classes[table.measured]))
    if missing and not partial:
        raise LabError(
            f"{missing:,} of {count:,} classes have no finished training in {shards}; "
            "train them first, or --partial for a table with gaps (which cannot be searched)"
        )
    return trainings.split_where_it_can(table)


def _problem(task: dict[str, Any]) -> Problem:
    recipe, sizes = Recipe(**task["recipe"]), (task["part_size"], task["held_out_size"])
    if Clutter(**task["clutter"]) != Clutter():
        raise LabError(f"these shards have other clutter than this version's digits: {task['clutter']}")
    return Problem(task["name"], recipe, *sizes, space=task.get("space", CELLS.space.name))


def _about(problem: Problem, headers: list[dict[str, Any]], trials: measured.Trials) -> dict[str, Any]:
    """Where the numbers come from, as values: no date, so that the same shards give the same file."""
    seeds, counts = np.unique(trials.seed, return_counts=True)
    networks, means = problem.networks, "val and test are means over the seeds that were run"
    if counts.min() < counts.max():
        means += (
            "; seeds after the first were run for the best classes "
            "by the first seed's validation and for a random sample, so means of the very best are still a little high"
        )
    several = len({header.get("processor", "") for header in headers}) > 1
    failed = {key: why for header in headers for key, why in header["reasons"].items()}
    return {
        "title": f"cluttered digits: every class of {networks.what} trained for real on handwritten digits among fragments",
        "kind": "measured",
        "dataset": problem.data,
        "data": problem.described,
        "recipe": asdict(problem.recipe),
        "seeds": {str(seed): int(count) for seed, count in zip(seeds, counts, strict=True)},
        "made_with": {key: sorted({str(header[key]) for header in headers}) for key in ("torch", "numpy", "machine")},
        "engine": sorted({engine for header in headers for engine in header["engine"]}),
        "diverged": len(failed),
        "source": f"nasbench-lab tables train {networks.table}; measured by this package's trainer, see docs/{networks.table}.md",
        "licence": "MIT. Base images: UCI Optical Recognition of Handwritten Digits (Alpaydin & Kaynak 1998), CC BY 4.0, "
        "doi:10.24432/C50P49, as in scikit-learn",
        "units": {
            "val": "percent of the validation canvases",
            "test": "percent of the test canvases",
            "seconds": "simulated: (3 x training images so far + one validation pass) x multiply-adds / 1e10",
            "measured_seconds": "CPU seconds of one training on the machine that measured"
            + (
                "; as the processor of most of them took, those of others scaled by the median ratio" if several else ""
            ),
            "params_m, flops_m": f"of the trained network: {networks.counted}",
        },
        "means": means,
    }
