"""Odd invocations of the command line, made from a seed: every command and option there is, with odd values of every kind.

`python odd.py COUNT SEED` runs so many of them, each in a child of this process that stands in a folder of its own, and
prints a line of JSON for each that did not behave: an exit code that is not documented, a traceback, more than a sentence,
something written where nobody said, a process left behind.
"""

from __future__ import annotations

import atexit
import importlib
import io
import json
import os
import pkgutil
import pwd
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import typing
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import odd_files
import pooch
from odd_lines import Invocation, invocations

import nasbench_lab
from nasbench_lab.cli import app

LIMIT = 15.0  # seconds; what runs longer is sent SIGTERM, and has to end as if by Ctrl-C
CODES = {0, 1, 2, 3}


class Outcome(NamedTuple):
    """What came of it: exit code, what was said, seconds, whether it had to be told to end, what was written, who is left."""

    code: int
    out: str
    err: str
    seconds: float
    ended: bool
    written: list[str]
    left: bool


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
        if not any(_of_group(path, child) for path in Path("/proc").glob("[0-9]*/stat")):
            return False
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    return True


def _of_group(stat: Path, group: int) -> bool:
    """Whether a process is of a group, and has not only not been waited for."""
    try:
        state, _, found = stat.read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return int(found) == group and state != "Z"


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
        "NASBENCH_LAB_CACHE": str(place.parent / "tmp"),  # a compiler that is at work would outlive whoever is ended
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
    told.append((invocation.environment.get("NASBENCH_LAB_DATA") or "results").replace("~", "home"))
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
        with suppress(ImportError):  # where torch is absent
            fused = importlib.import_module("nasbench_lab.training.fused")
            fused.library()  # compiled once on this machine, not once for every test
            for built in fused._cache_folder().glob("*.so"):
                shutil.copy(built, base / "tmp")
        os.environ["NASBENCH_LAB_CACHE"] = str(base / "tmp")
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
