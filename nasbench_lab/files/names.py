"""Names that come from data (of tables, datasets, settings, specs) as parts of paths: they are names, never paths."""

from __future__ import annotations

import re

from nasbench_lab.errors import LabError

_NAME = re.compile(r"\w(?:[\w .+-]{0,98}[\w+])?")


def checked(name: object, what: str) -> str:
    """A name as it may stand in a path, or an error: no separator, no dot in front, nothing a shell or a system reads.

    Args:
        name: from a file, or given by the user.
        what: what it is the name of, for the error.

    Raises:
        LabError: it could be read as something else than the name of a file, or is longer than 100 letters.
    """
    if isinstance(name, str) and _NAME.fullmatch(name) and len(name.encode()) < 200:
        return name
    raise LabError(
        f"{what} cannot be called {str(name)[:60]!r}: a name has letters, digits, blanks and . _ + -, "
        "begins with a letter, a digit or _, and has 100 of them at most"
    )


def slug(text: str, *, limit: int = 40, kept: str = "_.") -> str:
    """Any text as a short part of a file's name: what is no letter, no digit and not `kept` becomes a hyphen.

    Different texts may give the same; whoever needs them apart adds a hash, or uses `slugs`.
    """
    return "".join(c if c.isalnum() or c in kept else "-" for c in text)[:limit]


def slugs(texts: list[str], *, limit: int = 80) -> list[str]:
    """Texts as names of folders, short, safe, and all different."""
    found: list[str] = []
    for text in texts:
        plain = re.sub("-+", "-", slug(text, limit=10 * limit, kept="")).strip("-")[:limit].rstrip("-") or "all"
        name, number = plain, 1
        while name.lower() in {other.lower() for other in found}:
            number += 1
            name = f"{plain}-{number}"
        found.append(name)
    return found
