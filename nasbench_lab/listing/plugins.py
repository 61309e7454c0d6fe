"""The plug-ins there are, each with what a user must know of it; read, never imported.

A plug-in of another package that cannot be read, or that its name does not reach, is listed with a note that says so.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import EntryPoint
from typing import Any

from nasbench_lab import extras, loading
from nasbench_lab.errors import LabError
from nasbench_lab.files import paths
from nasbench_lab.listing import classes, needs
from nasbench_lab.listing import source as sources
from nasbench_lab.listing.classes import Parameter, Written

KINDS = ("strategies", "surrogates", "evaluators", "training/zero_cost")
OTHER = "other"  # the family of a strategy that does not say
SET_BY_STUDY = ("table", "search", "trials", "noise", "objectives", "sources")  # no options of an evaluator's spec
_MODELS = ("surrogate", "predictor", "model")  # parameters whose values are specs of surrogates


@dataclass(frozen=True)
class Plugin:
    """One strategy, surrogate, evaluator or zero-cost score.

    Attributes:
        kind: one of `KINDS`.
        name: as in a spec.
        family: of a strategy: its folder, or what it declares.
        summary: first line of its file's docstring.
        paper: where it was published.
        parameters: what a spec can set.
        about: the rest of its docstrings.
        where: the file, or the entry point of another package.
        needs: packages beyond the core, as they are imported, without which it cannot run as it is.
        absent: those of them that are not installed.
        note: why it cannot be used by its name; "" where it can.
    """

    kind: str
    name: str
    where: str
    family: str = ""
    summary: str = ""
    paper: str = ""
    parameters: tuple[Parameter, ...] = ()
    about: str = ""
    needs: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    note: str = ""

    @property
    def defaults(self) -> str:
        """The parameters as a spec writes them."""
        return ", ".join(f"{item.name}={item.default}" for item in self.parameters)

    @property
    def example(self) -> str:
        """A spec that sets the first two parameters that have something to set; another value where the type lists them."""
        given = [f"{item.name}={_written(item)}" for item in self.parameters if item.default not in ("", None)]
        return f"{self.name}:{','.join(given[:2])}" if given else self.name

    @property
    def install(self) -> str:
        """What it lacks, and the command that installs it; "" where nothing is lacking."""
        return extras.said(repr(self.name), self.absent) if self.absent else ""

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        parameters = [item._asdict() | {"default": _plain(item.default)} for item in self.parameters]
        return asdict(self) | {"parameters": parameters, "example": self.example, "install": self.install}


def _written(parameter: Parameter) -> str:
    """Another allowed value of a parameter, or its default, as a spec writes it."""
    others = [item for item in parameter.allowed if item != parameter.default]
    text = str(others[0] if others else parameter.default)
    return f"({text})" if set(text) & set(",=") else text


def _plain(value: Any) -> Any:
    """A default as a JSON value: what JSON has no number for, as a spec writes it."""
    return str(value) if isinstance(value, float) and value - value != 0 else value


def members(kind: str) -> list[Plugin]:
    """All plug-ins of a kind by name, those with a note included."""
    with _uncollected():
        return [plugin for name in loading.names(kind) for plugin in named(kind, name)]


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection: it would look through the trees again and again, a third of the time, and free nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def named(kind: str, name: str) -> list[Plugin]:
    """The plug-ins of a name: one of ours first, then those of other packages."""
    ours = [_own(kind, name)] if name in loading.leaves(kind) else []
    theirs = [_pointed(kind, point, why) for point, why in loading.entry_points(kind) if point.name == name]
    return [*ours, *theirs]


def families(chosen: str = "") -> dict[str, list[Plugin]]:
    """The strategies by family; of one family only where it is named.

    Raises:
        LabError: no such family.
    """
    found: dict[str, list[Plugin]] = {}
    for plugin in members("strategies"):
        found.setdefault(plugin.family, []).append(plugin)
    if chosen and chosen not in found:
        raise loading.unknown("family", chosen, sorted(found))
    return {family: found[family] for family in sorted(found) if chosen in ("", family)}


def find(name: str) -> list[Plugin]:
    """The plug-ins of a name, of any kind; a file, or `pkg.module:Class`, is read as a strategy.

    Raises:
        LabError: there is none, or the file cannot be read.
    """
    if name.endswith(".py") or ":" in name:
        return [_outside(name)]
    found = [plugin for kind in KINDS for plugin in named(kind, name)]
    if not found:
        allowed = sorted({name for kind in KINDS for name in loading.names(kind)})
        raise loading.unknown("strategy, surrogate, evaluator or zero-cost score", name, allowed)
    return found


def facts_of(specs: Iterable[str]) -> dict[str, dict[str, str]]:
    """Family, summary, default parameters and paper of the strategies in specs.

    Left out are names that are not at hand, and files and classes of others: nothing that somebody's results name is
    opened because they name it.
    """
    found: dict[str, dict[str, str]] = {}
    for spec in specs:
        for plugin in named("strategies", _name_in(spec)):
            facts = {"family": plugin.family, "summary": plugin.summary, "parameters": plugin.defaults}
            found |= {} if plugin.note else {spec: facts | {"paper": plugin.paper}}
    return found


def _name_in(spec: str) -> str:
    try:
        return loading.split_spec(spec)[0]
    except LabError:
        return ""


def _own(kind: str, name: str) -> Plugin:
    """One of ours."""
    module = loading.leaves(kind)[name]
    empty = Plugin(kind, name, f"{module.replace('.', '/')}.py", family=_folder(module))
    return _readable(empty, module, "")


def _pointed(kind: str, point: EntryPoint, why: str) -> Plugin:
    """One of another package; `why` says what hides it."""
    empty = Plugin(kind, point.name, f"{point.value}, of {loading.owner(point)}", family=OTHER)
    return replace(empty, note=why) if why else _readable(empty, *loading.target(point))


def _outside(name: str) -> Plugin:
    """A strategy that is named by its file or its class."""
    path, class_name = loading.module_of(name)
    source = sources.read(paths.home(path)) if path.endswith(".py") else sources.module(path)
    return _told(Plugin("strategies", name, path), classes.find(source, class_name))


def _readable(empty: Plugin, module: str, class_name: str) -> Plugin:
    """A plug-in filled in from its source; with a note where that cannot be read."""
    try:
        return _told(empty, classes.find(sources.module(module), class_name))
    except (LabError, RecursionError) as error:
        return replace(empty, note=f"cannot be read: {error}")


def _told(empty: Plugin, cls: Written) -> Plugin:
    """Everything that is read of a class."""
    parameters = _parameters(empty.kind, cls)
    needed = sorted(needs.packages(cls) | _of_models(parameters))
    file = cls.source.docstring
    return replace(
        empty,
        family=_family(cls) if empty.kind == "strategies" else "",
        summary=(file or cls.docstring).partition("\n")[0],
        paper=str(cls.attribute("paper") or ""),
        parameters=tuple(parameters),
        about="\n\n".join(filter(None, [file.partition("\n")[2].strip(), classes.prose(cls.docstring)])),
        needs=tuple(needed),
        absent=tuple(filter(extras.absent, needed)),
    )


def _parameters(kind: str, cls: Written) -> list[Parameter]:
    if kind != "evaluators":
        return cls.parameters
    return [option for option in cls.options("open") if option.name not in SET_BY_STUDY]


def _of_models(parameters: Sequence[Parameter]) -> set[str]:
    """The packages that the surrogates need which parameters name by default."""
    found = set[str]()
    for parameter in parameters:
        name = _name_in(str(parameter.default)) if parameter.name in _MODELS else ""
        if name in loading.leaves("surrogates"):
            found |= needs.packages(classes.find(sources.module(loading.leaves("surrogates")[name])))
    return found


def _family(cls: Written) -> str:
    """As `core.Strategy` has it: what the nearest class declares, or the folder it lies in."""
    for base in cls.lineage:
        if found := base.declared("family") or _folder(base.source.module):
            return str(found)
    return OTHER


def _folder(module: str) -> str:
    """The folder of a strategy of this package; "" for anything else."""
    parts = module.split(".")
    return parts[2] if parts[:2] == ["nasbench_lab", "strategies"] and len(parts) > 3 else ""
