"""Somebody's files: imported by path with their helpers to themselves, and remembered as they were when they were loaded.

A file given by path, `of_file`, sees the modules beside it (`import helper`, `from . import helper`, `from ..lib import
helper`, also inside functions) as modules of its own: the `helper` of another folder is another module, and one that was
edited is imported anew. Names of the standard library stay what they are.

What is loaded and opened in this process is heard from Python's audit events, whoever asks for it and however; see `loaded`.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib
import os
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from functools import partial
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from nasbench_lab.errors import LabError

PREFIX = "nasbench_lab_file_"  # of the modules of files that are given by path
ROOT = Path(__file__).parent
_STANDARD = tuple(
    dict.fromkeys(
        os.path.join(folder, "")
        for name in ("stdlib", "platstdlib")
        for folder in (sysconfig.get_path(name), os.path.realpath(sysconfig.get_path(name)))
    )
)
_INSTALLED = {"site-packages", "dist-packages"}
_SYSTEM = ("/proc/", "/sys/", "/dev/")
_MODULES = (".py", ".pyc", *EXTENSION_SUFFIXES)  # how the file of a module may end
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Home:
    """A file given by path, with the modules it has to itself.

    Attributes:
        path: of the file, absolute.
        root: the package of all its modules.
        files: every file that was loaded for it, and those that were read meanwhile -> SHA-256 of what was loaded.
    """

    _numbers = count()

    def __init__(self, path: Path) -> None:
        self.path, self.files = path, dict[str, str]()
        self.root = f"{PREFIX}{str(path).encode().hex()}_{next(self._numbers)}"
        self._folders = [*reversed(path.parent.parents), path.parent]
        self._places = places(path)

    def load(self) -> types.ModuleType:
        """Import the file; what was imported for it is gone again where that fails."""
        _homes[self.root] = self
        try:
            with _heard.reading() as read:
                module = self._load()
            self.files = {path: sha256(path) for path in read if os.path.isfile(path)} | self.files
            return module
        except BaseException:
            for name in [name for name in sys.modules if name.partition(".")[0] == self.root]:
                del sys.modules[name]
            raise

    def _load(self) -> types.ModuleType:
        inside = _relative(self.path)
        for folder in self._folders:
            if inside and _is_package(folder):
                importlib.import_module(self._name(folder))
            else:
                package = types.ModuleType(self._name(folder))
                package.__path__ = [str(folder)]
                sys.modules[package.__name__] = package
        name = f"{self._name(self.path.parent)}.{_part(self.path.stem)}"
        if name in sys.modules:  # its package has imported it
            return sys.modules[name]
        spec = spec_from_file_location(name, self.path, loader=_Loader(self, name, str(self.path)))
        if spec is None or spec.loader is None:
            raise LabError(f"{self.path} cannot be imported as a Python file")
        module = sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def _name(self, folder: Path) -> str:
        return ".".join([self.root, *map(_part, folder.parts[1:])])

    @property
    def current(self) -> bool:
        """Whether everything that was loaded for it is still what its files say."""
        return all(sha256(path) == then for path, then in self.files.items() if path not in _heard.written)

    def import_(
        self,
        name: str,
        globals: dict[str, Any] | None = None,
        locals: dict[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        """`__import__` of its modules: what lies beside the file comes first."""
        top = name.partition(".")[0]
        beside = None if level else self._beside(top, str((globals or {}).get("__name__", "")))
        if beside is None:
            return builtins.__import__(name, globals, locals, fromlist or (), level)
        found = builtins.__import__(f"{beside}.{name}", globals, locals, fromlist or ("",), 0)
        return found if fromlist else sys.modules[f"{beside}.{top}"]

    def _beside(self, top: str, asking: str) -> str | None:
        """The package of the private module of this name; a file that has a library's name may import the library."""
        if top in sys.stdlib_module_names or top == "nasbench_lab" or asking.rpartition(".")[2] == top:
            return None
        for folder in self._places:
            if any((folder / f"{top}{suffix}").is_file() for suffix in _MODULES) or _is_package(folder / top):
                return self._name(folder)
        return None


_homes: dict[str, Home] = {}
_files: dict[Path, tuple[Home, types.ModuleType]] = {}


def search_path() -> str:
    """Where this process finds modules, as `PYTHONPATH` tells a process that it starts."""
    return os.pathsep.join(folder or os.getcwd() for folder in sys.path)


