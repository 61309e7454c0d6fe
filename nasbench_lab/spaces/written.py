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

from nasbench_lab.errors import LabError
from nasbench_lab.spaces import cells
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space

ARRAYS = ("listed", "order", "classes")


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
    return Space(decisions, name=str(header["name"]), roles=roles, **given)


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
        name = str(raw.get("name", Path(path).stem))
        if raw.get("roles"):
            labels = [str(option) for option in decisions[0].options]
            cells.checked_roles(tuple(map(str, raw["roles"])), decisions)
            return cells.make(dict(zip(labels, raw["roles"], strict=True)), name=name)
        listed = None if raw.get("listed") is None else np.array(raw["listed"])
        return Space(decisions, listed=listed, name=name)
    except (ValueError, TypeError) as error:
        raise LabError(f"{path}: {error}") from error


def _decision(name: str, spec: Any) -> Decision:
    if isinstance(spec, dict):
        if set(spec) - {"options", "ordered"} or not isinstance(spec.get("options"), list):
            raise ValueError(
                f"decision {name!r} is a list of options, or has the keys options and ordered; got {spec!r}"
            )
        return Decision(name, tuple(spec["options"]), bool(spec.get("ordered", False)))
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
