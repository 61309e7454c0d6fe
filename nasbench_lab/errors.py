"""What goes wrong, said so that a user can mend it; what ends a run from outside, and somebody's code that ends the program."""

from __future__ import annotations

import os
import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

_exit = os._exit
_here = threading.local()  # .process: whose `os._exit` is refused in this thread; a process that is forked off may end


class LabError(Exception):
    """What a user can mend. The command line prints the message and exits with 2."""


class StrategyError(LabError):
    """A strategy asked for something that does not exist, or ended the program."""


def brief(value: object) -> str:
    """A value as a message shows it: of a long one its beginning."""
    text = repr(value)
    return "nothing" if value is None else text if len(text) < 60 else f"{text[:57]}..."


def nth(row: int) -> str:
    """A row of a file or frame as people count: "row 1" is the first below the header, of place 0."""
    return f"row {row + 1}"


def counted(number: int, noun: str, verb: str = "") -> str:
    """A number of things as people say it: "1 row", "2,000 rows"; with a verb, "has" or "is", "1 row has", "2 rows have"."""
    if number != 1:
        noun, verb = f"{noun}s", {"": "", "is": "are", "has": "have"}[verb]
    return f"{number:,} {noun} {verb}".rstrip()


class Interrupted(KeyboardInterrupt):
    """A signal told this process to end: Ctrl-C, SIGTERM or SIGHUP. Nobody's code raises it."""


class _Exit(BaseException):
    """In place of the end of the process."""


def _refused(status: int) -> NoReturn:
    if getattr(_here, "process", None) == os.getpid():
        raise _Exit(f"os._exit({status})")
    _exit(status)


@contextmanager
def contained(name: str) -> Iterator[None]:
    """What would end the program becomes an error of `name`; a signal is still an interruption.

    Raises:
        StrategyError: it called `sys.exit`, `os._exit` or raised something else that is no `Exception`.
    """
    os._exit = _refused  # from here on; only inside of this does it do anything else
    before, _here.process = getattr(_here, "process", None), os.getpid()
    try:
        with heard():
            yield
    except (Exception, Interrupted):
        raise
    except BaseException as error:
        raise StrategyError(f"{name} ends the program instead of returning: {place(error)}") from error
    finally:
        _here.process = before


@contextmanager
def heard(*signals: signal.Signals) -> Iterator[None]:
    """These signals, Ctrl-C among them, raise `Interrupted` meanwhile; one that is ignored (nohup) stays so.

    Only the main thread hears signals. Ctrl-C is left to whoever listens to it already.
    """
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for each in (signal.SIGINT, *signals):
            plain = signal.default_int_handler if each == signal.SIGINT else signal.SIG_DFL
            if signal.getsignal(each) == plain:
                before[each] = signal.signal(each, _interrupt)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _interrupt(number: int, _frame: object) -> NoReturn:
    raise Interrupted(signal.Signals(number).name)


def place(error: BaseException) -> str:
    """What was raised, and the last line of code it came from, outside of this file."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
