"""Cells as people read and write them, in any space: by their labels, a four-node cell by its string as well."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from nasbench_lab.spaces import cell, cells
from nasbench_lab.spaces.decisions import listed, text_of
from nasbench_lab.spaces.space import Space

_PART = re.compile(r'\s*"((?:[^"]|"")*)"\s*,|([^,]*),')


def labels(space: Space, arch: int) -> dict[str, str]:
    """Decision -> label of its option, of one cell."""
    row = space.row(arch)
    return {each.name: text_of(each.options[option]) for each, option in zip(space.decisions, row, strict=True)}


def text(space: Space, arch: int) -> str:
    """One cell in one line: the official string of a four-node cell, else name=label, name=label, ..."""
    if cells.is_cell(space):
        return cells.to_string(space, arch)
    return ", ".join(_written(f"{name}={label}") for name, label in labels(space, arch).items())


def _written(part: str) -> str:
    """A part of a line as a CSV file writes it: in quotation marks where it would be taken for several."""
    if part == part.strip() and not set(part) & set(',"\r\n'):
        return part
    return '"' + part.replace('"', '""') + '"'


def parts_of(line: str) -> list[str]:
    """What stands between commas; quotation marks around a part keep its commas and blanks, two in it are one."""
    found = []
    for part in _PART.finditer(f"{line},"):
        found.append(part[2].strip() if part[1] is None else part[1].replace('""', '"'))
    return found


def columns(space: Space) -> dict[str, Any]:
    """Decision -> (N,) labels of all cells, numbers where all options are."""
    found = {}
    for edge, each in enumerate(space.decisions):
        options = np.array(each.options) if each.numeric else np.array(list(map(text_of, each.options)), dtype=object)
        found[each.name] = options[space.choices[:, edge]]
    return found


def of_labels(space: Space, given: Mapping[str, object]) -> int:
    """The cell with these labels, decision -> label.

    Raises:
        ValueError: a decision that there is not, one that is missing, a label or a combination that does not exist.
    """
    names = [each.name for each in space.decisions]
    if set(given) != set(names):
        raise ValueError(f"{space.name} has the decisions {listed(names)}; got {listed(list(given)) or 'none'}")
    try:
        return space.index(tuple(each.number(given[each.name]) for each in space.decisions))
    except ValueError as error:
        raise ValueError(f"{space.name} has no cell {dict(given)}: {error}") from None


def parse(space: Space, given: str | int) -> int:
    """A cell from what a user types: an index, labels in order or as name=label, or the string of a four-node cell.

    Raises:
        ValueError: none of these, or a combination that does not exist; says what is allowed.
    """
    if space == cell.SPACE:
        return cell.parse(given)
    text_given = str(given).strip()
    if (arch := cells.numbered(space, text_given)) is not None:
        return arch
    if cells.is_cell(space) and "|" in text_given:
        return cells.from_string(space, text_given)
    parts = parts_of(text_given)
    names = [each.name for each in space.decisions]
    if len(parts) != len(names):
        raise ValueError(
            f"not a cell of {space.name}: {text_given!r}. Give an index 0..{space.size - 1}, or one label for each of "
            f"{len(names)} decisions, separated by commas (a label with a comma in quotation marks): {listed(names)}"
        )
    if all("=" in part for part in parts) and {part.partition("=")[0].strip() for part in parts} == set(names):
        by_name = {part.partition("=")[0].strip(): part.partition("=")[2] for part in parts}
        parts = [by_name[name] for name in names]
    row = tuple(each.number(part) for each, part in zip(space.decisions, parts, strict=True))
    try:
        return space.index(row)
    except ValueError:
        raise ValueError(
            f"{space.name} has no cell {', '.join(parts)}: it lists {space.size:,} of all combinations"
        ) from None
