"""Leaf files found by name: `names("strategies")`, `load("strategies", "local_search")`, `build("local_search:restarts=2")`.

A plug-in is one file; its name is the file's name, its summary the first line of its docstring. Somebody else's is
`pkg.module:Class`, `path/to/file.py:Class` (see `imports`), or an entry point in the group `nasbench_lab.<folder>`.
Nothing is imported before it is used.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.metadata
import inspect
import re
import sys
import types
import typing
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from nasbench_lab import errors, extras, imports
from nasbench_lab.errors import LabError, offered
from nasbench_lab.files import paths


def names(folder: str) -> list[str]:
    """The leaf files of a folder of this package, then entry points, sorted."""
    return sorted({*leaves(folder), *(point.name for point, _ in entry_points(folder))})


@cache
def leaves(folder: str) -> dict[str, str]:
    """Name -> module of the leaf files of a folder of this package and of the folders in it; `_...` are helpers."""
    found: dict[str, str] = {}
    for path in sorted((Path(__file__).parent / folder).glob("**/*.py")):
        inside = path.relative_to(Path(__file__).parent).with_suffix("").parts
        if not path.name.startswith("_"):
            found[path.stem] = ".".join(("nasbench_lab", *inside))
    return found


def entry_points(folder: str) -> list[tuple[EntryPoint, str]]:
    """The plug-ins that other installed packages declare, and why their name does not reach them; "" where it does."""
    owners = dict.fromkeys(leaves(folder), "nasbench_lab's own")
    found = []
    for point in _entry_points(folder, tuple(sys.path)):
        why = f"hidden by {owners[point.name]}; it is reached as {point.value}" if point.name in owners else ""
        owners.setdefault(point.name, f"that of {owner(point)}")
        found.append((point, why))
    return found


@lru_cache(maxsize=32)
def _entry_points(folder: str, search: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    return tuple(_installed(search).select(group=f"nasbench_lab.{folder.replace('/', '.')}"))


@lru_cache(maxsize=8)
def _installed(_search: tuple[str, ...]) -> Any:
    """Those of all packages: one look through them serves every folder."""
    return importlib.metadata.entry_points()


def owner(point: EntryPoint) -> str:
    """The installed package that declares an entry point."""
    return point.dist.name if point.dist else "another package"


def target(point: EntryPoint) -> tuple[str, str]:
    """The module that an entry point names, and the class in it; "" for the only one."""
    module, _, name = point.value.partition("[")[0].partition(":")
    return module.strip(), name.strip()


def others(folder: str, name: str) -> list[EntryPoint]:
    """The entry point that a name stands for; none where it is one of this package."""
    return [point for point, why in entry_points(folder) if point.name == name and not why]


def load(folder: str, name: str) -> type[Any]:
    """The class a name stands for.

    Raises:
        LabError: no such name (with the nearest ones), or its module cannot be imported or has no such class.
        MissingPackage: it needs a package of an extra that is not installed.
    """
    with extras.told(f"{_kind(folder)} {name!r}"):
        return _load(folder, name)


def _load(folder: str, name: str) -> type[Any]:
    module_name, class_name = module_of(name)
    if module_name or class_name:
        home = _import(module_name)
        return _in(home, class_name, anything=folder == "surrogates") if class_name else only_class(home)
    _say_what_is_hidden(folder, name, tuple(sys.path))
    if name in leaves(folder):
        return only_class(importlib.import_module(leaves(folder)[name]))
    for point, why in entry_points(folder):
        if point.name == name and not why:
            module, class_name = target(point)
            return _in(_import(module), class_name) if class_name else only_class(_import(module))
    raise unknown(_kind(folder), name, names(folder), "; one of your own: pkg.module:Class")


def _kind(folder: str) -> str:
    """What one of a folder's plug-ins is called."""
    return {"strategies": "strategy", "training/zero_cost": "zero-cost score"}.get(folder, folder.removesuffix("s"))


@lru_cache(maxsize=256)
def _say_what_is_hidden(folder: str, name: str, _search: tuple[str, ...]) -> None:
    """Warn, once, of plug-ins that have the name of the one that is loaded."""
    for point, why in entry_points(folder):
        if point.name == name and why:
            warnings.warn(f"{name!r} of {owner(point)} is {why}", stacklevel=3)


def unknown(kind: str, name: str, allowed: Sequence[str], more: str = "") -> LabError:
    """What is said of a name that stands for nothing: the nearest ones, and all, or the command that lists them."""
    return LabError(f"no {kind} named {name!r}{offered(name, allowed, 'allowed:', 'nasbench-lab list')}{more}")


def _import(name: str) -> types.ModuleType:
    try:
        with errors.contained(f"importing {name!r}"), extras.told(repr(name)), imports.watched():
            return imports.of_file(paths.home(name)) if name.endswith(".py") else importlib.import_module(name)
    except LabError:
        raise
    except Exception as error:
        raise LabError(f"cannot import {name!r}: {type(error).__name__}: {error}") from error


