"""A study's text, resolved once at the door: strategies built, evaluators opened, digests and absolute paths known.

Whatever is below the door takes a `Plan` or what was made of it; no name is looked up again. The id of a run hashes
everything it depends on: strategy and parameters, evaluator policy and table digest, budget, policies, code and package
versions.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import math
import os
import sys
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any

import numpy as np

from nasbench_lab import core, imports, loading, sources, trust
from nasbench_lab.core import FloatArray, LabError, Strategy, Task
from nasbench_lab.errors import offered
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.study import runner, store
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.tables import catalog, readings
from nasbench_lab.tables.table import Table

FORMAT = 2  # of headers; another format makes other ids, so old files are simply not used
_POLICIES = ("search", "trials", "noise", "objectives", "sources")


@dataclass(frozen=True, eq=False)
class PlannedTask:
    """One task of a study, resolved.

    Attributes:
        text: as the study has it.
        table: searched.
        scored: the tables that incumbents are scored on, in the study's order, read as `reading` says.
        evaluator: answers; its policy is part of every header.
        task: what a strategy is told, with its budget.
        reading: how the tables are read, in words; "" for as they are meant.
    """

    text: StudyTask
    table: Table
    scored: tuple[Table, ...]
    evaluator: Any
    task: Task
    reading: str

    @property
    def search(self) -> int | str:
        """The schedule that is searched, "all" or "oracle"."""
        chosen: int | str = self.evaluator.policy["search"]
        return chosen

    @cached_property
    def _answers(self) -> Any:
        """Who says what the search could see without noise; for real training, the table's nearest schedule."""
        if hasattr(self.evaluator, "seen"):
            return self.evaluator
        return Tabular(self.table, search=self.search if self.search in self.table.schedules else None)

    @property
    def seen(self) -> FloatArray:
        """(N,) what the search could see at the highest fidelity, without noise."""
        values: FloatArray = self._answers.seen
        return values

    @property
    def trains(self) -> bool:
        """Whether queries are answered by training for real."""
        return loading.split_spec(self.text.evaluator)[0] == "training"

    @property
    def full(self) -> int:
        """The epochs at which a query counts in full."""
        return self.search if isinstance(self.search, int) else int(self._answers.task.full)


@dataclass(frozen=True, eq=False)
class Group:
    """One strategy on one task: what a row of the leaderboard is computed from.

    Attributes:
        spec: as the study writes the strategy.
        strategy: built; started by nobody but a job. None where runs are only looked at (`recorded`).
        given: it was handed over as an object that no spec describes; jobs carry it.
        task: resolved.
        header: of its runs, all but their seeds.
    """

    spec: str
    strategy: Strategy | None
    task: PlannedTask
    header: store.Header
    given: bool = False

    @property
    def foreign(self) -> bool:
        """Whether somebody else's code decides its runs: the strategy is not of this package, or its spec names what is not."""
        own = str(self.header["class"]).startswith("nasbench_lab.")
        return not own or trust.foreign("strategies", self.spec)

    @cached_property
    def id(self) -> str:
        """Hash of everything the runs depend on but their seeds."""
        return run_id(self.header)


@dataclass(frozen=True, eq=False)
class Plan:
    """A study that can be run.

    Attributes:
        study: its text, with title filled in, and block where runs train networks.
        tables: every table that is searched, scored on or read, by the name or path the study gives it.
        tasks: resolved, in the study's order.
        groups: tasks x strategies, task by task.
    """

    study: Study
    tables: Mapping[str, Table]
    tasks: tuple[PlannedTask, ...]
    groups: tuple[Group, ...]

    @property
    def strategies(self) -> dict[str, Strategy]:
        """Every strategy by its spec."""
        return {group.spec: group.strategy for group in self.groups if group.strategy}

    def only(self, group: Group) -> Plan:
        """The plan of one strategy on one task."""
        study = replace(self.study, strategies=(group.spec,), tasks=(group.task.text,))
        return Plan(study, self.tables, (group.task,), (group,))


