"""TransNAS-Bench-101 as NASGraph-Public extracted it: a CSV file for each task, 7,352 rows without architecture strings.

Rows 0 to 3,255 are the macro space, in the order of `named.macro_chains`; row 3,256 + i is the micro cell whose six
digits are i in base 4. Every metric is its own maximum over the epochs; the `*loss` columns are useless.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, spreadsheet
from nasbench_lab.spaces import named, naming
from nasbench_lab.tables.table import Table

ROWS = 3256 + 4096
PREFIX = "transbench101_"
SECONDS, NUMBER = "time_elapsed", "file_id"
_SCORES = {"top1": "%", "mIoU": "%", "ssim": "SSIM", "neg_loss": "negative loss"}  # what a task is judged by -> unit
_LONGEST = 1 << 24  # bytes; the files have 1.3 million


def is_one(columns: list[str]) -> bool:
    """Whether a file with these columns is one."""
    return {SECONDS, NUMBER} <= set(columns) and any(f"valid_{score}" in columns for score in _SCORES)


def read(path: Path, *, task: str = "", source: str = "", licence: str = "") -> list[Table]:
    """The micro and the macro table of a task.

    Args:
        path: the file.
        task: what it is of; taken from a file name `transbench101_<task>.csv` if left out.
        source, licence: kept in the headers.

    Raises:
        LabError: unreadable, or not such a file.
    """
    task = task or path.stem.removeprefix(PREFIX)
    try:
        with bounded.regular(path) as file:
            frame = spreadsheet.read(bounded.all_of(file, _LONGEST), rows=ROWS, numbers=ROWS * 64)
    except Exception as error:  # pandas raises a dozen kinds for a damaged file
        raise LabError(f"{path} cannot be read as csv: {error}") from error
    if not is_one(list(map(str, frame.columns))) or frame[NUMBER].tolist() != list(range(ROWS)):
        raise LabError(
            f"{path} is not a task of TransNAS-Bench-101: {ROWS:,} rows in order, with {NUMBER} and {SECONDS}"
        )
    score = next(name for name in _SCORES if f"valid_{name}" in frame)
    made: dict[str, Any] = {
        "val": [f"valid_{score}"],
        "test": [f"test_{score}"],
        "seconds": SECONDS,
        "unit": _SCORES[score],
    }
    told: dict[str, Any] = {
        "source": source or f"imported from {path.name}",
        "licence": licence or "Apache-2.0 (original: MIT)",
    }
    parts = {"macro": (named.transnas_macro(), slice(0, 3256)), "micro": (named.transnas_micro(), slice(3256, ROWS))}
    found = []
    for kind in ("micro", "macro"):
        space, rows = parts[kind]
        cells = pd.DataFrame(naming.columns(space))
        part = pd.concat([cells, frame.iloc[rows].reset_index(drop=True)], axis=1)
        table = Table.from_frame(
            part, name=f"transnas-{kind}-{task}", decisions=list(cells.columns), space=space, **made, **told
        )
        found.append(table.described(f"TransNAS-Bench-101 (Duan et al. 2021), {kind} space, {task}: {score}", task))
    return found
