"""What a user says of the columns of a table of their own; `own` reads it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """Which columns are what, and what the scores are; see `Table.from_frame`."""

    name: str = ""
    decisions: tuple[str, ...] = ()
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    seconds: str = ""
    metrics: tuple[str, ...] = ()
    better: str = "higher"
    unit: str = ""
    space: str = ""

    def __bool__(self) -> bool:
        return self != Columns()
