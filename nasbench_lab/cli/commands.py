"""What all commands have in common: how they are interrupted, where paths lie, what a refusal looks like."""

from __future__ import annotations

import functools
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer

from nasbench_lab import errors, extras
from nasbench_lab.cli import once
from nasbench_lab.errors import LabError
from nasbench_lab.files import paths

_LONG = 200  # letters of one word in a message; of a longer one its beginning is shown
_INTERRUPTED = "interrupted"  # what is kept is said by who keeps it
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Commands(typer.Typer):
    """Commands whose paths may begin with `~`, whose options of one value are given once, and that end in one sentence."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            cls=once.Group, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None, **options
        )

    def command(self, *arguments: Any, **options: Any) -> Callable[[Any], Any]:
        """As Typer's, of a function that is called as described above."""
        register = super().command(*arguments, cls=once.Command, **options)
        return lambda function: register(_called(function))


def _called(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **{name: _at_home(value) for name, value in options.items()})
        except KeyboardInterrupt:  # here, as Typer has an end of its own for it
            raise LabError(_INTERRUPTED) from None
        except BrokenPipeError:  # the reader went away (`| head`): nothing to say, and no one to say it to
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None

    return call


def _at_home(value: Any) -> Any:
    if isinstance(value, Path):
        return paths.home(value)
    return [_at_home(each) for each in value] if isinstance(value, list) else value


@contextmanager
def sentences() -> Iterator[None]:
    """What a user can mend, what the machine lacks, and an interruption become one line on stderr and exit code 2."""
    _streams()
    try:
        with errors.heard(*_SIGNALS), extras.told("this command"):
            _check(sys.argv[1:])
            yield
    except LabError as error:
        _end(str(error))
    except KeyboardInterrupt:
        _end(_INTERRUPTED)
    except MemoryError:
        _end("there is not enough memory for this")
    except OSError as error:
        _end(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))


def _streams() -> None:
    """Have standard input, output and error, closed ones too; a terminal that cannot show a letter shows its number."""
    while (number := os.open(os.devnull, os.O_RDWR)) < 3:  # else a file of ours gets that number, and what is printed
        os.set_inheritable(number, True)
    os.close(number)
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115 - as long as the process
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


def _check(arguments: list[str]) -> None:
    """Refuse what a shell makes of a variable that is not set, names that no file of ours can hold, and a place that is gone.

    Raises:
        LabError: an argument is blank or no text, or the folder that this stands in was removed.
    """
    try:
        os.getcwd()
    except OSError:
        raise LabError("the folder that this was started in is gone; change into another one") from None
    for number, text in enumerate(arguments, 1):
        value = text.partition("=")[2] if re.match(r"--[\w-]+=", text) else text
        if not value.strip():
            raise LabError(f"argument {number} is blank: {text!r}")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise LabError(f"argument {number} is no text in UTF-8: {text!a}") from None


def _end(message: str) -> None:
    """Say a message in a line of its own, words beyond all reason shortened, and end with 2."""
    message = re.sub(rf"(\S{{{_LONG // 2}}})\S{{{_LONG},}}", r"\1…", message)
    print(f"nasbench-lab: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(2)
