"""`nasbench-lab latex` and `plot`: leaderboards as a table and as a figure of a paper."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nasbench_lab.cli import complete, screen


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

    The preamble needs \usepackage{booktabs}.

    Examples:
        nasbench-lab latex results/compare
        nasbench-lab latex results/compare results/mine --out table.tex
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


def plot(
    kind: Annotated[
        str,
        typer.Argument(
            help="regret, regret-seconds, ranks, targets, rank-ranges, who-beats-whom, profile, deciding, front, hypervolume or "
            "hypervolume-seconds."
        ),
    ],
    folders: Annotated[list[Path], typer.Argument(help="Results folders; every setting of theirs is a panel.")],
    out: Annotated[Path, typer.Option(help="The figure: a name that ends with .pdf, .svg or .png.")],
    width: Annotated[
        str, typer.Option(help="Of the whole: column (3.25 inches), text (6.75), or a number of inches.", metavar="W")
    ] = "text",
    height: Annotated[
        float | None, typer.Option(help="Of a plot without its axes, in inches; two thirds of its width if left out.")
    ] = None,
    font: Annotated[str, typer.Option(help="Font family, as installed.")] = "sans-serif",
    size: Annotated[float, typer.Option(help="Size of the text in points.", metavar="PT")] = 8.0,
    titles: Annotated[bool, typer.Option(help="Whether panels say which table they are of.")] = True,
    columns: Annotated[
        int | None,
        typer.Option(help="Panels side by side, further ones below; as many as fit if left out.", metavar="N", min=1),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(help="Only settings that search this table; repeat for several.", autocompletion=complete.tables),
    ] = None,
    force: screen.Force = False,
) -> None:
    """A figure for a paper, as wide as asked for: one kind of chart of one or several boards side by side.

    Examples:
        nasbench-lab plot regret results/digits results/mine --width text --font serif --out figure.pdf
        nasbench-lab plot ranks results/spaces --table digits --table cifar10 --columns 1 --out ranks.pdf
    """
    from nasbench_lab.files import writing
    from nasbench_lab.report import figures

    figures.check_format(out)
    writing.not_there([out], force=force)
    made = figures.figure(
        folders,
        kind,
        width=width,
        height=height,
        font=font,
        size=size,
        titles=titles,
        columns=columns,
        tables=table or (),
    )
    figures.save(made, out)
    for note in figures.notes(folders, table or ()):
        print(f"note: {note}", file=sys.stderr)
    print(f"{out}  {out.stat().st_size / 1024:,.0f} KB")
