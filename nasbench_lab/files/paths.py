"""Paths as people write them: `~` is the home folder wherever a path can be given, and a name with `~` elsewhere is a name."""

from __future__ import annotations

import os
from pathlib import Path

from nasbench_lab.errors import LabError


def home(path: str | Path) -> Path:
    """A path with `~/` and `~user/` in front read as a shell reads them, which it does not do within a word or a file.

    Raises:
        LabError: it is not known where that home is.
    """
    text = str(path)
    if text != "~" and not (text.startswith("~") and os.sep in text):
        return Path(path)
    found = os.path.expanduser(text)
    own = text.split(os.sep, maxsplit=1)[0] == "~"
    if not os.path.isabs(found) or (own and not os.path.isabs(os.environ.get("HOME", os.sep))):
        raise LabError(f"no home folder is known for {text!r}; set HOME, or write the path in full")
    return Path(found)


def of_variable(name: str) -> Path | None:
    """The folder that an environment variable names; None where it is not set.

    Raises:
        LabError: as `home`.
    """
    chosen = os.environ.get(name)
    return home(chosen) if chosen else None


def is_folder(text: str) -> bool:
    """Whether a text that may be something else is the path of a folder."""
    try:
        return home(text).is_dir()
    except (LabError, OSError, ValueError):  # no home, a name that is too long or has a zero in it
        return False
