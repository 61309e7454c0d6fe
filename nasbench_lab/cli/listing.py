"""`nasbench-lab list`: the plug-ins there are, and what each of them takes."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from nasbench_lab import extras
from nasbench_lab.cli import complete, screen
from nasbench_lab.errors import LabError

if TYPE_CHECKING:
    from nasbench_lab.listing.classes import Parameter
    from nasbench_lab.listing.plugins import Plugin

_WIDTH = 28  # of the names
_WIDEST = 120  # of a line


def list_plugins(
    name: Annotated[
        str | None,
        typer.Argument(
            autocompletion=complete.strategies,
            help="Explain this one, parameter by parameter: a name, a file.py or pkg.module:Class.",
        ),
    ] = None,
    family: Annotated[str | None, typer.Option(metavar="NAME", help="Only the strategies of this family.")] = None,
    as_json: screen.AsJson = False,
) -> None:
    """The strategies at hand by family, surrogates, evaluators and zero-cost scores, with their parameters; or one of them.

    Examples:
        nasbench-lab list --family evolution
        nasbench-lab list gp_bo
    """
    from nasbench_lab.listing import plugins

    if name and family:
        raise LabError(f"either a name or --family, got {name!r} and {family!r}")
    if name:
        sections = {plugin.kind: [plugin] for plugin in plugins.find(name)}
    else:
        sections = dict(plugins.families(family or ""))
        for kind in plugins.KINDS[1:] if not family else ():
            sections[kind] = plugins.members(kind)
    if as_json:
        screen.print_json([plugin.plain() for members in sections.values() for plugin in members])
    elif name:
        print("\n\n".join("\n".join(_explained(plugin)) for members in sections.values() for plugin in members))
    else:
        typer.echo("\n".join(_shown(sections)))


def _shown(sections: dict[str, list[Plugin]]) -> Iterator[str]:
    """Two paragraphs each: what it is; parameters and paper."""
    room = min(shutil.get_terminal_size((_WIDEST, 0)).columns, _WIDEST) - _WIDTH - 2
    for title, members in sections.items():
        yield typer.style(f"\n{title}", bold=True)
        for plugin in members:
            first, *more = _wrapped(f"{plugin.summary}{_mark(plugin)}", room) or [""]
            yield f"  {plugin.name:<{_WIDTH}}{first}".rstrip()
            yield from (f"  {'':<{_WIDTH}}{line}" for line in more)
            for line in _wrapped("   ".join(filter(None, [plugin.defaults, plugin.paper])), room):
                yield typer.style(f"  {'':<{_WIDTH}}{line}", dim=True)
    yield typer.style("\nOne of them, parameter by parameter: nasbench-lab list NAME", dim=True)


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of a text, broken at blanks alone: parameters and addresses stay whole."""
    from textwrap import wrap

    return wrap(text, max(width, 20), break_long_words=False, break_on_hyphens=False)


def _mark(plugin: Plugin) -> str:
    """Why it cannot be used as it is; "" where it can."""
    why = plugin.note or (f"needs {extras.label(plugin.absent)}" if plugin.absent else "")
    return f" ({why})".lstrip(" " if not plugin.summary else "") if why else ""


def _explained(plugin: Plugin) -> Iterator[str]:
    """Everything that is known of a plug-in."""
    yield f"{plugin.name}: {plugin.note or plugin.summary}"
    if plugin.about:
        yield f"\n{plugin.about}\n"
    facts = {
        "kind": plugin.kind,
        "family": plugin.family,
        "paper": plugin.paper,
        "needs": extras.label(plugin.needs),
        "absent": plugin.install,
        "where": plugin.where,
        "example": plugin.example if not plugin.note else "",
    }
    yield from (f"{key:<10}{value}" for key, value in facts.items() if value)
    yield "" if plugin.parameters else "no parameters"
    for parameter in plugin.parameters:
        yield from _parameter(parameter)


def _parameter(parameter: Parameter) -> Iterable[str]:
    """A parameter in a line, and below it what it means."""
    from textwrap import wrap

    takes = f"one of {', '.join(map(str, parameter.allowed))}" if parameter.allowed else parameter.type
    given = "" if parameter.required else f"={parameter.default}"
    return [
        f"  {parameter.name + given:<{_WIDTH}}  {takes}{', required' if parameter.required else ''}",
        *(f"      {line}" for line in wrap(parameter.meaning or "not explained", 110)),
    ]
