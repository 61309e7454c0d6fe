"""Re-runs what a results folder recorded and compares it exactly; says what differs and what may be why.

Where the runs are there, every record is compared. Where only the committed files are (a fresh clone), the study in
manifest.json is run anew elsewhere and the digests of its records are compared with the manifest's. Checkpoints of one-shot
runs are left alone: with them nothing would be trained, and a run be compared with itself.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab import loading, sources
from nasbench_lab.core import LabError
from nasbench_lab.files import sealed
from nasbench_lab.study import execute, jobs, store
from nasbench_lab.study.jobs import Job
from nasbench_lab.study.plan import Group, resolve, run_id
from nasbench_lab.study.study import Study, load_study
from nasbench_lab.tables import catalog

_SHOWN = 3  # differences told of one strategy
_CHECKPOINTS = "NASBENCH_LAB_CHECKPOINTS"  # see strategies/_one_shot.py, which imports torch


class Outcome(NamedTuple):
    """One run ("id:seed"), or all runs of a strategy on a task by digest ("id").

    Attributes:
        verdict: "same", "differs" or "not run".
        reason: of the last two, what is wrong.
        cause: what has changed since, and may be why.
    """

    id: str
    strategy: str
    verdict: str
    reason: str = ""
    cause: str = ""


def reproduce(out: Path, *, run: str | None = None, workers: int = 1) -> Iterator[Outcome]:
    """Compare a results folder with what its study gives now.

    Args:
        out: results folder.
        run: only this one, "id" or "id:seed", also of a run the manifest does not name any more. Where the runs are not
            there, "id" alone: the manifest has one digest for all seeds.
        workers: processes, where the study must be run.

    Raises:
        LabError: not a results folder, or no run of that id.
    """
    files = sorted((out / "runs").glob("*.parquet"))
    with _from_the_start():
        yield from _from_runs(out, files, run) if files else _from_manifest(out, run, workers)


@contextmanager
def _from_the_start() -> Iterator[None]:
    """No run goes on from a checkpoint, here and in processes that are started meanwhile."""
    folder = os.environ.pop(_CHECKPOINTS, None)
    try:
        yield
    finally:
        if folder is not None:
            os.environ[_CHECKPOINTS] = folder


def _from_runs(out: Path, files: Sequence[Path], run: str | None) -> Iterator[Outcome]:
    """Every recorded run again."""
    wanted, _, seed = (run or "").partition(":")
    study, manifest = _recorded(out)
    current = _ids(manifest) if run is None else {wanted}
    tables, found = _by_digest(study), False
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
        yield from _block(recorded, seeds, tables)
    if not found:
        known = ", ".join(sorted(_ids(manifest)))
        raise LabError(f"no run {run or ''!r} in {out / 'runs'}; the manifest names {known}; write id or id:seed")


def _recorded(out: Path) -> tuple[Study, dict[str, Any]]:
    """The study of a results folder, and its manifest."""
    study = load_study(out)  # says what is wrong with it
    manifest = sealed.read_json(out / "manifest.json")
    return study, manifest


def _ids(manifest: dict[str, Any]) -> set[str]:
    return {str(entry["id"]) for entry in manifest["runs"]}


def _from_manifest(out: Path, run: str | None, workers: int) -> Iterator[Outcome]:
    """Run the study of a folder that has no runs, or one strategy on one task of it, elsewhere, and compare digests."""
    study, manifest = _recorded(out)
    entries, plan = manifest["runs"], resolve(study)
    if len(entries) != len(plan.groups):
        raise LabError(f"{out / 'manifest.json'} names {len(entries)} runs, its study has {len(plan.groups)}")
    if run is not None:
        chosen = _chosen(out, run, [str(entry["id"]) for entry in entries])
        plan, entries = plan.only(plan.groups[chosen]), [entries[chosen]]
    with tempfile.TemporaryDirectory() as folder:
        execute.run(plan, Path(folder), workers=workers)
        for entry, (group, runs) in zip(entries, execute.collect(plan, Path(folder)), strict=True):
            if store.digest(runs.columns) == entry["records_sha256"]:
                yield Outcome(str(entry["id"]), group.spec, "same")
            else:
                changed = _table_then(manifest, group) + _versions(manifest["versions"])
                edited = not changed and entry["id"] != group.id  # an id differs with all of these
                cause = _since([_CODE] if edited else changed)
                yield Outcome(str(entry["id"]), group.spec, "differs", "its records have another digest", cause)


def _chosen(out: Path, run: str, ids: list[str]) -> int:
    """Which of the manifest's runs is meant.

    Raises:
        LabError: none, or a single seed.
    """
    wanted, _, seed = run.partition(":")
    if wanted not in ids:
        raise LabError(f"no run {run!r}: {out} has no runs/, and its manifest names {', '.join(sorted(ids))}")
    if seed:
        raise LabError(
            f"{out} has no runs/, and its manifest one digest for all seeds of {wanted}: --run {wanted} compares them together"
        )
    return ids.index(wanted)


def _table_then(manifest: dict[str, Any], group: Group) -> list[str]:
    name, now = group.task.text.table, group.task.table.digest
    then = str(manifest["tables"].get(name, {}).get("digest", ""))
    return [] if then == now else [f"table {name} {then[:12]} then, {now[:12]} now"]


def _by_digest(study: Study) -> dict[str, str]:
    """The tables a study searched, as it names them, by what is in them now; those that are not here are left out."""
    found = {}
    for task in study.tasks:
        with suppress(LabError):
            found[catalog.load(task.table).digest] = task.table
    return found


def _block(recorded: store.Runs, seeds: list[int], tables: dict[str, str]) -> Iterator[Outcome]:
    """Some runs of a file again. Their table is the one with their digest, else the one of that name."""
    header, policy = recorded.header, recorded.header["evaluator"]
    identity, name, objectives = run_id(header), header["strategy"], tuple(policy["objectives"])
    table = tables.get(policy["digest"], str(policy["table"]))
    others = tuple((source, source) for source in policy.get("sources", {}))
    for seed in seeds:
        try:
            job = Job(header, name, table, others, range(seed, seed + 1), Path())
            columns = store.columns_of(dict(jobs.searched(job, jobs.opened(job))), objectives)
        except LabError as error:
            yield Outcome(f"{identity}:{seed}", name, "not run", str(error))
            continue
        difference = _difference(recorded, seed, columns)
        cause = _why(header) if difference else ""
        yield Outcome(f"{identity}:{seed}", name, "differs" if difference else "same", difference, cause)


def _difference(recorded: store.Runs, seed: int, columns: dict[str, Any]) -> str:
    """What differs first between a recorded run and its re-run; "" if nothing."""
    rows = recorded.columns["seed"] == seed
    old = {name: values[rows] for name, values in recorded.columns.items()}
    if store.digest(old) == store.digest(columns):
        return ""
    lengths = len(old["seed"]), len(columns["seed"])
    if lengths[0] != lengths[1]:
        return f"{lengths[0]} records then, {lengths[1]} now"
    changed = [n for n in old if n != store.MEASURED and _unequal(old[n], columns[n]).any()]
    first = min(int(np.argmax(_unequal(old[n], columns[n]))) for n in changed)
    return f"first at query {first}: " + ", ".join(
        f"{n} {old[n][first]} then, {columns[n][first]} now" for n in changed
    )


def _unequal(old: NDArray[Any], new: NDArray[Any]) -> NDArray[np.bool_]:
    """(rows,) where two columns differ; nan equals nan."""
    return np.asarray((old != new) & ~((old != old) & (new != new)))


def _why(header: store.Header) -> str:
    strategy = type(loading.build("strategies", header["strategy"]))
    evaluator = loading.load("evaluators", loading.split_spec(header["evaluator"]["evaluator"])[0])
    edited = sources.digest(strategy, evaluator) != header["code"]
    return _since(_versions(header["versions"]) + ([_CODE] if edited else []))


_CODE = "the code of the strategy or of the loop"


def _versions(then: dict[str, str]) -> list[str]:
    now = sources.installed(then)
    return [f"{name} {version} then, {now[name]} now" for name, version in then.items() if now[name] != version]


def _since(changed: Sequence[str]) -> str:
    return "Changed since: " + "; ".join(changed) if changed else "Nothing it depends on has changed"


def told(outcomes: Iterator[Outcome]) -> Iterator[tuple[list[Outcome], list[str]]]:
    """Outcomes, strategy by strategy as they come, with what is to be said of them: nothing if all are the same."""
    for (identity, strategy), found in groupby(outcomes, key=lambda each: (each.id.partition(":")[0], each.strategy)):
        block = list(found)
        said = []
        for verdict in ("differs", "not run"):
            bad = [each for each in block if each.verdict == verdict]
            if bad:
                share = f", {len(bad)} of {len(block)} runs" if ":" in bad[0].id else ""
                said += [f"{verdict}  {identity}  {strategy}{share}", *(f"    {line}" for line in _reasons(bad))]
        yield block, said


def _reasons(bad: Sequence[Outcome]) -> Iterator[str]:
    """Each reason once with its seeds, the first few; then each cause once."""
    seeds: dict[str, list[str]] = {}
    for each in bad:
        seeds.setdefault(each.reason, []).append(each.id.partition(":")[2])
    for reason, own in list(seeds.items())[:_SHOWN]:
        numbers = ", ".join(own[:_SHOWN]) + (f" and {len(own) - _SHOWN} more" if len(own) > _SHOWN else "")
        yield (f"seed {numbers}: " if own[0] else "") + reason
    if len(seeds) > _SHOWN:
        yield f"and {len(seeds) - _SHOWN} more"
    yield from dict.fromkeys(each.cause for each in bad if each.cause)
