"""Texts of numbers below each other, with as many decimals each, for the terminal and the page."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?")
_NUMBERS = re.compile(rf"(?:[≥>] )?{_NUMBER.pattern}(?: (?:–|±|to) {_NUMBER.pattern})?")


def even(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The same texts, where the numbers of a column have as many decimals each; none gets more digits than the longest has.

    A column in which something else than numbers, bounds or intervals stands is left as it is.
    """
    columns = [list(column) for column in zip(*rows, strict=True)]
    for column in columns:
        found = [number for text in column for number in _NUMBER.findall(text)]
        if found and all(_NUMBERS.fullmatch(text) for text in column if text):
            decimals = max(len(number.partition(".")[2]) for number in found)
            digits = max(map(_digits, found))
            column[:] = [_NUMBER.sub(lambda at: _padded(at[0], decimals, digits), text) for text in column]  # noqa: B023
    return [list(row) for row in zip(*columns, strict=True)]


def _digits(number: str) -> int:
    """How many digits of a number count."""
    return len(number.lstrip("-").replace(",", "").replace(".", "").lstrip("0"))


def _padded(number: str, decimals: int, digits: int) -> str:
    """A number with zeros up to so many decimals, and up to so many digits that count."""
    more = min(decimals - len(number.partition(".")[2]), digits - _digits(number))
    return number if more <= 0 else f"{number}{'' if '.' in number else '.'}{'0' * more}"
