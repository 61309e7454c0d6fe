"""Python files as they are written: what a name stands for, followed through imports, and the values of constants."""

from __future__ import annotations

import ast
import importlib.util
import math
import operator
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nasbench_lab.errors import LabError

ROOT = Path(__file__).parents[1]
_DEEP = 20  # names that stand for names, and values within values, are followed so far
_KNOWN = MappingProxyType({"math.inf": math.inf, "math.nan": math.nan, "math.pi": math.pi, "math.e": math.e})
_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = MappingProxyType(
    {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
)
Bound = ast.ClassDef | ast.expr | str  # what a name is bound to; a str: the absolute name of what was imported


class Unknown(ValueError):
    """An expression whose value is not written down."""


@dataclass(frozen=True, eq=False)
class Source:
    """A file that was read.

    Attributes:
        path: where it lies.
        module: its absolute name; "" for a file that is named by its path.
        raw: what is written in it.
    """

    path: Path
    module: str
    raw: bytes

    @cached_property
    def tree(self) -> ast.Module:
        """The file, without what functions do between their first statement and their last.

        Raises:
            LabError: it is not Python.
        """
        return _parsed(self.raw, self.path)

    @cached_property
    def lines(self) -> list[bytes]:
        """The file line by line, as bytes."""
        return self.raw.splitlines()

    @property
    def docstring(self) -> str:
        """What the file says of itself; "" for nothing."""
        return ast.get_docstring(self.tree) or ""

    @cached_property
    def names(self) -> dict[str, Bound]:
        """What every name of the file is bound to; imports for type checkers count, as they say where a name lives."""
        found: dict[str, Bound] = {}
        for node in statements(self.tree.body):
            if isinstance(node, ast.ClassDef):
                found[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found |= {target.id: node.value for target in targets if isinstance(target, ast.Name)}
            elif isinstance(node, ast.Import | ast.ImportFrom):
                found |= dict(self.imported(node))
        return found

    def imported(self, node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, str]]:
        """What an import binds: a name, and the absolute name of what it stands for."""
        for alias in node.names:
            if isinstance(node, ast.ImportFrom):
                yield alias.asname or alias.name, f"{self._package_of(node)}.{alias.name}"
            elif alias.asname:
                yield alias.asname, alias.name
            else:
                yield (top := alias.name.partition(".")[0]), top

    def _package_of(self, node: ast.ImportFrom) -> str:
        """The absolute name of what is imported from; dots count from this file's package."""
        parts = self.module.split(".")
        inside = parts[: len(parts) - node.level + (self.path.name == "__init__.py")] if node.level else []
        return ".".join([*inside, *((node.module or "").split(".") if node.module else [])])

    def comment(self, node: ast.stmt) -> str:
        """The comment that stands behind a statement on its last line."""
        rest = self.lines[(node.end_lineno or 1) - 1][node.end_col_offset or 0 :].strip()
        return rest.removeprefix(b"#").strip().decode(errors="replace") if rest.startswith(b"#") else ""


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a file, those in its `if` and `try` too."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try):
            yield from statements([*node.body, *node.orelse])


def read(path: Path, module: str = "") -> Source:
    """A file, read once per version of it.

    Raises:
        LabError: it is not there.
    """
    try:
        return _read(path, module, path.stat().st_mtime_ns)
    except OSError as error:
        raise LabError(f"{path} cannot be read: {error.strerror}") from error


@lru_cache(maxsize=1024)
def _read(path: Path, module: str, _modified: int) -> Source:
    return Source(path, module, path.read_bytes())


def _parsed(raw: bytes, path: Path) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of backslashes in somebody's strings
            return _pruned(ast.parse(raw))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise LabError(f"{path} is not Python: {type(error).__name__}: {error}") from error


def _pruned(tree: ast.Module) -> ast.Module:
    """Functions keep their first statement and their last: nine tenths of a tree are of no interest here, and let go."""
    for node in tree.body:
        for inner in node.body if isinstance(node, ast.ClassDef) else [node]:
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                inner.body = [inner.body[0], inner.body[-1]]
    return tree


def file_of(module: str) -> Path | None:
    """The file of a module by its absolute name, found without importing it or the packages it is in."""
    return _file_of(module, tuple(sys.path))


@lru_cache(maxsize=4096)
def _file_of(module: str, search: tuple[str, ...]) -> Path | None:
    top, *inside = module.split(".")
    if not all(part.isidentifier() for part in (top, *inside)) or top in sys.stdlib_module_names:
        return None
    for folder in _folders_of(top, search):
        base = folder.joinpath(*inside)
        for path in (base / "__init__.py", base.with_suffix(".py")):
            if path.is_file():
                return path
    return None


@lru_cache(maxsize=256)
def _folders_of(top: str, _search: tuple[str, ...]) -> tuple[Path, ...]:
    """Where the modules of a top-level package lie; of a module on its own, its file without `.py`."""
    if top == "nasbench_lab":
        return (ROOT,)
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return ()
    if spec is None:
        return ()
    alone = (Path(spec.origin).with_suffix(""),) if spec.origin and spec.origin.endswith(".py") else ()
    return tuple(map(Path, spec.submodule_search_locations or ())) or alone


def module(name: str) -> Source:
    """A module by its absolute name.

    Raises:
        LabError: no file is found for it.
    """
    path = file_of(name)
    if path is None:
        raise LabError(f"no source file of a module {name!r} is found")
    return read(path, name)


def dotted(node: ast.expr | None) -> str:
    """An expression as a dotted name, without what stands in brackets; "" where it is something else."""
    if isinstance(node, ast.Subscript | ast.Call):
        return dotted(node.value if isinstance(node, ast.Subscript) else node.func)
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return node.id if isinstance(node, ast.Name) else ""


def absolute(source: Source, name: str) -> str:
    """The absolute name of a dotted name in a file; as it is where it was not imported."""
    head, dot, rest = name.partition(".")
    bound = source.names.get(head)
    return f"{bound}{dot}{rest}" if isinstance(bound, str) else name


def lookup(source: Source, name: str, depth: int = _DEEP) -> tuple[Source, ast.ClassDef | ast.expr] | None:
    """Where a class or a constant is written that a file calls `name`; None where that is not found."""
    bound = source.names.get(name)
    if bound is not None and not isinstance(bound, str):
        return source, bound
    parts = absolute(source, name).split(".")
    for split in range(len(parts) - 1, 0, -1):
        if depth and (path := file_of(".".join(parts[:split]))):
            there = read(path, ".".join(parts[:split]))
            return None if there is source else lookup(there, ".".join(parts[split:]), depth - 1)
    return None


def value(source: Source, node: ast.expr, depth: int = _DEEP) -> Any:
    """The value of a constant expression: literals, arithmetic of numbers, and names of such, imported ones too.

    Raises:
        Unknown: anything else.
    """
    if not depth:
        raise Unknown
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Tuple | ast.List):
        items = [value(source, item, depth - 1) for item in node.elts]
        return tuple(items) if isinstance(node, ast.Tuple) else items
    if isinstance(node, ast.UnaryOp | ast.BinOp):
        return _computed(source, node, depth)
    if isinstance(node, ast.Call) and dotted(node) == "float" and len(node.args) == 1:
        return _float(value(source, node.args[0], depth - 1))
    if isinstance(node, ast.Name | ast.Attribute):
        if (known := absolute(source, dotted(node))) in _KNOWN:
            return _KNOWN[known]
        found = lookup(source, dotted(node))
        if found and isinstance(found[1], ast.expr):
            return value(found[0], found[1], depth - 1)
    raise Unknown


def _computed(source: Source, node: ast.UnaryOp | ast.BinOp, depth: int) -> Any:
    operands = [node.operand] if isinstance(node, ast.UnaryOp) else [node.left, node.right]
    numbers = [value(source, operand, depth - 1) for operand in operands]
    if all(isinstance(number, int | float) for number in numbers):
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -numbers[0]
        if isinstance(node, ast.BinOp) and (apply := _OPERATORS.get(type(node.op))):
            try:
                return apply(*numbers)
            except ArithmeticError as error:
                raise Unknown from error
    raise Unknown


def _float(text: Any) -> float:
    try:
        return float(text)
    except (TypeError, ValueError, OverflowError) as error:
        raise Unknown from error
