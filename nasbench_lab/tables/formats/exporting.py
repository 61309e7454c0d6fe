"""`tables export`: a table in the formats of other tools.

| format | read by |
| --- | --- |
| nats-simple | `nats_bench.create(folder, "tss", fast_mode=True)`; `tables import` gets the same table back |
| csv, parquet | anything; columns as in `Table.frame`; `tables import` gets the same numbers back |
| syne-tune | Syne Tune's blackbox repository (`BlackboxTabular`): one folder, one task |
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_lab.core import LabError
from nasbench_lab.files import spreadsheet, writing
from nasbench_lab.spaces import cell
from nasbench_lab.tables.formats import nats_export
from nasbench_lab.tables.schedule import FloatArray
from nasbench_lab.tables.table import Table

FORMATS = ("nats-simple", "csv", "parquet", "syne-tune")
Report = Callable[[int, int], None]
_EDGES = [f"hp_x{i}" for i in range(len(cell.EDGES))]
_FIDELITY = "hp_epoch"
_OBJECTIVES = ("metric_valid_error", "metric_elapsed_time")


def export(
    tables: Sequence[Table],
    format: str,
    to: Path | None = None,
    *,
    progress: Report | None = None,
    force: bool = False,
) -> Path:
    """Write tables; returns where.

    Args:
        tables: one; several, of different datasets, for nats-simple.
        format: one of `FORMATS`.
        to: file or folder; named after the first table, in the working folder, if left out.
        progress: called with (records written, records in all) where there are many.
        force: replace files that are there already; a folder for nats-simple must be empty all the same.

    Raises:
        LabError: an unknown format, something there already, several tables where one is wanted, or nowhere to write.
    """
    if format not in FORMATS:
        raise LabError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
    if len(tables) != 1 and format != "nats-simple":
        raise LabError(f"{format} holds one table, got {len(tables)}")
    name = tables[0].name
    if format == "nats-simple":
        path = to or Path(f"{name}-simple")
        nats_export.write(tables, path, progress=progress)
    elif format == "syne-tune":
        path = to or Path(f"{name}-syne-tune")
        content = syne_tune(tables[0], path)
        writing.not_there(content, force=force)
        writing.write_together(content)
    else:
        path = to or Path(f"{name}.{format}")
        if path.suffix != f".{format}":
            raise LabError(f"a {format} file is called something.{format}, got {path}")
        writing.not_there([path], force=force)
        frame, buffer = tables[0].frame(), io.BytesIO()
        frame.attrs = {}
        if format == "csv":
            buffer.write(spreadsheet.to_csv(frame).encode())
        else:
            frame.to_parquet(buffer, index=False)
        writing.write_atomically(path, buffer.getvalue())
    return path


def syne_tune(table: Table, folder: Path) -> dict[Path, bytes]:
    """Path -> content of a blackbox of the searched schedule.

    The objectives are validation error (0..1) and elapsed simulated seconds, for every trial, at every fidelity; the
    test error stays out, so nobody searches on it. Other schedules are trainings of their own and another blackbox.
    """
    schedule = table.schedule(table.default_search)
    val = schedule.val_trials if schedule.val_trials.shape[2] else schedule.val[:, :, None]
    errors = 1 - np.moveaxis(val, 2, 1) / 100  # (A, T, F)
    seconds = np.broadcast_to(schedule.seconds[:, None, :], errors.shape)
    values = np.stack([errors, seconds], axis=-1)[None]  # (tasks, A, T, F, objectives)
    choices = pd.DataFrame(np.array(cell.OPS)[cell.SPACE.choices], columns=_EDGES)
    parquet = io.BytesIO()
    choices.to_parquet(parquet, index=False, compression="gzip")
    edges = {name: {"domain_cls": "Categorical", "domain_kwargs": {"categories": list(cell.OPS)}} for name in _EDGES}
    epochs = {_FIDELITY: {"domain_cls": "Integer", "domain_kwargs": {"lower": 1, "upper": schedule.epochs[-1]}}}
    metadata = {
        "elapsed_time_attr": _OBJECTIVES[1],
        "default_metric": _OBJECTIVES[0],
        "resource_attr": _FIDELITY,
        "objectives_names": list(_OBJECTIVES),
        "task_names": [table.dataset],
    }
    return {
        folder / "configspace.json": json.dumps(edges).encode(),
        folder / "fidelityspace.json": json.dumps(epochs).encode(),
        folder / "hyperparameters.parquet": parquet.getvalue(),
        folder / "objectives_evaluations.npy": _npy(values.astype(np.float32)),
        folder / "fidelities_values.npy": _npy(np.array(schedule.epochs)),
        folder / "metadata.json": json.dumps(metadata).encode(),
    }


def _npy(values: FloatArray | np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    return buffer.getvalue()
