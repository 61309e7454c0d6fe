"""Import a tidy Parquet or CSV file: one row per cell, one column per measurement.

Columns, all but the keys optional as long as each schedule has val, test and seconds:

    arch / index                              official string / official index (at least one; both must agree)
    <dataset>/<epochs>/val | test             mean accuracy, percent
    <dataset>/<epochs>/val | test/seed<k>     one trial, percent; empty where it was not trained
    <dataset>/<epochs>/seconds                training to that epoch plus one validation pass
    ...val@<e>, ...val@<e>/seed<k>, ...seconds@<e>   the same after an earlier epoch of that training
    <dataset>/<metric>[/<device>]             any further number, e.g. cifar10/latency_ms/edgegpu
    trials                                    how many trials stand behind the means

Where a mean column is missing it is the mean over the trials that exist. Epoch columns of one dataset are separate
trainings (as in NAS-Bench-201), one schedule each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.errors import nth
from nasbench_lab.spaces import cell
from nasbench_lab.tables.formats import frames
from nasbench_lab.tables.schedule import Schedule, known_mean
from nasbench_lab.tables.table import Table

FloatArray = NDArray[np.float64]
_SCORE = re.compile(
    r"(?P<dataset>[^/]+)/(?P<epochs>\d+)/(?P<kind>val|test|seconds)(?:(?<!test)@(?P<at>\d+))?(?:(?<!seconds)/seed(?P<seed>\w+))?"
)
_ROWS, _NUMBERS = 2 * cell.SPACE.size, 1 << 25  # twice those of such a table
_METRIC = re.compile(r"(?P<dataset>[^/]+)/(?P<metric>[A-Za-z_]\w*(?:/[^/]+)?)")
_UNITS = {"val": "percent", "test": "percent", "seconds": "simulated seconds", "latency_ms": "ms", "energy_mj": "mJ"}


def read_tidy(path: Path, *, source: str = "", licence: str = "") -> list[Table]:
    """All tables of a tidy file, one per dataset, checked.

    Raises:
        LabError: unreadable, rows missing, repeated or malformed (named), a column that is not understood.
    """
    frame = frames.read(path, rows=_ROWS, numbers=_NUMBERS)
    archs = _keys(frame, path)
    frame = frame.iloc[np.argsort(archs)].reset_index(drop=True)
    datasets = _grouped(frame, path)
    about = {"source": source or "not said at import", "licence": licence or "not said at import", "units": _UNITS}
    return [_table(name, frame, columns, about).check() for name, columns in datasets.items()]


def _keys(frame: pd.DataFrame, path: Path) -> NDArray[np.int64]:
    """(rows,) official index of every row; refuses what is malformed, repeated or missing."""
    archs = None
    if "arch" in frame:
        archs = np.array([_parsed(text, row, path) for row, text in enumerate(frame["arch"])], dtype=np.int64)
    if "index" in frame:
        if frame["index"].dtype == bool:
            raise LabError(f"{path}: column 'index' holds true and false, not numbers")
        numbers = pd.to_numeric(frame["index"], errors="coerce").to_numpy(dtype=float)
        bad = np.flatnonzero(~((numbers >= 0) & (numbers < cell.SPACE.size) & (numbers == np.round(numbers))))
        if bad.size:
            raise LabError(
                f"{path}, {nth(bad[0])}: index must be 0..{cell.SPACE.size - 1}, got {frame['index'][bad[0]]}"
            )
        if archs is not None and (differs := np.flatnonzero(archs != numbers)).size:
            row = int(differs[0])
            raise LabError(
                f"{path}, {nth(row)}: index {int(numbers[row])} is not {frame['arch'][row]!r} ({archs[row]})"
            )
        archs = numbers.astype(np.int64)
    if archs is None:
        raise LabError(
            f"{path}: needs a column 'arch' (official strings) or 'index'; has {', '.join(frame.columns[:8])}"
        )
    counts = np.bincount(archs, minlength=cell.SPACE.size)
    if (counts > 1).any():
        arch = int(np.argmax(counts > 1))
        raise LabError(f"{path}: {int((counts > 1).sum())} cells appear twice, first {arch} {cell.to_string(arch)}")
    if (counts == 0).any():
        arch = int(np.argmax(counts == 0))
        raise LabError(f"{path}: {int((counts == 0).sum())} cells are missing, first {arch} {cell.to_string(arch)}")
    return archs


def _parsed(text: object, row: int, path: Path) -> int:
    try:
        return cell.from_string(str(text))
    except ValueError as error:
        raise LabError(f"{path}, {nth(row)}: {error}") from error


def is_tidy(columns: Iterable[str]) -> bool:
    """Whether a file with these columns is meant to be one."""
    names = set(columns)
    return bool({"arch", "index"} & names) and any(_SCORE.fullmatch(name) for name in names)


def _grouped(frame: pd.DataFrame, path: Path) -> dict[str, list[str]]:
    """Dataset -> its columns; a dataset is what has score columns."""
    datasets: dict[str, list[str]] = {}
    for column in frame.columns:
        if match := _SCORE.fullmatch(str(column)):
            datasets.setdefault(match["dataset"], []).append(column)
    if not datasets:
        raise LabError(f"{path}: no column like <dataset>/<epochs>/val; has {', '.join(map(str, frame.columns[:8]))}")
    for column in frame.columns:
        if column in ("arch", "index", "trials") or _SCORE.fullmatch(column):
            continue
        match = _METRIC.fullmatch(column)
        if match is None or match["dataset"] not in datasets:
            raise LabError(
                f"{path}: column {column!r} is not understood; columns are arch, index, trials, "
                "<dataset>/<epochs>/val|test|seconds, <dataset>/<metric>[/<device>]"
            )
        datasets[match["dataset"]].append(column)
    return datasets


def _numbers(frame: pd.DataFrame, column: str) -> FloatArray:
    if frame[column].dtype == bool:
        raise LabError(f"column {column!r} holds true and false, not numbers")
    values = pd.to_numeric(frame[column], errors="coerce")
    bad = values.isna() & frame[column].notna()
    if bad.any():
        arch = int(bad.to_numpy().argmax())
        raise LabError(f"column {column!r}, cell {arch}: not a number: {frame[column][arch]!r}")
    return np.asarray(values, dtype=np.float64)


def _table(dataset: str, frame: pd.DataFrame, columns: list[str], about: Mapping[str, object]) -> Table:
    scores: dict[int, dict[str, str]] = {}
    metrics: dict[str, FloatArray] = {}
    for column in columns:
        if match := _SCORE.fullmatch(column):
            at = "" if match["at"] in (None, match["epochs"]) else f"@{int(match['at'])}"
            key = match["kind"] + at + (f"/{match['seed']}" if match["seed"] else "")
            of_schedule = scores.setdefault(int(match["epochs"]), {})
            if key in of_schedule:
                raise LabError(f"columns {of_schedule[key]!r} and {column!r} say the same twice")
            of_schedule[key] = column
        else:
            metrics[column.partition("/")[2]] = _numbers(frame, column)
    if "trials" in frame:
        metrics["trials"] = _numbers(frame, "trials")
    schedules = {last: _schedule(dataset, last, frame, scores[last]) for last in sorted(scores)}
    seeds = {str(last): _seeds(scores[last]) for last in schedules}
    return Table(dataset, schedules, metrics, dict(about) | {"dataset": dataset, "seeds": seeds})


def _seeds(columns: Mapping[str, str]) -> dict[str, list[str]]:
    """The names of the trials, "test" always, "val" where there are any."""
    names = {
        kind: sorted(key.partition("/")[2] for key in columns if key.startswith(f"{kind}/")) for kind in ("test", "val")
    }
    return {kind: found for kind, found in names.items() if found or kind == "test"}


def _schedule(dataset: str, last: int, frame: pd.DataFrame, columns: dict[str, str]) -> Schedule:
    if last < 1:
        raise LabError(f"column {dataset}/{last}/...: epochs are counted from 1")
    earlier = sorted({int(key.partition("/")[0].partition("@")[2]) for key in columns if "@" in key})
    epochs = (*earlier, last)
    val = [_scores(dataset, last, "val" + ("" if e == last else f"@{e}"), frame, columns) for e in epochs]
    test, test_trials = _scores(dataset, last, "test", frame, columns)
    if len({trials.shape for _, trials in val}) > 1:
        raise LabError(f"columns {dataset}/{last}/val...: every epoch needs the same seeds")
    means = np.stack([mean for mean, _ in val], axis=1)
    return Schedule(
        epochs=epochs,
        val=means,
        val_trials=np.stack([trials for _, trials in val], axis=1),
        test=test,
        test_trials=test_trials,
        seconds=np.stack(
            [_one(dataset, last, "seconds" + ("" if e == last else f"@{e}"), frame, columns) for e in epochs], axis=1
        ),
    )


def _one(dataset: str, last: int, key: str, frame: pd.DataFrame, columns: dict[str, str]) -> FloatArray:
    if key not in columns:
        raise LabError(f"column {dataset}/{last}/{key} is missing")
    return _numbers(frame, columns[key])


def _scores(
    dataset: str, last: int, kind: str, frame: pd.DataFrame, columns: dict[str, str]
) -> tuple[FloatArray, FloatArray]:
    """(A,) means and (A, T) trials; the means are the trials' where there is no column for them."""
    trials = [_numbers(frame, columns[key]) for key in sorted(columns) if key.startswith(f"{kind}/")]
    stacked = np.stack(trials, axis=1) if trials else np.empty((len(frame), 0))
    if kind not in columns and trials:
        return known_mean(stacked), stacked
    return _one(dataset, last, kind, frame, columns), stacked
