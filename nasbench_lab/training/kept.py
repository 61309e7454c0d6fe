"""Trainings that are kept: found in a cache, or done, one by one or at once, and added to it as they end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from nasbench_lab.core import LabError
from nasbench_lab.training import grouped, memory
from nasbench_lab.training.cache import Cache, Key, Trained, disk_error
from nasbench_lab.training.data import Data
from nasbench_lab.training.problem import Problem
from nasbench_lab.training.trainer import Outcome, train


class Wanted(NamedTuple):
    """A training by what it is found by, and what it is of; `digest` is that of `problem` and kind of device."""

    digest: str
    problem: Problem
    arch: int
    seed: int

    @property
    def key(self) -> Key:
        """In the cache."""
        return self.digest, self.arch, self.seed


def answers(
    cache: Cache, wanted: Sequence[Wanted], data: Callable[[], Data], device: str, report: Callable[[], None]
) -> list[Trained]:
    """Finished trainings, in the order wanted: from the cache, or done now and added to it.

    Args:
        cache: where to look, and where to.
        wanted: on the same data; recipes may be different ones.
        data: loads the data, on the device. device: where.
        report: called after every training, and for every one that was there.

    Raises:
        LabError: out of memory, or the disk is full; what is finished is kept.
    """
    missing = list({each.key: each for each in wanted if cache.get(each.key) is None}.values())
    for _ in range(len(wanted) - len(missing)):
        report()
    if len(missing) > 1 and grouped.at_once(device):
        _train_at_once(cache, missing, data(), report)
    else:
        for each in missing:
            train_and_keep(cache, each.digest, each.problem, data, each.arch, each.seed)
            report()
    return [found for each in wanted if (found := cache.get(each.key)) is not None]


def _train_at_once(cache: Cache, missing: Sequence[Wanted], data: Data, report: Callable[[], None]) -> None:
    problem = missing[0].problem
    checkpoints = None if problem.data == "digits" else _checkpoints(cache)
    jobs = [grouped.Job(each.arch, each.seed, each.problem.recipe) for each in missing]
    try:
        for number, outcome in grouped.train_all(jobs, data, networks=problem.networks, checkpoints=checkpoints):
            cache.add(_finished(missing[number].digest, outcome))
            report()
    except (MemoryError, RuntimeError) as error:
        if not memory.starved(error):
            raise
        raise _memory_error(missing[0].arch, problem) from error
    except OSError as error:
        raise disk_error(error, checkpoints or cache.path) from error


def _checkpoints(cache: Cache) -> Path:
    return cache.path.parent / "checkpoints"


def _finished(digest: str, outcome: Outcome) -> Trained:
    return Trained(
        digest, outcome.arch, outcome.seed, outcome.val, outcome.test, round(outcome.seconds, 3), outcome.reason,
        f"{outcome.engine} {outcome.device}",
    )  # fmt: skip


def train_and_keep(
    cache: Cache,
    digest: str,
    problem: Problem,
    data: Callable[[], Data],
    arch: int,
    seed: int,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> Trained:
    """Train a configuration and add it to the cache; returns what counts there.

    Args:
        cache: where to. digest: of all the training depends on; with cell and seed its key.
        problem: data and recipe. data: loads the data.
        arch, seed: what is trained. weights: to start from, in place of the seed's.

    Raises:
        LabError: out of memory, or the disk is full; what is finished is kept.
    """
    checkpoint = None  # digits take about a second
    if problem.data != "digits":
        short = digest[:12] + digest[64:]  # what is beyond SHA-256 tells of the weights it starts from
        checkpoint = _checkpoints(cache) / f"{short}-{arch}-{seed}.pt"
    try:
        outcome = train(
            arch, data(), problem.recipe, seed=seed, networks=problem.networks, weights=weights, checkpoint=checkpoint
        )
    except (MemoryError, RuntimeError) as error:
        if not memory.starved(error):
            raise
        raise _memory_error(arch, problem) from error
    except OSError as error:
        raise disk_error(error, checkpoint or cache.path) from error
    kept = cache.add(_finished(digest, outcome))
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return kept


def _memory_error(arch: int, problem: Problem) -> LabError:
    return LabError(
        f"out of memory while training cell {arch} on {problem.data} (batch {problem.recipe.batch}); "
        "use a device with more memory or fewer workers. Every finished training is kept: the same command goes on"
    )
