"""Odd command lines, made from a seed: every command and option there is, with odd values of every kind."""

from __future__ import annotations

import inspect
import random
import re
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

import odd_files
import typer

from nasbench_lab.cli import app

TEXTS = [
    "", " ", "\n", "a\nb", "-", "--", "~", "~/x", "~nobody-there/x", "-1", "0", "1", "nan", "inf", "-inf", "1e400", "1e18",
    "9" * 400, str(2**31), str(2**63), str(2**64), "1.5", "0x10", "1_0", "１２", "²", "é", "🙂", "\udcff", "a" * 5000, "../x",
    "/proc/self/mem", ".", "..", "x:y=z", ":", "=", "(", ")", "a=(b", "a:b", "a:b=", "|", "<b>",
    "{}", "%s", "[bold]", "*", "null", "True", "None", "\x1b[31m", "CON", ",", "1,", "1,,2", "a" * 300 + ".npz", "\\",
]  # fmt: skip
KNOWN = {  # what a parameter of this name takes, whatever the command
    "strategies": ["random_search", "local_search:improvement=best", "regularized_evolution", "gp_bo:initial=2", "optuna_tpe"],
    "specs": ["knn", "bayes_linear", "mlp:members=2", "no_such_thing"],
    "table": ["toy", "digits", "cifar10-surrogate"], "tables": ["toy"], "names": ["toy", "digits"], "score": ["toy", "digits"],
    "sources": ["cifar100-surrogate", "toy"], "search": ["all", "oracle", "12", "6"], "trials": ["mean", "sample"],
    "repeats": ["charge", "free", "free-class"], "evaluator": ["tabular", "surrogate:model=knn,cells=20", "training"],
    "backend": ["loky", "threading", "sequential", "dask", "ray", "no_such"], "objectives": ["params_m", "flops_m", "val"],
    "kind": ["strategy", "surrogate"], "trust": ["all", "ok.py"], "run_id": ["000000000000", "000000000000:1"],
    "readings": ["plain", "no_such"], "data": ["digits", "cifar10"], "target": ["val", "test", "seconds"], "split": ["class", "cell"],
    "train": ["5,10"], "device": ["cpu", "cuda"], "format": ["csv", "parquet", "nats-simple", "syne-tune"], "charts": ["svg"],
    "arch": ["0", "15624", "none,none,none,none,none,none"], "dataset": ["cifar10"], "origin": ["http://127.0.0.1:9/"],
    "family": ["local"], "name": ["toy", "random_search", "nb201"],
}  # fmt: skip
QUICK = {  # what keeps a command short unless it is what is odd
    "seeds": "2", "max_queries": "3", "epochs": "1", "part_size": "8", "held_out_size": "8", "cells": "2", "images": "8",
    "top": "1", "classes": "2", "best": "0", "random": "0", "every": "0", "train": "5", "test_size": "50", "specs": "knn", "seed": "1",
    "readings": "plain", "strategies": "random_search", "tables": "toy", "table": "toy",
}  # fmt: skip
PATHS = {
    "study",
    "path",
    "target",
    "folder",
    "name",
    "names",
    "strategies",
    "specs",
    "table",
    "score",
    "tables",
    "sources",
    "trust",
}
ENVIRONMENTS: list[dict[str, str | None]] = [
    {"HOME": None}, {"HOME": ""}, {"HOME": "/proc/nowhere"}, {"NASBENCH_LAB_DATA": "~/x"}, {"NASBENCH_LAB_DATA": "gone"},
    {"NASBENCH_LAB_DATA": "ok.py"}, {"NASBENCH_LAB_DATA": ""}, {"NASBENCH_LAB_DATA": "data"}, {"COLUMNS": "0"}, {"COLUMNS": "1"},
    {"COLUMNS": "x"}, {"TMPDIR": "/proc/nowhere"}, {"TERM": "dumb"}, {"encoding": "ascii"}, {"encoding": "latin-1"}, {"umask": "777"},
    {"umask": "0"}, {"stdin": "closed"}, {"stdin": "binary"}, {"stdout": "full"}, {"cwd": "removed"}, {"cwd": "read-only"},
]  # fmt: skip


