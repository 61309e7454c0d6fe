"""What goes wrong, said so that a user can mend it; and what ends a run from outside, told from what only pretends to."""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn


class LabError(Exception):
    """What a user can mend. The command line prints the message and exits with 2."""


class Interrupted(KeyboardInterrupt):
    """A signal told this process to end: Ctrl-C, SIGTERM or SIGHUP. Nobody's code raises it."""


class Ended(RuntimeError):
    """Somebody's code raised what would end this process: SystemExit, KeyboardInterrupt or GeneratorExit."""


def place(error: BaseException) -> str:
    """What was raised, and the last line of code it came from."""
    error = error.__cause__ if isinstance(error, Ended) and error.__cause__ else error
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"


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


@contextmanager
def contained() -> Iterator[None]:
    """Runs somebody's code: what would end this process is an error of that code like any other, unless a signal raised it.

    Raises:
        Ended: instead; whoever catches what the code raises catches it too.
    """
    with heard():
        try:
            yield
        except Interrupted:
            raise
        except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
            raise Ended(f"{type(error).__name__}: {error}") from error