def places(path: Path) -> list[Path]:
    """Where `import name` of a file that is given by path looks first: beside it, and above its package."""
    above = next(folder for folder in (path.parent, *path.parent.parents) if not _is_package(folder))
    return list(dict.fromkeys([path.parent, above]))


def _part(text: str) -> str:
    return text.replace(".", "_")


def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _relative(path: Path) -> bool:
    """Whether a file imports from its package, which then has to be there."""
    tree = ast.parse(path.read_bytes(), str(path))
    return any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree))


class _Loader(SourceFileLoader):
    """Loads a module of a home: from its source, never from a cache, whose key is a second and a size."""

    def __init__(self, home: Home, name: str, path: str) -> None:
        super().__init__(name, path)
        self._home = home

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        data = self.get_data(path)
        self._home.files[path] = hashlib.sha256(data).hexdigest()
        code: types.CodeType = self.source_to_code(data, path)
        return code

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._home.import_}
        super().exec_module(module)


class _Finder:
    """Finds the modules of homes, below their packages."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, _target: object = None) -> ModuleSpec | None:
        home = _homes.get(name.partition(".")[0]) if name.startswith(PREFIX) else None
        if home is None:
            return None
        loader: Any = partial(_Loader, home)
        finders = (
            FileFinder(folder, (loader, [".py"]), (ExtensionFileLoader, EXTENSION_SUFFIXES)) for folder in path or ()
        )
        return next((spec for spec in (finder.find_spec(name) for finder in finders) if spec), None)


def of_file(path: Path) -> types.ModuleType:
    """A file as a module: the one that was imported before, while neither it nor a helper was edited.

    Raises:
        LabError: no such file. Whatever the file raises is raised.
    """
    if not path.is_file():
        raise LabError(f"no such file: {path}")
    path = path.resolve()
    known = _files.get(path)
    if known is None or not known[0].current:
        home = Home(path)
        _files[path] = known = (home, home.load())
    return known[1]


def sha256(path: str | Path) -> str:
    """Of what is in a file; "" where there is none that can be read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def standard(path: str) -> bool:
    """Whether a file is of Python's standard library."""
    return path.startswith(_STANDARD) and not _INSTALLED & set(path.split(os.sep))


MAINS = ("__main__", "__mp_main__")  # what was started, and how a process that was started from it calls that


def authored(path: str) -> bool:
    """Whether a file is neither Python's nor an installed package's nor this package's; Python's caches are Python's."""
    return not path.endswith(".pyc") and _of_an_author(path)


def _of_an_author(path: str) -> bool:
    if not os.path.isabs(path) or path.startswith(_SYSTEM) or standard(path):
        return False
    return not _INSTALLED & set(path.split(os.sep)) and not path.startswith(str(ROOT) + os.sep)


class Loaded(NamedTuple):
    """A shared module's code as it was executed, the state of its file then, and for whom that happened."""

    code: types.CodeType
    stamp: tuple[int, int]
    owners: frozenset[str]


class Opened(NamedTuple):
    """A file that was read while somebody was watched: its state then, and for whom it ever was."""

    stamp: tuple[int, int]
    owners: frozenset[str]


