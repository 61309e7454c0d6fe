"""Help that helps: of every command, whole, with examples that can be run, by `-h` as well; and completion."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from test_docs import commands

from nasbench_lab.cli import once
from nasbench_lab.cli.app import app
from nasbench_lab.leaderboard import wording, written

ROOT = Path(__file__).parents[2]
COMMAND = typer.main.get_command(app)
COMMANDS = dict(commands(COMMAND))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_explains_itself_by_either_name_and_has_examples_that_parse(path, lab):
    code, out, err = lab(*path.split(), "-h")
    assert (code, err) == (0, "")
    assert out == lab(*path.split(), "--help")[1]
    found = [line.strip() for line in out.partition(once.EXAMPLES)[2].split("\n\n")[0].splitlines() if line.strip()]
    assert found
    for line in found:
        words = shlex.split(line)
        assert words[:1] == ["nasbench-lab"]
        assert " ".join(words[1 : 1 + len(path.split())]) == path
        COMMANDS[path].make_context(path, words[1 + len(path.split()) :])  # a usage error is raised


def test_the_list_of_commands_cuts_nothing(lab):
    for group in ([], ["tables"]):
        text = " ".join(lab(*group, "-h")[1].split())
        assert "..." not in text.replace("[ARGS]...", "")
        for path, command in COMMANDS.items():
            if path.split()[:-1] == group:
                assert " ".join(command.help.partition("\n\n")[0].split()) in text, path


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("nasbench-lab tables ex", "export"),
        ("nasbench-lab compare local_", "local_search"),
        ("nasbench-lab compare tpe --table dig", "digits"),
    ],
)
def test_a_shell_is_offered_what_there_is(typed, offered):
    ours = "import sys; sys.argv[0] = 'nasbench-lab'; from nasbench_lab.cli.app import main; main()"
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_NASBENCH_LAB_COMPLETE": "complete_bash"}
    env = os.environ | words | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", ours], env=env, capture_output=True, text=True, check=False)
    assert offered in done.stdout.split(), done.stderr


def test_completion_can_be_installed(lab):
    out = lab("-h")[1]
    assert "--install-completion" in out
    assert "--show-completion" in out


def test_every_column_that_any_board_shows_is_explained():
    boards = sorted((ROOT / "results").glob("*/leaderboard.json"))
    assert boards
    for path in boards:
        content = written.read_rows(path.parent)
        for row in content["rows"]:
            for head in wording.heads_of(row):
                said = wording.meaning(head, content["columns"])
                assert said, (path, head)
                assert not re.search(r"\w_\w", said), (
                    path,
                    head,
                )  # names of the files' columns, which nobody sees here


def test_a_board_explains_its_columns_where_that_is_asked_for(lab, tmp_path):
    quick = ("random_search", "--table", "toy", "--seeds", 2, "--max-queries", 3, "--out", tmp_path)
    _, plain, _ = lab("compare", *quick)
    _, out, _ = lab("compare", *quick, "--explain")
    assert "\nColumns\n" in out
    assert "\nColumns\n" not in plain
    assert "mean number of queries answered" in out
    assert "\nColumns\n" in lab("leaderboard", tmp_path, "--explain")[1]
