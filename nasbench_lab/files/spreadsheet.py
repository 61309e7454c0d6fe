"""CSV: written so that no spreadsheet takes a text for a formula, read within bounds.

A text that begins with `=`, `+`, `-`, `@`, a tabulator or a carriage return, and is no number, gets an apostrophe in front
(OWASP, CSV injection); `read` takes it away again. Numbers stay as they are.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from itertools import dropwhile
from typing import TYPE_CHECKING, Any

from nasbench_lab.files import bounded

if TYPE_CHECKING:  # a second to import, which a process that only searches saves
    import pandas as pd

_BEGINS = ("=", "+", "-", "@", "\t", "\r")
_RAGGED = re.compile(r"Expected \d+ fields in line (\d+), saw (\d+)")  # what pandas says of a row that is too long
COLUMNS = 1 << 14  # of any table; one of three datasets, two schedules, 200 epochs and three trials has 4,000


def to_csv(frame: pd.DataFrame, **how: Any) -> str:
    """A frame as CSV; `how` as for pandas."""
    names = {column: _escaped(column) for column in frame.columns}
    texts = {column: frame[column].map(_escaped) for column in _of_texts(frame)}
    text: str = _with(frame, texts).rename(columns=names).to_csv(index=False, **how)
    return text


def read(content: bytes, *, rows: int, numbers: int, **how: Any) -> pd.DataFrame:
    """The frame that was written.

    Args:
        content: of the file.
        rows: so many at most.
        numbers: rows times columns, at most.
        **how: as for pandas.

    Raises:
        ValueError: more than there may be, or no CSV.
    """
    header = header_of(content)
    columns, lines = len(header), max(content.count(b"\n"), content.count(b"\r"))
    if not header:
        raise ValueError("it is empty")
    if columns > COLUMNS or columns * max(1, min(rows, lines)) > numbers:
        raise bounded.TooMuch(f"it has {columns:,} columns and {lines:,} lines, a table has {numbers:,} numbers")
    import pandas as pd

    try:
        frame: pd.DataFrame = pd.read_csv(io.BytesIO(content), nrows=rows + 1, header=0, names=header, **how)
    except pd.errors.ParserError as error:
        if (found := _RAGGED.search(str(error))) is None:
            raise
        raise ValueError(f"line {found[1]} has {found[2]} fields, the header {columns:,}") from error
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes what is too much in every row for names of the rows
        raise ValueError(f"rows have more fields than the header, which has {columns:,} names")
    if len(frame) > rows:
        raise bounded.TooMuch(f"it has more than {rows:,} rows")
    return _with(frame, {column: frame[column].map(_plain) for column in _of_texts(frame)})


def header_of(content: bytes) -> list[str]:
    """The names of its columns: what stands in the first line that is not blank, and the place of one without a name.

    Raises:
        ValueError: no CSV, or a name given twice: pandas would make up others, in quadratic time.
    """
    lines = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
    try:
        header = list(map(_plain, next(csv.reader(dropwhile(_is_blank, lines)), [])))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    given, nameless = [name for name in header if name.strip()], "no name"
    check_names(given)
    while any(name.endswith(f" ({nameless})") for name in given):  # somebody calls a column so
        nameless = f"really {nameless}"
    return [name if name.strip() else f"column {place} ({nameless})" for place, name in enumerate(header, 1)]


def _is_blank(line: str) -> bool:
    """Whether pandas skips a line."""
    return not line.strip(" \t\r\n")


def check_names(names: Sequence[str]) -> None:
    """Of columns, each once.

    Raises:
        ValueError: one is given twice.
    """
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise ValueError(f"column {twice[:60]!r} is given twice")


def _of_texts(frame: pd.DataFrame) -> list[Any]:
    from pandas.api.types import is_numeric_dtype

    return [column for column in frame if not is_numeric_dtype(frame[column])]


def _with(frame: pd.DataFrame, texts: dict[Any, Any]) -> pd.DataFrame:
    if not texts:
        return frame
    out = frame.copy()
    for column, values in texts.items():
        out[column] = values
    return out


def _escaped(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith((*_BEGINS, "'")) or _is_number(value):
        return value
    return value if value.startswith("'") and not value[1:].startswith((*_BEGINS, "'")) else f"'{value}"


def _plain(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("'") and value[1:].startswith((*_BEGINS, "'")):
        return value[1:]
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
