"""Taking the best candidates of a study seriously: train them for real, with new seeds, and compare with the table.

Candidates come from a finished study (the final incumbents of its runs), from a table (its best by validation) or by
name; random cells beside them show what the comparison looks like where nothing was selected. Trainings are kept in
the same cache as those of searches (`training.cache`), so a validation that died is simply run again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab import extras
from nasbench_lab.core import LabError
from nasbench_lab.experiments import anew, candidates, inheritance
from nasbench_lab.experiments.candidates import Candidate
from nasbench_lab.files import paths
from nasbench_lab.spaces import naming
from nasbench_lab.spaces.space import Space
from nasbench_lab.stats import agreement
from nasbench_lab.tables.schedule import Schedule
from nasbench_lab.tables.table import Table
from nasbench_lab.training.problem import Problem, check_device

FloatArray = NDArray[np.float64]
Progress = Callable[[int, int], None]
Parts = dict[str, agreement.Comparison]  # validation and test


@dataclass(frozen=True)
class Settings:
    """How to validate.

    Args:
        problem: data and recipe trained, of the space that the candidates are of.
        top: candidates taken of the target. random: random classes beside them.
        seeds: new trainings per candidate, seeds `first_seed` ..., which the table must not have used.
        tune: trials of hyper-parameter optimisation per candidate; 0 for none.
        inherit: also train the cells of a study's one-shot runs from their supernets' weights; see `inheritance`.

    Raises:
        LabError: a number out of range.
    """

    problem: Problem
    top: int = 10
    random: int = 0
    seeds: int = 3
    first_seed: int = 1000
    tune: int = 0
    device: str = "cpu"
    workers: int = 1
    inherit: bool = False

    def __post_init__(self) -> None:
        if self.top < 0 or self.random < 0 or self.top + self.random < 1 or self.first_seed < 0:
            raise LabError(f"need at least one candidate, and no negative numbers; got {self.top} + {self.random}")
        if self.seeds < 1 or self.workers < 1 or self.tune < 0 or self.tune == 1:
            raise LabError("seeds and workers must be at least 1; tune 0 (no tuning) or at least 2 trials")
        check_device(self.device)

    @property
    def new_seeds(self) -> range:
        """The seeds that are trained."""
        return range(self.first_seed, self.first_seed + self.seeds)


def validate(
    target: str, settings: Settings, *, table: str | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Train the candidates of a target and compare; everything the report is written from, as JSON values.

    Args:
        target: a results folder, the name of a table, or cells separated by commas.
        settings: how.
        table: whose predictions are checked; the study's, the named or the embedded one if left out.
        progress: called with (trainings done, trainings in all); tuning counts its trials.

    Raises:
        LabError: nothing to validate, no such table, or what training can run into; finished trainings are kept.
    """
    reference, found = candidates.of_target(
        target, table=table, top=settings.top, epochs=settings.problem.recipe.epochs
    )
    _check_fits(reference, settings)
    _check_new(reference, settings)
    if settings.tune:
        extras.need("tuning", "torch", "gpytorch", "botorch")
    heirs = _heirs(target, settings)
    chosen = [*found, *candidates.random_others(found, reference, settings.random, settings.first_seed)]
    report = progress or (lambda _done, _total: None)
    tuned_trainings = len(found) * (settings.tune + settings.seeds) if settings.tune else 0
    total = (len(chosen) + 2 * len(heirs)) * settings.seeds + tuned_trainings
    plan = anew.Plan(settings.problem, settings.new_seeds, settings.device, settings.workers)
    new = anew.train_all([each.arch for each in chosen], plan, lambda done: report(done, total))
    content = compare(reference, chosen, new, settings)
    done = len(chosen) * settings.seeds
    if heirs:
        content["inheritance"] = inheritance.compare(
            heirs, settings.problem, settings.new_seeds, settings.device, lambda more: report(done + more, total)
        )
        done += 2 * len(heirs) * settings.seeds
    if settings.tune:
        archs = [each.arch for each in found]
        content["tuning"] = anew.tune_all(archs, new, plan, settings.tune, lambda more: report(done + more, total))
    return content | {"target": target}


def _heirs(target: str, settings: Settings) -> list[inheritance.Heir]:
    """The one-shot runs whose cells are trained from inherited weights too."""
    if not settings.inherit:
        return []
    if not paths.is_folder(target):
        raise LabError(f"weights are inherited from the runs of a study; {target!r} is no results folder")
    return inheritance.heirs(inheritance.of_study(candidates.runs_of(paths.home(target))), settings.problem)


def _check_fits(table: Table, settings: Settings) -> None:
    """The candidates are networks of the problem, which leaves to tuning what it tunes."""
    networks = settings.problem.networks
    if table.space != networks.space:
        raise LabError(f"table {table.name!r} is of the space {table.space.name!r}; trained are {networks.what}")
    if settings.tune and (own := set(anew.TUNED) & set(networks.training)):
        raise LabError(
            f"{', '.join(own)} is part of what {networks.what} are: there is nothing to tune; leave out --tune"
        )


