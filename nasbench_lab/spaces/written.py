"""A space as plain values (in the header of a table's file, with its listed cells as an array) and as a TOML file.

name = "mine"
[decisions]                                   # in order
op = ["conv", "pool"]                         # words have no order
lr = [0.001, 0.01, 0.1]                       # numbers that ascend have one
size = { options = ["s", "m", "l"], ordered = true }

`listed = [[0, 2, 1], ...]` at the top names the cells that exist by option numbers; all do if it is left out. `roles`, at the
top too, says of a four-node cell what each operation is, see `cells`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_lab.errors import LabError, nth
from nasbench_lab.spaces import cells
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space

ARRAYS = ("listed", "order", "classes")
DIMENSIONS = 64  # of an array at most, by one of which the cells of a product are numbered


def plain(space: Space) -> dict[str, Any]:
    """Name, decisions and roles as JSON values; the arrays are `arrays`."""
    found: dict[str, Any] = {
        "name": space.name,
        "decisions": [
            {"name": each.name, "options": list(each.options), "ordered": each.ordered} for each in space.decisions
        ],
    }
    return found | ({"roles": list(space.roles)} if space.roles else {})


def arrays(space: Space) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of `ARRAYS` that are not what they are by default."""
    found: dict[str, np.ndarray[Any, Any]] = {}
    if space.listed is not None:
        found["listed"] = space.listed
    elif not np.array_equal(space.index_of_position, np.arange(space.size)):
        found["order"] = space.index_of_position
    if not np.array_equal(space.classes, np.arange(space.size)):
        found["classes"] = space.classes
    return found


def made(header: Mapping[str, Any], given: Mapping[str, Any]) -> Space:
    """The inverse of `plain` and `arrays`.

    Raises:
        ValueError, KeyError, TypeError: not what they make.
    """
    decisions = [Decision(str(d["name"]), tuple(d["options"]), bool(d["ordered"])) for d in header["decisions"]]
    roles = tuple(header.get("roles", ()))
    if roles:
        cells.checked_roles(roles, decisions)
    return enumerable(Space(decisions, name=str(header["name"]), roles=roles, **given))


def enumerable(space: Space) -> Space:
    """The space, if its cells can be enumerated: a listed one, or a product that is not of too many decisions.

    Raises:
        ValueError: it is of more.
    """
    if space.listed is None and len(space.decisions) > DIMENSIONS:
        raise ValueError(
            f"a space of all combinations has {DIMENSIONS} decisions at most, got {len(space.decisions)}; list its cells, "
            "or leave out decisions with one option"
        )
    return space


def from_toml(text: str, path: str) -> Space:
    """The space of a TOML file's text, see the module's docstring; `path` is what it is called in errors.

    Raises:
        LabError: not TOML, or not a space; says what is wrong.
    """
    try:
        raw = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise LabError(f"{path} cannot be read as TOML: {error}") from error
    if unknown := set(raw) - {"name", "decisions", "listed", "roles"}:
        raise LabError(f"{path}: unknown key {min(unknown)!r}; allowed: name, decisions, listed, roles")
    if not isinstance(raw.get("decisions"), dict) or not raw["decisions"]:
        raise LabError(f"{path}: a space has a section [decisions] with `name = [options]` lines")
    try:
        decisions = [_decision(name, spec) for name, spec in raw["decisions"].items()]
        name = raw.get("name", Path(path).stem)
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"name must be a text that is not blank, got {name!r}")
        if "roles" in raw:
            return _cell(raw, decisions, name)
        listed = None if "listed" not in raw else _rows(raw["listed"], len(decisions))
        return enumerable(Space(decisions, listed=listed, name=name))
    except (ValueError, TypeError) as error:
        raise LabError(f"{path}: {error}") from error


def _cell(raw: Mapping[str, Any], decisions: list[Decision], name: str) -> Space:
    """The space of four-node cells that a file with `roles` is of."""
    roles = raw["roles"]
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise ValueError(f"roles must be a list of strings, got {roles!r}")
    if "listed" in raw:
        raise ValueError("roles are of all four-node cells, got listed ones beside them")
    cells.checked_roles(tuple(roles), decisions)
    return cells.make(dict(zip(map(str, decisions[0].options), roles, strict=True)), name=name)


def _rows(given: Any, count: int) -> np.ndarray[Any, Any]:
    """(N, E) the option numbers of listed cells."""
    if not isinstance(given, list):
        raise ValueError(f"listed must be a list of cells, got {given!r}")
    for place, row in enumerate(given):
        if not isinstance(row, list) or len(row) != count or not all(type(option) is int for option in row):
            raise ValueError(
                f"listed: a cell is a list of {count} option numbers, one a decision; {nth(place)} is {str(row)[:60]}"
            )
    return np.array(given)


def _decision(name: str, spec: Any) -> Decision:
    if isinstance(spec, dict):
        if set(spec) - {"options", "ordered"} or not isinstance(spec.get("options"), list):
            raise ValueError(
                f"decision {name!r} is a list of options, or has the keys options and ordered; got {spec!r}"
            )
        ordered = spec.get("ordered", False)
        if not isinstance(ordered, bool):
            raise ValueError(f"decision {name!r}: ordered must be true or false, got {ordered!r}")
        return Decision(name, tuple(spec["options"]), ordered)
    if not isinstance(spec, list):
        raise ValueError(f"decision {name!r} is a list of options, got {spec!r}")
    numbers = all(isinstance(option, (int, float)) and not isinstance(option, bool) for option in spec)
    return Decision(name, tuple(spec), ordered=numbers and len(spec) > 0 and spec == sorted(spec))


def to_toml(space: Space) -> str:
    """A space as a TOML file that `from_toml` reads; order and classes are not written.

    A string is written as JSON writes it, which TOML's basic strings read alike.
    """
    lines = [f"name = {json.dumps(space.name)}"]
    if space.roles:
        lines.append(f"roles = {json.dumps(list(space.roles))}")
    if space.listed is not None:
        lines += ["listed = [", *(f"  {row}," for row in space.listed.tolist()), "]"]
    lines.append("[decisions]")
    for each in space.decisions:
        options = json.dumps(list(each.options), ensure_ascii=False)
        lines.append(
            f"{json.dumps(each.name, ensure_ascii=False)} = {{ options = {options}, ordered = {str(each.ordered).lower()} }}"
        )
    return "\n".join(lines) + "\n"
