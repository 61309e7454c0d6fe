"""Markdown that says what it was given: a table keeps its rows and columns, and no text becomes markup.

Texts are escaped unless they are `Markup`, made by `code` or `link`. A name keeps its look: `_` inside a word is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"[\\`*\[\]<|~$#]|&(?=#|\w+;)|(?<![^\W_])_|_(?![^\W_])|(?<=https):|(?<=http):|(?<=www)\.|@")
_ENTITIES = {"<": "&lt;", "&": "&amp;", ":": "&#58;", ".": "&#46;", "@": "&#64;"}
_BLANK = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_FIRST = re.compile(r"^(?:([>#=+-])|(\d+)([.)]))(?=\s|$|[>=-])")


class Markup(str):
    """A text that is Markdown already, on one line."""

    __slots__ = ()


def text(value: str) -> str:
    """A text on one line, as it will be seen: nothing in it is markup, an HTML element, or a link by itself."""
    plain = _BLANK.sub(" ", value)
    if isinstance(value, Markup):
        return plain
    return _SPECIAL.sub(_escaped, plain)


def line(value: str) -> str:
    """The same where it begins a line, so that it is no heading, list, rule or underline either."""
    return _FIRST.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}", text(value).strip())


def code(value: str) -> Markup:
    """A text in the letters of code, whatever backticks are in it; for a table's cell too."""
    plain = _BLANK.sub(" ", value).replace("|", "\\|").strip()
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", plain)), default=0))
    space = " " if "`" in plain else ""
    return Markup(f"{ticks}{space}{plain}{space}{ticks}" if plain else "")


def indented(value: str) -> str:
    """A text as a paragraph of code, on one line."""
    return "    " + _BLANK.sub(" ", value).strip()


def link(words: str, target: str) -> Markup:
    """Words that lead to a file beside the page."""
    safe = re.sub(r"[^\w./-]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), target)
    return Markup(f"[{text(words)}]({safe})")


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = False) -> list[str]:
    """Head, rule and rows, a line each.

    Args:
        heads: one text per column.
        rows: texts, as many as heads.
        numbers: all columns but the first are aligned right.
    """
    rule = "| --- |" + " ---: |" * (len(heads) - 1) if numbers else "|" + " --- |" * len(heads)
    return [_line(heads), rule, *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(text, cells))} |"


def _escaped(found: re.Match[str]) -> str:
    return _ENTITIES.get(found[0], f"\\{found[0]}")
