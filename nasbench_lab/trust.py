"""Whose code a spec names: ours, or somebody's, which is run only where whoever looks trusts it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from nasbench_lab import loading
from nasbench_lab.errors import LabError
from nasbench_lab.files import paths


def foreign(folder: str, spec: str) -> bool:
    """Whether a spec names somebody's code, at its head or in a spec inside it: a file, a class, an entry point, a program.

    Looking at somebody's results runs none of it.
    """
    return bool(untrusted(folder, spec, ()))


def program(spec: str) -> str:
    """The command of a strategy that is a program of its own; "" of any other."""
    head, raw = loading.split_spec(spec)
    return raw.get("command", "") if head == "external" else ""


def untrusted(folder: str, spec: str, trusted: Sequence[str] | None) -> list[str]:
    """What a spec names of somebody's code and nobody trusts: it may be run where this is nothing.

    Args:
        folder: of the plug-in at its head.
        spec: as somebody's study has it.
        trusted: whole specs; files, modules and classes, each of which stands for itself alone, whatever its parameters;
            commands of programs. None for all.

    Returns:
        A name each by which it could be trusted.
    """
    if trusted is None:
        return []
    known = set(map(_placed, trusted))
    codes = [] if _placed(spec) in known else _codes(spec, lambda head: head in loading.leaves(folder))
    return list(dict.fromkeys(code[0] for code in codes if known.isdisjoint(map(_placed, code))))


def _codes(spec: str, plain: Callable[[str], bool]) -> Iterator[list[str]]:
    """Somebody's code in a spec, piece by piece: how each may be named. `plain` says of a head that it is none."""
    try:
        head, raw = loading.split_spec(spec)
    except LabError:
        yield [spec]
        return
    if head == "external":  # the program is the code
        yield [spec, *([raw["command"]] if raw.get("command") else [])]
        return
    if not plain(head):
        yield [head, *([module] if (module := loading.module_of(head)[0]) else [])]
    for value in loading.inner(raw.values()):
        yield from _codes(value, _no_code)


def _no_code(head: str) -> bool:
    """Of a parameter's value: what looks like somebody's plug-in is taken for it."""
    return not (
        ":" in head or head.endswith(".py") or loading.others("surrogates", head) or loading.others("strategies", head)
    )


def _placed(name: str) -> str:
    """A name of a file's code with the file's whole path, however it was written; other names as they are."""
    with suppress(LabError, OSError, ValueError):
        file, rest = loading.module_of(name.strip())
        if file.endswith(".py"):
            return ":".join([str(paths.home(file).resolve()), *([rest] if rest else [])])
    return name.strip()
