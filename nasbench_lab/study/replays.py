"""Runs of somebody's strategies, searched again where no table can be opened: who needed more than its results is found.

A strategy in Python runs beside the tables and could read them. So of every strategy that is not this package's, some of the
runs that are *shown* are repeated in a process that holds no table and cannot open one (`blind`), and must have the same
records. It is no use to behave while watched: what is compared are the records of when nobody watched. Which seeds are
repeated follows from all records, so no run can know whether it will be.

What is written into a strategy needs no table. So it also searches where the answers of the cells are dealt anew, and what is
known of them with them: nothing there leads to the cells that are good in the table, and who asks for them all the same knows
them beforehand. Not found: who asks for them late, or behaves where answers are not what it knows; files that a strategy
reads are named, as what is in them is not known.
"""

from __future__ import annotations

import json
import math
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab import imports, loading, sources
from nasbench_lab.core import Evaluator, FloatArray, Query, Result, Task, stream
from nasbench_lab.errors import place
from nasbench_lab.study import jobs, sent, store
from nasbench_lab.study.blind import Row as Answered
from nasbench_lab.study.blind import Setting
from nasbench_lab.study.execute import Collected
from nasbench_lab.study.plan import Group
from nasbench_lab.tables import catalog

Row = dict[str, Any]
SEEDS = 2  # repeated of every strategy on every task
_SECONDS, _SLOWER = 60.0, 10.0  # real ones that a run may take at least, and as a multiple of what it took to decide
_COLUMNS = ("arch", "epochs", "val", "seconds", "finished", "incumbent")
SAME, DIFFERS, KNOWS, NOT_DONE = "same", "differs", "knows", "not done"
_MARKS = MappingProxyType({SAME: "", DIFFERS: "other records without tables", KNOWS: "knows good cells beforehand"})
# Dealt anew: the best cell asked for early must be one that so few blind searches meet, every time, to be called known;
# a chance of 1.6e-8 for a search that favours no cell, which is found out after 1.05 deals on average.
_DEALS, _EARLY, _BLIND = 6, 100, 0.05
_DEALT = 15  # stream
UNCHECKED = "not checked for peeking"
OUTSIDE = "brought from outside"
_BROUGHT = (
    f"{OUTSIDE}: its cells were chosen elsewhere, which nobody can repeat or check for peeking here; scores, costs and noise are "
    "the table's, as of any row, and how long it took to decide is not known"
)


def of(
    collected: Collected, kept: Mapping[str, Row] | None = None, say: Callable[[str], None] | None = None
) -> dict[str, Row]:
    """What came of repeating runs of others' strategies, by their id: {"seeds", "records_sha256", "verdict", "why", "reads"}.

    Args:
        collected: finished runs.
        kept: what came of it before; holds of the same records.
        say: is told, once, that runs are being repeated, which takes a while; not where what is kept holds.
    """
    found: dict[str, Row] = {}
    for group, runs in collected:
        if group.foreign and group.id not in found:
            before = (kept or {}).get(group.id, {})
            same = before.get("records_sha256") == store.digest(runs.columns)
            if not same and say:
                say("some runs are repeated where no table can be opened, as they are of somebody's own code")
                say = None
            found[group.id] = dict(before) if same else _of(group, runs)
    return found


def is_program(spec: str) -> bool:
    """Whether a strategy is a program of its own: what that opens is not seen from here."""
    return loading.split_spec(spec)[0] == "external"


def is_outside(spec: str) -> bool:
    """Whether a strategy asks for trials that were made elsewhere: who chose them, and how, is not seen from here.

    `outside` without a file is an example of this package's own.
    """
    name, given = loading.split_spec(spec)
    return name == "outside" and bool(given.get("file"))


def kept(manifest: Mapping[str, Any]) -> dict[str, Row]:
    """The same, as a manifest has stored it."""
    return {str(run["id"]): run["replayed"] for run in manifest.get("runs", ()) if "replayed" in run}


def mark(group: Group, found: Row | None) -> str:
    """What a row says of a strategy beside its name; "" of this package's own and of those whose runs were the same."""
    if is_outside(group.spec):
        return OUTSIDE
    return _MARKS.get((found or {}).get("verdict", ""), UNCHECKED) if group.foreign else ""


