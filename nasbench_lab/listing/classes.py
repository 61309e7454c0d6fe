"""A class as it is written: its bases, what it declares, its parameters and what its docstring says of each.

The same rules as when it is imported: fields of dataclasses come from the bases first and keep their place when they are
declared again (a test compares both for all plug-ins of this package).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from nasbench_lab.errors import LabError
from nasbench_lab.listing import source as sources
from nasbench_lab.listing.source import Source, Unknown

_EMPTY: Mapping[str, Any] = MappingProxyType(
    {"dict": {}, "list": [], "tuple": (), "set": ()}  # what a `default_factory` of these makes
)
_SECTION = re.compile(r"(Attributes|Args|Raises|Returns|Yields):")
_ENTRY = re.compile(r"\*{0,2}(\w+(?:, \w+)*): *(.*)")


class Parameter(NamedTuple):
    """One hyper-parameter.

    Attributes:
        name: as in a spec.
        type: as it is annotated, names of types replaced by what they stand for.
        default: its value; the text of the expression where that is not written down.
        required: there is no default.
        meaning: what the docstring, or the comment behind the field, says of it; "" for nothing.
        allowed: the values there are, where the type lists them.
    """

    name: str
    type: str
    default: Any
    required: bool
    meaning: str
    allowed: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Written:
    """A class that was read.

    Attributes:
        source: its file.
        node: its definition.
    """

    source: Source
    node: ast.ClassDef

    @cached_property
    def lineage(self) -> list[Written]:
        """The class itself, then its bases as far as their source is found, the nearest first."""
        return _lineage(self, ())

    @cached_property
    def docstring(self) -> str:
        """What the class says of itself; "" for nothing."""
        return ast.get_docstring(self.node) or ""

    @cached_property
    def explains(self) -> dict[str, str]:
        """What its docstring, or the comment behind a field, says of attributes."""
        comments = {name: self.source.comment(node) for name, node in self.annotated}
        return {name: text for name, text in comments.items() if text} | entries(self.docstring)

    @cached_property
    def annotated(self) -> list[tuple[str, ast.AnnAssign]]:
        """The attributes that its body annotates, by name."""
        found = (node for node in self.node.body if isinstance(node, ast.AnnAssign))
        return [(node.target.id, node) for node in found if isinstance(node.target, ast.Name)]

    @cached_property
    def fields(self) -> list[tuple[str, Parameter | None]]:
        """The dataclass fields that it declares itself, not explained yet; None for one that cannot be given."""
        return [(name, _field(self.source, name, node)) for name, node in self.annotated if not _no_field(node)]

    def declared(self, name: str) -> Any:
        """The value of a class attribute that this class itself declares; None where it has none that is written down."""
        for node in self.node.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            given = getattr(node, "value", None)
            if given is not None and any(isinstance(target, ast.Name) and target.id == name for target in targets):
                try:
                    return sources.value(self.source, given)
                except Unknown:
                    return None
        return None

    def attribute(self, name: str) -> Any:
        """The same, of the nearest class that declares it."""
        return next((found for cls in self.lineage if (found := cls.declared(name)) is not None), None)

    @cached_property
    def is_dataclass(self) -> bool:
        """Whether this class itself is decorated as one."""
        names = (sources.absolute(self.source, sources.dotted(node)) for node in self.node.decorator_list)
        return any(name.rpartition(".")[2] == "dataclass" for name in names)

    @property
    def parameters(self) -> list[Parameter]:
        """The dataclass fields that can be given, in their order."""
        found: dict[str, Parameter | None] = {}
        for cls in reversed(self.lineage):
            found |= cls.fields if cls.is_dataclass else []
        return [item._replace(meaning=self.explained(name)) for name, item in found.items() if item]

    def options(self, method: str) -> list[Parameter]:
        """The keyword arguments of a method of the nearest class that has it."""
        for cls in self.lineage:
            for node in cls.node.body:
                if isinstance(node, ast.FunctionDef) and node.name == method:
                    return _options(self, cls, node)
        return []

    def explained(self, name: str) -> str:
        """What is said of an attribute; the nearest class' word."""
        return next((cls.explains[name] for cls in self.lineage if name in cls.explains), "")


@lru_cache(maxsize=1024)
def written(source: Source, node: ast.ClassDef) -> Written:
    """A class, the same one every time it is asked for."""
    return Written(source, node)


