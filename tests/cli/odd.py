"""Odd invocations of the command line, made from a seed: every command and option there is, with odd values of every kind.

`python odd.py COUNT SEED` runs so many of them, each in a child of this process that stands in a folder of its own, and
prints a line of JSON for each that did not behave: an exit code that is not documented, a traceback, more than a sentence,
something written where nobody said, a process left behind.
"""

from __future__ import annotations

import atexit
import importlib
import inspect
import io
import json
import os
import pkgutil
import pwd
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import typing
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import odd_files
import pooch
import typer

import nasbench_lab
from nasbench_lab.cli import app

LIMIT = 15.0  # seconds; what runs longer is sent SIGTERM, and has to end as if by Ctrl-C
CODES = {0, 1, 2, 3}
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


class Outcome(NamedTuple):
    """What came of it: exit code, what was said, seconds, whether it had to be told to end, what was written, who is left."""

    code: int
    out: str
    err: str
    seconds: float
    ended: bool
    written: list[str]
    left: bool


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


def run(invocation: Invocation, base: Path, limit: float = LIMIT) -> Outcome:
    """Run it in a child, in a copy of the files under `base`/files."""
    place = base / "place"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base / "files", place, symlinks=True)
    os.mkfifo(place / "fifo")
    before = _listed(place)
    said = [(base / name).open("w+b") for name in ("out", "err")]
    begin = time.monotonic()
    child = os.fork()
    if child == 0:
        _child(invocation, place, said)
    status, ended = _waited(child, begin + limit)
    seconds, left = time.monotonic() - begin, _left(child)
    place.chmod(0o777)
    written = sorted(name for name, state in _listed(place).items() if before.get(name) != state)
    written += [f"{name} is gone" for name in sorted(set(before) - set(_listed(place)))]
    texts = []
    for file in said:
        file.seek(0)
        texts.append(file.read().decode(errors="replace"))
        file.close()
    return Outcome(os.waitstatus_to_exitcode(status), *texts, seconds, ended, written, left)