def resolve(study: Study, given: Mapping[str, Strategy] | None = None) -> Plan:
    """The plan of a study; everything that can be checked without running is checked here.

    Args:
        study: what to run.
        given: strategies of the study that no spec describes, by the name it has for them; their runs are of this plan
            alone, since what a class from a script or a notebook depends on has no name.

    Raises:
        LabError: a strategy, parameter, table, schedule or policy that does not exist.
    """
    given = given or {}
    strategies = {spec: given[spec] if spec in given else _strategy(spec) for spec in study.strategies}
    _check_different({spec: each for spec, each in strategies.items() if spec not in given})
    tables, tasks = opened(study)
    groups = tuple(
        Group(spec, strategy, task, _header(spec, strategy, task, spec in given), spec in given)
        for task in tasks
        for spec, strategy in strategies.items()
    )
    searched = list(dict.fromkeys(task.table.label for task in tasks))
    title = study.title or f"Search strategies on {searched[0] if len(searched) == 1 else f'{len(searched)} tables'}"
    block = study.block or (1 if _trains(strategies.values(), tasks) else None)
    texts = tuple(task.text for task in tasks)
    return Plan(replace(study, tasks=texts, title=title, block=block), tables, tasks, groups)


def opened(study: Study) -> tuple[dict[str, Table], tuple[PlannedTask, ...]]:
    """The tables of a study, by the names it gives them, and its tasks.

    Raises:
        LabError: a table, schedule or policy that does not exist.
    """
    tables = _tables(study)
    return tables, tuple(_task(task, tables) for task in study.tasks)


def _tables(study: Study) -> dict[str, Table]:
    """Every table a study names, loaded.

    Raises:
        LabError: one is not there, one is scored on twice, or two have one name: results are told apart by name.
    """
    names = [name for task in study.tasks for name in (task.table, *task.scored_on, *task.sources)]
    found = {name: catalog.load(name) for name in dict.fromkeys(names)}
    digests: dict[str, str] = {}
    for task in study.tasks:
        scored = [found[name] for name in task.scored_on]
        if len({table.digest for table in scored}) < len(scored):
            raise LabError(f"a table to score on is listed twice: {', '.join(task.scored_on)}")
        if len({found[name].digest for name in task.sources}) < len(task.sources):
            raise LabError(f"a source is listed twice: {', '.join(task.sources)}")
        for table in (found[task.table], *scored):
            if digests.setdefault(table.name, table.digest) != table.digest:
                raise LabError(f"two different tables are both called {table.name!r}; import one under another name")
    return found


def _strategy(spec: str) -> Strategy:
    with imports.watched(sources.owner(loading.located(spec))):
        strategy = loading.build("strategies", spec)
    if not isinstance(strategy, Strategy):
        raise LabError(
            f"{spec!r} is not a strategy: {type(strategy).__name__} does not derive from nasbench_lab.Strategy"
        )
    return strategy


def _check_different(strategies: Mapping[str, Strategy]) -> None:
    """Refuse one strategy under two names: its rows would differ by nothing, and count twice in every test.

    Raises:
        LabError: names both.
    """
    first: dict[str, str] = {}
    for spec, strategy in strategies.items():
        same = first.setdefault(json.dumps(_meaning(strategy), sort_keys=True), spec)
        if same != spec:
            raise LabError(f"{same!r} and {spec!r} are one strategy with the same parameters; compare it once")


def _meaning(plugin: object) -> list[Any]:
    """What a strategy or a surrogate is, however it was written: its class, by file, and all parameters."""
    cls = type(plugin)
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    where = os.path.realpath(file) if file else cls.__module__
    return [where, cls.__qualname__, {name: _inner(value) for name, value in core.parameters(plugin).items()}]


def _inner(value: Any) -> Any:
    """The same of a parameter, which may be a spec."""
    if not isinstance(value, str):
        return value
    with suppress(LabError):
        if loading.split_spec(value)[0] in loading.leaves("surrogates"):
            return _meaning(loading.build("surrogates", value))
        return loading.located(value) if ".py" in value else value
    return value


def _task(text: StudyTask, tables: Mapping[str, Table]) -> PlannedTask:
    """A task with its tables and its evaluator.

    Raises:
        LabError: a table that cannot score, or a budget or policy that cannot be.
    """
    for name in text.scored_on:
        if unknown := int(np.isnan(tables[name].truth).sum()):
            raise LabError(f"table {name!r} cannot score: it has no test score for {unknown} cells")
    table = tables[text.table]
    if other := [name for name in text.scored_on if tables[name].space != table.space]:
        raise LabError(
            f"table {other[0]!r} cannot score a search of {text.table!r}: its space is {tables[other[0]].space.name!r}, "
            f"not {table.space.name!r}"
        )
    policies = {name: getattr(text, name) for name in _POLICIES} | {"sources": {n: tables[n] for n in text.sources}}
    sizes = core.SIZES[:2]  # an evaluator that trains knows them of itself
    check_objectives([name for name in text.objectives[1:] if name not in sizes], table)
    evaluator = open_evaluator(text.evaluator, table, policies)
    bounded = runner.bounded(
        evaluator.task,
        max_queries=text.max_queries,
        max_seconds=text.max_seconds,
        workers=text.simulated_workers,
        repeats=text.repeats,
    )
    reading = evaluator.policy.get("reading", "")
    chosen = readings.named(reading) if reading else None
    scored = tuple(chosen.read(tables[name]) if chosen else tables[name] for name in text.scored_on)
    text = replace(text, trials=str(evaluator.policy.get("trials", "mean")))
    return PlannedTask(text, table, scored, evaluator, bounded, f"{reading}: {chosen.what}" if chosen else "")


