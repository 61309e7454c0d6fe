"""Authors' files where jobs are run: as they are found there, or as they were sent, once for every home folder that lacks them.

What was sent lies in a cache by its digest, every file below its absolute path at home, so that a strategy finds there what it
finds at home: helpers beside it, packages around it, data that it opens by `__file__`. Modules from folders of `sys.path` are
found in theirs. Not sent: what a strategy opens by a path that is written in it, or has no source.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import platformdirs

from nasbench_lab import imports, loading, sources
from nasbench_lab.core import LabError
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.study.plan import Group

_HERE = "<here>"  # in a spec, before the absolute path of a file at home
_MOST = 64 << 20  # bytes of files that are sent with a strategy


@dataclass(frozen=True)
class Code:
    """What of its author's a strategy is made of.

    Attributes:
        spec: of the strategy, with `_HERE` before its files.
        files: absolute path at home -> SHA-256, as pairs.
        folders: of `sys.path` at home that hold some of them, in its order.
        beside: folders of the strategy's files; a module there is no other one, whatever lies where a worker stands.
        contents: of the files, in their order, where they were asked for.
    """

    spec: str
    files: tuple[tuple[str, str], ...]
    folders: tuple[str, ...]
    beside: tuple[str, ...]
    contents: tuple[bytes, ...] = ()

    @property
    def digest(self) -> str:
        """Of all files, with where they lie."""
        return hashlib.sha256(json.dumps(self.files).encode()).hexdigest()[:16]


def of_group(group: Group, heard: Mapping[str, str]) -> Code | None:
    """What other processes need of a strategy that was built here, with its content; None where all of it is installed.

    Args:
        group: whose strategy is somebody's.
        heard: files that took part in a run; path -> SHA-256.

    Raises:
        LabError: a file was edited after it was loaded.
    """
    spec, evaluator = loading.located(group.spec), group.task.evaluator
    found = sources.own(type(group.strategy), type(evaluator), (spec, evaluator.policy["evaluator"])) | dict(heard)
    if not found:
        return None
    for path in list(found):
        found |= {str(each): imports.sha256(each) for each in _packages(Path(path)) if str(each) not in found}
    files = tuple(sorted(found.items()))
    named = [path for path in map(str, sources.files_in(spec)) if path in found]
    beside = dict.fromkeys(str(each) for path in named for each in imports.places(Path(path)))
    code = Code(_marked(spec, found), files, tuple(_folders(found)), tuple(beside))
    return replace(code, contents=_contents(code))


def without(code: Code | None) -> Code | None:
    """The same without its content."""
    return replace(code, contents=()) if code else None


def _packages(path: Path) -> Iterator[Path]:
    """The `__init__.py` of the packages a file is in."""
    for folder in path.parents:
        if not (folder / "__init__.py").is_file():
            return
        yield folder / "__init__.py"


def _folders(files: Mapping[str, str]) -> Iterator[str]:
    """The folders in which Python looks for modules here that hold some of the files."""
    for folder in dict.fromkeys(os.path.realpath(each or os.getcwd()) for each in sys.path):
        if any(path.startswith(os.path.join(folder, "")) for path in files):
            yield folder


def _marked(spec: str, files: Mapping[str, str]) -> str:
    def place(path: str) -> str:
        real = str(Path(path).resolve())
        return f"{_HERE}{real}" if real in files else path

    return loading.located(spec, place)


def _contents(code: Code) -> tuple[bytes, ...]:
    """The files; none where they are too large to be sent.

    Raises:
        LabError: one was edited, or is gone.
    """
    try:
        if sum(os.path.getsize(path) for path, _ in code.files) > _MOST:
            return ()
        contents = tuple(Path(path).read_bytes() for path, _ in code.files)
    except OSError as error:
        raise LabError(f"{error.filename} cannot be read: {error.strerror}") from error
    for (path, sha), content in zip(code.files, contents, strict=True):
        if hashlib.sha256(content).hexdigest() != sha:
            raise LabError(f"{path} was edited after it was loaded: start again")
    return contents


class Place(NamedTuple):
    """Where files are that are elsewhere at home: below `root`; "" where they are at the same paths."""

    root: str

    def spec(self, at_home: str, code: Code | None) -> str:
        """The strategy's, with its files here."""
        return code.spec.replace(_HERE, self.root) if code and self.root else at_home

    def missed(self) -> tuple[str, ...]:
        """What strategies wanted to read among their files that was not sent, by the paths at home."""
        return (
            tuple(path.replace(self.root, "", 1) for path in sorted(imports.missed(f"{self.root}{os.sep}")))
            if self.root
            else ()
        )

    def at_home(self, taken: Mapping[str, str]) -> dict[str, str]:
        """What took part (`sources.taken`), by the paths at home."""
        return {name.replace(self.root, "", 1) if self.root else name: sha for name, sha in taken.items()}


def folder() -> Path:
    """Where files that were sent are kept; a cache of the user's, which can be removed."""
    return (Path(platformdirs.user_cache_dir("nasbench_lab")) / "code").resolve()


def receive(code: Code) -> None:
    """Keep files that came with a job.

    Raises:
        LabError: one was damaged on its way, or the cache cannot be written.
    """
    root = _root(code)
    for (path, sha), content in zip(code.files, code.contents, strict=False):
        if hashlib.sha256(content).hexdigest() != sha:
            raise LabError(f"{path} was damaged on its way")
        write_atomically(Path(f"{root}{path}"), content)
    importlib.invalidate_caches()


def lacking(code: Code) -> bool:
    """Whether the files are not here, neither where they are at home nor as they were sent."""
    return not _whole(code, "") and not _whole(code, _root(code))


@contextmanager
def placed(code: Code | None) -> Iterator[Place]:
    """Have modules found as at home meanwhile; where the files are."""
    if code is None:
        yield Place("")
        return
    root = "" if _whole(code, "") else _root(code)
    _forget(lambda path: path.startswith(str(folder())) and not (root and path.startswith(f"{root}{os.sep}")))
    wanted = dict.fromkeys(f"{root}{each}" for each in (*code.folders, *(code.beside if root else ())))
    added = [each for each in wanted if root or each not in map(os.path.realpath, sys.path)]
    sys.path[:0] = added
    try:
        yield Place(root)
    finally:
        for each in added:
            sys.path.remove(each)


def _root(code: Code) -> str:
    return str(folder() / code.digest)


def _whole(code: Code, root: str) -> bool:
    return all(imports.sha256(f"{root}{path}") == sha for path, sha in code.files)


def _forget(wrong: Callable[[str], bool]) -> None:
    """Have modules loaded again that are of files which were sent for others."""
    for name, module in list(sys.modules.items()):
        if wrong(str(getattr(module, "__file__", None) or "")) and not name.startswith(imports.PREFIX):
            del sys.modules[name]
