"""A command that refuses what is given twice where only the last would count."""

from __future__ import annotations

from collections import Counter
from typing import Any

import typer.core


class Command(typer.core.TyperCommand):
    """As typer's; an option that takes one value is an error where it is given more than once."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parameters of the command line as typer has them; a usage error (exit code 2) names the option."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for parameter, count in Counter(order).items():
            if count > 1 and not (getattr(parameter, "multiple", False) or parameter.nargs == -1):
                names = "/".join((*parameter.opts, *parameter.secondary_opts))
                ctx.fail(f"{names} is given {count} times; it takes one value")
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed
