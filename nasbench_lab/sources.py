"""What decides a record: the source files of loop, evaluator and strategy with all they import, and versions of packages.

A strategy that was edited, or a loop that was mended, makes other runs: they are done again, never mixed. There are two
answers, and a run is reused only where both are the same. `digest` is part of a run's id: the files of strategy and
evaluator, of their bases and of plug-ins named in their specs, and all that these import as far as their text tells.
`taken` is written into the file of the runs: what was in fact loaded and opened, however it was asked for. Not followed:
other installed packages. Of these the versions are kept, but only of those that take part: a run of `gp_bo` is the same
one whether torch is installed or not.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import importlib.util
import inspect
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nasbench_lab import extras, imports, loaded, loading, trust
from nasbench_lab.errors import LabError
from nasbench_lab.files import paths
from nasbench_lab.files.writing import data_folders

ROOT = Path(__file__).parent
_LOOP = ("spaces/space.py", "spaces/cell.py", "core.py", "study/runner.py")
_ASSESSMENT = (
    "spaces/space.py",
    "spaces/cell.py",
    "core.py",
    "stats/calibration.py",
    "stats/gains.py",
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
_IMPORTERS = {"import_module", "__import__"}
_DATA = "data:"  # before the path of a file that was opened, not imported
_UNSEEN = "unseen:"  # before what took part, or may have, and has no source
_PROGRAM = "modules of a program of its own"


def digest(
    strategy: object, evaluator: type[Any], specs: Iterable[str] = (), policy: Mapping[str, Any] = MappingProxyType({})
) -> str:
    """SHA-256, shortened, of the files that decide a run, which are what is loaded here.

    Args:
        strategy: an instance: its parameters may name further plug-ins, by default, too (the arms of a portfolio).
        evaluator: class.
        specs: those of both.
        policy: the evaluator's: where trainings are drawn for a seed, what draws them decides, too.

    Raises:
        LabError: a file was edited after it was loaded.
    """
    fields = (getattr(strategy, name) for name in getattr(strategy, "__dataclass_fields__", ()))
    texts = [*specs, *(value for value in fields if isinstance(value, str))]
    drawing = [ROOT / "tables" / "trainings.py"] if policy.get("trials", "mean") != "mean" else []
    files = [*(ROOT / name for name in _LOOP), *drawing, *(path for text in texts for path in files_in(text))]
    deciding = followed(files, type(strategy), evaluator)
    loaded.check_current(deciding)
    found = _sha256(deciding)
    alive = loaded.alive(type(strategy))
    return hashlib.sha256((found + alive).encode()).hexdigest()[:16] if alive else found


def assessment_digest(surrogate: type[Any], spec: str) -> str:
    """The same for what decides how good a surrogate is found to be: its sources, the experiment and its measures."""
    return digest_of([*(ROOT / name for name in _ASSESSMENT), *files_in(spec)], surrogate)


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
    imported = [each for path in own for each in _imports(path, *imports.stamp(str(path)))]
    names = {name.partition(".")[0] for level, name in imported if not level}
    beside = {path.stem for path in own} | {"nasbench_lab", "numpy", "scipy"}
    return {name for name in names - beside - sys.stdlib_module_names if not extras.absent(name)}


def followed(files: Iterable[Path], *classes: type[Any]) -> set[Path]:
    """Some files, and those of classes and their bases with all that they import, as far as it decides a record."""
    found: set[Path] = set()
    for path in files:
        if imports.authored(str(path)):
            _follow(path, found)
        found |= {path, *_installed(path)}
    for cls in classes:
        for path in (path for base in cls.__mro__ for path in _file_of(base)):
            _follow(path, found)
        found |= {each for path in _file_of(cls) for each in _installed(path)}
    return found


def digest_of(files: Iterable[Path], *classes: type[Any]) -> str:
    """Of some files, and of those of classes and their bases with all that they import; see `followed`."""
    return _sha256(followed(files, *classes))


def _sha256(files: Iterable[Path]) -> str:
    sha = hashlib.sha256()
    for path in sorted(files, key=lambda p: (p.name, str(p))):
        sha.update(path.name.encode() + path.read_bytes())
    return sha.hexdigest()[:16]


def files_in(spec: str) -> list[Path]:
    """The files of plug-ins that a spec names, at its head or in specs inside it: others', and strategies of ours."""
    try:
        head, raw = loading.split_spec(spec)
    except LabError:  # a text that is no spec
        return []
    module = loading.module_of(head)[0]
    points = [loading.target(point)[0] for kind in ("strategies", "surrogates") for point in loading.others(kind, head)]
    if module.endswith(".py"):
        own = [paths.home(module).resolve()]
    else:
        own = [path for name in [*([module] if module else []), *points] for path in _shared(name)]
    ours: set[Path] = set()
    if head in loading.leaves("strategies"):
        for path in _own(loading.leaves("strategies")[head].split("."), anything=True):
            _follow(path, ours)
    return [*sorted(ours), *(path for path in own if path.is_file())] + [
        path for value in loading.inner(raw.values()) for path in files_in(value)
    ]


def _installed(path: Path) -> list[Path]:
    """All source files of the installed package that a file is of; none of a file that is not installed."""
    for number, part in enumerate(path.parts):
        if part in ("site-packages", "dist-packages") and not path.is_relative_to(ROOT):
            package = Path(*path.parts[: number + 2])
            return [each for kind in ("py", "so", "pyd") for each in package.rglob(f"*.{kind}")]
    return []


def _file_of(cls: type[Any]) -> Iterator[Path]:
    """The file of a class, unless it is Python's own."""
    try:
        source = inspect.getsourcefile(cls) or inspect.getfile(cls)
    except (TypeError, OSError):  # built in, or typed in somewhere
        return
    if os.path.isfile(source) and not imports.standard(source):
        yield Path(source)


def _follow(path: Path, found: set[Path]) -> None:
    """Add a file and all it imports that can decide a record."""
    if path in found or not path.is_file():
        return
    found.add(path)
    for level, name in _imports(path, *imports.stamp(str(path))):
        for imported in _resolve(level, name, path):
            _follow(imported, found)


@lru_cache(maxsize=2048)
def _imports(path: Path, _modified: int, _size: int) -> tuple[tuple[int, str], ...]:
    """Every module a file names in an import, (level, dotted name); `from a import b` as a and a.b."""
    try:
        tree = ast.parse(path.read_bytes()) if path.suffix == ".py" else ast.Module([], [])
    except (SyntaxError, ValueError):  # not Python after all
        return ()
    names: list[tuple[int, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [(0, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            inside = f"{node.module}." if node.module else ""
            names += [(node.level, node.module or ""), *((node.level, inside + alias.name) for alias in node.names)]
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            text = getattr(node.args[0], "value", None) if node.args else None
            if name in _IMPORTERS and isinstance(text, str):
                names.append((len(text) - len(text.lstrip(".")), text.lstrip(".")))
    return tuple(dict.fromkeys(names))


def _resolve(level: int, name: str, path: Path) -> list[Path]:
    """The files behind a name that a file imports, as far as they can decide a record."""
    parts = name.split(".") if name else []
    if level:
        base = path.parents[min(level, len(path.parents)) - 1]
        return [file for file in _files(base, parts) if file.is_file()]
    if parts[0] == "nasbench_lab":
        return _own(parts, anything=not path.is_relative_to(ROOT))
    if parts[0] in sys.stdlib_module_names or not imports.authored(str(path)):
        return []
    places = dict.fromkeys([path.parent, _above(path.parent)])
    beside = [file for place in places for file in _files(place, parts) if file.is_file() and file != path]
    return beside + [file for file in _shared(name) if imports.authored(str(file))]


def _own(parts: list[str], *, anything: bool) -> list[Path]:
    """A module of this package; what cannot decide its own strategies' records is left out, unless all is wanted."""
    if parts[1:2] == ["loading"]:  # whoever loads by name may load any surrogate
        return sorted((ROOT / "surrogates").glob("*.py"))
    computed = parts[1:2] == ["tables"] and f"{parts[-1]}.py" in _ANSWERING
    inside = len(parts) > 1 and (anything or parts[1] in _DECIDING or computed)
    return [ROOT.joinpath(*parts[1:]).with_suffix(".py")] if inside else []


def _above(folder: Path) -> Path:
    """The folder that holds the package a folder is of; itself where it is of none."""
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    return folder


def _files(base: Path, parts: list[str]) -> list[Path]:
    """Where the module of a dotted name may be below a folder, with the packages on the way."""
    packages = [base.joinpath(*parts[:number], "__init__.py") for number in range(len(parts) + 1)]
    return [*(packages if parts else packages[:1]), *([base.joinpath(*parts).with_suffix(".py")] if parts else [])]


def _shared(name: str) -> list[Path]:
    """The files of a module that everybody shares, by what Python's finders say of its first part: nothing is run."""
    first, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(first)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    found = [Path(spec.origin)] if spec.has_location and spec.origin else []
    for folder in spec.submodule_search_locations or ():
        found += _files(Path(folder), rest)[1:] if rest else []
    return [path for path in found if path.is_file() and not path.is_relative_to(ROOT)]


# What took part


def taken(strategy: type[Any], evaluator: type[Any], specs: Sequence[str]) -> dict[str, str]:
    """What of an author's took part in runs of this process: modules by name, files by path -> SHA-256.

    All that is loaded counts, as any of it can be found by a name that is computed. "" where nothing shows what it is:
    bytecode and machine code without source, modules in archives, what a program of its own loads. Such runs are not
    reused. Empty for a strategy and an evaluator of this package alone, whose files the digest names. `specs`: the
    strategy's, located, and the evaluator's.

    Raises:
        LabError: a module was edited after it was loaded.
    """
    files, private, shared, opened = _took_part(strategy, evaluator, specs)
    kinds = ("strategies", "evaluators")
    if not files and not any(map(trust.foreign, kinds, specs)):
        return {}
    loaded.check_current(map(Path, shared))
    more = {path for path in imports.all_loaded() if os.path.isfile(path)} - set(private) - shared
    unseen = sorted(imports.sourceless(files)) + ([_PROGRAM] if trust.program(specs[0]) else [])
    modules = imports.shared()
    names = {path: module.__name__ for path, module in modules.items() if module.__name__ not in imports.MAINS}
    return (
        private
        | {names.get(path, path): imports.sha256(path) for path in shared}
        | {_DATA + path: "" if loaded.edited(path, modules.get(path)) else imports.sha256(path) for path in more}
        | {_DATA + path: sha for path, sha in opened.items()}
        | {_UNSEEN + name: "" for name in unseen}
    )


def own(strategy: type[Any], evaluator: type[Any], specs: Sequence[str]) -> dict[str, str]:
    """The author's files that are known to take part in runs that are still to be done: path -> SHA-256; see `taken`.

    Those that text tells, and those that were loaded or opened for the strategy; none of an installed package.

    Raises:
        LabError: a module was edited after it was loaded.
    """
    _, private, shared, opened = _took_part(strategy, evaluator, specs)
    loaded.check_current(map(Path, shared))
    found = private | {path: imports.sha256(path) for path in shared} | opened
    found = {path: sha for path, sha in found.items() if sha and imports.authored(path)}
    return found | {name: found[path] for name, path in imports.links(found.keys()).items()}


def _took_part(
    strategy: type[Any], evaluator: type[Any], specs: Sequence[str]
) -> tuple[set[str], dict[str, str], set[str], dict[str, str]]:
    """Files that text tells; of them and all else those that were imported by path, modules that are shared, and data."""
    named = [path for spec in specs for path in files_in(spec)]
    files = {str(path) for path in followed(named, strategy, evaluator) if not path.is_relative_to(ROOT)}
    private = imports.private(files)
    owners = {owner(specs[0])}.union(*(each.owners for each in map(imports.executed, files) if each)) - {""}
    shared = {path for path in files | imports.loaded(owners) if os.path.isfile(path)} - set(private)
    tables = tuple(f"{folder.resolve()}{os.sep}" for folder in data_folders())
    opened = {path: sha for path, sha in imports.opened(owners).items() if not path.startswith(tables)}
    return files, private, shared, opened


def owner(spec: str) -> str:
    """For whom something is loaded: the file or the module of a strategy's spec; see `imports.watched`."""
    head = loading.split_spec(spec)[0]
    return loading.module_of(head)[0] or head


def data(files: Mapping[str, str]) -> list[str]:
    """Those of the things that took part (`taken`) that were opened and are no Python: paths."""
    paths = (name.removeprefix(_DATA) for name in files if name.startswith(_DATA))
    return sorted(path for path in paths if not path.endswith(".py"))


def unseen(files: Mapping[str, str]) -> list[str]:
    """Those of the things that took part (`taken`), or may have, that nothing shows: names of files, or words."""
    return sorted({os.path.basename(name.removeprefix(_UNSEEN)) for name in files if name.startswith(_UNSEEN)})


def changed(then: Mapping[str, str], *, data: bool = True) -> list[str]:
    """Which of the things that took part are others now, gone, or not known; `data`: also those that were not imported."""
    chosen = {name: sha for name, sha in then.items() if data or not name.startswith((_DATA, _UNSEEN))}
    return [name for name, sha in chosen.items() if not sha or imports.sha256(_place(name)) != sha]


def _place(name: str) -> str:
    """The file of a thing that took part, here."""
    if name.startswith(_DATA) or os.path.isabs(name):
        return name.removeprefix(_DATA)
    try:
        spec = sys.modules[name].__spec__ if name in sys.modules else importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return ""
    return str(spec.origin) if spec and spec.origin else ""
