"""The Python interface: `compare`, `search`, `load_table`, and what the command line calls. Frames come back as pandas."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nasbench_lab import engine, leaderboard, loading, runner, store, study
from nasbench_lab.core import Evaluator, LabError, Strategy
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.study import Study, StudyTask
from nasbench_lab.tables import catalog
from nasbench_lab.tables.table import Table

DEFAULT_STRATEGIES = ("random_search", "local_search", "regularized_evolution", "reinforce")


def load_table(name: str) -> Table:
    """A table by name or path; `tables list` names those at hand.

    Raises:
        LabError: no such table.
    """
    return catalog.load(name)


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
        **policies: `workers`, `repeats` (see `runner.search`); with a table also `trials`, `noise`, `objectives`.

    Returns:
        columns order, arch, epochs, val, seconds, finished, incumbent, decided, objectives, and incumbent_test.

    Raises:
        LabError: a name, policy or budget that does not exist.
    """
    instance = loading.build("strategies", strategy) if isinstance(strategy, str) else strategy
    loop = {key: policies.pop(key) for key in ("workers", "repeats") if key in policies}
    if isinstance(table, (str, Table)):
        table = catalog.load(table) if isinstance(table, str) else table
        evaluator: Evaluator = Tabular(table, search=search, **policies)
    else:
        evaluator = table
    run = runner.search(instance, evaluator, seed=seed, max_queries=max_queries, max_seconds=max_seconds, **loop)
    frame = pd.DataFrame(store.columns_of({seed: run}, evaluator.task.objectives)).drop(columns="seed")
    truths = [evaluator.truth(int(arch)) if arch >= 0 else math.nan for arch in frame["incumbent"]]
    return frame.assign(incumbent_test=np.array(truths, dtype=np.float64))


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
        **policies: `trials`, `noise`, `objectives`, `simulated_workers`, `repeats`.

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
    if math.isinf(max_queries) and math.isinf(max_seconds):
        max_queries = 100
    name = table or catalog.default()
    task = StudyTask(
        name, search=search, score=tuple(score), max_queries=max_queries, max_seconds=max_seconds, **policies
    )
    return Study(
        tuple(strategies) or DEFAULT_STRATEGIES,
        (task,),
        seeds,
        title=f"Search strategies on {catalog.load(name).label}",
    )


def run(
    chosen: Study, out: Path, *, workers: int = 1, backend: str = "loky", progress: engine.Progress | None = None
) -> leaderboard.Leaderboard:
    """Run what is missing of a study, then build and write its leaderboard."""
    engine.run_study(chosen, out, workers=workers, backend=backend, progress=progress)
    return rebuild(chosen, out)


def rebuild(chosen: Study, out: Path) -> leaderboard.Leaderboard:
    """The leaderboard of finished runs, written to `out`."""
    collected = engine.collect(chosen, out)
    board = leaderboard.build(chosen.title, list(_entries(collected)))
    leaderboard.write(board, out, _manifest(chosen, collected))
    return board


def _entries(collected: list[tuple[engine.Group, store.Runs]]) -> Iterator[leaderboard.Entry]:
    settings: dict[tuple[StudyTask, str], leaderboard.Setting] = {}
    for group, runs in collected:
        for score in group.task.scored_on:
            key = (group.task, score)
            if key not in settings:
                settings[key] = _setting(group, score)
            yield leaderboard.Entry(settings[key], group.strategy, runs)


def _setting(group: engine.Group, score: str) -> leaderboard.Setting:
    task, searched = group.task, catalog.load(group.task.table)
    policy = group.header["evaluator"]
    evaluator = Tabular(searched, search=policy["search"])
    departures = {
        f"trials={task.trials}": task.trials != "mean",
        f"noise={task.noise:g}": task.noise != 0,
        f"repeats={task.repeats}": task.repeats != "charge",
        f"{task.simulated_workers} simulated workers": task.simulated_workers != 1,
        f"objectives {', '.join(task.objectives)}": task.objectives != ("val",),
    }
    return leaderboard.Setting(
        table=searched.name,
        score=catalog.load(score).name,
        kind=searched.kind,
        search=str(policy["search"]),
        max_queries=task.max_queries,
        max_seconds=task.max_seconds,
        policy=", ".join(text for text, departs in departures.items() if departs),
        seen=evaluator.seen,
        truth=catalog.load(score).truth,
    )


