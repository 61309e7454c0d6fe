"""Zero-cost scores of cells: their networks, one batch for all of them, and what each score says.

Every network of a seed is drawn from the same state of torch's generator, as trainings are, and sees the same batch; a cell's
scores depend on the cell, the shape, the data, the size of the batch and the seed, not on what was scored before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import nn

from nasbench_lab.core import LabError
from nasbench_lab.training import cost, networks
from nasbench_lab.training.network import Shape
from nasbench_lab.training.networks import CELLS
from nasbench_lab.training.problem import NAMES, make_problem
from nasbench_lab.training.seeding import seeded
from nasbench_lab.training.zero_cost import _score, flops
from nasbench_lab.training.zero_cost._batch import Batch, data_batch, random_batch

RANDOM = "random"  # images, in the place of a data set's name


class Scores(NamedTuple):
    """Of n cells, by score: `values` (n,), nan where there is none; `cpu` (n,) CPU seconds that it took.

    `nominal` (n,): seconds that it costs on the simulated clock, multiply-adds at `cost.NOMINAL_SPEED`.
    """

    values: dict[str, list[float]]
    cpu: dict[str, list[float]]
    nominal: dict[str, list[float]]


def batch_for(shape: Shape, data: str, images: int, seed: int) -> Batch:
    """Images for networks of a shape.

    Args:
        shape: of the networks.
        data: "random", or a data set of `problem.NAMES`.
        images: how many.
        seed: which of them.

    Raises:
        LabError: there is no such data, its files are not there, its images are of another shape, or it has too few.
    """
    if data == RANDOM:
        return random_batch(images, inputs=shape.inputs, size=shape.size, classes=shape.classes, seed=seed)
    if data not in NAMES:
        raise LabError(f"no images named {data!r}; there is: {RANDOM}, {', '.join(NAMES)}")
    problem = make_problem(data, part_size=images if data == "digits" else None)
    theirs, ours = ((s.inputs, s.size, s.classes) for s in (problem.shape, shape))
    if theirs != ours:
        words = "channels {}, side {}, classes {}"
        raise LabError(
            f"images of {data} have {words.format(*theirs)}; these networks are for {words.format(*ours)}: use {RANDOM}"
        )
    if images > problem.images:
        raise LabError(f"{data} has {problem.images:,} training images, a batch of {images:,} is too large")
    return data_batch(problem.load(), images, seed=seed)


def score_cells(
    cells: Sequence[int], scores: Sequence[str], shape: Shape, batch: Batch, *, seed: int, space: str = CELLS.space.name
) -> Scores:
    """Scores of configurations, on one thread, so that the bits do not depend on how many there are.

    Args:
        cells: indices.
        scores: names.
        shape: of the networks.
        batch: on the CPU.
        seed: of the initial weights and of what scores draw.
        space: whose networks they are, a name of `networks.NETWORKS`.
    """
    loaded = {name: _score.load(name) for name in scores}
    found = Scores(*({name: list[float]() for name in scores} for _ in range(3)))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for arch in cells:
            network = _drawn(arch, shape, seed, space)
            work = flops.multiply_adds(_drawn(arch, shape, seed, space), batch) / cost.NOMINAL_SPEED
            for name, score in loaded.items():
                value, seconds = _score.measure(score, network, batch, seed=seed)
                found.values[name].append(value)
                found.cpu[name].append(seconds)
                found.nominal[name].append(score.passes(len(batch.images), shape.classes) * work)
    finally:
        torch.set_num_threads(threads)
    return found


def _drawn(arch: int, shape: Shape, seed: int, space: str = CELLS.space.name) -> nn.Module:
    with seeded(seed):
        return networks.named(space).build(int(arch), shape)
