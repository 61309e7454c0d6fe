"""Re-runs what a results folder recorded and compares it exactly; says what differs and what may be why.

Where the runs are there, every record is compared. Where only the committed files are (a fresh clone), the study in
manifest.json is run anew elsewhere and the digests of its records are compared with the manifest's.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab import api, engine, loading, store
from nasbench_lab.core import LabError
from nasbench_lab.tables import catalog


class Outcome(NamedTuple):
    """One run, or all runs of a strategy: "same", "differs" or "not run", and the reason for the last two."""

    id: str
    strategy: str
    verdict: str
    reason: str = ""


def reproduce(out: Path, *, run: str | None = None, workers: int = 1) -> Iterator[Outcome]:
    """Compare a results folder with what its study gives now.

    Args:
        out: results folder.
        run: only this one, "id" or "id:seed", also of a run the manifest does not name any more.
        workers: processes, where the whole study must be run.

    Raises:
        LabError: not a results folder, or no run of that id.
    """
    files = sorted((out / "runs").glob("*.parquet"))
    if not files and run is None:
        yield from _from_manifest(out, workers)
        return
    wanted, _, seed = (run or "").partition(":")
    current = _ids(out) if run is None else {wanted}
    found = False
    for path in files:
        if not any(identity and f"-{identity}" in path.name for identity in current):
            continue  # superseded: made by other code or another study
        try:
            recorded = store.read(path)
        except LabError as error:
            yield Outcome(path.name, "", "not run", str(error))
            continue
        seeds = [int(s) for s in recorded.seeds if not seed or str(s) == seed]
        found = found or bool(seeds)
        yield from _block(recorded, seeds, _table(recorded.header, out))
    if not found:
        known = ", ".join(sorted(_ids(out)))
        raise LabError(f"no run {run or ''!r} in {out / 'runs'}; the manifest names {known}; write id or id:seed")


def _manifest(out: Path) -> dict[str, Any]:
    api.load_study(out)  # says what is wrong with it
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return manifest


def _ids(out: Path) -> set[str]:
    return {str(entry["id"]) for entry in _manifest(out)["runs"]}


def _from_manifest(out: Path, workers: int) -> Iterator[Outcome]:
    """Run the study of a folder that has no runs, elsewhere, and compare digests."""
    manifest, study = _manifest(out), api.load_study(out)
    with tempfile.TemporaryDirectory() as folder:
        engine.run_study(study, Path(folder), workers=workers)
        now = {(g.strategy, g.task.table, i): (g, r) for i, (g, r) in enumerate(engine.collect(study, Path(folder)))}
        for i, entry in enumerate(manifest["runs"]):
            group, runs = now[entry["strategy"], entry["table"], i]
            same = store.digest(runs.columns) == entry["records_sha256"]
            changed = "" if same else f"its records have another digest. {_table_then(manifest, group)}"
            yield Outcome(str(entry["id"]), group.strategy, "same" if same else "differs", changed)


def _table_then(manifest: dict[str, Any], group: engine.Group) -> str:
    then = str(manifest["tables"].get(group.task.table, {}).get("digest", ""))
    now = catalog.load(group.task.table).digest
    return "" if then == now else f"Table {group.task.table!r} is another one: {then[:12]} then, {now[:12]} now"


def _table(header: store.Header, out: Path) -> str:
    """The table a run searched: by the name or path the study gave it, else by the name in its header."""
    for task in api.load_study(out).tasks:
        try:
            if catalog.load(task.table).digest == header["evaluator"]["digest"]:
                return task.table
        except LabError:
            continue
    return str(header["evaluator"]["table"])


def _block(recorded: store.Runs, seeds: list[int], table: str) -> Iterator[Outcome]:
    header = recorded.header
    identity, name, objectives = engine.run_id(header), header["strategy"], tuple(header["evaluator"]["objectives"])
    for seed in seeds:
        try:
            columns = store.columns_of(engine.rerun(header, table, [seed]), objectives)
        except LabError as error:
            yield Outcome(f"{identity}:{seed}", name, "not run", str(error))
            continue
        difference = _difference(recorded, seed, columns)
        yield Outcome(f"{identity}:{seed}", name, "differs" if difference else "same", difference)


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
    if engine.code_digest(header["evaluator"]["evaluator"], strategy) != header["code"]:
        changed.append("the code of the strategy or of the loop")
    return "Changed since: " + "; ".join(changed) if changed else "Nothing it depends on has changed"
