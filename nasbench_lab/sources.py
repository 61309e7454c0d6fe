"""What decides a record: the source files of loop, evaluator and strategy with all they import, and versions of packages.

A strategy that was edited, or a loop that was mended, makes other runs: they are done again, never mixed. Followed are
the own files of strategy and evaluator, those of their base classes, and all that these import from their own folder or
from `_DECIDING`, the training of a supernet included. Not followed: other installed packages. Of these the versions are kept,
but only of those that take part: a run of `gp_bo` is the same one whether torch is installed or not.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import inspect
import platform
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from nasbench_lab import extras

ROOT = Path(__file__).parent
_STANDARD = Path(sysconfig.get_paths()["stdlib"])
_LOOP = ("spaces/space.py", "spaces/cell.py", "core.py", "study/runner.py")
_ASSESSMENT = (
    "spaces/space.py",
    "spaces/cell.py",
    "core.py",
    "stats/calibration.py",
    "experiments/assessment.py",
)
_DECIDING = (
    "spaces",
    "core",
    "strategies",
    "surrogates",
    "evaluators",
    "training",
)  # what a record may stand on
_PACKAGES = ("numpy", "scipy", "nasbench-lab")  # what every record is computed with
_DISTRIBUTIONS = {
    "sklearn": "scikit-learn",
    "nas_201_api": "nas-bench-201",
}  # of packages that are imported by another name
_ANSWERING = ("predicted.py", "readings.py")  # files of tables/ that compute answers instead of holding them


def digest(strategy: type[Any], evaluator: type[Any]) -> str:
    """SHA-256, shortened, of the files as they are on disk now."""
    return digest_of([ROOT / name for name in _LOOP], strategy, evaluator)


def assessment_digest(surrogate: type[Any]) -> str:
    """The same for what decides how good a surrogate is found to be: its sources, the experiment and its measures."""
    return digest_of([ROOT / name for name in _ASSESSMENT], surrogate)


def versions(*parts: object, task: Any = None) -> dict[str, str]:
    """Versions of what a record can depend on: Python, the machine, the core's packages, and what the parts compute with.

    Args:
        *parts: strategy, evaluator, surrogate: ours say in `requires` what they need, of others all imports count.
        task: on which the strategy runs; it may need more on one than on another.
    """
    named = {package for part in parts for package in extras.required(part, task)}
    named |= {package for part in parts for package in _imported_elsewhere(type(part))}
    return installed([*_PACKAGES, *sorted(_distribution(package) for package in named), "python", "machine"])


def installed(names: Iterable[str]) -> dict[str, str]:
    """The versions that are installed now, of packages, "python" and "machine"."""
    return {name: _version(name) for name in names}


@cache
def _version(name: str) -> str:
    if name == "python":
        return ".".join(map(str, sys.version_info[:2]))
    if name == "machine":
        return platform.machine()
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


@cache
def _distribution(package: str) -> str:
    """What a package is called where it is installed from."""
    if package in extras.EXTRAS:
        return _DISTRIBUTIONS.get(package, package)
    return next(iter(importlib.metadata.packages_distributions().get(package, ())), package)


def _imported_elsewhere(cls: type[Any]) -> set[str]:
    """The installed packages that the author's own files of a class import, if it is not one of ours."""
    own = [path for path in followed((), cls) if ROOT not in path.parents]
    names = {name.partition(".")[0] for path in own for name in _imports(path, path.stat().st_mtime_ns)}
    beside = {path.stem for path in own} | {"nasbench_lab", "numpy", "scipy"}
    return {name for name in names - beside - sys.stdlib_module_names if not extras.absent(name)}


def followed(files: Iterable[Path], *classes: type[Any]) -> set[Path]:
    """Some files, and those of classes and their bases with all that they import, as far as it decides a record."""
    found = set(files)
    for base in (base for cls in classes for base in cls.__mro__):
        for path in _file_of(base):
            _follow(path, found)
    return found


def digest_of(files: Iterable[Path], *classes: type[Any]) -> str:
    """Of some files, and of those of classes and their bases with all that they import; see `followed`."""
    sha = hashlib.sha256()
    for path in sorted(followed(files, *classes), key=lambda p: (p.name, str(p))):
        sha.update(path.name.encode() + path.read_bytes())
    return sha.hexdigest()[:16]


def _file_of(cls: type[Any]) -> Iterator[Path]:
    """The file of a class, unless it is Python's own."""
    try:
        source = inspect.getsourcefile(cls)
    except TypeError:  # built in
        return
    if source and (_STANDARD not in Path(source).parents or "site-packages" in source):
        yield Path(source)


def _follow(path: Path, found: set[Path]) -> None:
    """Add a file and all it imports that can decide a record."""
    if path in found or not path.is_file():
        return
    found.add(path)
    for name in _imports(path, path.stat().st_mtime_ns):
        for imported in _resolve(name, path.parent):
            _follow(imported, found)


@lru_cache(maxsize=512)
def _imports(path: Path, _modified: int) -> tuple[str, ...]:
    """Every module a file names in an import; `from a import b` as a and a.b."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(dict.fromkeys(names))


def _resolve(name: str, folder: Path) -> list[Path]:
    """The files behind an imported name, as far as they can decide a record."""
    parts = name.split(".")
    if parts[0] == "nasbench_lab":
        if parts[1:2] == ["loading"]:  # whoever loads by name may load any surrogate
            return sorted((ROOT / "surrogates").glob("*.py"))
        computed = parts[1:2] == ["tables"] and f"{parts[-1]}.py" in _ANSWERING
        inside = len(parts) > 1 and (parts[1] in _DECIDING or computed)
        return [ROOT.joinpath(*parts[1:]).with_suffix(".py")] if inside else []
    beside = folder.joinpath(*parts).with_suffix(".py")
    module = sys.modules.get(name)
    known = Path(getattr(module, "__file__", None) or "/nowhere")
    return [path for path in (beside, known) if path.is_file() and folder in path.parents]
