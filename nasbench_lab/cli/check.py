"""`nasbench-lab check`: the conformance kits."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from nasbench_lab.cli import screen


def check(
    name: Annotated[str, typer.Argument(help="A name, pkg.module:Class or file.py, with :key=value,... if wanted.")],
    kind: Annotated[Literal["strategy", "surrogate"], typer.Option(help="What it is.")] = "strategy",
    time_limit: Annotated[float, typer.Option(help="Seconds a check may take.", metavar="X", min=1, max=1e6)] = 300.0,
) -> None:
    """Run the conformance kit on a strategy or a surrogate; exit code 1 if a check fails.

    What does not return within the limit is told with the line it stands at, and the other checks are then left out.
    """
    from nasbench_lab.testing.checks import Stuck
    from nasbench_lab.testing.strategy_kit import CheckFailed, check_strategy, check_surrogate

    console = screen.console()
    checks = list((check_strategy if kind == "strategy" else check_surrogate)(name, limit=time_limit))
    failed = 0
    for done, test in enumerate(checks, 1):
        try:
            test()
        except CheckFailed as error:
            failed += 1
            console.print(f"FAIL  {test.name}: {error}", style="red", highlight=False, markup=False)
            if isinstance(error, Stuck):
                console.print(f"{len(checks) - done} other checks were not run", highlight=False)
                break
        else:
            console.print(f"pass  {test.name}", highlight=False, markup=False)
    console.print(f"{failed} checks failed" if failed else "all checks passed", highlight=False)
    raise typer.Exit(1 if failed else 0)