def _trains(strategies: Iterable[Strategy], tasks: Iterable[PlannedTask]) -> bool:
    """Whether runs train networks: each is then a file of its own, so that an interruption loses one at most."""
    return any(task.trains for task in tasks) or any(strategy.family == "one_shot" for strategy in strategies)


def open_evaluator(spec: str, table: Table, policies: Mapping[str, Any]) -> Any:
    """The evaluator of a spec, "tabular" or "training:device=cuda", over a table.

    Args:
        spec: name and options.
        table: searched.
        policies: some of search, trials, noise, objectives, and sources: tables by the names a study gives them.

    Raises:
        LabError: no such evaluator, option or policy.
    """
    name, raw = loading.split_spec(spec)
    cls = loading.load("evaluators", name)
    known = inspect.signature(cls.open).parameters
    unknown = [key for key in raw if key not in known or key in ("table", *_POLICIES)]
    if unknown:
        allowed = [key for key in known if key not in ("table", *_POLICIES)]
        raise LabError(f"evaluator {name} has no option {unknown[0]!r}{offered(unknown[0], allowed, 'it has:')}")
    return cls.open(table, **policies, **raw)


def check_objectives(names: Iterable[str], table: Table) -> None:
    """Refuse what cannot be an objective, with what the table has that can be.

    Raises:
        LabError: a metric that the table does not have, or one of which it is not known which direction is better.
    """
    allowed = [name for name in table.metrics if core.known_direction(name)]
    for name in names:
        if name not in allowed:
            why = (
                f"; which of its values are better is not known: import it as --metric {name}:lower or {name}:higher"
                if name in table.metrics
                else ""
            )
            raise LabError(
                f"{name!r} is no objective beside 'val' on table {table.name!r}{offered(name, allowed, 'it has:')}{why}"
            )


def _header(spec: str, strategy: Strategy, planned: PlannedTask, given: bool) -> store.Header:
    cls = type(strategy)
    policy = planned.evaluator.policy
    specs = (loading.located(spec), policy["evaluator"])
    code = f"given {uuid.uuid4().hex}" if given else sources.digest(strategy, type(planned.evaluator), specs, policy)
    header = {
        "format": FORMAT,
        "class": cls.__qualname__
        if cls.__module__.startswith(imports.PREFIX)
        else f"{cls.__module__}:{cls.__qualname__}",
        "parameters": core.parameters(strategy),
        **asked(spec, planned),
        "code": code,
        "versions": sources.versions(strategy, planned.evaluator, task=planned.task),
    }
    plain: store.Header = json.loads(json.dumps(header))
    return plain


def asked(spec: str, planned: PlannedTask) -> store.Header:
    """What a header says of what its study asked for: no code is needed to know it."""
    task = planned.text
    found: store.Header = {
        "strategy": spec,
        "evaluator": planned.evaluator.policy,
        "max_queries": _finite(task.max_queries),
        "max_seconds": _finite(task.max_seconds),
        "workers": task.simulated_workers,
        "repeats": task.repeats,
    }
    plain: store.Header = json.loads(json.dumps(found))
    return plain


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else float(value)


def run_id(header: store.Header) -> str:
    """The id of the runs of a header, the same for all their seeds; `id:seed` names one run."""
    return hashlib.sha256(json.dumps(without_seeds(header), sort_keys=True).encode()).hexdigest()[:12]


def without_seeds(header: store.Header) -> store.Header:
    """A header without the one thing in it that differs from block to block."""
    return {key: value for key, value in header.items() if key != "seeds"}


@cache
def kernel() -> str:
    """What computes linear algebra here, by which results of strategies with models may differ in their last digits."""
    import threadpoolctl

    found = [each for each in threadpoolctl.threadpool_info() if each["user_api"] == "blas"]
    names = {
        " ".join(str(each.get(key) or "") for key in ("internal_api", "version", "architecture")) for each in found
    }
    return ", ".join(sorted(name.strip() for name in names))
