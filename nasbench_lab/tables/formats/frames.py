"""Parquet and CSV files as frames, if they are not larger than a table can be."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, spreadsheet
from nasbench_lab.files import columns as columns_of
from nasbench_lab.tables.brought import MISSING, UNREAD

SUFFIXES = (".parquet", ".csv", ".gz")
_UNPACKED = 1 << 28  # bytes of CSV; a table of 200 epochs and three trials has half


def read(path: Path, *, rows: int, numbers: int, texts: Sequence[str] = ()) -> pd.DataFrame:
    """The frame of a file, by what its name ends in.

    Args:
        path: `.parquet`, `.csv` or `.csv.gz`.
        rows: so many at most.
        numbers: rows times columns, at most.
        texts: columns of a CSV file that are taken as they are written: 007 is no 7.

    The attributes `UNREAD` and `MISSING` of the frame are for `brought.read`.

    Raises:
        LabError: no such file, of another kind, damaged or larger.
    """
    if not path.exists():
        raise LabError(f"no such file: {path}")
    as_text = partial(_csv, texts=texts)
    readers: dict[str, Callable[[Path, int, int], pd.DataFrame]] = {
        ".parquet": _parquet,
        ".csv": as_text,
        ".gz": as_text,
    }
    if path.suffix not in readers:
        raise LabError(f"{path}: a tidy table is a .parquet, .csv or .csv.gz file")
    try:
        frame = readers[path.suffix](path, rows, numbers)
    except Exception as error:  # pandas and pyarrow raise a dozen kinds for a damaged file
        raise _unreadable(path, error) from error
    frame = frame.reset_index(drop=True)
    frame.attrs[UNREAD] = columns_of.unread(path) if path.suffix == ".parquet" else {}
    return frame


def _parquet(path: Path, rows: int, numbers: int) -> pd.DataFrame:
    found = columns_of.table(path, rows=rows, numbers=numbers, texts=True)
    frame: pd.DataFrame = found.to_pandas(ignore_metadata=True)
    frame = frame.drop(columns=[name for name in frame if str(name).startswith("__index_level_")])  # an index of pandas
    for name in [name for name in frame if frame[name].dtype == "category" and not frame[name].cat.ordered]:
        frame[name] = frame[name].astype(object)
    return frame


def _csv(path: Path, rows: int, numbers: int, *, texts: Sequence[str]) -> pd.DataFrame:
    with bounded.regular(path) as file:
        unpacked = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
        content = bounded.all_of(unpacked, _UNPACKED)
    frame = spreadsheet.read(content, rows=rows, numbers=numbers, dtype=dict.fromkeys(texts, str))
    if lacking := [name for name in texts if name in frame and frame[name].isna().any()]:
        plain = spreadsheet.read(content, rows=rows, numbers=numbers, dtype=str, keep_default_na=False)
        firsts = {name: int(np.argmax(frame[name].isna())) for name in lacking}
        frame.attrs[MISSING] = {name: (row, str(plain[name].iloc[row])) for name, row in firsts.items()}
    return frame


def columns(path: Path) -> list[str]:
    """The names of a file's columns, without its rows.

    Raises:
        LabError: as `read`.
    """
    if not path.exists():
        raise LabError(f"no such file: {path}")
    if path.suffix not in SUFFIXES:
        raise LabError(f"{path}: a table is a .parquet, .csv or .csv.gz file")
    try:
        if path.suffix == ".parquet":
            return columns_of.names(path)
        with bounded.regular(path) as file:
            unpacked = gzip.GzipFile(fileobj=file) if path.suffix == ".gz" else file
            return spreadsheet.header_of(bounded.all_of(unpacked, _UNPACKED))
    except Exception as error:  # pandas and pyarrow raise a dozen kinds for a damaged file
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> LabError:
    wanted = "" if path.suffix == ".parquet" else " (fields separated by commas, numbers with points, UTF-8)"
    return LabError(f"{path} cannot be read as {path.suffix[1:]}{wanted}: {str(error).strip()}")
