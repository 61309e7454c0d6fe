"""What all runs of a process share, before and after a strategy ran: who tries to change it is found.

Arrays, tables and spaces are read-only, so an attempt raises an error; one that is swallowed is seen by a trace function.
Python lets anybody put something else in the place of a function or a class of ours; that is seen by comparing what the
names of the package's modules and classes stand for. Code that has an array's address can write all the same; that is
seen by comparing what the arrays hold.
"""

from __future__ import annotations

import gc
import hashlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from nasbench_lab import imports
from nasbench_lab.core import Evaluator, Query, Task
from nasbench_lab.spaces import cell

_ATOMS = frozenset({int, float, str, bool, bytes, type(None)})
_REFUSALS = re.compile(r"read-?only|WRITEABLE|ReadOnly|cannot assign to field", re.IGNORECASE)


def attempts(run: Callable[[], object], module: str) -> list[str]:
    """What code of a module's package tried to change while `run` ran, with its place; nothing is left of it."""
    own, found = module.partition(".")[0], []

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_lines = False
        theirs = str(frame.f_globals.get("__name__", "")).partition(".")[0] == own
        if event == "exception" and theirs and _REFUSALS.search(f"{argument[0].__name__}: {argument[1]}"):
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
            found.append(f"{argument[0].__name__}: {argument[1]} ({place})")
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    except Exception:
        if not found:  # something else is wrong with it
            raise
    finally:
        sys.settrace(before)
    return found


def told(evaluator: Evaluator, seed: int = 0) -> str:
    """SHA-256 of all that an evaluator says of its cells: answers at the highest fidelity and test scores."""
    cells, full = range(evaluator.task.space.size), evaluator.task.full
    answers = [evaluator.evaluate(Query(arch, full), seed) for arch in cells]
    said = [[each.val, each.seconds, *each.metrics.values()] for each in answers]
    scores = [evaluator.truth(arch) for arch in cells]
    return hashlib.sha256(np.array(said).tobytes() + np.array(scores).tobytes()).hexdigest()


def names() -> dict[str, int]:
    """What the names of the package's modules, their classes and the shared space stand for, by identity."""
    found = {f"the space's {name}": id(value) for name, value in vars(cell.SPACE).items()}
    for module, content in _modules():
        for name, value in list(content.items()):
            found[f"{module}.{name}"] = id(value)
            if inspect.isclass(value) and value.__module__ == module:
                found |= {f"{module}.{name}.{key}": id(member) for key, member in vars(value).items()}
    return found


class Held(NamedTuple):
    """The digest of an array; and the array, so that none made later can have its identity when a full cache drops it."""

    digest: str
    array: np.ndarray[Any, Any]


Contents = dict[tuple[str, int], Held]


def contents(task: Task) -> Contents:
    """The arrays that runs share, by name and identity: of the space, of what is known, and what functions keep.

    Read-only arrays can be written to all the same by code that is given their address, torch's `from_numpy` for one.
    """
    found: Contents = {}
    for name, made in vars(type(task.space)).items():
        if isinstance(made, cached_property):
            getattr(task.space, name)
    shared: list[tuple[str, Any]] = [(f"the space's {name}", value) for name, value in vars(task.space).items()]
    shared += [(f"what is known, {name},", value) for name, value in task.known.items()]
    for module, content in _modules():
        for name, value in content.items():
            if hasattr(value, "cache_info"):
                shared.append((f"what {module}.{name} keeps", value))
            elif isinstance(value, np.ndarray):
                shared.append((f"{module}.{name}", value))
    for name, value in shared:
        for array in _arrays(value):
            found[name, id(array)] = Held(hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest(), array)
    return found


def written(before: Contents, after: Contents) -> list[str]:
    """Names of arrays that hold something else than before."""
    return list(dict.fromkeys(key[0] for key, held in before.items() if after.get(key, held).digest != held.digest))


def _modules() -> Iterator[tuple[str, dict[str, Any]]]:
    """The names of this package's modules, with what they hold; files of strategies are none of them."""
    for name, module in list(sys.modules.items()):
        if name.startswith("nasbench_lab") and not name.startswith(imports.PREFIX):
            yield name, vars(module)


def _arrays(value: Any, depth: int = 6) -> Iterator[np.ndarray[Any, Any]]:
    """The arrays that a value holds, in containers and in what a cached function keeps."""
    if isinstance(value, np.ndarray):
        if value.dtype != object:
            yield value
        return
    holds = isinstance(value, (dict, tuple, list, set)) or hasattr(value, "cache_info")
    if depth and (holds or type(value).__name__ in ("_lru_list_elem", "ReadOnly", "mappingproxy")):
        for inner in gc.get_referents(value):
            if type(inner) not in _ATOMS:  # most of a million
                yield from _arrays(inner, depth - 1)


def changed(before: dict[str, int]) -> list[str]:
    """Names that stand for something else than before, or for nothing."""
    now = names()
    return [
        name
        for name, value in before.items()
        if now.get(name) != value and not name.rpartition(".")[2].startswith("__")
    ]
