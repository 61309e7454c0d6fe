"""Zero-cost scores for all cells of a table, in shards that survive anything, and a table that has them.

One job is a block of cells; its outcome is a small file named by a hash of everything that it depends on (scores, network,
images, seed, code, versions), so that an interrupted command goes on where it was. Equal cells are scored once: the
class's lowest-index member, which is also the one that tables measured by us train, speaks for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_lab import core, loading, sources
from nasbench_lab.core import FloatArray, LabError
from nasbench_lab.experiments import outcomes
from nasbench_lab.experiments.outcomes import Header, Job, Outcome
from nasbench_lab.spaces.frozen import thawed
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.tables.table import Table, first_of_classes
from nasbench_lab.training import networks
from nasbench_lab.training.network import Shape
from nasbench_lab.training.problem import NAMES, make_problem
from nasbench_lab.training.zero_cost import _cells, _score

FORMAT = 1  # of outcomes
BLOCK = 32  # cells of a shard
_ORDER = 71  # stream
_VERSIONS = ("torch", "numpy", "nasbench-lab", "machine")


@dataclass(frozen=True)
class Settings:
    """What scores are computed of and with.

    Attributes:
        scores: names, of files in `training/zero_cost/`.
        shape: of the networks.
        data: "random" images, or a data set's.
        images: of the batch.
        seed: of initial weights, batch and scores.
        space: whose networks they are.

    Raises:
        LabError: no or unknown scores, one twice, or a number out of range.
    """

    scores: tuple[str, ...]
    shape: Shape
    data: str = _cells.RANDOM
    images: int = 64
    seed: int = 0
    space: str = networks.CELLS.space.name

    def __post_init__(self) -> None:
        known = _score.names()
        for name in self.scores:
            if name not in known:
                raise loading.unknown("zero-cost score", name, known)
        if not self.scores or len(set(self.scores)) < len(self.scores):
            raise LabError(f"at least one score, and none twice; got {', '.join(self.scores) or 'none'}")
        if self.images < 2 or self.seed < 0:
            raise LabError(f"a batch has 2 images at least, and a seed is not negative; got {self.images}, {self.seed}")

    @property
    def plain(self) -> Header:
        """As JSON values: everything that a cell's scores depend on."""
        return {
            "network": asdict(self.shape),
            "space": self.space,
            "data": self.data if self.data == _cells.RANDOM else make_problem(self.data).described,
            "images": self.images,
            "seed": self.seed,
            "code": sources.digest_of([Path(__file__)], *(type(_score.load(name)) for name in self.scores)),
            "versions": sources.installed(_VERSIONS),
        }


def settings_for(
    table: Table, scores: Sequence[str] = (), *, data: str | None = None, images: int = 64, seed: int = 0
) -> Settings:
    """What is computed for a table.

    Args:
        table: of a space that has networks.
        scores: all that the table does not have if left out.
        data: the table's own where that is digits, else "random", if left out.
        images, seed: see `Settings`.

    Raises:
        LabError: the space has no networks, the table has a score already, or an argument is out of range.
    """
    shape = shape_of(table)
    there = [name for name in _score.names() if f"proxy/{name}" in table.metrics]
    if again := [name for name in scores if name in there]:
        raise LabError(f"table {table.name!r} has proxy/{again[0]} already, and what a table says is not replaced")
    chosen = tuple(scores) or tuple(name for name in _score.names() if name not in there)
    if not chosen:
        raise LabError(f"table {table.name!r} has all zero-cost scores: {', '.join(there)}")
    if data is None:
        data = "digits" if table.dataset == "digits" else _cells.RANDOM
    settings = Settings(chosen, shape, data, images, seed, table.space.name)
    _cells.batch_for(shape, data, images, seed)  # refuses what does not go together before anything is computed
    return settings


def shape_of(table: Table) -> Shape:
    """What is around the cell in the networks of a table: as its header's recipe says, else as the benchmark's are.

    Raises:
        LabError: there are no networks of its space.
    """
    networks.of_space(table.space, f"table {table.name!r}")
    shape = make_problem(table.dataset).shape if table.dataset in NAMES else Shape()
    recipe = table.about.get("recipe", {})
    return replace(shape, **{name: int(recipe[name]) for name in ("channels", "cells") if name in recipe})


