"""Every strategy there is, and the documented variants, through the public conformance kit."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import pytest
from conftest import skipped_where_absent
from kit import has_what_it_needs, in_a_fresh_process

from nasbench_lab import loading
from nasbench_lab.core import Task
from nasbench_lab.spaces import cell
from nasbench_lab.testing.strategy_kit import check_strategy, fingerprint

VARIANTS = (
    "random_search:replacement=true",
    "local_search:improvement=best",
    "regularized_evolution:population=50,sample=10",
    "reinforce:learning_rate=0.5",
    "successive_halving:eta=2",
    "asha:eta=2",
    "tpe:weights=uniform",
    "bohb:num_samples=4,random_fraction=0,min_bandwidth=0.3,bandwidth_factor=1,replacement=true",
    "bohb:protocol=nas-bench-201",
    "genetic:crossover=one-point",
    "mcts:prior=0.0,temperature=inf,initial=0",
    "q_learning:shaped=false,uniform=0.5556,learning_rate=0.01",
    "simulated_annealing:cooling=linear",
    "gp_bo:acquisition=thompson,candidates=climb",
    "gp_bo:acquisition=its,candidates=mutation,batch=3",
)

# One-shot strategies learn from images, whatever table is searched; here from next to none, so that 40 epochs take a
# second. So trained they know nothing, and what they find on a synthetic table is no better than one random cell.
_TINY = "images=8,batch=8,held_out=16,channels=2"
_RANKED = f"{_TINY},epochs=15,select=50,per_round=2,score_images=8"
ONE_SHOT = {
    "darts": (f"{_TINY},epochs=40", f"{_TINY},epochs=40,order=2"),
    "drnas": (f"{_TINY},epochs=40",),
    "enas": (f"{_TINY},epochs=40,controller_steps=1,aggregate=2,select=2,score_batch=8",),
    "gdas": (f"{_TINY},epochs=40",),
    "network_morphism": (f"{_TINY},epochs=39,first_epochs=1,children=2",),
    "one_shot_evolution": (f"{_RANKED},population=10,sample=3",),
    "one_shot_random": (_RANKED,),
    "rsps": (f"{_TINY},epochs=40,select=2,score_batch=8",),
    "setn": (f"{_TINY},epochs=40,select=2,score_batch=8",),
    "smash": (_RANKED,),
    "spos": (f"{_RANKED},calibration=1", f"{_RANKED},calibration=0,fair=true"),
}
FAST = "same seed, same records"  # of the first variant of those that follow; the rest, about 9 minutes, in the slow session
FAST_OF = ("darts", "enas", "gdas", "one_shot_evolution", "one_shot_random", "rsps", "smash", "spos")
SLOW = ("optuna_gp",)  # a second a query: in the slow session
ELSEWHERE = ("llm_search",)  # needs an endpoint: in a file of its own
TABULAR = tuple(name for name in loading.leaves("strategies") if name not in (*ONE_SHOT, *SLOW, *ELSEWHERE))
# Their networks learn for a second before every batch; nothing that is checked depends on how long. By default in the slow session.
SHORTER = {
    "bananas": "bananas:surrogate=(mlp:features=path,targets=none,calibrated=false,steps=60)",
    "npenas": "npenas:surrogate=(mlp:targets=none,steps=60)",
    "pnas": "pnas:surrogate=(mlp:steps=60)",
}
APART = "same records in a fresh process"  # of all of a family in one such process below, each in its own in the slow session
FAMILY = {name: module.split(".")[-2] for name, module in loading.leaves("strategies").items()}
# These take a process, or a look at all that is shared, of every strategy: one of each family in the fast suite, all in the slow session.
OF_THE_FAMILY = ("asks the same in a process", "changes nothing")
FIRST = {FAMILY[name]: name for name in (*reversed(TABULAR), "gp_bo", "nsga2", "optuna_tpe", "zero_shot_prior")}
LEARNING = (
    "bananas",
    "npenas",
    "pnas",
    "smac_forest",
    "surrogate_local_search",
)  # take seconds to be told from random search
# A variant goes another way inside its strategy, by which nothing changes in what these check, at a second or more each.
OF_THE_STRATEGY = (
    APART,
    "changes nothing",
    "asks the same",
    "is not worse",
    "asks quickly",
    "another seed",
    "runs with 1",
)


def slow_if(slow: bool) -> Any:
    return pytest.mark.slow if slow else ()


def checks(specs: Iterable[str], slow: tuple[str, ...]) -> list[Any]:
    """Every check of every spec, in the slow session those whose names begin like this."""
    return [
        pytest.param(check, id=f"{spec}: {check.name}", marks=slow_if(check.name.startswith(slow)))
        for spec in specs
        for check in check_strategy(spec)
    ]


def slow_of(name: str) -> tuple[str, ...]:
    """How the names of the checks begin that are of the slow session, of a strategy on tables."""
    others = () if name in FIRST.values() else OF_THE_FAMILY
    return (APART, *others, *(("is not worse",) if name in LEARNING else ()))


@pytest.mark.parametrize(
    "check",
    [
        *(check for name in TABULAR for check in checks((SHORTER.get(name, name),), slow_of(name))),
        *checks(VARIANTS, OF_THE_STRATEGY),
        *checks(SHORTER, ("",)),
    ],
)
def test_conformance(check):
    with skipped_where_absent():
        check()


FAMILIES = sorted(set(FAMILY.values()) - {"one_shot"})


@pytest.mark.parametrize("family", FAMILIES)
def test_same_records_in_a_fresh_process_with_another_hash_seed(family):
    specs = [SHORTER.get(name, name) for name in TABULAR if FAMILY[name] == family]
    specs = [spec for spec in specs if has_what_it_needs("strategies", spec)]
    here = {spec: fingerprint(lambda spec=spec: loading.build("strategies", spec)) for spec in specs}
    assert in_a_fresh_process("strategies", specs) == here


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=f"{name}-{check.name}", marks=pytest.mark.slow)
        for name in SLOW
        for check in check_strategy(name)
    ],
)
def test_slow_conformance(check):
    with skipped_where_absent():
        check()


def test_every_one_shot_strategy_is_listed():
    modules = loading.leaves("strategies")
    assert {name for name, module in modules.items() if ".one_shot." in module} == set(ONE_SHOT)


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(
            check,
            id=f"{name}-{number}-{check.name}",
            marks=slow_if(name not in FAST_OF or (number, check.name) != (0, FAST)),
        )
        for name, variants in ONE_SHOT.items()
        for number, settings in enumerate(variants)
        for check in check_strategy(f"{name}:{settings}", Task(cell.SPACE, (1, 4, 12)))
        if "not worse than random" not in check.name
    ],
)
@pytest.mark.needs("torch", "sklearn")
def test_one_shot_conformance(check):
    check()


def test_what_works_on_any_space_does_not_know_the_cell():
    for name in loading.names("strategies"):
        if not has_what_it_needs("strategies", name):
            continue
        kind = loading.load("strategies", name)
        if kind.cell_only:
            continue
        for base in kind.__mro__:
            module = sys.modules[base.__module__]
            if base.__module__.startswith("nasbench_lab.strategies"):
                assert getattr(module, "cell", None) is not cell, f"{base.__module__} imports the NAS-Bench-201 cell"