def stamp(path: str) -> tuple[int, int]:
    """When a file was written last (ns), and its size in bytes; zeros where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def _followed(path: str) -> bool:
    return path.startswith(str(ROOT) + os.sep) or authored(path)


class _Heard:
    """What was executed and opened in this process since this module was imported."""

    def __init__(self) -> None:
        self.modules: dict[str, Loaded] = {}
        self.opened: dict[str, Opened] = {}
        self.written: set[str] = set()
        self.links: dict[str, str] = {}  # names under which files were opened, by symbolic links, too
        self.libraries: set[str] = set()  # of machine code, loaded by authors' code
        self.owners: list[str] = []  # of whom something is loaded, built or run just now
        self._readers: list[set[str]] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "exec":
            self._executed(arguments[0])
        elif event == "ctypes.dlopen" and self.owners and isinstance(arguments[0], (str, bytes, os.PathLike)):
            self._linked(os.path.realpath(os.fsdecode(arguments[0])))
        elif event == "open" and self.owners and isinstance(arguments[0], (str, bytes, os.PathLike)):
            self._opened(*arguments)

    def _executed(self, code: object) -> None:
        if isinstance(code, types.CodeType) and code.co_name == "<module>" and _followed(code.co_filename):
            path = code.co_filename
            before = self.modules[path].owners if path in self.modules else frozenset()
            self.modules[path] = Loaded(code, stamp(path), before | set(self.owners))

    def _linked(self, path: str) -> None:
        frame = sys._getframe()
        while frame.f_back and (standard(file := frame.f_code.co_filename) or file == __file__):
            frame = frame.f_back
        if not frame.f_code.co_filename.startswith(str(ROOT) + os.sep) and os.path.isfile(path) and authored(path):
            self.libraries.add(path)

    def _opened(self, path: Any, mode: str | None, flags: int) -> None:
        name = os.path.realpath(os.fsdecode(path))
        if authored(name):
            if set(mode) & set("wax") if mode else flags & _WRITING:  # "r+" reads what is there: numpy's memmap does
                self.written.add(name)
            else:
                self.links[os.path.abspath(os.fsdecode(path))] = name
                before = self.opened[name].owners if name in self.opened else frozenset()
                self.opened[name] = Opened(stamp(name), before | set(self.owners))
                for reader in self._readers:
                    reader.add(name)

    @contextmanager
    def reading(self) -> Iterator[set[str]]:
        """What is read meanwhile."""
        read: set[str] = set()
        self._readers.append(read)
        try:
            with watched():
                yield read
        finally:
            self._readers.remove(read)


_heard = _Heard()
if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
    sys.meta_path.insert(0, _Finder())  # before the one that would find them too, but share them
    sys.addaudithook(_heard)


@contextmanager
def watched(owner: str = "") -> Iterator[None]:
    """Whatever is loaded and opened meanwhile may be what the owner's code depends on, and whoever else is watched."""
    _heard.owners.append(owner)
    try:
        yield
    finally:
        _heard.owners.remove(owner)


def shared() -> dict[str, types.ModuleType]:
    """The modules that everybody shares, by file."""
    modules = ((name, module, getattr(module, "__file__", None)) for name, module in list(sys.modules.items()))
    return {file: module for name, module, file in modules if file and not name.startswith(PREFIX)}


def loaded(owners: Set[str]) -> set[str]:
    """Authors' source files of shared modules that were loaded for some owners."""
    found = {path for path, each in _heard.modules.items() if each.owners & owners and authored(path)}
    private = {path for home in _homes.values() for path in home.files}
    return found - (private - shared().keys())


def opened(owners: Set[str]) -> dict[str, str]:
    """Data: files that were opened for some owners and only read -> SHA-256, "" where one was changed since.

    What a strategy writes itself is a cache of its own and not among them.
    """
    known = {path for home in _homes.values() for path in home.files} | set(_heard.modules) | _heard.written
    found = {path: each.stamp for path, each in _heard.opened.items() if each.owners & owners and path not in known}
    return {path: sha256(path) if stamp(path) == then else "" for path, then in found.items() if os.path.isfile(path)}


def links(paths: Set[str]) -> dict[str, str]:
    """The names under which some files were opened, by symbolic links, too -> the file."""
    return {name: path for name, path in _heard.links.items() if path in paths}


def missed(below: str) -> set[str]:
    """Files whose paths begin like that, that somebody's code wanted to read in this process, and that are not there."""
    wanted = _heard.opened.keys() - _heard.written
    return {path for path in wanted if path.startswith(below) and not os.path.exists(path)}


def private(paths: Iterable[str]) -> dict[str, str]:
    """All that was loaded for the files among these that were imported by path: file -> SHA-256 of what was loaded."""
    wanted = set(paths)
    homes = [home for home, _ in _files.values() if str(home.path) in wanted]
    return {path: then for home in homes for path, then in home.files.items() if path not in _heard.written}


def executed(path: str) -> Loaded | None:
    """What was loaded of the file of a shared module; None where nothing was, or before this module was imported."""
    return _heard.modules.get(path)


def all_loaded() -> set[str]:
    """Authors' source files of all shared modules that are loaded: code that finds modules by itself may use any of them."""
    return {path for path, module in shared().items() if authored(path) and module.__name__ not in MAINS}


def sourceless(paths: Iterable[str]) -> set[str]:
    """Authors' code that is loaded and that no source file here shows: bytecode, machine code, modules in archives.

    Of all that is shared, and of what was loaded for the files among these that were imported by path.
    """
    wanted = set(paths)
    homes = {home.root for home, _ in _files.values() if str(home.path) in wanted}
    found = set(_heard.libraries)
    for name, module in list(sys.modules.items()):
        file, root = getattr(module, "__file__", None), name.partition(".")[0]
        if file and name not in MAINS and (root in homes or not root.startswith(PREFIX)) and _of_an_author(file):
            found |= set() if file.endswith(".py") and os.path.isfile(file) else {file}
    return found
