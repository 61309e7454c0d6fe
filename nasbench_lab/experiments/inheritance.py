"""Is it worth anything to go on from a supernet's weights? Cells that one-shot runs found, from scratch and fine-tuned.

Both trainings of a cell have the same recipe, the same seed and so the same images in the same order; they differ in
the weights they start from alone. The cell itself is trained, not its class's representative, since the weights are its
own. Supernets come from the checkpoints that the study's runs left (NASBENCH_LAB_CHECKPOINTS), which are never trained on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nasbench_lab import core, loading, trust
from nasbench_lab.core import LabError
from nasbench_lab.evaluators.training import default_cache
from nasbench_lab.spaces import cell
from nasbench_lab.stats import agreement
from nasbench_lab.study import shelf
from nasbench_lab.training import trainer
from nasbench_lab.training.cache import Cache, Trained
from nasbench_lab.training.data import Data
from nasbench_lab.training.kept import train_and_keep
from nasbench_lab.training.network import Network
from nasbench_lab.training.problem import Problem

Weights = Mapping[str, torch.Tensor]
Row = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """The cell that one run of a one-shot strategy ended with."""

    strategy: str
    seed: int
    arch: int
    rounds: int  # of the run; its supernet may be one further, where the budget left no room for the answer


Heir = tuple[Found, Network]


def of_study(files: list[Path]) -> list[Found]:
    """The last answers of all runs of one-shot strategies in these blocks of runs.

    Raises:
        LabError: there is none.
    """
    found = []
    for block in shelf.each(files):
        spec = str(block.header["strategy"])
        if trust.foreign("strategies", spec):  # somebody's: none of its code is run for this
            continue
        cls = loading.load("strategies", loading.split_spec(spec)[0])
        if getattr(cls, "shares_weights", False):
            ends = block.last("incumbent")
            found += [
                Found(spec, int(seed), int(arch), int(rounds))
                for seed, arch, rounds in zip(block.seeds, ends, block.counts, strict=True)
                if arch >= 0
            ]
    if not found:
        raise LabError("no run of the study is of a one-shot strategy: there are no weights to inherit")
    return sorted(found, key=lambda each: (each.strategy, each.seed))


def heirs(found: list[Found], problem: Problem) -> list[Heir]:
    """The cells' networks, with the weights that their runs' supernets ended with.

    Raises:
        LabError: a run left no checkpoint here, or its supernet is of other data or shape than the recipe's network.
    """
    return [(each, _inherited(each, problem)) for each in found]


def compare(
    heirs: list[Heir], problem: Problem, seeds: range, device: str, progress: Callable[[int], None]
) -> dict[str, Any]:
    """Train every cell both ways; rows per run, means per strategy and over all runs, as JSON values.

    Args:
        heirs: runs, their cells and their weights.
        problem: data and recipe of both trainings.
        seeds: of the trainings of a run with seed 0; every further run has the next ones.
        device: where they run.
        progress: called with the trainings done.
    """
    data = problem.load(device)
    cache = Cache(default_cache(problem, device).with_name(f"{problem.data}-inherited.jsonl"))
    rows = []
    for done, (each, network) in enumerate(heirs, start=1):
        start = _accuracy(network, problem, data)
        ways = {
            way: [_trained(each.arch, own, problem, data, seed + each.seed * len(seeds), cache) for seed in seeds]
            for way, own in (("scratch", None), ("inherited", network.state_dict()))
        }
        test = {way: np.array([trained.test for trained in trainings]) for way, trainings in ways.items()}
        rows.append(
            {"strategy": each.strategy, "seed": each.seed, "arch": each.arch, "before": start}
            | {way: float(values.mean()) for way, values in test.items()}
            | {"gain": float((test["inherited"] - test["scratch"]).mean())}
        )
        progress(2 * done * len(seeds))
    return {"rows": rows, **summary(rows), "seeds": len(seeds), "epochs": problem.recipe.epochs}


def summary(rows: list[Row]) -> dict[str, Any]:
    """Means per strategy, over its runs, and of all, over strategies: runs of one strategy are alike.

    Args:
        rows: strategy, before, scratch, inherited, gain; nan where a training diverged: such runs are counted, not averaged.
    """
    names = list(dict.fromkeys(str(row["strategy"]) for row in rows))
    strategies = [{"strategy": name, **_mean([row for row in rows if row["strategy"] == name])} for name in names]
    counts = {name: sum(row[name] for row in strategies) for name in ("runs", "diverged")}
    return {"strategies": strategies, "all": _mean(strategies) | counts}


def _mean(rows: list[Row]) -> Row:
    known = [row for row in rows if math.isfinite(row["gain"])]
    gain, low, high = agreement.paired(np.array([row["gain"] for row in known]))
    names = ("before", "scratch", "inherited")
    means = {name: float(np.mean([row[name] for row in known])) if known else math.nan for name in names}
    ends = {"gain": gain, "gain_lo": low, "gain_hi": high}
    return {"runs": len(known), "diverged": len(rows) - len(known), **means, **ends}


def _inherited(found: Found, problem: Problem) -> Network:
    strategy = loading.build("strategies", found.strategy)
    own = strategy.problem()
    if own.shape != problem.shape or own.data.removesuffix("-valid") != problem.data.removesuffix("-valid"):
        raise LabError(
            f"the supernet of {found.strategy} is of {own.data} with C={own.shape.channels}, N={own.shape.cells}; what "
            f"is trained here is of {problem.data} with C={problem.shape.channels}, N={problem.shape.cells}"
        )
    strategy.start(core.Task(cell.SPACE, (1,)), found.seed)
    if strategy.trained < found.rounds:
        there = f"a checkpoint of {strategy.trained} of {found.rounds} rounds" if strategy.trained else "no checkpoint"
        raise LabError(
            f"{there} of {found.strategy}, seed {found.seed}: run the study with NASBENCH_LAB_CHECKPOINTS set to a folder, "
            "and keep it set; with another --out if its runs are finished, as these are not repeated"
        )
    network: Network = strategy.network(found.arch)
    return network


@torch.no_grad()
def _accuracy(network: Network, problem: Problem, data: Data) -> float:
    """Validation accuracy with the inherited weights, norms with the statistics of the batch at hand, %."""
    images, labels = data.held_out("val")
    right = 0.0
    network = network.to(data.device).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    for x, y in zip(torch.split(images, 500), torch.split(labels, 500), strict=True):
        right += float((network(data.normalise(x)).argmax(1) == y).sum())
    network.load_state_dict(before)  # running statistics moved
    return 100 * right / len(images)


def _trained(arch: int, weights: Weights | None, problem: Problem, data: Data, seed: int, cache: Cache) -> Trained:
    """One training of the cell, from scratch or from these weights; read from the cache if it is there."""
    digest = problem.digest(str(data.device)) + ("" if weights is None else f"+{trainer.digest(weights)}")
    known = cache.get((digest, arch, seed))
    return known or train_and_keep(cache, digest, problem, lambda: data, arch, seed, weights)