def cells_of(table: Table, count: int | None = None) -> IntArray:
    """(n,) the lowest-index cells of all classes, in a fixed random order; the first so many of them.

    Raises:
        LabError: fewer than one, or more than there are.
    """
    order = core.stream(0, _ORDER).permutation(first_of_classes(table.space))
    if count is not None and not 1 <= count <= len(order):
        raise LabError(f"--classes must lie in 1..{len(order)}, the classes of equal cells, got {count}")
    return order[:count]


def plan(settings: Settings, cells: Sequence[int] | IntArray, out: Path, block: int = BLOCK) -> list[Job]:
    """The jobs, a block of so many cells each; files go to `out/runs`."""
    common: Header = {"format": FORMAT, "scores": list(settings.scores), **settings.plain}
    blocks = [[int(arch) for arch in cells[start : start + block]] for start in range(0, len(cells), block)]
    headers: list[Header] = [json.loads(json.dumps(common | {"cells": block})) for block in blocks]
    return [outcomes.job(header, settings, out, "block", number) for number, header in enumerate(headers)]


def run_job(job: Job) -> int:
    """Compute, write; returns 1, a job done. This is what a worker process executes."""
    settings: Settings = job.settings
    batch = _cells.batch_for(settings.shape, settings.data, settings.images, settings.seed)
    found = _cells.score_cells(
        job.header["cells"], settings.scores, settings.shape, batch, seed=settings.seed, space=settings.space
    )
    job.write(found._asdict())
    return 1


def run(
    settings: Settings,
    cells: Sequence[int] | IntArray,
    out: Path,
    *,
    workers: int = 1,
    block: int = BLOCK,
    progress: Callable[[int, int], None] | None = None,
) -> list[tuple[Header, Outcome]]:
    """Compute what is missing; returns headers and outcomes of all blocks.

    Args:
        settings: what is computed.
        cells: of these cells.
        out: folder of the shards.
        workers: processes, one thread each.
        block: cells of a shard: the most that a kill costs each worker.
        progress: called with (cells done, all of them), as blocks are finished.

    Raises:
        LabError: shards cannot be written, or a worker died; what is finished is kept.
    """
    jobs, report, total = plan(settings, cells, out, block), progress or (lambda _done, _total: None), len(cells)
    outcomes.run(run_job, jobs, out, workers=workers, report=lambda done: report(min(done * block, total), total))
    return outcomes.read_all(jobs, "blocks of scores")


def column(found: Sequence[tuple[Header, Outcome]], what: str, score: str) -> FloatArray:
    """(n,) what was found of a score, in the order of `cells`.

    Args:
        found: of `run`.
        what: "values"; "cpu" or "nominal" seconds.
        score: its name.
    """
    return np.concatenate([np.asarray(outcome[what][score], dtype=np.float64) for _, outcome in found])


def added(table: Table, name: str, settings: Settings, found: Sequence[tuple[Header, Outcome]]) -> Table:
    """A table with the scores as metrics "proxy/<name>", and what they cost on the simulated clock as "proxy_seconds/<name>".

    All members of a class have the scores of the one that was computed; other cells have nan. The header says under
    "proxies", score by score, how they were computed.
    """
    cells = np.concatenate([np.asarray(header["cells"], dtype=np.int64) for header, _ in found])
    metrics = dict(table.metrics)
    for score in settings.scores:
        metrics[f"proxy/{score}"] = _spread(table, cells, column(found, "values", score))
        metrics[f"proxy_seconds/{score}"] = _spread(table, cells, column(found, "nominal", score))
    about: dict[str, Any] = thawed(table.about)
    said = settings.plain | {"classes": len(cells)}
    about["proxies"] = dict(about.get("proxies", {})) | dict.fromkeys(settings.scores, said)
    return replace(table, name=name, metrics=metrics, about=about).check()


def _spread(table: Table, cells: IntArray, values: FloatArray) -> FloatArray:
    """(A,) values of some cells as values of all members of their classes; nan elsewhere."""
    classes = table.space.classes
    by_class = np.full(int(classes.max()) + 1, np.nan)
    by_class[classes[cells]] = values
    return by_class[classes]