def module_of(head: str) -> tuple[str, str]:
    """The module or file that a spec's name says, and the class in it; both "" for a name of ours, the latter for the only one.

    A file's name may have a colon or a parenthesis itself: what is there counts.
    """
    file = _file(head)
    if file or head.endswith(".py"):
        return file or head, head[len(file) + 1 :] if file else ""
    module, colon, class_name = head.rpartition(":")
    return module, class_name if colon else ""


def _file(text: str) -> str:
    """The longest beginning of a text, up to a colon or all of it, that is a Python file; "" where there is none."""
    ends = [found.end() for found in re.finditer(r"\.py(?=:|$)", text)]
    return next((text[:end] for end in reversed(ends) if _is_file(text[:end])), "")


def _is_file(text: str) -> bool:
    try:
        return paths.home(text).is_file()
    except (LabError, OSError, ValueError):  # no home, a name too long or with a zero in it
        return False


def _in(module: types.ModuleType, class_name: str, *, anything: bool = False) -> Any:
    """A class of a module; `anything`: or an instance, or a function that returns one."""
    found = getattr(module, class_name, None)
    if not (inspect.isclass(found) or (anything and found is not None)):
        there = _classes(module)
        listing = f"dir({module.__name__})"
        raise LabError(f"{_called(module)} has no class {class_name!r}{offered(class_name, there, 'it has:', listing)}")
    return found


def _classes(module: types.ModuleType) -> list[str]:
    """The public classes that a module defines or, of a package, that its modules define for it."""
    inside = (module.__name__, f"{module.__name__}.")
    found = {name: value.__module__ for name, value in vars(module).items() if inspect.isclass(value)}
    return [
        n for n, home in found.items() if not n.startswith("_") and (home == inside[0] or home.startswith(inside[1]))
    ]


def _called(module: types.ModuleType) -> str:
    """A module as a user names it: one of a file by the file's path."""
    return str(module.__file__) if module.__name__.startswith(imports.PREFIX) else module.__name__


def only_class(module: types.ModuleType) -> type[Any]:
    """The one public class that a leaf file defines.

    Raises:
        LabError: none, or more than one.
    """
    own = [
        value
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__ == module.__name__ and not name.startswith("_")
    ]
    if len(own) != 1:
        found = ", ".join(c.__name__ for c in own) or "none"
        raise LabError(f"{_called(module)} must define exactly one public class, found: {found}; name it file.py:Class")
    return own[0]


def summary(cls: type[Any]) -> str:
    """The first line of the docstring of the class's file."""
    doc = inspect.getdoc(sys.modules[cls.__module__]) or inspect.getdoc(cls) or ""
    return doc.strip().partition("\n")[0]


def split_spec(spec: str) -> tuple[str, dict[str, str]]:
    """`name:key=value,key=value` -> name and raw parameters; `pkg.module:Class:key=value` likewise.

    A value that is a spec itself stands in parentheses: `bananas:surrogate=(mlp:members=3,width=10),initial=5`.

    Raises:
        LabError: a parameter without `=` or given twice, or parentheses that do not match.
    """
    spec = spec.strip()
    file = _file(spec)
    *before, tail = _outside(spec[len(file) :], ":")
    head = file + ":".join(before)
    if not head or "=" not in tail:
        if spec.endswith(":") or "=" in head[len(file) :]:
            raise LabError(f"parameters are written name:key=value,key=value; got {spec!r}")
        return spec, {}
    if "=" in head[len(file) :]:
        raise LabError(
            "parameters are written name:key=value,key=value, with commas between them, a value that has parameters itself "
            f"in parentheses{_in_parentheses(head[len(file) :], tail)}; got {spec!r}"
        )
    raw: dict[str, str] = {}
    for item in _outside(tail, ","):
        key, equals, value = item.partition("=")
        if not equals or not key.strip():
            raise LabError(f"parameters are written name:key=value,key=value; got {item!r} in {spec!r}")
        if key.strip() in raw:
            raise LabError(f"parameter {key.strip()!r} is given twice in {spec!r}")
        value = value.strip()
        while value.startswith("(") and value.endswith(")"):
            value = value[1:-1].strip()
        raw[key.strip()] = value
    return head, raw


def _in_parentheses(head: str, tail: str) -> str:
    """What was meant, perhaps, where the last value is a spec with a colon of its own."""
    before, _, value = head.rpartition("=")
    return f", as in {before.rpartition(':')[2].rpartition(',')[2]}=({value}:{tail})"


def _absolute(path: str) -> str:
    return str(paths.home(path).absolute())


def located(spec: str, place: Callable[[str], str] = _absolute) -> str:
    """A spec whose files have absolute paths, those in specs inside it included: it means the same in any folder.

    `place`: what is written for a file's path, where that is something else.
    """
    head, raw = split_spec(spec)
    path, cls = module_of(head)
    if path.endswith(".py"):
        head = ":".join([place(path), *([cls] if cls else [])])
    inside = {key: _located(value, place) if ".py" in value else value for key, value in raw.items()}
    return written(head, inside)


