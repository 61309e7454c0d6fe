"""What a plug-in needs beyond the core: the packages that it names in `requires`, as all of ours do (a test holds that).

Somebody else's may leave that out: what its files import at their top counts too, and what these import of its own package
or of ours. An import inside a function is a choice and does not. Where `requires` is computed (`gp:engine=gpytorch`), it is
read for the defaults, as far as it is one comparison of a parameter.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache

from nasbench_lab.errors import LabError
from nasbench_lab.listing import source as sources
from nasbench_lab.listing.classes import Written
from nasbench_lab.listing.source import Source, Unknown

# what every installation brings
CORE = frozenset(
    {"altair", "joblib", "moocore", "numpy", "pandas", "platformdirs", "pooch", "pyarrow", "requests", "rich", "scipy"}
    | {"threadpoolctl", "typer", "vl_convert"}
)


def packages(cls: Written) -> set[str]:
    """The packages beyond the core, by the name they are imported as, without which a class does not work as it is."""
    required = {name for base in cls.lineage for name in _required(cls, base)}
    theirs = {base.source for base in cls.lineage if not base.source.module.startswith("nasbench_lab.")}
    return required | {name for source in theirs for name in _reached(source)} - CORE


def _required(cls: Written, base: Written) -> set[str]:
    """What a class in the lineage of another one names in `requires`, for the other one's defaults."""
    if found := base.declared("requires"):
        return set(found)
    for node in base.node.body:
        if isinstance(node, ast.FunctionDef) and node.name == "requires" and isinstance(node.body[-1], ast.Return):
            return _names(cls, base.source, node.body[-1].value)
    return set()


def _names(cls: Written, source: Source, node: ast.expr | None) -> set[str]:
    """The names in a tuple; of one of two, that which the defaults choose."""
    if isinstance(node, ast.IfExp):
        return _names(cls, source, node.body if _holds(cls, source, node.test) else node.orelse)
    listed = node.elts if isinstance(node, ast.Tuple) else []
    return {item.value for item in listed if isinstance(item, ast.Constant) and isinstance(item.value, str)}


def _holds(cls: Written, source: Source, test: ast.expr) -> bool:
    """Whether a parameter's default is what a test asks for, `self.name == value`."""
    if not (isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.Eq)):
        return False
    name = sources.dotted(test.left).removeprefix("self.")
    with suppress(Unknown):
        wanted = sources.value(source, test.comparators[0])
        return any(item.name == name and item.default == wanted for item in cls.parameters)
    return False


@lru_cache(maxsize=1024)
def _reached(source: Source) -> frozenset[str]:
    """The packages that are imported with a file, by itself and by what it imports of its own package or of ours."""
    followed, found, left = set[Source](), set[str](), [source]
    while left:
        here = left.pop()
        if here not in followed:
            followed.add(here)
            outside, inside = _direct(here)
            found |= outside
            left += inside
    return frozenset(found)


@lru_cache(maxsize=1024)
def _direct(source: Source) -> tuple[frozenset[str], tuple[Source, ...]]:
    """The packages of others that a file imports itself, and the files of its own package and of ours."""
    own = {"nasbench_lab", source.module.partition(".")[0]}
    with suppress(LabError):  # what is not Python is not followed
        names = {name for node in source.tree.body for name in _imported(source, node)}
        inside = {name: path for name in names if name.partition(".")[0] in own and (path := sources.file_of(name))}
        outside = {name.partition(".")[0] for name in names} - own - sys.stdlib_module_names
        return frozenset(outside), tuple(sources.read(path, name) for name, path in inside.items())
    return frozenset(), ()


def _imported(source: Source, node: ast.stmt) -> Iterator[str]:
    """The modules that a statement imports, those within packages with the packages they are in."""
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        names = [absolute for _, absolute in source.imported(node)]
    else:
        names = []
    for name in names:
        parts = name.split(".")
        yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))
