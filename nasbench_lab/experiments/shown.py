"""What a results folder shows, every number in every file, against what its records give: where they differ, then and now."""

from __future__ import annotations

import csv
import io
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

from nasbench_lab.errors import LabError, brief, counted
from nasbench_lab.files import bounded, sealed
from nasbench_lab.study import shelf

FILES = ("leaderboard.json", "leaderboard.csv", "leaderboard.md", "curves.csv", "details.json", "manifest.json")
MEASURED = "decision_seconds_per_query"  # in a clone nothing says what was measured
_CLOSE = 1e-9  # relative: further apart than rounding takes the same means
_LABELS = ("strategy", "table", "score", "item", "one", "other", "axis", "at")
_SINCE = frozenset(("kernel", "strategies"))  # in manifests since there were such; not there, they are not shown


def differences(folder: Path, now: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(file, what differs there) of everything that a folder shows otherwise than the texts do."""
    for name in FILES:
        path = folder / name
        if not path.is_file():
            yield name, "it is not there"
            continue
        try:
            if name.endswith(".json"):
                found = _json(sealed.read_json(path), _unsealed(json.loads(now[name])), "", name)
            else:
                then = bounded.text(path).replace("\r\n", "\n")
                found = (_csv if name.endswith(".csv") else _lines)(then, now[name])
            yield from ((name, difference) for difference in found)
        except (LabError, ValueError, csv.Error) as error:
            yield name, str(error)


class Others(NamedTuple):
    """What lies in a results folder and is not of it, relative to it.

    Attributes:
        posing: files with the name of one that a board writes, which no board of this folder wrote.
        unchecked: all other files, and folders with results of their own ("name/").
    """

    posing: list[str]
    unchecked: list[str]


def others(folder: Path, ids: Iterable[str]) -> Others:
    """The files of a results folder that its manifest, whose runs have these ids, does not know."""
    found, known = Others([], []), tuple(f"-{identity}" for identity in ids)
    for place, folders, files in os.walk(folder):
        inside = Path(place).relative_to(folder)
        own = [name for name in folders if (Path(place) / name / "manifest.json").is_file()]
        folders[:] = [name for name in folders if name not in own]
        found.unchecked.extend(f"{inside / name}/" for name in own)
        for name in files:
            of_runs = name.endswith(".parquet") and any(part in name for part in known)
            if inside.parts == ("runs",) and (of_runs or name == shelf.INDEX):
                continue
            if name.casefold() in FILES:
                found.posing.extend([str(inside / name)] if inside.parts or name not in FILES else [])
            else:
                found.unchecked.append(str(inside / name))
    return Others(sorted(found.posing), sorted(found.unchecked))


def named(names: Sequence[str], most: int = 10) -> str:
    """Names of files in a sentence, the first few; what does not print is escaped."""
    some = [name if name.isprintable() else ascii(name) for name in names[:most]]
    return ", ".join(some) + (f" and {len(names) - most} more" if len(names) > most else "")


def _unsealed(content: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != sealed.KEY}


def _json(then: Any, now: Any, where: str, file: str) -> Iterator[str]:
    """Differences of JSON values; a place is named by keys, and members of a list by what tells them apart."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in [*now, *(key for key in then if key not in now)]:
            if where == "" and (key == sealed.FILES or (key in _SINCE and key not in then)):
                continue  # digests of the other files, which are compared themselves
            yield from _json(then.get(key), now.get(key), f"{where}, {key}" if where else str(key), file)
    elif isinstance(then, list) and isinstance(now, list):
        if len(then) != len(now):
            yield f"{where}: {len(then)} then, {len(now)} now"
        for number, (old, new) in enumerate(zip(then, now, strict=False)):
            yield from _json(old, new, f"{where} {_label(new) or number}", file)
    elif not _same(then, now):
        yield f"{where}: {' then, '.join(_apart(then, now))} now"


def _label(value: Any) -> str:
    named = [str(value[key]) for key in _LABELS if key in value] if isinstance(value, dict) else []
    return f"({', '.join(named)})" if named else ""


def _same(then: Any, now: Any) -> bool:
    numbers = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in (then, now))
    return (
        math.isclose(then, now, rel_tol=_CLOSE, abs_tol=1e-12) if numbers else type(then) is type(now) and then == now
    )


def _apart(then: Any, now: Any) -> tuple[str, str]:
    """Two values that differ, of long texts what stands about the first difference."""
    if not (isinstance(then, str) and isinstance(now, str)) or max(len(then), len(now)) < 60:
        return brief(then), brief(now)
    at = next((i for i, (a, b) in enumerate(zip(then, now, strict=False)) if a != b), min(len(then), len(now)))
    start = max(0, at - 25)
    old, new = (("..." if start else "") + text[start : at + 25] for text in (then, now))
    return repr(old), repr(new)


def _csv(then: str, now: str) -> Iterator[str]:
    old, new = (list(csv.reader(io.StringIO(text))) for text in (then, now))
    if old[:1] != new[:1]:
        yield f"columns: {brief(old[:1])} then, {brief(new[:1])} now"
        return
    if len(old) != len(new):
        yield f"{counted(len(old) - 1, 'row')} then, {len(new) - 1} now"
    for one, other in zip(old[1:], new[1:], strict=False):
        row = dict(zip(new[0], other, strict=False))
        for name, before, after in zip_longest(new[0], one, other, fillvalue=""):
            if before != after:
                yield f"row {_label(row)}, {name}: {brief(before)} then, {brief(after)} now"


def _lines(then: str, now: str) -> Iterator[str]:
    for number, (old, new) in enumerate(zip_longest(then.split("\n"), now.split("\n")), start=1):
        if old != new:
            yield f"line {number}: {' then, '.join(_apart(old or '', new or ''))} now"