class Parameter(NamedTuple):
    """Of a command: its name, how it is given ("" for an argument), and what it takes."""

    name: str
    option: str
    kind: str
    many: bool
    required: bool


class Invocation(NamedTuple):
    """A command line, and where it is given."""

    arguments: list[str]
    environment: dict[str, str | None]


def commands() -> dict[tuple[str, ...], list[Parameter]]:
    """Every command of the command line with its parameters."""
    return dict(_commands(typer.main.get_command(app.app), ()))


def _commands(command: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], list[Parameter]]]:
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*path, name))
    if not hasattr(command, "commands"):
        hints = typing.get_type_hints(inspect.unwrap(command.callback))
        yield path, [_parameter(each, hints[each.name]) for each in command.params if each.name in hints]


def _parameter(found: Any, hint: Any) -> Parameter:
    option = "" if found.param_type_name == "argument" else found.opts[0]
    many = bool(found.nargs == -1 or getattr(found, "multiple", False))
    kinds = [kind for kind in ("Path", "bool", "int", "float") if re.search(rf"\b{kind}\b", str(hint))]
    return Parameter(found.name, option, kinds[0] if kinds else "str", many, bool(found.required))


def invocations(count: int, seed: int) -> Iterator[Invocation]:
    """So many of them; every command in turn."""
    every = list(commands().items())
    for number in range(count):
        rng = random.Random(f"{seed} {number}")
        path, parameters = every[number % len(every)]
        yield Invocation(_arguments(path, parameters, rng), rng.choice(ENVIRONMENTS) if rng.random() < 0.3 else {})


def _arguments(path: tuple[str, ...], parameters: list[Parameter], rng: random.Random) -> list[str]:
    odd = set(rng.sample(range(len(parameters)), min(len(parameters), rng.choice([0, 1, 1, 1, 2, 3]))))
    parts = []
    for number, parameter in enumerate(parameters):
        if number in odd:
            parts.append(_given(parameter, rng, odd=True))
        elif parameter.name in QUICK and parameter.kind != "bool":
            parts.append([value for value in (parameter.option, QUICK[parameter.name]) if value])
        elif parameter.required or rng.random() < 0.15:
            parts.append(_given(parameter, rng, odd=False))
    match rng.randrange(25):
        case 0:
            parts.append([rng.choice(["--no-such", "-x", "--out", "--help", "extra", *TEXTS])])
        case 1:
            parts += rng.sample(parts, min(1, len(parts)))
        case 2:
            rng.shuffle(parts)
        case 3:
            parts = parts[:-1]
    return [*path, *(text for part in parts for text in part)]


def _given(parameter: Parameter, rng: random.Random, *, odd: bool) -> list[str]:
    """A parameter with a value, or several."""
    if parameter.kind == "bool":
        return [parameter.option] * (1 + (odd and rng.random() < 0.2))
    values = [_value(parameter, rng, odd=odd) for _ in range(rng.choice([1, 1, 2]) if odd or parameter.many else 1)]
    if not parameter.option:
        return values if parameter.many else values[:1]
    if rng.random() < 0.2:
        return [f"{parameter.option}={value}" for value in values]
    return [text for value in values for text in (parameter.option, value)]


def _value(parameter: Parameter, rng: random.Random, *, odd: bool) -> str:
    paths = parameter.kind == "Path" or parameter.name in PATHS
    if odd and paths and rng.random() < 0.6:
        return rng.choice(odd_files.ODD)
    if odd and parameter.name in KNOWN and rng.random() < 0.3:
        return rng.choice(KNOWN[parameter.name]) + rng.choice(
            ["", ":", ":x=1", ":initial=", ":initial=nan", " ", ",", "\n", ".npz"]
        )
    if odd:
        return rng.choice(TEXTS)
    if paths and parameter.name not in KNOWN:
        return rng.choice(odd_files.PLAIN) if parameter.name in PATHS else "made"
    return rng.choice(KNOWN.get(parameter.name, ["1"]))