def _check_new(table: Table, settings: Settings) -> None:
    """A training the table was made of would agree with it by being the same."""
    made_of = {int(seed) for seed in table.about.get("seeds", {})} & set(settings.new_seeds)
    if made_of and _comparable(table, settings.problem):
        seeds = ", ".join(map(str, sorted(made_of)))
        raise LabError(f"table {table.name!r} was made with seed {seeds}; choose others with --first-seed")


# Comparison


def _comparable(table: Table, problem: Problem) -> list[str]:
    """Of "val" and "test", the scores that are of the same data, recipe and length in the table as in the trainings."""
    recipe = table.about.get("recipe")
    same_recipe = recipe is None or recipe == json.loads(json.dumps(asdict(problem.recipe)))
    if not same_recipe or problem.recipe.epochs not in table.schedules:
        return []
    dataset = table.about.get("dataset")
    if dataset == "cifar10" and problem.data.startswith("cifar10"):  # validated on one split, tested on another
        return ["val"] if problem.data == "cifar10-valid" else ["test"]
    same = table.about.get("data", {"name": dataset}) == problem.described
    return ["val", "test"] if same else []


def compare(table: Table, chosen: list[Candidate], new: dict[int, list[Any]], settings: Settings) -> dict[str, Any]:
    """Predicted against measured, as JSON values; see `agreement` for the statistics."""
    archs = np.array([candidate.arch for candidate in chosen])
    schedule = candidates.predicting(table, settings.problem.recipe.epochs)
    fresh = {
        "val": np.array([[t.val[-1] for t in new[arch]] for arch in archs]),
        "test": np.array([[t.test for t in new[arch]] for arch in archs]),
    }
    comparable = _comparable(table, settings.problem)
    parts = _both(table.space, schedule, archs, fresh)
    common = _common(table.space, schedule, fresh)
    groups = {group: np.array([c.group == group for c in chosen]) for group in dict.fromkeys(c.group for c in chosen)}
    return {
        "table": table.label,
        "digest": table.digest,
        "data": settings.problem.data,
        "recipe": asdict(settings.problem.recipe),
        "trained": settings.problem.networks.described(settings.problem.recipe),
        "what": settings.problem.networks.what,
        "seeds": list(settings.new_seeds),
        "comparable": comparable,
        "common": common,
        "rows": _rows(table.space, schedule, chosen, new, parts),
        "summary": {g: _summary({n: parts[n] for n in comparable}, mask, common) for g, mask in groups.items()},
        "ranks": _ranks_of(parts, groups, settings.seeds),
        "choice": _choice(archs, parts, fresh),
        "records": _records(new, archs),
    }


def _rows(
    space: Space, schedule: Schedule, chosen: list[Candidate], new: dict[int, list[Any]], parts: Parts
) -> list[dict[str, Any]]:
    """A row per candidate: what was predicted, what was measured."""
    rows = []
    for i, candidate in enumerate(chosen):
        row: dict[str, Any] = asdict(candidate) | {"cell": naming.text(space, candidate.arch)}
        row["diverged"] = sum(bool(t.reason) for t in new[candidate.arch])
        for name, part in parts.items():
            row |= {f"{name}_{key}": float(getattr(part, key)[i]) for key in part._fields}
            row |= {f"{name}_trials": _count(schedule, name)[candidate.arch].item()}
        rows.append(row)
    return rows


def _ranks_of(parts: Parts, groups: dict[str, NDArray[np.bool_]], seeds: int) -> dict[str, dict[str, Any]]:
    """Agreement of ranks over all candidates, then, if there are several groups, within each."""
    masks = {"": np.any(list(groups.values()), axis=0)}
    if len(groups) > 1:
        masks |= {f", {group}": mask for group, mask in groups.items()}
    return {f"{name}{of}": _ranks(part, mask, seeds) for of, mask in masks.items() for name, part in parts.items()}


