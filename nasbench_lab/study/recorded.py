"""A results folder looked at: its study, manifest and runs, from what is stored there. None of its strategies is built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from nasbench_lab import trust
from nasbench_lab.core import LabError
from nasbench_lab.errors import brief
from nasbench_lab.files import sealed
from nasbench_lab.study import shelf, store
from nasbench_lab.study.execute import Collected
from nasbench_lab.study.plan import Group, Plan, PlannedTask, asked, opened
from nasbench_lab.study.study import Study, StudyTask, load_study

Row = dict[str, Any]


class Look(NamedTuple):
    """What a results folder holds: its manifest, a plan whose strategies are not built, and its runs."""

    manifest: Row
    plan: Plan
    collected: Collected


def entries(out: Path, manifest: Row, study: Study) -> list[tuple[StudyTask, Row]]:
    """The runs that a manifest names, each with its task.

    Raises:
        LabError: they are not those of the study.
    """
    planned = [(task, spec) for task in study.tasks for spec in study.strategies]
    runs = manifest.get("runs", [])
    named = [(run.get("table"), run.get("strategy")) if isinstance(run, dict) else () for run in runs]
    if named != [(task.table, spec) for task, spec in planned]:
        raise LabError(f"{out / 'manifest.json'} names {len(runs)} runs, its study has others or {len(planned)}")
    return [(task, run) for (task, _), run in zip(planned, runs, strict=True)]


def look(out: Path, tasks: Sequence[StudyTask] | None = None) -> Look:
    """What is stored; `tasks`: of these tasks of the study only.

    Raises:
        LabError: not a results folder, runs are missing or damaged, a table is not here, or what answers is somebody's code.
    """
    study, manifest = load_study(out), sealed.read_json(out / "manifest.json")
    found = [(task, run) for task, run in entries(out, manifest, study) if tasks is None or task in tasks]
    study = replace(study, tasks=tuple(dict.fromkeys(task for task, _ in found)))
    for task in study.tasks:
        if trust.foreign("evaluators", task.evaluator):
            raise LabError(f"evaluator {task.evaluator!r} of {out} is somebody's code, which looking does not run")
    tables, planned = opened(study)
    by_text = {task.text: task for task in planned}
    collected: Collected = []
    for task, run in found:
        runs = runs_of(out, str(run["id"]), range(study.first_seed, study.first_seed + study.seeds))
        _check_asked(out, str(run["strategy"]), by_text[task], runs.header)
        collected.append((Group(str(run["strategy"]), None, by_text[task], runs.header), runs))
    return Look(manifest, Plan(study, tables, planned, tuple(group for group, _ in collected)), collected)


def _check_asked(out: Path, spec: str, task: PlannedTask, header: store.Header) -> None:
    """Refuse runs of anything else than the study asks for: another strategy, table, budget or policy.

    Raises:
        LabError: what is another, then and now.
    """
    wanted = asked(spec, task)
    found = {name: header.get(name) for name in wanted}
    now, then = ({**of, **(of["evaluator"] if isinstance(of["evaluator"], dict) else {})} for of in (wanted, found))
    for name in {**now, **then}:
        if then.get(name) != now.get(name):
            raise LabError(
                f"runs of {spec} in {out} are not those of its study: {name} {brief(then.get(name))} in the runs, "
                f"{brief(now.get(name))} in the study or the table that is here"
            )


def runs_of(out: Path, identity: str, seeds: range) -> store.Runs:
    """The stored runs of an id.

    Raises:
        LabError: some are missing or damaged, or are of another id than their file says.
    """
    try:
        return shelf.read(shelf.by_id(out / "runs").get(identity, ()), identity, seeds)
    except shelf.Missing as error:
        if error.wrong:
            raise LabError(error.wrong[0]) from None
        raise LabError(str(error).replace("are not there", f"are not in {out / 'runs'}", 1)) from None
