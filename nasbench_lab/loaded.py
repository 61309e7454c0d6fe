"""What is loaded in this process against what files say now: a module that was edited since, a class that was changed."""

from __future__ import annotations

import hashlib
import inspect
import sys
import time
import types
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from nasbench_lab import imports
from nasbench_lab.errors import LabError


def check_current(files: Iterable[Path]) -> None:
    """What would be run is what the files say.

    Raises:
        LabError: a file was edited after it was loaded.
    """
    names = {str(path) for path in files}
    private = imports.private(names)
    modules = imports.shared()
    for name in sorted(names | set(private)):
        if imports.sha256(name) != private[name] if name in private else edited(name, modules.get(name)):
            raise LabError(f"{name} was edited after it was loaded: start Python anew, or reload it (importlib.reload)")


def edited(name: str, module: types.ModuleType | None) -> bool:
    """Whether a shared module that is loaded is another one than its file holds now."""
    if module is None or not name.endswith(".py") or module.__name__ == "__main__":
        return False
    then, now = imports.executed(name), imports.stamp(name)
    if then is None:  # loaded before anybody listened: edited since then?
        return module.__name__ in _EARLY and now[0] > _BEGAN
    if now == then.stamp and not imports.authored(name):
        return False
    plain = type(getattr(module, "__loader__", None)).__name__ == "SourceFileLoader"  # others change code as they load
    return _of_code(then.code) != _compiled(name, *now) if plain else now != then.stamp


_EARLY, _BEGAN = frozenset(sys.modules), time.time_ns()


@lru_cache(maxsize=512)
def _compiled(name: str, _modified: int, _size: int) -> str:
    try:
        return _of_code(compile(Path(name).read_bytes(), name, "exec", dont_inherit=True))
    except (SyntaxError, ValueError):
        return ""


def _of_code(code: types.CodeType) -> str:
    """Digest of what code does, wherever it stands."""
    sha = hashlib.sha256(code.co_code)
    sha.update(repr((code.co_names, code.co_varnames, code.co_freevars, code.co_flags)).encode())
    for constant in code.co_consts:
        sha.update(_of_value(constant).encode())
    return sha.hexdigest()


def _of_value(value: object) -> str:
    """A text for plain values and code, the same in every process; "" for what has none."""
    if isinstance(value, types.CodeType):
        return _of_code(value)
    if isinstance(value, (frozenset, set)):
        return repr(sorted(map(_of_value, value)))
    if isinstance(value, (tuple, list)):
        return f"{type(value).__name__}{[*map(_of_value, value)]}"
    if isinstance(value, dict):
        return repr([(_of_value(key), _of_value(each)) for key, each in value.items()])
    plain = (str, bytes, int, float, complex, bool, type(None), type(...))
    return f"{type(value).__name__} {value!r}" if isinstance(value, plain) else ""


def alive(cls: type[Any]) -> str:
    """What an author's class and its bases hold in this process, also what was put there after it was loaded."""
    found = []
    for base in (base for base in cls.__mro__ if not base.__module__.startswith(("nasbench_lab.", "builtins", "abc"))):
        for name, value in sorted(vars(base).items()):
            function = inspect.unwrap(getattr(value, "__func__", getattr(value, "fget", value)) or value)
            code = getattr(function, "__code__", None)
            plain = "" if name.startswith("__") else _of_value(value)
            text = _of_code(code) + _of_value(function.__defaults__) if code else plain
            found += [f"{name} {text}"] if text else []
    return "\n".join(found)
