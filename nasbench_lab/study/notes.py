"""Where a study gives strategies nothing of what they are for, so that they are plainer than their names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress

from nasbench_lab import loading
from nasbench_lab.core import LabError, Task
from nasbench_lab.evaluators.surrogate import Fitted
from nasbench_lab.spaces.space import Space
from nasbench_lab.study.plan import Plan, PlannedTask
from nasbench_lab.surrogates._base import Surrogate

# family -> what it lives on, and what its members do where that is missing
_NEEDS: Mapping[str, tuple[Callable[[Task], bool], str]] = {
    "transfer": (
        lambda task: any(name.startswith("source/") for name in task.known),
        "no other dataset's scores to read on {on}; no --source: nothing is transferred, the search starts cold",
    ),
    "bandits": (
        lambda task: len(task.fidelities) > 1,
        "one fidelity on {on}: every training is a full one, none is saved",
    ),
    "multi_objective": (
        lambda task: len(task.objectives) > 1,
        "one objective on {on}; no --objectives: validation {score} is all that is searched for",
    ),
}


def notes(plan: Plan) -> list[str]:
    """A sentence for every kind of thing that is missing, with the strategies that miss it and on which tasks."""
    found: dict[tuple[str, str], list[str]] = {}
    for task in plan.tasks:
        for family, (given, words) in _NEEDS.items():
            members = ", ".join(spec for spec, strategy in plan.strategies.items() if strategy.family == family)
            if members and not given(task.task):
                said = words.replace("{score}", task.table.measure.name)
                found.setdefault((said, members), []).append(_named(task))
    plainer = [f"{members}: {words.format(on=', '.join(tasks))}" for (words, members), tasks in found.items()]
    return plainer + _other_data(plan) + substitutes(_asked(plan)) + _caveats(plan) + _not_kept(plan)


def substitutes(asked: Iterable[tuple[str, str, Space]]) -> list[str]:
    """Where surrogates were asked for kernels or features that a space lacks, and what stands for them there.

    Args:
        asked: whose surrogate it is, as a reader knows it, its spec, and the space it learns about.
    """
    found: dict[str, dict[str, None]] = {}
    for owner, spec, space in asked:
        with suppress(LabError, ValueError):  # an author's may call something else so
            model = loading.build("surrogates", spec)
            if words := model.instead(space) if isinstance(model, Surrogate) else "":
                found.setdefault(words, {})[owner] = None
    return [f"{', '.join(owners)}: {words}" for words, owners in found.items()]


def _asked(plan: Plan) -> Iterator[tuple[str, str, Space]]:
    """The surrogates that strategies ask, and those that answer in place of a table."""
    for task in plan.tasks:
        if isinstance(task.evaluator, Fitted):
            yield task.text.evaluator, task.evaluator.model, task.table.space
        for spec, strategy in plan.strategies.items():
            for each in (strategy, *getattr(strategy, "arms", ())):
                if isinstance(model := getattr(each, "surrogate", ""), str) and model:
                    yield spec, model, task.table.space


def _other_data(plan: Plan) -> list[str]:
    """Strategies that learn from images of another dataset than a table is of."""
    found: dict[tuple[str, str], list[str]] = {}
    for spec, strategy in plan.strategies.items():
        own = str(getattr(strategy, "data", "")).removesuffix("-valid")  # empty: somebody's, of which nothing is known
        for task in plan.tasks if strategy.family == "one_shot" and own else ():
            if own != task.table.dataset:
                found.setdefault((own, f"{task.text.table} (of {task.table.dataset})"), []).append(spec)
    return [
        f"{', '.join(specs)}: trained on images of {own}, scored on {table}; choose with data=... or --table"
        for (own, table), specs in found.items()
    ]


def _caveats(plan: Plan) -> list[str]:
    """What strategies say of themselves that a reader of their rows should know."""
    found: dict[str, list[str]] = {}
    for spec, strategy in plan.strategies.items():
        if caveat := str(getattr(strategy, "caveat", "")):
            found.setdefault(caveat, []).append(spec)
    return [f"{', '.join(specs)}: {caveat}" for caveat, specs in found.items()]


def _not_kept(plan: Plan) -> list[str]:
    """Strategies whose runs are done again every time."""
    given = ", ".join(dict.fromkeys(group.spec for group in plan.groups if group.given))
    why = "of a class from a script, a notebook or a function, so that nothing names all it depends on"
    return [f"{given}: {why}; its runs are not reused. In a file of its own they are"] if given else []


def _named(task: PlannedTask) -> str:
    search = task.text.search
    return f"{task.text.table} ({search if search in ('oracle', 'all') else f'{task.task.full} epochs'})"