def _listed(place: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for folder, folders, files in os.walk(place):
        for name in (*folders, *files):
            path = Path(folder, name)
            state = path.lstat()
            found[str(path.relative_to(place))] = (0, 0) if path.is_dir() else (state.st_mtime_ns, state.st_size)
    return found


def _waited(child: int, deadline: float) -> tuple[int, bool]:
    """The child's status, and whether it had to be told to end."""
    for told, name in ((False, signal.SIGTERM), (True, signal.SIGKILL)):
        while time.monotonic() < deadline:
            found, status = os.waitpid(child, os.WNOHANG)
            if found:
                return status, told
            time.sleep(0.01)
        os.kill(child, name)
        deadline = time.monotonic() + 10
    return os.waitpid(child, 0)[1], True


def _left(child: int) -> bool:
    """Whether one of the child's processes outlives it by ten seconds; it is then ended."""
    for _ in range(200):
        try:
            os.killpg(child, 0)
        except (ProcessLookupError, PermissionError):
            return False
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    return True


def _child(invocation: Invocation, place: Path, said: list[io.BufferedRandom]) -> typing.NoReturn:
    code = 70
    try:
        code = _inside(invocation, place, said)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            atexit._run_exitfuncs()  # as at the end of a process of its own: helpers of helpers end, locks are given back
        with suppress(Exception):
            sys.stdout.flush()
        with suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


def _inside(invocation: Invocation, place: Path, said: list[io.BufferedRandom]) -> int:
    environment = invocation.environment
    os.setsid()
    os.chdir(place)
    resource.setrlimit(resource.RLIMIT_DATA, (6 << 30, 6 << 30))
    resource.setrlimit(resource.RLIMIT_FSIZE, (300 << 20, 300 << 20))
    os.environ |= {
        "HOME": str(place / "home"),
        "TMPDIR": str(place.parent / "tmp"),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "OMP_NUM_THREADS": "1",
    }
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        elif name.isupper():
            os.environ[name] = value
    tempfile.tempdir = None
    os.umask(int(environment.get("umask") or "22", 8))
    _streams(environment, said)
    if environment.get("cwd") == "read-only":
        place.chmod(0o555)
    elif environment.get("cwd") == "removed":
        (place / "removed").mkdir()
        os.chdir(place / "removed")
        (place / "removed").rmdir()
    if "HOME" in environment:
        pwd.getpwuid = _no_entry
    sys.argv = ["nasbench-lab", *invocation.arguments]
    try:
        app.main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _no_entry(user: int) -> typing.NoReturn:
    """Of the list of users, for one who is not in it."""
    raise KeyError(f"getpwuid(): uid not found: {user}")


def _streams(environment: dict[str, str | None], said: list[io.BufferedRandom]) -> None:
    """Standard input, output and error as the invocation has them."""
    for file, number in zip(said, (1, 2), strict=True):
        os.dup2(file.fileno(), number)
    if environment.get("stdout") == "full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
    if environment.get("stdin") == "closed":
        os.close(0)
        sys.stdin = None  # type: ignore[assignment]  # as Python does it
    else:
        binary = environment.get("stdin") == "binary"
        os.dup2(os.open("binary" if binary else os.devnull, os.O_RDONLY), 0)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    encoding = environment.get("encoding") or "utf-8"
    sys.stdout = open(1, "w", encoding=encoding, errors="strict", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115


def complaints(invocation: Invocation, outcome: Outcome) -> list[str]:
    """What is wrong with what came of it."""
    found = []
    if outcome.code not in CODES:
        found.append(f"exit code {outcome.code}")
    if "Traceback" in outcome.err + outcome.out:
        found.append("a traceback")
    if outcome.left:
        found.append("a process is left")
    lines = [line for line in outcome.err.splitlines() if line.strip()]
    usage = lines[:1] and lines[0].startswith("Usage: ")
    said = [line for line in lines if not line.startswith(("note: ", "Trainings go to"))]
    if outcome.code == 2 and not usage and (len(said) != 1 or not said[0].startswith("nasbench-lab: ")):
        found.append("not one sentence")
    if outcome.code != 2 and any(not line.startswith("nasbench-lab: ") for line in said):
        found.append("said aside")
    if outcome.code in CODES and any(len(line) > 1500 for line in said):
        found.append("a long sentence")
    if outcome.code == 0 and "--json" in invocation.arguments and "--help" not in invocation.arguments and outcome.out:
        with suppress(json.JSONDecodeError):
            json.loads(outcome.out)
            return found + _elsewhere(invocation, outcome)
        found.append("no JSON")
    return found + _elsewhere(invocation, outcome)


def _elsewhere(invocation: Invocation, outcome: Outcome) -> list[str]:
    """What was written where nobody said."""
    told = ["results", "home/.local/share/nasbench_lab", "home/.cache/nasbench_lab"]
    told += [invocation.environment.get("NASBENCH_LAB_DATA") or "results"]
    for text in invocation.arguments:
        text = text.partition("=")[2] if text.startswith("--") and "=" in text else text
        told.append(os.path.normpath(f"home{text[1:]}" if text == "~" or text.startswith("~/") else text or "."))
    if "export" in invocation.arguments:
        told += [name for name in outcome.written if "/" not in name and not name.endswith(".tmp")]
    wrong = [name for name in outcome.written if not any(_within(name, place) for place in told) or ".tmp" in name]
    return [f"written: {', '.join(wrong[:3])}"] if wrong else []


def _within(name: str, place: str) -> bool:
    """Whether a path is inside a place, or one of the folders that it is in."""
    return place in (".", "home") or f"{name}/".startswith(f"{place}/") or f"{place}/".startswith(f"{name}/")


def _import_all() -> None:
    """Import once what children would each import anew."""
    for found in pkgutil.walk_packages(nasbench_lab.__path__, "nasbench_lab."):
        if not found.name.endswith("__main__"):
            with suppress(Exception):
                importlib.import_module(found.name)


def main(count: int, seed: int, only: int | None = None) -> None:
    """Run them, print those that did not behave, then how many were run."""
    if count > 100:
        _import_all()
    pooch.core.time.sleep = lambda _: None  # between attempts to reach what cannot be reached from here
    base = Path(tempfile.mkdtemp(prefix="odd-"))
    (base / "tmp").mkdir()
    codes: dict[int, int] = {}
    try:
        odd_files.make(base / "files")
        for number, invocation in enumerate(invocations(count, seed)):
            if only not in (None, number):
                continue
            outcome = run(invocation, base)
            if number % 100 == 99:
                print(number + 1, file=sys.stderr, flush=True)
            codes[outcome.code] = codes.get(outcome.code, 0) + 1
            if (found := complaints(invocation, outcome)) or only is not None or os.environ.get("ODD_ALL"):
                said = outcome._replace(out=outcome.out[-600:], err=outcome.err[-3000:])._asdict()
                print(json.dumps({"number": number, "found": found, **invocation._asdict(), **said}), flush=True)
        print(json.dumps({"run": sum(codes.values()), "codes": codes}))
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
