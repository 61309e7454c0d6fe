"""Options that are said once: what takes one value and is given two is refused, where the last would silently win."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand

from nasbench_lab.errors import LabError

Function = TypeVar("Function", bound=Callable[..., Any])


class Command(TyperCommand):
    """A command whose options take one value each, unless they say that they take several."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As usual, after a look at what is given twice.

        Raises:
            LabError: an option of one value, or a flag, that is given twice.
        """
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for parameter, count in Counter(given).items():
            if count > 1 and parameter.param_type_name == "option" and not parameter.multiple:
                raise LabError(f"{parameter.opts[0]} is given {count} times; say it once")
        return super().parse_args(ctx, args)


class Commands(typer.Typer):
    """A group of such commands."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Function], Function]:
        """See `typer.Typer.command`."""
        return super().command(name, **({"cls": Command} | settings))
