"""Which items of the NAS best-practice checklist a study satisfies, computed from its manifest where that can be.

Lindauer & Hutter 2020, Best Practices for Scientific Research on Neural Architecture Search, JMLR 21(243), 1-18
(arXiv:1909.02453); their checklist: http://automl.org/nas_checklist.pdf. Its three groups are 1 releasing code, 2 comparing
methods, 3 reporting details. The items are in our words and the letters are ours; the list itself could not be opened when
this was last checked (2026-11-25): docs/checklist.md says what could. Where the two differ, theirs holds.

"yes" and "no" are computed; "partly" says what is missing; "by hand" is what no manifest knows: the authors of a study must
say it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from nasbench_lab import loading

Row = dict[str, Any]
ENOUGH = 20  # seeds from which on intervals are shown


class Item(NamedTuple):
    """One answer: the checklist's item, yes, partly, no or by hand, and why."""

    item: str
    status: str
    why: str


def of(manifest: Row) -> list[Row]:
    """The answers for a study.

    Args:
        manifest: as in manifest.json: study, tables, versions, runs.

    Returns:
        [{"item", "status", "why"}], in the order of the checklist.
    """
    return [Item(f"{number} {what}", *answer(manifest))._asdict() for number, what, answer in ITEMS]


def _strategies(manifest: Row) -> list[str]:
    return [str(spec) for spec in manifest["study"]["strategies"]]


def _tasks(manifest: Row) -> list[Row]:
    return list(manifest["study"]["tasks"])


def _evaluators(manifest: Row) -> set[str]:
    return {str(task.get("evaluator", "tabular")) for task in _tasks(manifest)}


def _own(spec: str) -> bool:
    """Whether a strategy is not one of this package: a file, another package's class, a program, or trials of elsewhere."""
    head = spec.split("=", maxsplit=1)[0]
    return "." in head or head.split(":")[0] in ("external", "outside")


def _one_shot(manifest: Row) -> list[str]:
    """The strategies of this package that learn from images and ask a table nothing."""
    ours = loading.leaves("strategies")
    modules = {spec: ours.get(loading.split_spec(spec)[0], "") for spec in _strategies(manifest) if not _own(spec)}
    return [spec for spec, module in modules.items() if module.startswith("nasbench_lab.strategies.one_shot.")]


def _training_code(manifest: Row) -> tuple[str, str]:
    if any(name.startswith("training") for name in _evaluators(manifest)):
        return "yes", "cells were trained by this package; recipe and seeds are in every run's header"
    kinds = [facts["label"] for facts in manifest["tables"].values()]
    untrained = [f"{label}: made up" for label in kinds if label.endswith("(synthetic)")]
    untrained += [f"{label}: by a fitted surrogate" for label in kinds if label.endswith("(predicted)")]
    untrained += [
        f"{name}: by a fitted surrogate" for name in sorted(_evaluators(manifest)) if name.startswith("surrogate")
    ]
    if untrained:
        return "partly", f"{'; '.join(untrained)}; nothing was trained there"
    return "yes", f"an existing benchmark, named by digest: {', '.join(kinds)}"


def _space_code(manifest: Row) -> tuple[str, str]:
    tables = manifest["tables"]
    others = [f"{name}: {facts['space']}" for name, facts in tables.items() if "space" in facts]
    said = ["NAS-Bench-201's cell space, in this package"] if len(others) < len(tables) else []
    said += [f"decisions and options are in the files of the tables ({', '.join(others)})"] if others else []
    return "yes", "; ".join(said)


def _training_settings(manifest: Row) -> tuple[str, str]:
    status, why = _training_code(manifest)
    return (
        (status, why)
        if status != "yes"
        else ("yes", "those of the benchmark; digests of its tables are in the manifest")
    )


def _method_code(manifest: Row) -> tuple[str, str]:
    own = [spec for spec in _strategies(manifest) if _own(spec)]
    if own:
        return "by hand", f"not part of this package, so to be published beside the results: {', '.join(own)}"
    return "yes", "all strategies are in this package; every run's id hashes the sources it depends on"


def _seeds(manifest: Row) -> str:
    """Which seeds were run."""
    first, count = int(manifest["study"]["first_seed"]), int(manifest["study"]["seeds"])
    return f"seeds {first} to {first + count - 1}" if count > 1 else f"seed {first}"


def _method_settings(manifest: Row) -> tuple[str, str]:
    return "yes", f"parameters are in every run's header; {_seeds(manifest)}"


def _same_benchmark(manifest: Row) -> tuple[str, str]:
    leaks = sorted({_leak(task) for task in _tasks(manifest)} - {""})
    if leaks:
        return "partly", f"the same table for all, but read in another way than it is meant: {'; '.join(leaks)}"
    if own := _one_shot(manifest):
        return "partly", f"the same test scores for all; learning from images, not from the table: {', '.join(own)}"
    return (
        "yes",
        "all strategies of a task searched the same table, under the same policies, and are scored on the same test scores",
    )


