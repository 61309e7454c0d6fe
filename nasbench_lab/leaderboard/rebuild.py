"""Finished runs of a plan -> its leaderboard and its files: what is joined, ranked and written after the search."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_lab import core, loading, trust
from nasbench_lab.errors import LabError
from nasbench_lab.files import sealed
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.leaderboard import checklist, details, front_scores, ranking, written
from nasbench_lab.leaderboard.parts import Entry, Leaderboard, Setting
from nasbench_lab.leaderboard.rereading import reread
from nasbench_lab.leaderboard.wording import FULL
from nasbench_lab.spaces import cell
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.stats.measures import Measure
from nasbench_lab.study import execute, recorded, replays, store, study
from nasbench_lab.study.execute import Collected
from nasbench_lab.study.notes import notes
from nasbench_lab.study.plan import Plan, PlannedTask, kernel
from nasbench_lab.tables import trainings
from nasbench_lab.tables.table import Table

Row = dict[str, Any]
PLACES = 100  # of curves; a manifest without them is of a day when curves had checkpoints alone, and is made again so


def rebuild(plan: Plan, out: Path, say: Callable[[str], None] | None = None) -> Leaderboard:
    """The leaderboard of a plan's finished runs, written to `out`; `say` is told what takes a while.

    Raises:
        LabError: runs are missing, the folder cannot be written, or a strategy that ran in this process changed a table.
    """
    collected = execute.collect(plan, out)
    if changed := [name for name, table in plan.tables.items() if not table.intact]:
        raise LabError(
            f"table {changed[0]!r} was changed in memory while runs were made; a strategy has no business with it"
        )
    found = replays.of(collected, _replayed(out), say)
    said = [*notes(plan), *replays.sentences(collected, found)]
    return _write(plan, collected, said, out, manifest(plan, collected, said, found))


def _replayed(out: Path) -> dict[str, Row]:
    """What a folder's manifest, if there is one that can be read, knows of runs that were repeated."""
    try:
        return replays.kept(sealed.read_json(out / "manifest.json"))
    except LabError:
        return {}


def again(out: Path) -> Leaderboard:
    """The same from what a results folder has stored: its runs and what its manifest says; no strategy is built.

    Raises:
        LabError: runs or tables are missing, or the folder cannot be written.
    """
    then, plan, collected = recorded.look(out)
    said = [str(note) for note in then.get("notes", ())]
    return _write(plan, collected, said, out, manifest(plan, collected, said, replays.kept(then), then))


def key_of(row: Row) -> tuple[str, ...]:
    """What tells a row of a leaderboard from others."""
    return tuple(str(row[name]) for name in ("table", "score", "search", "budget", "policy", "strategy"))


def texts(
    plan: Plan,
    collected: Collected,
    said: Sequence[str],
    content: Row,
    measured: Mapping[tuple[str, ...], Any] | None = None,
) -> dict[str, str]:
    """What the files of a leaderboard say, by name; nothing is written.

    Args:
        plan, collected, said, content: what `_write` writes.
        measured: the decision seconds of rows, where the runs cannot say what they were.
    """
    members = list(entries(collected, content["runs"]))
    board = ranking.build(plan.study.title, members, said, places=content.get("places", 0))
    for row in board.rows if measured is not None else ():
        value = (measured or {}).get(key_of(row))
        row["decision_seconds_per_query"] = math.nan if value is None else value
    return written.texts(board, content) | {"details.json": details.to_json(members)}


def _write(plan: Plan, collected: Collected, said: Sequence[str], out: Path, content: Row) -> Leaderboard:
    members = list(entries(collected, content["runs"]))
    board = ranking.build(plan.study.title, members, said, places=content.get("places", 0))
    written.write(board, out, content)
    write_atomically(out / "details.json", details.to_json(members).encode())
    return board


def entries(collected: Collected, named: Sequence[Row] = ()) -> Iterator[Entry]:
    """Finished runs as what a leaderboard ranks: every strategy under every setting, read as its task says.

    `named`: the manifest's runs, which say what came of repeating those of others' strategies; in the same order.
    """
    settings: dict[tuple[int, str], Setting] = {}
    for (group, runs), entry in zip(collected, named or repeat({}), strict=False):
        mark = replays.mark(group, entry.get("replayed"))
        for scored in group.task.scored:
            key = (id(group.task), scored.name)
            if key not in settings:
                settings[key] = _setting(group.task, scored)
            setting, reading = settings[key], group.header["evaluator"].get("reading", "")
            read = reread(runs, reading, setting.truth, group.task.text.max_seconds)
            yield Entry(setting, group.spec, _undecided(read) if replays.is_outside(group.spec) else read, mark)