def _records(new: dict[int, list[Any]], archs: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Every training."""
    return [
        {"arch": arch, "seed": t.seed, "val": t.val[-1], "test": t.test, "seconds": t.seconds}
        | {"reason": t.reason, "made": t.made}
        for arch in archs.tolist()
        for t in new[arch]
    ]


def _count(schedule: Schedule, name: str) -> NDArray[np.int64]:
    """(A,) trials behind the table's mean; 1 where only means are known."""
    trials = schedule.val_trials[:, -1, :] if name == "val" else schedule.test_trials
    count: NDArray[np.int64] = np.maximum((~np.isnan(trials)).sum(axis=1), 1)
    return count


def _both(space: Space, schedule: Schedule, archs: NDArray[np.int64], fresh: dict[str, FloatArray]) -> Parts:
    """Validation and test. Luck in one is partly luck in the other, so regression to the mean carries over."""
    members = np.unique(space.representatives)
    trials = {"val": schedule.val_trials[members, -1, :], "test": schedule.test_trials[members]}
    means = {"val": schedule.val[:, -1], "test": schedule.test}
    noise = {name: agreement.trial_noise(_chosen_by_none(each)) for name, each in trials.items()}
    sd = {name: _sd(noise[name], means[name][archs], fresh[name]) for name in means}
    count = {name: _count(schedule, name)[archs] for name in means}
    expected, spread = _expected_val(trials["val"], noise["val"], means["val"][archs], sd["val"], count["val"])
    rho = agreement.correlation(trials["val"], trials["test"]) if trials["val"].shape == trials["test"].shape else 0.0
    luck = np.nan_to_num(means["val"][archs] - expected)
    expected_test = means["test"][archs] - rho * sd["test"] / sd["val"] * luck
    unsure_test = sd["test"] / np.sqrt(count["test"])
    ends = {"val": (expected, spread), "test": (expected_test, unsure_test)}
    return {
        name: agreement.compare(
            means[name][archs], count[name], fresh[name], sd[name], expected=ends[name][0], expected_sd=ends[name][1]
        )
        for name in means
    }


def _sd(noise: agreement.Noise | None, at: FloatArray, fresh: FloatArray) -> FloatArray:
    """(K,) SD of a trial: the table's own near that level, else that of the new measurements, pooled."""
    if noise is not None:
        return noise.sd(at)
    pooled = float(np.sqrt(np.nanmean(np.nanvar(fresh, axis=1, ddof=1)))) if fresh.shape[1] > 1 else math.nan
    return np.full(len(at), pooled)


def _expected_val(
    trials: FloatArray, noise: agreement.Noise | None, mean: FloatArray, sd: FloatArray, count: NDArray[np.int64]
) -> tuple[FloatArray, FloatArray]:
    """(K,) posterior mean and SD of the true validation score; the table's mean itself where noise is unknown."""
    error = sd / np.sqrt(count)
    first = trials[:, 0] if trials.shape[1] else np.empty(0)
    first = first[~np.isnan(first)]
    if noise is None or len(first) < 500:  # too few classes for a distribution over the space
        return mean, error
    prior = agreement.prior_of(first, noise.sd(first))
    return prior.posterior(mean, error)


def _common(space: Space, schedule: Schedule, fresh: dict[str, FloatArray]) -> dict[str, float]:
    """What share of noise a seed does to all cells, from the table's seeds that chose nothing and from the new ones."""
    members = np.unique(space.representatives)
    trials = {"val": schedule.val_trials[members, -1, :], "test": schedule.test_trials[members]}
    return {name: agreement.common_share(_chosen_by_none(each), fresh[name]) for name, each in trials.items()}


def _chosen_by_none(trials: FloatArray) -> FloatArray:
    """(C, T) trials without those that may have decided how many a class got: the first, where there are three or more and some
    classes have fewer (`tables train --more`).
    """
    counts = (~np.isnan(trials)).sum(axis=1)
    return trials[:, 1:] if trials.shape[1] > 2 and counts.min() < counts.max() else trials


def _summary(parts: Parts, mask: NDArray[np.bool_], common: dict[str, float]) -> dict[str, Any]:
    out = {}
    for name, part in parts.items():
        out[name] = agreement.summary(part.z[mask], common[name])
        out[f"{name}, regression to the mean allowed for"] = agreement.summary(part.z_expected[mask], common[name])
    return out


def _ranks(part: agreement.Comparison, mask: NDArray[np.bool_], seeds: int) -> dict[str, float]:
    error = part.sd / np.sqrt(seeds)
    mean, low, high = agreement.tau_from_noise(
        part.predicted[mask], part.expected[mask], part.expected_sd[mask], error[mask]
    )
    tau = agreement.tau(part.predicted[mask], part.measured[mask])
    return {"tau": tau, "if_right": mean, "if_right_lo": low, "if_right_hi": high, "count": int(mask.sum())}


def _choice(archs: NDArray[np.int64], parts: Parts, fresh: dict[str, FloatArray]) -> dict[str, Any]:
    """The candidate the table's validation picks and the one new validation picks, both scored on new test."""
    measured = parts["val"].measured
    if np.isnan(measured).all():
        return {}
    by_table = int(np.nanargmax(parts["val"].predicted))
    by_measurement = int(np.nanargmax(measured))
    loss = agreement.paired(fresh["test"][by_measurement] - fresh["test"][by_table])
    best = int(np.nanargmax(parts["test"].measured))
    return {
        "by_table": int(archs[by_table]),
        "by_table_test": float(parts["test"].measured[by_table]),
        "by_measurement": int(archs[by_measurement]),
        "by_measurement_test": float(parts["test"].measured[by_measurement]),
        "best_test": float(parts["test"].measured[best]),
        "best": int(archs[best]),
        "loss": loss[0],
        "loss_lo": loss[1],
        "loss_hi": loss[2],
    }
