"""What goes wrong, said so that a user can mend it."""

from __future__ import annotations

import traceback


class LabError(Exception):
    """What a user can mend. The command line prints the message and exits with 2."""


def place(error: BaseException) -> str:
    """What was raised, and the last line of code it came from."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{where}"
