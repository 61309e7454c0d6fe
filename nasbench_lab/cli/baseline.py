"""`--baseline DIR` of `compare` and `run`: the committed study run anew, and what came of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nasbench_lab.errors import LabError

if TYPE_CHECKING:
    from nasbench_lab.leaderboard.parts import Leaderboard
    from nasbench_lab.study.plan import Plan
    from nasbench_lab.study.study import Study

Baseline = Annotated[
    Path | None,
    typer.Option(help="A committed results folder: exit code 3 if a strategy is significantly worse than there."),
]
Alpha = Annotated[float, typer.Option(help="Chance of any false alarm against the baseline.")]
_ALLOWED = {
    "strategies",
    "baseline",
    "alpha",
    "seeds",
    "workers",
    "backend",
    "write_on",
    "out",
    "as_json",
    "explain",
    "trust",
}


def study_of(
    context: typer.Context, baseline: Path, strategies: Sequence[str], seeds: int, trusted: Sequence[str] | None
) -> Study:
    """The baseline's study; its seeds unless another number was given.

    Raises:
        LabError: not a results folder, or an option was given that the baseline decides.
    """
    from nasbench_lab.experiments import regression

    given = {name for name in context.params if _on_command_line(context, name)}
    if given - _ALLOWED:
        options = ", ".join("--" + name.replace("_", "-") for name in sorted(given - _ALLOWED))
        raise LabError(f"the baseline {baseline} decides {options}; leave out what is not about how to run")
    return regression.study_of(baseline, strategies, seeds if "seeds" in given else None, trusted)


def _on_command_line(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def check_tables(plan: Plan, baseline: Path) -> None:
    """Raises LabError where the baseline is of another table, which no run could be compared with."""
    from nasbench_lab.experiments import regression

    regression.check_tables(plan, baseline)


def judge(board: Leaderboard, plan: Plan, baseline: Path, alpha: float, *, as_json: bool) -> int:
    """Print what became of every row; returns the exit code, 3 if one is worse."""
    from nasbench_lab.experiments import regression

    verdicts = regression.check(board, plan, baseline, alpha=alpha)
    print(f"\n{regression.in_words(verdicts, baseline, alpha)}", file=sys.stderr if as_json else sys.stdout)
    return 3 if any(verdict.worse for verdict in verdicts) else 0
