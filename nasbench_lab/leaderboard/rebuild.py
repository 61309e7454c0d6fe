"""Finished runs of a plan -> its leaderboard and its files: what is joined, ranked and written after the search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nasbench_lab.files.writing import write_atomically
from nasbench_lab.leaderboard import checklist, details, front_scores, ranking, written
from nasbench_lab.leaderboard.parts import Entry, Leaderboard, Setting
from nasbench_lab.leaderboard.rereading import reread
from nasbench_lab.study import execute, store, study
from nasbench_lab.study.execute import Collected
from nasbench_lab.study.notes import notes
from nasbench_lab.study.plan import Plan, PlannedTask
from nasbench_lab.tables.table import Table


def rebuild(plan: Plan, out: Path) -> Leaderboard:
    """The leaderboard of a plan's finished runs, written to `out`.

    Raises:
        LabError: runs are missing, or the folder cannot be written.
    """
    collected = execute.collect(plan, out)
    members = list(entries(collected))
    board = ranking.build(plan.study.title, members, notes(plan))
    written.write(board, out, manifest(plan, collected, board.notes))
    write_atomically(out / "details.json", details.to_json(members).encode())
    return board


def entries(collected: Collected) -> Iterator[Entry]:
    """Finished runs as what a leaderboard ranks: every strategy under every setting, read as its task says."""
    settings: dict[tuple[int, str], Setting] = {}
    for group, runs in collected:
        for scored in group.task.scored:
            key = (id(group.task), scored.name)
            if key not in settings:
                settings[key] = _setting(group.task, scored)
            setting, reading = settings[key], group.header["evaluator"].get("reading", "")
            yield Entry(setting, group.spec, reread(runs, reading, setting.truth, group.task.text.max_seconds))


def _setting(planned: PlannedTask, scored: Table) -> Setting:
    task, searched, reading = planned.text, planned.table, planned.reading
    departures = {
        f"reading {reading}": reading != "",
        task.evaluator: task.evaluator != "tabular" and not reading,
        f"trials={task.trials}": task.trials != "mean",
        f"noise={task.noise:g}": task.noise != 0,
        f"repeats={task.repeats}": task.repeats != "charge",
        f"{task.simulated_workers} simulated workers": task.simulated_workers != 1,
        f"objectives {', '.join(task.objectives)}": task.objectives != ("val",),
        f"sources {', '.join(task.sources)}": task.sources != (),
    }
    return Setting(
        table=searched.name,
        score=scored.name,
        kind=searched.kind,
        search=str(planned.search),
        max_queries=task.max_queries,
        max_seconds=task.max_seconds,
        policy=", ".join(text for text, departs in departures.items() if departs),
        seen=planned.seen,
        truth=scored.truth,
        front=front_scores.target_of(scored.truth, {**searched.metrics, **scored.metrics}, task.objectives),
        full=planned.full,
    )


def manifest(plan: Plan, collected: Collected, said: Sequence[str]) -> dict[str, Any]:
    """Everything the numbers depend on; the digests of records let anyone check a re-run.

    Args:
        plan: of the study.
        collected: its finished runs.
        said: notes that stand on the board.
    """
    runs = [
        {
            "strategy": group.spec,
            "table": group.task.text.table,
            "id": group.id,
            "records_sha256": store.digest(found.columns),
        }
        for group, found in collected
    ]
    tables = {name: {"digest": table.digest, "label": table.label} for name, table in sorted(plan.tables.items())}
    found = {
        "study": study.to_json(plan.study),
        "tables": tables,
        "versions": {name: of for group in plan.groups for name, of in group.header["versions"].items()},
        "runs": runs,
    }
    if said:
        found["notes"] = list(said)
    return found | {"checklist": checklist.of(found)}
