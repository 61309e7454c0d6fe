"""The Python interface: `compare`, `search`, `load_table`, and what the command line calls. Frames come back as pandas."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nasbench_lab import loading
from nasbench_lab.core import Evaluator, LabError, Strategy
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.leaderboard import checklist, details, front_scores, ranking
from nasbench_lab.leaderboard.parts import Entry, Leaderboard, Setting
from nasbench_lab.leaderboard.rereading import reread
from nasbench_lab.study import engine, runner, store, study
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.tables import catalog, describe, readings
from nasbench_lab.tables.table import Table

_LOOP, _EVALUATION = ("workers", "repeats"), ("trials", "noise", "objectives", "sources")
_STUDY = ("trials", "noise", "objectives", "sources", "simulated_workers", "repeats", "evaluator")
DEFAULT_STRATEGIES = ("random_search", "local_search", "regularized_evolution", "reinforce")


def load_table(name: str | Path) -> Table:
    """A table by name or path; `tables list` names those at hand.

    Raises:
        LabError: no such table.
    """
    return catalog.load(str(name))


def search(
    strategy: Strategy | str,
    table: Table | str | Evaluator,
    *,
    seed: int = 0,
    search: int | str | None = None,
    max_queries: float = math.inf,
    max_seconds: float = math.inf,
    **policies: Any,
) -> pd.DataFrame:
    """One run as a frame: a row per answered query, with the test accuracy of the incumbent joined afterwards.

    Args:
        strategy: an instance, or a spec such as "local_search:improvement=best".
        table: a table, its name, or any evaluator.
        seed: decides everything.
        search: schedule searched on, "oracle", or None for the table's default; only with a table.
        max_queries, max_seconds: the budget; at least one.
        **policies: `workers`, `repeats` (see `runner.search`); with a table also `trials`, `noise`, `objectives`,
            `sources` (names of tables of other datasets whose validation scores the strategy may read).

    Returns:
        columns order, arch, epochs, val, seconds, finished, incumbent, decided, objectives, and incumbent_test.

    Raises:
        LabError: a name, policy or budget that does not exist.
    """
    instance = loading.build("strategies", strategy) if isinstance(strategy, str) else strategy
    if not isinstance(instance, Strategy):
        raise LabError(f"strategy must be an instance or a spec such as 'local_search', got {strategy!r}")
    if not isinstance(seed, int) or seed < 0:
        raise LabError(f"seed must be a whole number, 0 or more, got {seed!r}")
    _known(policies, _LOOP + (_EVALUATION if isinstance(table, (str, Table)) else ()))
    loop = {key: policies.pop(key) for key in _LOOP if key in policies}
    if isinstance(table, (str, Table)):
        evaluator: Evaluator = Tabular.open(table, search=search, **policies)
    else:
        evaluator = table
    budget: dict[str, Any] = {"max_queries": max_queries, "max_seconds": max_seconds}
    with engine.one_blas_thread():
        run = runner.search(instance, evaluator, seed=seed, **budget, **loop)
    frame = pd.DataFrame(store.columns_of({seed: run}, evaluator.task.objectives)).drop(columns="seed")
    truths = [evaluator.truth(int(arch)) if arch >= 0 else math.nan for arch in frame["incumbent"]]
    return frame.assign(incumbent_test=np.array(truths, dtype=np.float64))


def _known(policies: dict[str, Any], allowed: tuple[str, ...]) -> None:
    unknown = [key for key in policies if key not in allowed]
    if unknown:
        known = (*allowed, "table", "search", "max_queries", "max_seconds", "seed", "seeds", "score", "out")
        near = [name for name in difflib.get_close_matches(unknown[0], known, n=1) if name not in allowed]
        hint = f"; did you mean the argument {near[0]!r}?" if near else ""
        raise LabError(f"unknown policy {unknown[0]!r}{hint} Policies: {', '.join(allowed)}")


def compare(
    *strategies: str,
    table: str | None = None,
    score: Sequence[str] = (),
    search: int | str | None = None,
    seeds: int = 50,
    max_queries: float = math.inf,
    max_seconds: float = math.inf,
    out: str | Path = "results/compare",
    workers: int = 1,
    **policies: Any,
) -> pd.DataFrame:
    """Run strategies on a table and return the leaderboard as a frame; files go to `out`.

    Args:
        *strategies: names or specs; the four standard ones if left out.
        table: searched; the embedded benchmark if left out.
        score: tables scored on; the searched one if left out.
        search: schedule searched on, "oracle", or None for the table's default.
        seeds: runs per strategy.
        max_queries, max_seconds: the budget; 100 queries if neither is given.
        out: results folder; finished runs in it are not repeated.
        workers: processes.
        **policies: `trials`, `noise`, `objectives`, `sources`, `simulated_workers`, `repeats`, and `evaluator`: "tabular", or
            "training" to train every cell that is asked for (see `evaluators.training`).

    Raises:
        LabError: anything that does not exist or cannot be written.
    """
    chosen = make_study(
        strategies,
        table=table,
        score=score,
        search=search,
        seeds=seeds,
        max_queries=max_queries,
        max_seconds=max_seconds,
        **policies,
    )
    return run(chosen, Path(out), workers=workers).frame()


def make_study(
    strategies: Sequence[str],
    *,
    table: str | None,
    score: Sequence[str],
    search: int | str | None,
    seeds: int,
    max_queries: float,
    max_seconds: float,
    **policies: Any,
) -> Study:
    """The study that `compare`'s arguments describe."""
    _known(policies, _STUDY)
    if not isinstance(seeds, int):
        raise LabError(f"seeds must be a whole number, got {seeds!r}")
    score = (score,) if isinstance(score, str) else score
    if math.isinf(max_queries) and math.isinf(max_seconds):
        max_queries = 100
    name = table or catalog.default()
    objectives = policies.get("objectives", ())
    policies |= {"objectives": ("val", objectives)} if isinstance(objectives, str) else {}
    task = StudyTask(
        name, search=search, score=tuple(score), max_queries=max_queries, max_seconds=max_seconds, **policies
    )
    chosen = tuple(strategies) or DEFAULT_STRATEGIES
    title = f"Search strategies on {catalog.load(name).label}"
    return Study(chosen, (task,), seeds, title, block=1 if _trains(chosen, task) else 25)


