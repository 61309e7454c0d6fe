"""Re-runs what a results folder recorded and compares it, and all that the folder shows; says what differs and what may be why.

First the tables, by what is in them; then whether the manifest's runs are all there; then every record, run again; then
every number in every file against what the records give (`shown`). Where only the committed files are (a fresh clone), the
study in manifest.json is run anew elsewhere and takes the place of the runs. Decision seconds are measured: of stored runs
they are compared, in a clone they are taken as they stand. Checkpoints of one-shot runs are left alone: with them nothing
would be trained, and a run be compared with itself. Code of others runs only where it is trusted.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab import loading, sources, trust
from nasbench_lab.core import LabError
from nasbench_lab.experiments import shown
from nasbench_lab.files import sealed
from nasbench_lab.leaderboard import checklist, rebuild
from nasbench_lab.study import execute, jobs, recorded, replays, shelf, store
from nasbench_lab.study.execute import Collected
from nasbench_lab.study.jobs import Job
from nasbench_lab.study.notes import notes
from nasbench_lab.study.plan import Group, kernel, resolve, run_id
from nasbench_lab.study.study import Study, load_study
from nasbench_lab.tables import catalog
from nasbench_lab.tables.readings import REAL_TIME

_CHECKPOINTS = "NASBENCH_LAB_CHECKPOINTS"  # see strategies/_one_shot.py, which imports torch


class Outcome(NamedTuple):
    """One run ("id:seed"), all runs of a strategy on a task by digest ("id"), a table, or a file of what is shown.

    Attributes:
        verdict: "same", "differs" or "not run".
        reason: of the last two, what is wrong.
        cause: what has changed since, and may be why.
        kind: "run", "table" or "shown".
        runs: how many it is of; those of a file that cannot be read are told together.
    """

    id: str
    strategy: str
    verdict: str
    reason: str = ""
    cause: str = ""
    kind: str = "run"
    runs: int = 1


def reproduce(
    out: Path,
    *,
    run: str | None = None,
    workers: int = 1,
    trusted: Sequence[str] | None = (),
    progress: execute.Progress | None = None,
) -> Iterator[Outcome]:
    """Compare a results folder with what its study gives now.

    Tables and files are told only where they differ.

    Args:
        out: results folder.
        run: only this one, "id" or "id:seed", also of a run the manifest does not name any more. Where the runs are not
            there, "id" alone: the manifest has one digest for all seeds. What is shown is of all runs, and not compared.
        workers: processes, where the study must be run.
        trusted: whose code may be run; see `trust.untrusted`.
        progress: where a study is run anew, called with (runs done, runs in all) of the row at hand.

    Raises:
        LabError: not a results folder, or no run of that id.
    """
    folder = _Folder(out, load_study(out), sealed.read_json(out / "manifest.json"), trusted, progress)
    files = sorted((out / "runs").glob("*.parquet"))
    with _from_the_start():
        yield from _tables(folder)
        yield from _from_runs(folder, files, run) if files else _from_manifest(folder, run, workers)
        for name in shown.others(out, _ids(folder.manifest)).posing if run is None else ():
            yield Outcome(name, "", "differs", "it has the name of a board's file, and no board wrote it", kind="shown")


def unchecked(out: Path) -> str:
    """What in a results folder nothing is known of, in a sentence; "" where there is no such file."""
    names = shown.others(out, _ids(sealed.read_json(out / "manifest.json"))).unchecked
    return f"not of these results, and not checked: {shown.named(names)}" if names else ""


class _Folder(NamedTuple):
    """A results folder, and whose code may be run for it."""

    out: Path
    study: Study
    manifest: dict[str, Any]
    trusted: Sequence[str] | None
    progress: execute.Progress | None = None

    def refused(self, spec: str, evaluator: str = "tabular") -> str:
        """Why a strategy under an evaluator may not be run; "" where it may."""
        others = trust.untrusted("strategies", spec, self.trusted)
        others += trust.untrusted("evaluators", evaluator, self.trusted)
        names = " ".join(f"--trust {shlex.quote(name)}" for name in others)
        return f"somebody's code, which runs only where it is trusted: {names}, or --trust all" if others else ""


def _tables(folder: _Folder) -> Iterator[Outcome]:
    """Tables that are not here or hold something else than they did."""
    for name, facts in folder.manifest.get("tables", {}).items():
        try:
            now, then = catalog.load(name).digest, str(facts["digest"])
        except LabError as error:
            yield Outcome(name, "", "not run", str(error), kind="table")
            continue
        if now != then:
            what = f"the table is another one now: {now[:12]}, the results were made with {then[:12]}"
            yield Outcome(name, "", "differs", what, kind="table")


@contextmanager
def _from_the_start() -> Iterator[None]:
    """No run goes on from a checkpoint, here and in processes that are started meanwhile."""
    folder = os.environ.pop(_CHECKPOINTS, None)
    try:
        yield
    finally:
        if folder is not None:
            os.environ[_CHECKPOINTS] = folder


def _from_runs(folder: _Folder, files: Sequence[Path], run: str | None) -> Iterator[Outcome]:
    """Every recorded run again, then what is shown against the stored runs."""
    wanted, _, seed = (run or "").partition(":")
    current = _ids(folder.manifest) if run is None else {wanted}
    tables, found = _by_digest(folder.study), False
    lacking = list(_missing(folder)) if run is None else []
    told = {outcome.id for outcome in lacking if outcome.kind == "run"}
    yield from (outcome for outcome in lacking if outcome.id in told)
    compared = dict[str, set[int]]()
    for path in files:
        if not any(identity and f"-{identity}" in path.name for identity in current):
            continue  # superseded: made by other code or another study
        try:
            kept = store.read(path)
        except LabError as error:
            if not told:
                told, found = {path.name}, True
                count = 1 if seed else _lacking(folder, "".join(path.stem.split("-")[-2:-1]))
                yield Outcome(path.name, "", "not run", str(error), runs=count)
            continue
        seen = compared.setdefault(run_id(kept.header), set())  # two files may have the same, where a merge was killed
        seeds = [int(s) for s in kept.seeds if (not seed or str(s) == seed) and int(s) not in seen]
        seen.update(seeds)
        found = found or bool(seeds)
        for outcome in _block(folder, kept, seeds, tables):
            told |= {run_id(kept.header)} if outcome.verdict != "same" else set()
            yield outcome
    if not found:
        known = ", ".join(sorted(_ids(folder.manifest)))
        raise LabError(
            f"no run {run or ''!r} in {folder.out / 'runs'}; the manifest names {known}; write id or id:seed"
        )
    yield from (outcome for outcome in lacking if outcome.id not in told)
    if run is None:
        yield from _shown_of_runs(folder)


def _missing(folder: _Folder) -> Iterator[Outcome]:
    """Runs that the manifest names and that are not all there, or are others than it says."""
    seeds = range(folder.study.first_seed, folder.study.first_seed + folder.study.seeds)
    for _, entry in recorded.entries(folder.out, folder.manifest, folder.study):
        identity, strategy = str(entry["id"]), str(entry["strategy"])
        try:
            runs = recorded.runs_of(folder.out, identity, seeds)
        except LabError as error:
            yield Outcome(identity, strategy, "not run", str(error), runs=_lacking(folder, identity))
            continue
        if store.digest(runs.columns) != entry["records_sha256"]:
            why = "the stored runs have another digest than the manifest says"
            yield Outcome(identity, strategy, "differs", why, kind="shown")


def _lacking(folder: _Folder, identity: str) -> int:
    """How many runs of an id are not there, or cannot be read."""
    seeds = range(folder.study.first_seed, folder.study.first_seed + folder.study.seeds)
    try:
        shelf.read(shelf.by_id(folder.out / "runs").get(identity, ()), identity, seeds)
    except shelf.Missing as error:
        return error.count
    except LabError:
        return len(seeds)
    return 0


def _shown_of_runs(folder: _Folder) -> Iterator[Outcome]:
    """What is shown against what the stored runs give."""
    try:
        then, plan, collected = recorded.look(folder.out)
    except LabError as error:
        yield Outcome("all files", "", "not run", f"what is shown cannot be made again: {error}", kind="shown")
        return
    said, content, found = [str(note) for note in then.get("notes", ())], dict(then), replays.kept(then)
    if not any(folder.refused(group.spec, group.task.text.evaluator) for group in plan.groups):
        with suppress(LabError):  # told already, of a strategy that is not here any more
            resolved = resolve(folder.study)
            found, content["strategies"] = replays.of(collected), rebuild.facts_of(resolved)
            said = [*notes(resolved), *replays.sentences(collected, found)]
    content = rebuild.manifest(plan, collected, said, found, content)
    yield from _shown(folder.out, rebuild.texts(plan, collected, said, content))


def _shown(out: Path, texts: dict[str, str]) -> Iterator[Outcome]:
    for name, difference in shown.differences(out, texts):
        yield Outcome(name, "", "differs", difference, kind="shown")


def _ids(manifest: dict[str, Any]) -> set[str]:
    return {str(entry["id"]) for entry in manifest["runs"]}


def _from_manifest(folder: _Folder, run: str | None, workers: int) -> Iterator[Outcome]:
    """Run the study of a folder that has no runs, or one strategy on one task of it, elsewhere, and compare."""
    named = recorded.entries(folder.out, folder.manifest, folder.study)
    if run is not None:
        named = [named[_chosen(folder.out, run, [str(entry["id"]) for _, entry in named])]]
    again: Collected = []
    clean = True
    for task, entry in named:
        spec = str(entry["strategy"])
        if refused := folder.refused(spec, task.evaluator):
            yield Outcome(str(entry["id"]), spec, "not run", refused)
            continue
        outcome, collected = _anew(folder, replace(folder.study, strategies=(spec,), tasks=(task,)), entry, workers)
        clean = clean and outcome.verdict == "same"
        again += collected
        yield outcome
    if run is None and clean and len(again) == len(named):
        yield from _shown_of_clone(folder, again)


def _anew(folder: _Folder, study: Study, entry: dict[str, Any], workers: int) -> tuple[Outcome, Collected]:
    """One strategy on one task, run elsewhere."""
    identity, spec = str(entry["id"]), study.strategies[0]
    try:
        plan = resolve(study)
        with tempfile.TemporaryDirectory() as elsewhere:
            execute.run(plan, Path(elsewhere), workers=workers, progress=folder.progress)
            collected = execute.collect(plan, Path(elsewhere))
    except LabError as error:
        return Outcome(identity, spec, "not run", str(error)), []
    ((group, runs),) = collected
    if store.digest(runs.columns) == entry["records_sha256"]:
        return Outcome(identity, spec, "same"), collected
    changed = _table_then(folder.manifest, group) + _versions(folder.manifest["versions"])
    edited = not changed and entry["id"] != group.id  # an id differs with all of these
    cause = _since([_CODE] if edited else changed, folder.manifest)
    return Outcome(identity, spec, "differs", "its records have another digest", cause), []


def _shown_of_clone(folder: _Folder, again: Collected) -> Iterator[Outcome]:
    """What is shown against what was run anew: the same records, so the same numbers but the measured ones."""
    if any(REAL_TIME in task.evaluator for task in folder.study.tasks):
        why = f"what is shown under {REAL_TIME} holds measured seconds; only records are compared"
        yield Outcome("all files", "", "not run", why, kind="shown")
        return
    plan = resolve(folder.study)
    by_text = {task.text: task for task in plan.tasks}
    collected = [(replace(group, task=by_text[group.task.text]), runs) for group, runs in again]
    then, found = folder.manifest, replays.of(collected)
    said, facts = [*notes(plan), *replays.sentences(collected, found)], {**then, "strategies": rebuild.facts_of(plan)}
    content = rebuild.manifest(plan, collected, said, found, facts) | {"versions": then["versions"]}
    for now, old in zip(content["runs"], then["runs"], strict=True):
        now["id"] = old["id"]  # it names the code of then; the records are the same
    content["checklist"] = checklist.of(content)
    yield from _shown(folder.out, rebuild.texts(plan, collected, said, content, measured=_measured(folder.out)))


def _measured(out: Path) -> dict[tuple[str, ...], Any]:
    """The one measured number of every row, as it is shown."""
    with suppress(LabError, AttributeError, TypeError):
        return {
            rebuild.key_of(row): row.get(shown.MEASURED) for row in sealed.read_json(out / "leaderboard.json")["rows"]
        }
    return {}


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


def _block(folder: _Folder, kept: store.Runs, seeds: list[int], tables: dict[str, str]) -> Iterator[Outcome]:
    """Some runs of a file again. Their table is the one with their digest, else the one of that name."""
    header, policy = kept.header, kept.header["evaluator"]
    identity, name, objectives = run_id(header), header["strategy"], tuple(policy["objectives"])
    table = tables.get(policy["digest"], str(policy["table"]))
    others = tuple((source, source) for source in policy.get("sources", {}))
    refused = folder.refused(name, str(policy["evaluator"]))
    for seed in seeds:
        if refused:
            yield Outcome(f"{identity}:{seed}", name, "not run", refused)
            continue
        try:
            job = Job(header, name, table, others, range(seed, seed + 1))
            columns = store.columns_of(dict(jobs.searched(job, jobs.opened(job))), objectives)
        except LabError as error:
            yield Outcome(f"{identity}:{seed}", name, "not run", str(error))
            continue
        difference = _difference(kept, seed, columns)
        cause = _why(kept, folder.manifest) if difference else ""
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


def _why(kept: store.Runs, manifest: dict[str, Any]) -> str:
    header = kept.header
    strategy = loading.build("strategies", header["strategy"])
    policy = header["evaluator"]
    evaluator = loading.load("evaluators", loading.split_spec(policy["evaluator"])[0])
    code = sources.digest(strategy, evaluator, (loading.located(header["strategy"]), policy["evaluator"]), policy)
    known = {name: sha for name, sha in kept.files.items() if sha}
    edited = sources.changed(known) or ([] if code == header["code"] else [_CODE])
    return _since(_versions(header["versions"]) + edited, manifest)


_CODE = "the code of the strategy or of the loop"


def _versions(then: dict[str, str]) -> list[str]:
    now = sources.installed(then)
    return [f"{name} {version} then, {now.get(name)} now" for name, version in then.items() if now.get(name) != version]


def _since(changed: Sequence[str], manifest: dict[str, Any]) -> str:
    """What may be why: another code, other packages, or, where these are the same, another processor."""
    then, now = str(manifest.get("kernel", "")), kernel()
    processor = f"another processor's linear algebra: {then} then, {now} now" if then and then != now else ""
    if changed:
        return "Changed since: " + "; ".join([*changed, *([processor] if processor else [])])
    return f"Code and packages are the same; {processor}" if processor else "Nothing it depends on has changed"
