"""A command that refuses what is given twice where only the last would count, and whose help is whole."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import typer.core

EXAMPLES = "Examples:"  # a paragraph of a docstring that begins so is shown line by line


class _Whole:
    """In the list of commands its first paragraph stands whole: broken where it is longer than a line, not cut."""

    help: str | None

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first paragraph, however long."""
        return " ".join((self.help or "").partition("\n\n")[0].split())


class Group(_Whole, typer.core.TyperGroup):
    """As typer's, but for that."""


class Command(_Whole, typer.core.TyperCommand):
    """As typer's; an option that takes one value is an error where it is given more than once."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.help:  # the mark is click's: do not fill these lines
            self.help = re.sub(rf"(?m)^{EXAMPLES}$", f"\b\n{EXAMPLES}", self.help)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parameters of the command line as typer has them; a usage error (exit code 2) names the option."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for parameter, count in Counter(order).items():
            if count > 1 and not (getattr(parameter, "multiple", False) or parameter.nargs == -1):
                names = "/".join((*parameter.opts, *parameter.secondary_opts))
                ctx.fail(f"{names} is given {count} times; it takes one value")
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed
