"""`nasbench-lab latex`: leaderboards as a table of a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nasbench_lab.cli import screen


def latex(
    folders: Annotated[list[Path], typer.Argument(help="Results folders; their settings stand side by side.")],
    spread: Annotated[
        str, typer.Option(help="Beside a mean: its 95% interval, plusminus half of it, or none.")
    ] = "interval",
    columns: Annotated[int, typer.Option(help="Settings side by side; further ones below.", metavar="N", min=1)] = 4,
    label: Annotated[str, typer.Option(help="Label of the table.")] = "tab:leaderboard",
    out: Annotated[Path | None, typer.Option(help="Write to this file, not to the terminal.")] = None,
    force: screen.Force = False,
) -> None:
    r"""Leaderboards as one LaTeX table: best in bold, who is not told apart from it marked, protocol in the caption.

    The preamble needs \usepackage{booktabs}. Example: nasbench-lab latex results/compare results/mine --out table.tex
    """
    from nasbench_lab import api
    from nasbench_lab.files import writing

    text = api.to_latex(*folders, spread=spread, columns=columns, label=label)
    if out is None:
        print(text, end="")
        return
    writing.not_there([out], force=force)
    writing.write_atomically(out, text.encode())
    print(f"{out}: {len(folders)} {'board' if len(folders) == 1 else 'boards'}")
