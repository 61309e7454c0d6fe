"""Options that are given twice, of every command."""

import pytest
import typer
from typer.testing import CliRunner

from nasbench_lab.cli.app import app

ROOT = typer.main.get_command(app)


def commands(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


SINGLE = [
    (path, option, option.opts[0])
    for path, command in commands(ROOT)
    for option in command.params
    if option.param_type_name == "option" and not option.multiple and option.name != "help"
]


@pytest.mark.parametrize(("path", "option", "name"), SINGLE, ids=lambda value: value if isinstance(value, str) else "")
def test_an_option_of_one_value_is_refused_when_given_twice(path, option, name):
    given = [name] if option.is_flag else [name, "1"]
    answer = CliRunner().invoke(app, [*path, *given, *given])
    assert answer.exit_code == 2
    assert f"{name}" in answer.stderr
    assert "is given 2 times" in answer.stderr


def test_an_option_of_several_values_may_be_repeated():
    answer = CliRunner().invoke(app, ["compare", "random_search", "--score", "toy", "--score", "toy"])
    assert "is given 2 times" not in answer.stderr
    assert "twice" in str(answer.exception)
