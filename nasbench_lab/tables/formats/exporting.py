"""`tables export`: a table in the formats of other tools.

| format | read by |
| --- | --- |
| nats-simple | `nats_bench.create(folder, "tss", fast_mode=True)`; `tables import` gets the same table back |
| csv, parquet | anything; columns as in `Table.frame`; `tables import` gets the same numbers back |
| syne-tune | Syne Tune's blackbox repository (`BlackboxTabular`): one task; further schedules are folders in its folder |

Tables of any space, but for nats-simple, which is for NAS-Bench-201's cells.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nasbench_lab.core import LabError
from nasbench_lab.errors import offered
from nasbench_lab.files import spreadsheet, writing
from nasbench_lab.spaces import cell, naming
from nasbench_lab.spaces.decisions import text_of
from nasbench_lab.spaces.space import Space
from nasbench_lab.stats import shares
from nasbench_lab.tables.formats import nats_export
from nasbench_lab.tables.schedule import FloatArray, Schedule
from nasbench_lab.tables.table import Table

FORMATS = ("nats-simple", "csv", "parquet", "syne-tune")
Report = Callable[[int, int], None]
_FIDELITY = "hp_epoch"
_ERROR, _SCORE, _TIME = "metric_valid_error", "metric_valid_score", "metric_elapsed_time"


def export(
    tables: Sequence[Table],
    format: str,
    to: Path | None = None,
    *,
    progress: Report | None = None,
    force: bool = False,
    fill: bool = False,
) -> Path:
    """Write tables; returns where. What is worth knowing beforehand: `notes`.

    Args:
        tables: one; several, of different datasets, for nats-simple.
        format: one of `FORMATS`.
        to: file or folder; named after the first table, in the working folder, if left out.
        progress: called with (records written, records in all) where there are many.
        force: replace files that are there already; a folder for nats-simple must be empty all the same.
        fill: of syne-tune: a trial that a cell does not have is the mean of those it has, instead of nan.

    Raises:
        LabError: an unknown format, something there already, several tables where one is wanted, or nowhere to write.
    """
    if format not in FORMATS:
        raise LabError(f"no format named {format!r}{offered(format, FORMATS, 'allowed:')}")
    if len(tables) != 1 and format != "nats-simple":
        raise LabError(f"{format} holds one table, got {len(tables)}")
    if fill and format != "syne-tune":
        raise LabError(f"fill is for syne-tune, which has a place for every trial; got it with {format}")
    name = tables[0].name
    if format == "nats-simple":
        path = to or Path(f"{name}-simple")
        nats_export.write(tables, path, progress=progress)
    elif format == "syne-tune":
        path = to or Path(f"{name}-syne-tune")
        content = syne_tune(tables[0], path, fill=fill)
        writing.not_there(content, force=force)
        writing.write_together(content)
    else:
        path = to or Path(f"{name}.{format}")
        if path.suffix != f".{format}":
            raise LabError(f"a {format} file is called something.{format}, got {path}")
        writing.not_there([path], force=force)
        frame, buffer = tables[0].frame(), io.BytesIO()
        frame.attrs = {}
        if tables[0].space != cell.SPACE:  # they are of NAS-Bench-201's files, and such a file would be taken for one
            named = {each.name for each in tables[0].space.decisions}
            frame = frame.drop(columns=[name for name in ("index", "arch") if name in frame and name not in named])
        if format == "csv":
            buffer.write(spreadsheet.to_csv(frame).encode())
        else:
            buffer.write(_parquet(frame))
        writing.write_atomically(path, buffer.getvalue())
    return path


def notes(tables: Sequence[Table], format: str, to: Path | None = None, *, fill: bool = False) -> list[str]:
    """What an export will write that one might not expect, a sentence each: thousands of files, scores that are missing."""
    if format == "nats-simple" and tables:
        cells = int(np.logical_or.reduce([table.measured for table in tables]).sum())
        return [f"{cells + 1:,} files, one a cell and `meta`, go into {to or Path(f'{tables[0].name}-simple')}"]
    if format in ("csv", "parquet"):
        return [
            f"{table.name} has no test score of its own: the column of that name holds what runs are scored on, {table.scored}"
            for table in tables
            if table.scored
        ]
    if format != "syne-tune" or fill:
        return []
    missing = {
        (table.name, last): float(np.isnan(_by_trial(schedule, fill=False)).mean())
        for table in tables
        for last, schedule in table.schedules.items()
    }
    return [
        f"{shares.percent(share)} of the scores of {name}, {last} epochs, are nan: trials that cells do not have; `--fill` puts "
        "the mean of a cell's trials in their place"
        for (name, last), share in missing.items()
        if share
    ]


def syne_tune(table: Table, folder: Path, *, fill: bool = False) -> dict[Path, bytes]:
    """Path -> content of a blackbox of every schedule: the searched one in the folder, another one in schedule_<epochs>.

    The objectives are validation error (0..1; of scores that are no accuracies in percent these themselves, as
    "metric_valid_score" in the table's direction) and elapsed simulated seconds, for every trial, at every fidelity; the
    test error stays out, so nobody searches on it. Schedules are trainings of their own, each a blackbox. Decisions are
    hp_<name>, on NAS-Bench-201 hp_x0 to hp_x5; ordered ones ordinal. A trial that a cell does not have is nan, or with
    `fill` the mean of its trials.
    """
    content: dict[Path, bytes] = {}
    for last, schedule in table.schedules.items():
        searched = last == table.schedule(table.default_search).epochs[-1]
        content |= _blackbox(table, schedule, folder if searched else folder / f"schedule_{last}", fill=fill)
    return content


def _by_trial(schedule: Schedule, *, fill: bool) -> FloatArray:
    """(A, F, T) validation scores."""
    if not schedule.val_trials.shape[2]:
        return schedule.val[:, :, None]
    missing = np.isnan(schedule.val_trials)
    return np.where(missing, schedule.val[:, :, None], schedule.val_trials) if fill else schedule.val_trials


def _blackbox(table: Table, schedule: Schedule, folder: Path, *, fill: bool) -> dict[Path, bytes]:
    val = _by_trial(schedule, fill=fill)
    scores, plain = np.moveaxis(val, 2, 1), table.measure.plain  # (A, T, F)
    objectives = (_ERROR if plain else _SCORE, _TIME)
    seconds = np.broadcast_to(schedule.seconds[:, None, :], scores.shape)
    values = np.stack([1 - scores / 100 if plain else scores, seconds], axis=-1)[None]  # (tasks, A, T, F, objectives)
    domains = _domains(table.space)
    choices = pd.DataFrame(dict(zip(domains, naming.columns(table.space).values(), strict=True)))
    epochs = {_FIDELITY: {"domain_cls": "Integer", "domain_kwargs": {"lower": 1, "upper": schedule.epochs[-1]}}}
    metadata = {
        "elapsed_time_attr": objectives[1],
        "default_metric": objectives[0],
        "resource_attr": _FIDELITY,
        "objectives_names": list(objectives),
        "task_names": [table.dataset],
    }
    return {
        folder / "configspace.json": json.dumps(domains).encode(),
        folder / "fidelityspace.json": json.dumps(epochs).encode(),
        folder / "hyperparameters.parquet": _parquet(choices, compression="gzip"),
        folder / "objectives_evaluations.npy": _npy(values.astype(np.float32)),
        folder / "fidelities_values.npy": _npy(np.array(schedule.epochs)),
        folder / "metadata.json": json.dumps(metadata).encode(),
    }


def _domains(space: Space) -> dict[str, dict[str, Any]]:
    """Every decision as Syne Tune's domain, whose categories are of one type."""
    found = {}
    for i, each in enumerate(space.decisions):
        name = f"hp_x{i}" if space == cell.SPACE else f"hp_{each.name}"
        kind = "Ordinal" if each.ordered and len(each.options) > 1 else "Categorical"
        options = np.array(each.options)
        plain = options.tolist() if each.numeric and options.dtype != object else list(map(text_of, each.options))
        found[name] = {"domain_cls": kind, "domain_kwargs": {"categories": plain}}
    return found


def _parquet(frame: pd.DataFrame, **how: Any) -> bytes:
    """A frame as Parquet; numbers beyond 64 bits, of which it has none, as texts, which `tables import` takes for numbers."""
    buffer, frame = io.BytesIO(), frame.copy()
    for name in [name for name in frame if frame[name].dtype == object]:
        frame[name] = frame[name].map(text_of)
    frame.to_parquet(buffer, index=False, **how)
    return buffer.getvalue()


def _npy(values: FloatArray | np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
