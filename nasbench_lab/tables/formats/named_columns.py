"""What a user says of the columns of a table of their own; `own` reads it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from nasbench_lab.spaces.naming import parts_of


@dataclass(frozen=True)
class Columns:
    """Which columns are what, and what the scores are; see `Table.from_frame`."""

    name: str = ""
    decisions: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    seconds: str = ""
    metrics: tuple[str, ...] = ()
    better: str = ""  # "higher" where nothing is said
    unit: str = ""
    space: str = ""

    def __bool__(self) -> bool:
        return self != Columns()


def split(text: str) -> tuple[str, ...]:
    """Names with commas between them; one that holds a comma itself stands in double quotes, as in a CSV file."""
    return tuple(parts_of(text)) if text.strip() else ()


def joined(names: Sequence[str]) -> str:
    """What `split` takes apart."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(names)
    return line.getvalue()
