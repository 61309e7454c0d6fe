"""What goes wrong, said so that a user can mend it; what ends a run from outside, and somebody's code that ends the program."""

from __future__ import annotations

import difflib
import os
import signal
import threading
import traceback
import types
import typing
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

_exit = os._exit
_MANY = 12  # names that a sentence can hold
_here = threading.local()  # .process: whose `os._exit` is refused in this thread; a process that is forked off may end


class LabError(Exception):
    """What a user can mend. The command line prints the message and exits with 2."""


class StrategyError(LabError):
    """A strategy asked for something that does not exist, or ended the program."""


def brief(value: object) -> str:
    """A value as a message shows it: of a long one its beginning."""
    text = repr(value)
    return "nothing" if value is None else text if len(text) < 60 else f"{text[:57]}..."


def offered(name: object, allowed: Iterable[object], lead: str = "allowed:", listing: str = "") -> str:
    """What there is in place of a name that stands for nothing: the nearest, and all; of many the command that lists them.

    Args:
        name: what was got.
        allowed: all names.
        lead: before them: "allowed:", "it has:", "there are".
        listing: the command.

    Returns:
        the rest of a sentence, from "; " on.
    """
    every = [str(each) for each in allowed]
    plain = {each.strip().casefold(): each for each in reversed(every)}
    close = difflib.get_close_matches(str(name).strip().casefold(), plain, n=3, cutoff=0.65)
    near, shown = [_seen(plain[each]) for each in close], [_seen(each) for each in every]
    rest = (
        f"`{listing}` lists all {len(every)}"
        if listing and len(every) > _MANY
        else f"{lead} {', '.join(shown) or 'none'}"
    )
    if not near:
        return f"; {rest}"
    return f"; did you mean {' or '.join(near)}? {rest[0].upper()}{rest[1:]}"


def _seen(name: str) -> str:
    """A name whose blanks at its ends are seen."""
    return name if name == name.strip() else repr(name)


def values_of(kind: Any) -> str:
    """The values of a type in words."""
    if typing.get_origin(kind) is typing.Literal:
        return f"one of {', '.join(map(str, typing.get_args(kind)))}"
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        return " or ".join(map(values_of, typing.get_args(kind)))
    if typing.get_args(kind):
        return str(kind).replace("typing.", "")
    return "none" if kind is type(None) else str(getattr(kind, "__name__", kind))


def of_predictor(found: Any) -> str:
    """What to do with a predictor where a strategy was wanted, as the end of a sentence; "" of anything else."""
    if not all(callable(getattr(found, name, None)) for name in ("fit", "predict")):
        return ""
    return "; it has fit and predict: `check --kind surrogate` checks it, `gp_bo:surrogate=(SPEC)` searches with it"


def nth(row: int) -> str:
    """A row of a file or frame as people count: "row 1" is the first below the header, of place 0."""
    return f"row {row + 1}"


def counted(number: int, noun: str, verb: str = "") -> str:
    """A number of things as people say it: "1 row", "2,000 rows"; with a verb, "has" or "is", "1 row has", "2 rows have"."""
    if number != 1:
        noun, verb = f"{noun}s", {"": "", "is": "are", "has": "have"}[verb]
    return f"{number:,} {noun} {verb}".rstrip()


def queries(count: str) -> str:
    """So many queries, as people say it: "1 query", "15.5 queries"."""
    return f"{count} {'query' if count == '1' else 'queries'}"


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
