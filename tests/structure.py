"""What the architecture test sees: imports as a graph, and what is wrong with it. Sources in, findings out.

A module is named in full ("nasbench_lab.tables.table"; a package's `__init__` as the package). Every import counts:
inside functions, under `TYPE_CHECKING`, and `import_module` of a name that is written out.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = "nasbench_lab"
Graph = Mapping[str, set[str]]


def read(root: Path) -> dict[str, str]:
    """Module -> source, of all files of a package."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = [root.name, *path.relative_to(root).with_suffix("").parts]
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text()
    return found


def named(source: str) -> set[str]:
    """Every module a source names in an import, `from a import b` as a.b; a relative import is refused."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}
    return found


def graph(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports.

    A name of the package itself that is no module (`from nasbench_lab import compare`) is an import of the package,
    which stands above all; its version may be read by anyone.
    """
    found = {}
    for module, source in sources.items():
        names = {name for name in named(source) if name.split(".")[0] == PACKAGE} - {f"{PACKAGE}.__version__"}
        targets = {name if name in sources else name.rpartition(".")[0] for name in names}
        found[module] = {name for name in targets if name in sources} - {module}
    return found


def folder(module: str) -> str:
    """The folder of a module; that of a module at the top is its own name, that of the package itself its name."""
    return PACKAGE if module == PACKAGE else module.split(".")[1]


def upward(edges: Graph, order: Iterable[str]) -> list[tuple[str, str]]:
    """Imports from one folder into another that does not stand below it. The package and `__main__` stand above all."""
    rank = {name: i for i, name in enumerate([*order, PACKAGE])} | {"__main__": 10**6}
    return sorted(
        (module, target)
        for module, targets in edges.items()
        for target in targets
        if folder(module) != folder(target) and rank[folder(target)] >= rank[folder(module)]
    )


def circle(edges: Graph) -> list[str]:
    """The modules of one import cycle, the first again at the end; nothing if there is none."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def reached(edges: Graph, start: str) -> set[str]:
    """All that a module imports, by way of others too."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        new = edges.get(waiting.pop(), set()) - found
        found |= new
        waiting += new
    return found


def peeking(edges: Graph) -> list[tuple[str, str]]:
    """Strategies, and the tables or evaluators that they reach, however long the way."""
    return sorted(
        (module, target)
        for module in edges
        if folder(module) == "strategies"
        for target in reached(edges, module)
        if folder(target) in ("tables", "evaluators")
    )


def meddling(edges: Graph, part: str, folders: set[str]) -> list[tuple[str, str]]:
    """Imports that a module, or those of a folder, have of these other folders."""
    return sorted(
        (module, target)
        for module, targets in edges.items()
        for target in targets
        if f"{module}.".startswith(f"{PACKAGE}.{part}.") and folder(target) in folders - {folder(module)}
    )


def borrowed(edges: Graph) -> dict[str, set[str]]:
    """Family of strategies -> the modules of other families that it imports; "" is what all families share."""
    found: dict[str, set[str]] = defaultdict(set)
    for module, targets in edges.items():
        for target in targets:
            if folder(module) == folder(target) == "strategies" and _family(target) not in ("", _family(module)):
                found[_family(module)].add(target.removeprefix(f"{PACKAGE}.strategies."))
    return dict(found)


def _family(module: str) -> str:
    parts = module.split(".")
    return parts[2] if len(parts) > 3 else ""


def crowded(root: Path, most: int) -> list[str]:
    """Folders with more files than that, with their number."""
    counts: dict[Path, int] = defaultdict(int)
    for path in root.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts and ".benchmarks" not in path.parts:
            counts[path.parent] += 1
    return [f"{path.relative_to(root.parent)}: {count}" for path, count in sorted(counts.items()) if count > most]


def long(sources: Mapping[str, str], most: int) -> list[str]:
    """Modules with more lines than that, with their number."""
    lengths = {module: len(source.splitlines()) for module, source in sources.items()}
    return [f"{module}: {length}" for module, length in lengths.items() if length > most]


def misplaced(tests: Path, modules: Iterable[str]) -> list[str]:
    """Test files in a folder that the package has not, or that are named after a module of another folder."""
    packages = {module.rpartition(".")[0] for module in modules}
    homes = defaultdict(set)
    for module in set(modules) - packages:
        home, _, name = module.rpartition(".")
        homes[name.lstrip("_")].add(home)
    wrong = []
    for path in sorted(tests.rglob("test_*.py")):
        inside, name = path.relative_to(tests), path.stem.removeprefix("test_")
        home = ".".join([PACKAGE, *inside.parts[:-1]])
        of_the_folder = home.endswith(f".{name}")
        if home not in packages or (name in homes and home not in homes[name] and not of_the_folder):
            wrong.append(str(inside))
    return wrong


def strangers(tests: Path) -> list[str]:
    """Test files that import from a test file of another folder, which is found only where all tests are run at once."""
    files = {path: path.stem for path in tests.rglob("test_*.py")}
    found = []
    for path in sorted(files):
        names = {name.split(".")[0] for name in named(path.read_text())}
        near = {stem for other, stem in files.items() if other.parent in (path.parent, tests)}
        found += [f"{path.relative_to(tests)}: {name}" for name in sorted(names & set(files.values()) - near)]
    return found


def undocumented(sources: Mapping[str, str]) -> list[str]:
    """Public functions, classes and methods without a docstring; a method may have that of the method it overrides."""
    classes: dict[str, ast.ClassDef] = {}
    found, trees = [], {module: ast.parse(source) for module, source in sources.items()}
    for tree in trees.values():
        classes |= {node.name: node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for module, tree in trees.items():
        for node in _public(tree.body):
            found += [] if ast.get_docstring(node) else [f"{module}.{node.name}"]
            for method in _public(node.body) if isinstance(node, ast.ClassDef) else ():
                found += [] if _said(classes, node, method.name) else [f"{module}.{node.name}.{method.name}"]
    return found


Definition = ast.FunctionDef | ast.ClassDef


def _public(body: Iterable[ast.stmt]) -> Iterable[Definition]:
    return (node for node in body if isinstance(node, Definition) and not node.name.startswith("_"))


def _said(classes: Mapping[str, ast.ClassDef], own: ast.ClassDef, name: str) -> bool:
    """Whether a method is documented in a class or in one that it derives from."""
    here = next((node for node in _public(own.body) if node.name == name), None)
    bases = (classes.get(ast.unparse(base).rpartition(".")[2]) for base in own.bases)
    return bool(here and ast.get_docstring(here)) or any(_said(classes, base, name) for base in bases if base)
