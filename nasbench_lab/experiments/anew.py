"""Training candidates anew: with new seeds by the recipe, and by hyper-parameters tuned for each.

On a CPU one after another, in this process or several; on a GPU many at once. Finished ones are kept in caches.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nasbench_lab.core import stream
from nasbench_lab.evaluators.training import Training, default_cache
from nasbench_lab.stats import agreement
from nasbench_lab.training import grouped
from nasbench_lab.training.cache import Cache, Trained
from nasbench_lab.training.kept import Wanted, answers
from nasbench_lab.training.problem import Problem
from nasbench_lab.training.recipe import Recipe

TUNED = ("lr", "weight_decay", "momentum", "batch")
_TUNE = 41  # the stream of the seeds of tuning


@dataclass(frozen=True)
class Plan:
    """How candidates are trained.

    Attributes:
        problem: data and recipe. seeds: one training each, of every candidate.
        device: where. workers: processes, on a CPU.
    """

    problem: Problem
    seeds: range
    device: str
    workers: int


def train_all(archs: list[int], plan: Plan, report: Callable[[int], None]) -> dict[int, list[Trained]]:
    """Per candidate, one finished training per seed.

    Args:
        archs: the candidates.
        plan: how they are trained.
        report: called with the trainings done.
    """
    jobs = [(arch, seed) for arch in archs for seed in plan.seeds]
    if grouped.at_once(plan.device):
        count = itertools.count(1)
        found = Training(plan.problem, device=plan.device).trained_all(jobs, lambda: report(next(count)))
        return {arch: found[i * len(plan.seeds) : (i + 1) * len(plan.seeds)] for i, arch in enumerate(archs)}
    # Each job carries few bytes to a process; all of them append to one cache file, under its lock.
    arguments = [(plan.problem, plan.device, arch, seed) for arch, seed in jobs]
    new: dict[int, list[Trained]] = {arch: [] for arch in archs}
    for done, ((arch, _), trained) in enumerate(zip(jobs, _mapped(_train, arguments, plan.workers), strict=True)):
        new[arch].append(trained)
        report(done + 1)
    return new


def _mapped(function: Callable[..., Any], arguments: list[tuple[Any, ...]], workers: int) -> Iterator[Any]:
    """Results in order, from this process or from several."""
    if workers == 1:
        yield from (function(*each) for each in arguments)
        return
    import joblib

    with joblib.parallel_config(backend="loky", n_jobs=workers, inner_max_num_threads=1):
        yield from joblib.Parallel(return_as="generator")(joblib.delayed(function)(*each) for each in arguments)


def _train(problem: Problem, device: str, arch: int, seed: int) -> Any:
    return Training(problem, device=device).trained(arch, seed)


def tune_all(
    archs: list[int], new: dict[int, list[Trained]], plan: Plan, trials: int, report: Callable[[int], None]
) -> dict[str, Any]:
    """Tuned against recipe, per candidate and together; both measured on the same fresh seeds.

    Args:
        archs: the candidates. new: their trainings by the recipe, as `train_all` gives them.
        plan: how they are trained. trials: of hyper-parameters for each, at least two.
        report: called with the trainings done.
    """
    if grouped.at_once(plan.device):  # a trial of every candidate at a time
        tuned: Iterable[list[dict[str, Any]]] = [[row] for row in _tune(plan, trials, archs)]
    else:
        tuned = _mapped(_tune, [(plan, trials, [arch]) for arch in archs], plan.workers)
    rows, gains = [], []
    for done, (arch, (row,)) in enumerate(zip(archs, tuned, strict=True)):
        recipe_test = np.array([trained.test for trained in new[arch]])
        difference = np.array(row.pop("test")) - recipe_test
        mean, low, high = agreement.paired(difference)
        gains.append(mean)
        rows.append(
            {"arch": arch, "recipe_test": float(np.nanmean(recipe_test)), "gain": mean, "gain_lo": low}
            | {"gain_hi": high, **row}
        )
        report((done + 1) * (trials + len(plan.seeds)))
    mean, low, high = agreement.paired(np.array(gains))
    return {"trials": trials, "rows": rows, "gain": mean, "gain_lo": low, "gain_hi": high}


def _tune(plan: Plan, trials: int, archs: list[int]) -> list[dict[str, Any]]:
    """Each candidate: search hyper-parameters on validation, then train the winner with the fresh seeds.

    Candidates take their trials side by side, so that a device that trains many at once has many.
    """
    from nasbench_lab.training import tuning

    problem, device = plan.problem, plan.device
    cache = Cache(default_cache(problem, device).with_name(f"{problem.data}-tuning.jsonl"))
    data, members = functools.cache(lambda: problem.load(device)), problem.networks.space.representatives
    seeds = [stream(plan.seeds[0], _TUNE, arch).integers(10_000, 2**31, size=trials).tolist() for arch in archs]

    def trained(jobs: list[tuple[Recipe, int, int]]) -> list[Any]:
        own = [(replace(problem, recipe=recipe), int(members[arch]), seed) for recipe, arch, seed in jobs]
        wanted = [Wanted(each.digest(device), each, arch, seed) for each, arch, seed in own]
        return answers(cache, wanted, data, device, lambda: None)

    asking = [tuning.proposals(problem.recipe, trials, seed=arch) for arch in archs]
    recipes, ended = [next(each) for each in asking], dict[int, Any]()
    for number in range(trials):
        jobs = [(recipe, arch, own[number]) for recipe, arch, own in zip(recipes, archs, seeds, strict=True)]
        for i, found in enumerate(trained(jobs)):
            try:
                recipes[i] = asking[i].send(float(found.val[-1]))
            except StopIteration as end:
                ended[i] = end.value
    tests = trained([(ended[i][0], arch, seed) for i, arch in enumerate(archs) for seed in plan.seeds])
    return [
        {
            "tuned": {name: getattr(best, name) for name in TUNED},
            "is_recipe": best == problem.recipe,
            "trials": [{"val": t.val} | {name: getattr(t.recipe, name) for name in TUNED} for t in done],
            "test": [t.test for t in tests[i * len(plan.seeds) : (i + 1) * len(plan.seeds)]],
        }
        for i, (best, done) in ended.items()
    ]