def _manifest(chosen: Study, collected: list[tuple[engine.Group, store.Runs]]) -> dict[str, Any]:
    """Everything the numbers depend on; the digests of records let anyone check a re-run."""
    names = {name for task in chosen.tasks for name in (task.table, *task.scored_on)}
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
    return {
        "study": study.to_json(chosen),
        "tables": {
            name: {"digest": catalog.load(name).digest, "label": catalog.load(name).label} for name in sorted(names)
        },
        "versions": headers[0]["versions"] if headers else {},
        "runs": runs,
    }


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
    return study.read_study(path)


class Reproduced(NamedTuple):
    """Whether one run came out as recorded: its id, and what differs ("" if nothing does)."""

    id: str
    strategy: str
    difference: str


def reproduce(out: Path, *, run: str | None = None) -> Iterator[Reproduced]:
    """Re-run the runs in a results folder and compare every record exactly (`decided`, real time, aside).

    Args:
        out: results folder.
        run: only this one, "id" or "id:seed".

    Raises:
        LabError: no runs there, or no run of that id.
    """
    files = sorted((out / "runs").glob("*.parquet"))
    if not files:
        raise LabError(f"no runs in {out / 'runs'}; they are not committed with results, run the study first")
    wanted, _, seed = (run or "").partition(":")
    found = False
    for path in files:
        recorded = store.read(path)
        identity = engine.run_id(recorded.header)
        if wanted and not identity.startswith(wanted):
            continue
        seeds = [int(s) for s in recorded.seeds if not seed or str(s) == seed]
        found = found or bool(seeds)
        yield from _reproduce_block(recorded, identity, seeds, _table_path(recorded.header, out))
    if not found:
        raise LabError(f"no run {run!r} in {out / 'runs'}; ids are the last part but one of the file names, then :seed")


def _table_path(header: store.Header, out: Path) -> str:
    """The table a run searched: by the name or path the study gave it, else by the name in its header."""
    try:
        for task in load_study(out).tasks:
            if catalog.load(task.table).digest == header["evaluator"]["digest"]:
                return task.table
    except LabError:
        pass
    return str(header["evaluator"]["table"])


def _reproduce_block(recorded: store.Runs, identity: str, seeds: list[int], table: str) -> Iterator[Reproduced]:
    header = recorded.header
    name = header["strategy"]
    for seed in seeds:
        try:
            columns = store.columns_of(
                engine.rerun(header, table, range(seed, seed + 1)), tuple(header["evaluator"]["objectives"])
            )
        except LabError as error:
            yield Reproduced(f"{identity}:{seed}", name, str(error))
            return
        yield Reproduced(f"{identity}:{seed}", name, _difference(recorded, seed, columns))


def _difference(recorded: store.Runs, seed: int, columns: dict[str, Any]) -> str:
    """What differs between a recorded run and its re-run, and what may be why; "" if nothing."""
    rows = recorded.columns["seed"] == seed
    old = {name: values[rows] for name, values in recorded.columns.items()}
    if store.digest(old) == store.digest(columns):
        return ""
    lengths = len(old["seed"]), len(columns["seed"])
    if lengths[0] != lengths[1]:
        where = f"{lengths[0]} records then, {lengths[1]} now"
    else:
        changed = [n for n in old if n != store.MEASURED and _unequal(old[n], columns[n]).any()]
        first = min(int(np.argmax(_unequal(old[n], columns[n]))) for n in changed)
        where = f"first at query {first}: " + ", ".join(
            f"{n} {old[n][first]} then, {columns[n][first]} now" for n in changed
        )
    return f"{where}. {_why(recorded.header)}"


def _unequal(old: NDArray[Any], new: NDArray[Any]) -> NDArray[np.bool_]:
    """(rows,) where two columns differ; nan equals nan."""
    return np.asarray((old != new) & ~((old != old) & (new != new)))


def _why(header: store.Header) -> str:
    now = engine.versions()
    changed = [f"{k} {v} then, {now.get(k)} now" for k, v in header["versions"].items() if now.get(k) != v]
    strategy = type(loading.build("strategies", header["strategy"]))
    if engine.code_digest(strategy) != header["code"]:
        changed.append("the code of the strategy or of the loop")
    return "Changed since: " + "; ".join(changed) if changed else "Nothing it depends on has changed"