def _located(value: str, place: Callable[[str], str]) -> str:
    """The same of a parameter's value."""
    listed = named_list(value)
    if listed:
        return ",".join(f"{name}=({_located(each, place)})" for name, each in listed.items())
    return located(value, place)


def written(head: str, values: Mapping[str, str]) -> str:
    """A spec of a name and parameters as texts, those that look like specs in parentheses."""
    texts = [f"{key}=({value})" if set(value) & set(":,=()") else f"{key}={value}" for key, value in values.items()]
    return f"{head}:{','.join(texts)}" if texts else head


def named_list(value: str) -> dict[str, str]:
    """The specs of a value that lists several by name, `scale=(pkg:Scaler),model=(pkg:Model)`; empty if it is none."""
    items = [item.partition("=") for item in _outside(value, ",")]
    if not all(name.strip().isidentifier() and text.startswith("(") and text.endswith(")") for name, _, text in items):
        return {}
    return {name.strip(): text[1:-1].strip() for name, _, text in items}


def inner(values: Iterable[str]) -> Iterator[str]:
    """What parameters' values may name: each itself, or the specs that it lists by name."""
    for value in values:
        yield from named_list(value).values() or [value]


def _outside(text: str, separator: str) -> list[str]:
    """The parts of a text between separators that are not inside parentheses.

    Raises:
        LabError: parentheses that do not match.
    """
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0:
            break
        if character == separator and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if depth:
        raise LabError(f"parentheses do not match in {text!r}")
    return parts


def build(folder: str, spec: str) -> Any:
    """An instance from `name:key=value,...`; values are read as the field's type.

    Raises:
        LabError: unknown name, unknown parameter (with the allowed ones), or a value of the wrong type or range.
        MissingPackage: it needs a package of an extra that is not installed.
    """
    name, raw = split_spec(spec)
    cls = load(folder, name)
    if folder == "surrogates" and not is_surrogate(cls):
        return build(folder, written("regressor", {"estimator": spec}))
    if not dataclasses.is_dataclass(cls):
        meant = errors.of_predictor(cls) if folder == "strategies" else ""
        raise LabError(f"{spec!r}: {cls.__name__} must be a dataclass, its fields are its parameters{meant}")
    hints = typing.get_type_hints(cls)
    fields = {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}
    unknown = [key for key in raw if key not in fields]
    if unknown:
        raise LabError(f"{name} has no parameter {unknown[0]!r}{offered(unknown[0], fields, 'it has:')}")
    values = {key: _read(text, fields[key], f"{name}:{key}") for key, text in raw.items()}
    _check_whole(name, cls, values)
    try:
        with errors.contained(spec):
            built = cls(**values)
    except LabError:
        raise
    except Exception as error:  # the constructor is somebody's code
        why = error if isinstance(error, (ValueError, TypeError)) else errors.place(error)
        raise LabError(f"{spec}: {why}") from error
    extras.need(f"{_kind(folder)} {spec!r}", *extras.required(built))
    return built


def _check_whole(name: str, cls: type[Any], values: Mapping[str, Any]) -> None:
    """Refuse a class that lacks methods, or parameters that have no default and are not given."""
    if lacking := sorted(getattr(cls, "__abstractmethods__", ())):
        raise LabError(
            f"{name}: {cls.__name__} lacks {' and '.join(lacking)}; `nasbench-lab new` writes one that works"
        )
    missing = [
        each.name
        for each in inspect.signature(cls).parameters.values()
        if each.default is each.empty
        and each.name not in values
        and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if missing:
        raise LabError(
            f"{name}: parameter {missing[0]!r} has no default; give it one, or say {name}:{missing[0]}=VALUE"
        )


def is_surrogate(found: Any) -> bool:
    """Whether a class predicts cells of a space itself; any other with `fit` and `predict` is a regressor on rows."""
    fit = getattr(found, "fit", None)
    told = hasattr(found, "alike") or (callable(fit) and "space" in inspect.signature(fit).parameters)
    return dataclasses.is_dataclass(found) and inspect.isclass(found) and told


def literal(text: str) -> Any:
    """A text as the Python literal that it is, `true`, `none` and `inf` among them; itself where it is none."""
    lowered = {"true": True, "false": False, "none": None, "inf": float("inf")}
    try:
        return lowered[text.lower()] if text.lower() in lowered else ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text


def _read(text: str, kind: Any, where: str) -> Any:
    """A parameter's text as a value of `kind`; `a|b` unions are tried as Python literals."""
    if kind is str:
        return text
    value = literal(text)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    allowed = typing.get_args(kind) or (kind,)
    allowed = tuple(typing.get_origin(a) or a for a in allowed)
    if typing.get_origin(kind) is typing.Literal:
        ok = value in typing.get_args(kind)
    else:
        ok = isinstance(value, allowed) and not (isinstance(value, bool) and bool not in allowed)
    if not ok:
        raise LabError(f"{where} must be {errors.values_of(kind)}, got {text!r}")
    return value