def sentences(collected: Collected, found: Mapping[str, Row]) -> list[str]:
    """What was found, for people; one sentence for all of which the same is to be said."""
    said: dict[str, list[str]] = {}
    for group, _ in collected:
        for words in [_BROUGHT] if is_outside(group.spec) else _said(found.get(group.id, {})) if group.foreign else ():
            said.setdefault(words, []).append(group.spec)
    return [f"{', '.join(dict.fromkeys(specs))}: {words}" for words, specs in said.items()]


def _said(row: Row) -> Iterator[str]:
    """What there is to say of one strategy on one task."""
    if row.get("verdict") == SAME:
        yield "not of this package; runs repeated where no table can be opened had the same records"
    elif row.get("verdict") == KNOWS:
        yield (
            f"not of this package, and {row['why']}: it knows good cells of this table beforehand, from a prior or from the table"
        )
    elif row.get("verdict") == DIFFERS:
        yield (
            f"not of this package, and a run is another where no table can be opened: {row['why']}. It looks at more than its "
            "results, or its seed does not decide it"
        )
    else:
        yield f"not of this package, and {UNCHECKED}: {row.get('why', 'its runs were never repeated without tables')}"
    if row.get("reads"):
        yield f"reads {', '.join(row['reads'])}; nobody checked what is in there"
    if row.get("unseen"):
        names = ", ".join(row["unseen"])
        yield f"no source shows what is in {names}; its runs, which may depend on it, are not reused"


def _of(group: Group, runs: store.Runs) -> Row:
    digest = store.digest(runs.columns)
    order = np.random.default_rng(int(digest[:16], 16)).permutation(runs.seeds)
    seeds = sorted(int(seed) for seed in order[:SEEDS])
    verdict, why = _repeated(group, runs, seeds)
    reads = sorted({Path(path).name for path in sources.data(runs.files)})
    found = {"seeds": seeds, "records_sha256": digest, "verdict": verdict, "why": why, "reads": reads}
    return found | ({"unseen": unseen} if (unseen := sources.unseen(runs.files)) else {})


def _repeated(group: Group, runs: store.Runs, seeds: list[int]) -> tuple[str, str]:
    """The verdict on some seeds, and its reason."""
    if group.task.trains:
        return NOT_DONE, "cells are trained for real, which is not done again"
    if is_program(group.spec):
        return NOT_DONE, "it is a program of its own"
    evaluator, how, spec = group.task.evaluator, jobs.loop_of(group.header), loading.located(group.spec)
    setting = setting_of(spec, evaluator, 0, how, jobs.pickled(group) if group.given else None)
    seconds = _SECONDS + _SLOWER * float(runs.total(store.MEASURED).max())
    for seed in seeds:
        verdict, why = compared(replace(setting, seed=seed), evaluator, _rows(runs.only([seed])), seconds)
        if verdict != SAME:
            return verdict, f"seed {seed}: {why}"
    tables = [group.task.table, *(table for table in group.task.scored if table is not group.task.table)]
    truths = [table.sign * table.truth for table in tables]
    return foreknown(setting, evaluator, truths, seconds)


def _rows(runs: store.Runs) -> list[Answered]:
    columns = (runs.columns[name].tolist() for name in _COLUMNS)
    return [(arch, epochs, repr(val), *rest) for arch, epochs, val, *rest in zip(*columns, strict=True)]


def setting_of(
    spec: str, evaluator: Evaluator, seed: int, how: Mapping[str, Any], carried: bytes | None = None
) -> Setting:
    """A search as `blind` wants it; see `blind.Setting`."""
    folders = tuple(os.path.realpath(folder) for folder in (*catalog.folders(), sent.folder()))
    return Setting(spec, evaluator.task, seed, dict(how), folders, carried)


def compared(setting: Setting, evaluator: Evaluator, here: list[Answered], seconds: float) -> tuple[str, str]:
    """Whether a search without tables has the records `here`: "same", "differs" or "not done", and why."""
    end = _conversation(setting, evaluator, len(here) + int(setting.how.get("workers", 1)), seconds)
    if end.get("opened"):
        return DIFFERS, f"it opens {end['opened'][0]}"
    if end.get("late"):
        return NOT_DONE, "it did not end in time in a process that holds no table"
    if "rows" not in end:
        return DIFFERS, f"it fails in a process that holds no table: {end.get('failed', 'it ended without a word')}"
    if difference := differing(here, [tuple(row) for row in end["rows"]]):
        return DIFFERS, difference
    if end.get("started"):
        return NOT_DONE, "it starts other programs, which may open anything"
    return SAME, ""


