"""A table as lines of Markdown: what every page of this package is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> list[str]:
    """Head, rule and rows, a line each.

    Args:
        heads: one text per column.
        rows: texts, as many as heads.
        numbers: all columns but the first are aligned right.
    """
    rule = "| --- |" + " ---: |" * (len(heads) - 1) if numbers else "|" + " --- |" * len(heads)
    return [_line(heads), rule, *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
