"""Every Python block of docs/plug_in.md runs; every command in it has the options that it names."""

from __future__ import annotations

import re
import shlex
import warnings
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nasbench_lab.cli.app import app
from nasbench_lab.extras import EXTRAS, absent

PAGE = (Path(__file__).parents[1] / "docs" / "plug_in.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


def needed(block: str) -> str:
    first = re.match(r"# needs (\w+)\n", block)
    return first[1] if first else ""


@pytest.mark.parametrize("number", range(len(BLOCKS)), ids=[needed(block) or "core" for block in BLOCKS])
def test_it_runs(number, tmp_path, monkeypatch):
    package = needed(BLOCKS[number])
    if package in EXTRAS:
        pytest.importorskip(package)
    elif package and absent(package):
        pytest.skip(f"{package} is of the dependency group `clients`: nox -s clients")
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        if package:
            warnings.simplefilter("ignore")  # somebody's library may
        exec(compile(BLOCKS[number], f"plug_in.md, block {number}", "exec"), {"__name__": "page"})


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith("nasbench-lab")])
def test_the_options_of_its_commands_are_there(line):
    words = shlex.split(line, comments=True)[1:]
    command = [word for word in words[:2] if re.fullmatch(r"[a-z]+", word) and word not in ("gp", "digits")]
    known = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"}).output
    assert [word for word in words if word.startswith("--") and word not in known] == []