@dataclass(frozen=True)
class Dealt:
    """An evaluator whose answers to a cell are those of another one; (N,) `order` says of which."""

    evaluator: Evaluator
    order: NDArray[np.int64]

    @property
    def task(self) -> Task:
        """The same, with what is known of all cells dealt in the same way."""
        task = self.evaluator.task
        return replace(task, known={name: values[self.order] for name, values in task.known.items()})

    def evaluate(self, query: Query, seed: int) -> Result:
        """The other cell's answer."""
        other = query._replace(arch=int(self.order[query.arch]))
        return self.evaluator.evaluate(other, seed)._replace(query=query)

    def truth(self, arch: int) -> float:
        """The other cell's score."""
        return self.evaluator.truth(int(self.order[arch]))


def foreknown(setting: Setting, evaluator: Evaluator, truths: Sequence[FloatArray], seconds: float) -> tuple[str, str]:
    """Whether a search asks for cells that are good in a table, where the answers lead elsewhere: "same" or "knows", and why.

    Args:
        setting: of the search; its seed is not used.
        evaluator: over the table.
        truths: (N,) test scores there, and in every table that incumbents are scored on; larger is better.
        seconds: real ones that a search may take; one that does not end says nothing.
    """
    early = min(_EARLY, setting.how.get("max_queries", math.inf))
    for deal in range(_DEALS):
        dealt = Dealt(evaluator, stream(deal, _DEALT).permutation(evaluator.task.space.size))
        other = replace(setting, task=dealt.task, seed=deal, how={**setting.how, "max_queries": early})
        asked = {row[0] for row in _conversation(other, dealt, math.inf, seconds).get("rows", ())}
        if not asked or len(truths) * min(_met_blindly(asked, truth) for truth in truths) > _BLIND:
            return SAME, ""
    return KNOWS, "where answers are dealt anew, it asks early for cells that are among the table's best, every time"


def _met_blindly(asked: set[int], truth: FloatArray) -> float:
    """How likely as many cells, drawn blindly, hold one that is as good as the best of those asked for."""
    from scipy import stats  # a second to import, and needed of somebody's strategy alone

    as_good = int((truth >= np.nanmax(truth[list(asked)])).sum())
    return float(stats.hypergeom.sf(0, len(truth), as_good, len(asked)))


def _conversation(setting: Setting, evaluator: Evaluator, most: float, seconds: float) -> Row:
    """Answer that process, `most` times, until it says how it ended."""
    env = {key: value for key, value in os.environ.items() if key != "NASBENCH_LAB_DATA"}
    env["PYTHONPATH"] = imports.search_path()
    command = [sys.executable, "-P", "-m", "nasbench_lab.study.blind"]
    with (
        tempfile.TemporaryFile() as noise,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=noise, env=env) as process,
    ):
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            end = _answered(process, setting, evaluator, most)
        except (OSError, ValueError) as error:  # it went away, or does not keep to the protocol
            end = {"failed": place(error)}
        finally:
            late = not timer.is_alive()
            timer.cancel()
            process.kill()
        return {"late": True} if late else end


def _answered(process: subprocess.Popen[bytes], setting: Setting, evaluator: Evaluator, most: float) -> Row:
    assert process.stdin is not None  # pipes, both
    assert process.stdout is not None
    content = pickle.dumps(setting)
    process.stdin.write(b"%d\n%b" % (len(content), content))
    process.stdin.flush()
    for line in process.stdout:
        message: Row = json.loads(line)
        if "ask" not in message:
            return message
        most -= 1
        if most < 0:
            return {"failed": "it asks for answers that it is not charged for"}
        _answer(process.stdin, evaluator, Query(*message["ask"]), setting.seed)
    return {}


def _answer(to: IO[bytes], evaluator: Evaluator, query: Query, seed: int) -> None:
    result = evaluator.evaluate(query, seed)
    to.write(json.dumps([result.val, result.seconds, dict(result.metrics)]).encode() + b"\n")
    to.flush()


def differing(here: list[Answered], there: list[Answered]) -> str:
    """The first record in which two searches differ, in words; "" where they do not."""
    for count, (one, other) in enumerate(zip(here, there, strict=False)):
        if one != other:
            return f"after {count} results {_told(one)} here, {_told(other)} there"
    return "" if len(here) == len(there) else f"{len(here)} queries here, {len(there)} there"


def _told(row: Answered) -> str:
    return f"cell {row[0]} for {row[1]} epochs, recommending {row[-1]},"