def _undecided(runs: store.Runs) -> store.Runs:
    """Runs whose strategy decided nothing: what reading a file took says nothing of what choosing its cells did."""
    unknown = np.full(len(runs.columns["seed"]), math.nan)
    return replace(runs, columns={**runs.columns, store.MEASURED: unknown})


def _setting(planned: PlannedTask, scored: Table) -> Setting:
    task, searched, reading = planned.text, planned.table, planned.reading
    trials = "sample" if task.trials == "split" and scored is not searched else task.trials
    departures = {
        f"reading {reading}": reading != "",
        task.evaluator: task.evaluator != "tabular" and not reading,
        f"trials={trials}": trials != "mean" and not reading,
        f"noise={task.noise:g}": task.noise != 0,
        f"repeats={task.repeats}": task.repeats != "charge",
        f"{task.simulated_workers} simulated workers": task.simulated_workers != 1,
        f"objectives {', '.join(task.objectives)}": task.objectives != ("val",),
        f"sources {', '.join(task.sources)}": task.sources != (),
    }
    truth = scored.truth if scored.sign > 0 else frozen(-scored.truth)
    split = planned.evaluator.split if task.trials == "split" and scored is searched else None
    noise = trainings.noise(scored, split)
    if split:  # no single score is the truth of a cell: the best estimate from all its trainings stands for it
        truth = frozen(noise.level if noise else scored.sign * split.mean)
    return Setting(
        table=searched.name,
        score=scored.name,
        kind=searched.kind,
        search=str(planned.search) if searched.counts_epochs or isinstance(planned.search, str) else FULL,
        max_queries=task.max_queries,
        max_seconds=task.max_seconds,
        policy=", ".join(text for text, departs in departures.items() if departs),
        seen=planned.seen,
        truth=truth,
        front=front_scores.target_of(
            truth, {**searched.metrics, **scored.metrics}, task.objectives, Measure(scored.unit).top
        ),
        full=planned.full,
        space=searched.space,
        unit=scored.unit,
        sign=scored.sign,
        scored="the trials that its search does not see" if split and scored.scored else scored.scored,
        seen_as=None if searched is scored else searched.measure,
        scores=(lambda seed, cells: scored.sign * split.held_out_of(seed, cells)) if split else None,
        shares=split.shares_of if split else None,
        held_out=frozen(scored.sign * planned.evaluator.held_out) if split else None,
        noise=noise,
    )


def manifest(
    plan: Plan,
    collected: Collected,
    said: Sequence[str],
    replayed: Mapping[str, Row],
    then: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Everything the numbers depend on; the digests of records let anyone check a re-run.

    Args:
        plan: of the study.
        collected: its finished runs.
        said: notes that stand on the board.
        replayed: what came of repeating runs of others' strategies, by id.
        then: the manifest of the same runs that was written when they were run; it knows what runs do not.
    """
    runs = [
        {
            "strategy": group.spec,
            "table": group.task.text.table,
            "id": group.id,
            "records_sha256": store.digest(found.columns),
        }
        | ({"replayed": replayed[group.id]} if group.id in replayed else {})
        for group, found in collected
    ]
    tables = {name: _facts_of_table(table) for name, table in sorted(plan.tables.items())}
    found = {
        "study": study.to_json(plan.study),
        "tables": tables,
        "versions": {name: of for group in plan.groups for name, of in group.header["versions"].items()},
        "runs": runs,
    }
    known: Mapping[str, Any] = (
        {"kernel": kernel(), "strategies": facts_of(plan), "places": PLACES} if then is None else then
    )
    found |= {name: known[name] for name in ("kernel", "strategies", "places") if known.get(name)}
    if said:
        found["notes"] = list(said)
    return found | {"checklist": checklist.of(found)}


def _facts_of_table(table: Table) -> dict[str, str]:
    """What a manifest says of a table; the space where it is not NAS-Bench-201's."""
    space = {} if table.space == cell.SPACE else {"space": table.space.name}
    return {"digest": table.digest, "label": table.label, **space}


def facts_of(plan: Plan) -> dict[str, dict[str, str]]:
    """What a page shows of strategies that are not this package's own: nobody who looks at results imports them."""
    return {
        spec: {
            "family": strategy.family,
            "summary": loading.summary(type(strategy)),
            "parameters": ", ".join(f"{name}={value}" for name, value in core.parameters(strategy).items()),
            "paper": strategy.paper,
        }
        for spec, strategy in plan.strategies.items()
        if trust.foreign("strategies", spec)
    }
