"""`nasbench-lab new`: a strategy to begin with."""

from __future__ import annotations

import keyword
from pathlib import Path
from typing import Annotated

import typer

from nasbench_lab.cli import screen
from nasbench_lab.errors import LabError


def new(
    path: Annotated[Path, typer.Argument(help="The file to write, my_search.py say; its class is called after it.")],
    force: screen.Force = False,
) -> None:
    """Write a small strategy that works, to be changed into your own."""
    from nasbench_lab.files import writing

    if path.suffix != ".py" or not path.stem.isidentifier() or keyword.iskeyword(path.stem):
        raise LabError(f"a strategy is a Python file, such as my_search.py; got {str(path)!r}")
    name = "".join(part[:1].upper() + part[1:] for part in path.stem.split("_")) or "MySearch"
    writing.not_there([path], force=force)
    text = (Path(__file__).parents[1] / "testing" / "first_search.py").read_text(encoding="utf-8")
    writing.write_atomically(path, text.replace("MySearch", name).encode())
    print(f"Written to {path}: class {name}. Does it keep the rules, and how good is it?")
    print(f"  nasbench-lab check {path}")
    print(f"  nasbench-lab compare {path} local_search --out results/{path.stem}")
