"""`nasbench-lab new`: a strategy or a surrogate to begin with."""

from __future__ import annotations

import keyword
from pathlib import Path
from typing import Annotated, Literal

import typer

from nasbench_lab.cli import screen
from nasbench_lab.errors import LabError

_EXAMPLE = {"strategy": "my_search.py", "surrogate": "my_predictor.py"}


def new(
    path: Annotated[Path, typer.Argument(help="The file to write, my_search.py say; its class is called after it.")],
    kind: Annotated[Literal["strategy", "surrogate"], typer.Option(help="What it is.")] = "strategy",
    force: screen.Force = False,
) -> None:
    """Write a small strategy or surrogate that works, to be changed into your own.

    Examples:
        nasbench-lab new my_search.py
        nasbench-lab new my_predictor.py --kind surrogate
    """
    from nasbench_lab.files import writing

    if path.suffix != ".py" or not path.stem.isidentifier() or keyword.iskeyword(path.stem):
        raise LabError(f"a {kind} is a Python file, such as {_EXAMPLE[kind]}; got {str(path)!r}")
    template = "MySearch" if kind == "strategy" else "MyPredictor"
    name = "".join(part[:1].upper() + part[1:] for part in path.stem.split("_")) or template
    writing.not_there([path], force=force)
    text = (Path(__file__).parents[1] / "testing" / f"first_{'search' if kind == 'strategy' else kind}.py").read_text(
        encoding="utf-8"
    )
    writing.write_atomically(path, text.replace(template, name).encode())
    print(f"Written to {path}: class {name}. Does it keep the rules, and how good is it?")
    check = f"nasbench-lab check {path}"
    print(f"  {check}" if kind == "strategy" else f"  {check} --kind surrogate")
    how = f"compare {path} local_search" if kind == "strategy" else f"surrogates {path} gp"
    print(f"  nasbench-lab {how} --out results/{path.stem}")