def _leak(task: Row) -> str:
    if task.get("search") == "oracle":
        return "the search sees test accuracy (oracle)"
    name = str(task.get("evaluator", "tabular"))
    return name if "reading=" in name else ""


def _confounders(manifest: Row) -> tuple[str, str]:
    versions = ", ".join(f"{name} {version}" for name, version in sorted(manifest["versions"].items()))
    return "yes", f"one set of versions for all runs ({versions}); time is simulated, deciding is measured apart"


def _ablations(manifest: Row) -> tuple[str, str]:
    names = [spec.split(":")[0] for spec in _strategies(manifest)]
    several = sorted({name for name in names if names.count(name) > 1})
    if several:
        return "yes", f"several variants of {', '.join(several)}"
    return "no", "no strategy is there in two variants"


def _same_protocol(_manifest: Row) -> tuple[str, str]:
    return "yes", "one loop, one budget and one way of scoring for all strategies of a task; seed k is shared by all"


def _over_time(manifest: Row) -> tuple[str, str]:
    seconds = any(task.get("max_seconds") for task in _tasks(manifest))
    return "yes", "curves over queries" + (" and over simulated seconds" if seconds else "") + " for every strategy"


def _random_search(manifest: Row) -> tuple[str, str]:
    if any(spec.split(":")[0] in ("random_search", "mo_random") for spec in _strategies(manifest)):
        return "yes", "random search is among the strategies"
    plain = all(task.get("trials", "mean") == "mean" and not task.get("noise") for task in _tasks(manifest))
    if plain and _evaluators(manifest) == {"tabular"}:
        return "yes", "its exact expectation stands beside every table"
    return "no", "random search is not among the strategies"


def _several_runs(manifest: Row) -> tuple[str, str]:
    count = int(manifest["study"]["seeds"])
    if count >= ENOUGH:
        return "yes", f"{count} runs per strategy, {_seeds(manifest)}, with intervals and paired tests"
    status, runs = ("partly", "runs") if count > 1 else ("no", "run")
    return status, f"{count} {runs} per strategy, {_seeds(manifest)}; intervals want {ENOUGH}"


def _tabular(manifest: Row) -> tuple[str, str]:
    others = sorted(name for name in _evaluators(manifest) if not name.startswith(("tabular", "surrogate")))
    if others:
        return "partly", f"queries were answered by {', '.join(others)}"
    answered = "queries were answered from " + ", ".join(facts["label"] for facts in manifest["tables"].values())
    if own := _one_shot(manifest):
        return "partly", f"{answered}; none were asked by {', '.join(own)}"
    return "yes", answered


def _tuning(manifest: Row) -> tuple[str, str]:
    """How parameters were chosen nobody but the authors knows; which ones were set at all is in the specs."""
    chosen = [spec for spec in _strategies(manifest) if ":" in spec and not _own(spec)]
    what = f"parameters were set for {', '.join(chosen)}" if chosen else "every strategy has its default parameters"
    return "by hand", f"{what}; how they were chosen, and what that cost, is not in the manifest"


def _whole_time(_manifest: Row) -> tuple[str, str]:
    return (
        "partly",
        "simulated seconds of all queries and real seconds of deciding; not the final training of the cell found",
    )


def _all_details(_manifest: Row) -> tuple[str, str]:
    return "yes", "the manifest: study, policies, tables, versions, run ids, digests of all records"


ITEMS: tuple[tuple[str, str, Callable[[Row], tuple[str, str]]], ...] = (
    ("1a", "code that trains the final architectures is released", _training_code),
    ("1b", "code of the search space is released", _space_code),
    ("1c", "settings and seeds of the final training are released", _training_settings),
    ("1d", "code of the NAS methods is released", _method_code),
    ("1e", "settings and seeds of the NAS methods are released", _method_settings),
    ("2a", "the same benchmark for all methods: data, split, space, training", _same_benchmark),
    ("2b", "confounding factors are controlled", _confounders),
    ("2c", "ablation studies", _ablations),
    ("2d", "the same evaluation protocol for all methods", _same_protocol),
    ("2e", "performance is compared over time", _over_time),
    ("2f", "random search is compared with", _random_search),
    ("2g", "several runs, with their seeds", _several_runs),
    ("2h", "tabular or surrogate benchmarks for in-depth evaluation", _tabular),
    ("3a", "how hyper-parameters were tuned, and at what cost", _tuning),
    ("3b", "time of the whole method, end to end", _whole_time),
    ("3c", "all details of the set-up", _all_details),
)