def _trains(strategies: Sequence[str], task: StudyTask) -> bool:
    """Whether runs train networks: each is then a file of its own, so that an interruption loses one at most."""
    one_shot = (loading.build("strategies", spec).family == "one-shot" for spec in strategies)
    return loading.split_spec(task.evaluator)[0] == "training" or any(one_shot)


def run(
    chosen: Study, out: Path, *, workers: int = 1, backend: str = "loky", progress: engine.Progress | None = None
) -> Leaderboard:
    """Run what is missing of a study, then build and write its leaderboard."""
    engine.run_study(chosen, out, workers=workers, backend=backend, progress=progress)
    return rebuild(chosen, out)


def rebuild(chosen: Study, out: Path) -> Leaderboard:
    """The leaderboard of finished runs, written to `out`."""
    collected = engine.collect(chosen, out)
    members = list(entries(collected))
    board = ranking.build(chosen.title, members, describe.notes(chosen))
    ranking.write(board, out, _manifest(chosen, collected, board.notes))
    write_atomically(out / "details.json", details.to_json(members).encode())
    return board


def entries(collected: list[tuple[engine.Group, store.Runs]]) -> Iterator[Entry]:
    """Finished runs as what a leaderboard ranks: every strategy under every setting, read as its task says."""
    settings: dict[tuple[StudyTask, str], Setting] = {}
    for group, runs in collected:
        for score in group.task.scored_on:
            key = (group.task, score)
            if key not in settings:
                settings[key] = _setting(group, score)
            setting, reading = settings[key], group.header["evaluator"].get("reading", "")
            read = reread(runs, reading, setting.truth, group.task.max_seconds)
            yield Entry(setting, group.strategy, read)


def _setting(group: engine.Group, score: str) -> Setting:
    task, searched, scored = group.task, catalog.load(group.task.table), catalog.load(score)
    policy = group.header["evaluator"]
    answers = _answers(searched, group)
    reading = policy.get("reading", "")
    what = readings.named(reading).what if reading else ""
    scored = readings.named(reading).read(scored) if reading else scored
    departures = {
        f"reading {reading}: {what}": reading != "",
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
        search=str(policy["search"]),
        max_queries=task.max_queries,
        max_seconds=task.max_seconds,
        policy=", ".join(text for text, departs in departures.items() if departs),
        seen=answers.seen,
        truth=scored.truth,
        front=front_scores.target_of(scored.truth, {**searched.metrics, **scored.metrics}, task.objectives),
        full=policy["search"] if isinstance(policy["search"], int) else answers.task.full,
    )


def _answers(searched: Table, group: engine.Group) -> Any:
    """The evaluator that says what the search could see without noise; for real training, the table's nearest schedule."""
    opened = engine.open_task(group.task)
    if hasattr(opened, "seen"):
        return opened
    chosen: int | str = group.header["evaluator"]["search"]
    return Tabular(searched, search=chosen if chosen in searched.schedules else None)


def _manifest(chosen: Study, collected: list[tuple[engine.Group, store.Runs]], notes: Sequence[str]) -> dict[str, Any]:
    """Everything the numbers depend on; the digests of records let anyone check a re-run."""
    names = {name for task in chosen.tasks for name in (task.table, *task.scored_on, *task.sources)}
    runs = [
        {
            "strategy": group.strategy,
            "table": group.task.table,
            "id": group.id,
            "records_sha256": store.digest(found.columns),
        }
        for group, found in collected
    ]
    headers = [group.header for group, _ in collected]
    manifest = {
        "study": study.to_json(chosen),
        "tables": {
            name: {"digest": catalog.load(name).digest, "label": catalog.load(name).label} for name in sorted(names)
        },
        "versions": headers[0]["versions"] if headers else {},
        "runs": runs,
    }
    if notes:
        manifest["notes"] = list(notes)
    return manifest | {"checklist": checklist.of(manifest)}


def load_study(path: Path) -> Study:
    """The study of a results folder (its manifest.json) or of a study file.

    Raises:
        LabError: neither.
    """
    if path.is_dir():
        file = path / "manifest.json"
        try:
            return study.from_json(json.loads(file.read_text())["study"])
        except FileNotFoundError:
            raise LabError(f"{path} is not a results folder: it has no manifest.json") from None
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise LabError(f"{file} cannot be read: {error!r}") from error
    if path.suffix != ".toml":
        raise LabError(f"no such results folder: {path}")
    return study.read_study(path)