def find(source: Source, name: str = "") -> Written:
    """A class of a file, or the one public class that it defines.

    Raises:
        LabError: none or several, or no class of this name.
    """
    if name:
        found = sources.lookup(source, name)
        if found and isinstance(found[1], ast.ClassDef):
            return written(found[0], found[1])
        raise LabError(f"{source.path} has no class {name!r}")
    own = [node for node in source.tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    if len(own) != 1:
        names = ", ".join(node.name for node in own) or "none"
        raise LabError(f"{source.path} must define exactly one public class, found: {names}")
    return written(source, own[0])


def _lineage(cls: Written, above: tuple[ast.ClassDef, ...]) -> list[Written]:
    """The class, then its bases; one that several share stands after all of them, as Python has it."""
    found: list[Written] = []
    for expression in cls.node.bases:
        base = sources.lookup(cls.source, sources.dotted(expression))
        if base and isinstance(base[1], ast.ClassDef) and base[1] not in above and base[1] is not cls.node:
            later = _lineage(written(base[0], base[1]), (*above, cls.node))
            known = {written.node for written in later}
            found = [*(written for written in found if written.node not in known), *later]
    return [cls, *found]


def _no_field(node: ast.AnnAssign) -> bool:
    return sources.dotted(node.annotation).rpartition(".")[2] in ("ClassVar", "KW_ONLY")


def _field(source: Source, name: str, node: ast.AnnAssign) -> Parameter | None:
    """A field as it is declared; None where it cannot be given (`init=False`)."""
    default, required = node.value, node.value is None
    if isinstance(default, ast.Call) and sources.dotted(default).rpartition(".")[2] == "field":
        given = {keyword.arg: keyword.value for keyword in default.keywords}
        if "init" in given and ast.unparse(given["init"]) == "False":
            return None
        default = given.get("default", given.get("default_factory"))
        required = default is None
    return _parameter(source, name, node.annotation, default, required)


def _options(asked: Written, cls: Written, node: ast.FunctionDef) -> list[Parameter]:
    said = entries(ast.get_docstring(node) or "")
    given = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    found = [_parameter(cls.source, arg.arg, arg.annotation, default, default is None) for arg, default in given]
    return [item._replace(meaning=said.get(item.name) or asked.explained(item.name)) for item in found]


def _parameter(
    source: Source, name: str, annotation: ast.expr | None, default: ast.expr | None, required: bool
) -> Parameter:
    """A parameter, not explained yet."""
    kind = _resolved(source, annotation)
    text = ast.unparse(kind) if kind else "Any"
    return Parameter(name, text, _default(source, default), required, "", _allowed(source, kind))


def _default(source: Source, node: ast.expr | None) -> Any:
    if node is None:
        return None
    if isinstance(node, ast.Name) and node.id in _EMPTY:
        return _EMPTY[node.id]
    try:
        return sources.value(source, node)
    except Unknown:
        return ast.unparse(node)


def _resolved(source: Source, annotation: ast.expr | None) -> ast.expr | None:
    """An annotation; what it stands for where it is a name of ours for a type, or a text."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            annotation = ast.parse(annotation.value, mode="eval").body
        except (SyntaxError, ValueError):
            return annotation
    if isinstance(annotation, ast.Name | ast.Attribute):
        found = sources.lookup(source, sources.dotted(annotation))
        if found and isinstance(found[1], ast.Subscript | ast.BinOp):
            return found[1]
    return annotation


def _allowed(source: Source, annotation: ast.expr | None) -> tuple[Any, ...]:
    """The values that an annotation lists."""
    found: list[Any] = []
    for node in ast.walk(annotation) if annotation else ():
        if isinstance(node, ast.Subscript) and sources.dotted(node).rpartition(".")[2] == "Literal":
            listed = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            found += [_default(source, item) for item in listed]
    return tuple(found)


def entries(docstring: str) -> dict[str, str]:
    """What the sections of a docstring say: name -> text; `first, second: text` says it of both."""
    found: dict[str, list[str]] = {}
    for title, lines in _sections(docstring):
        current: list[str] = []
        for line in lines if title in ("Attributes", "Args") else ():
            entry = _ENTRY.fullmatch(line)
            if entry:
                current = [entry[2]]
                found |= dict.fromkeys(entry[1].split(", "), current)
            else:
                current.append(line.strip())
    return {name: " ".join(filter(None, lines)) for name, lines in found.items()}


def prose(docstring: str) -> str:
    """A docstring without its sections."""
    return "\n".join(line for title, lines in _sections(docstring) if not title for line in lines).strip()


def _sections(docstring: str) -> Iterator[tuple[str, list[str]]]:
    """Title and lines, without the section's indentation; the title of what stands before or between sections is ""."""
    title, lines = "", list[str]()
    for line in docstring.splitlines():
        header = _SECTION.fullmatch(line.rstrip())
        if header or (title and line and not line.startswith(" ")):
            yield title, _dedented(lines)
            title, lines = (header[1], []) if header else ("", [line])
        else:
            lines.append(line)
    yield title, _dedented(lines)


def _dedented(lines: list[str]) -> list[str]:
    least = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return [line[least:] for line in lines]
