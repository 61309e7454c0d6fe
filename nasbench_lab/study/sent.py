"""Tables where jobs are run: as they are found there, or as they were sent, once for every home folder that lacks them."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from nasbench_lab.core import LabError
from nasbench_lab.files.writing import write_atomically
from nasbench_lab.tables import catalog, stored
from nasbench_lab.tables.table import Table


def folder() -> Path:
    """Where tables that were sent are kept, by digest; a cache of the user's, which can be removed."""
    return Path(platformdirs.user_cache_dir("nasbench_lab")) / "tables"


def receive(contents: Iterable[bytes]) -> None:
    """Keep tables that came with a job.

    Raises:
        LabError: one was damaged on its way, or the cache cannot be written.
    """
    for content in contents:
        table = stored.read_file(io.BytesIO(content), "a table that was sent")
        write_atomically(_place(table.digest), content)


def kept(table: Table) -> str:
    """Where a table that is nobody's file is kept, so that processes and later commands find it: its path."""
    place = _place(table.digest)
    if not place.is_file():
        write_atomically(place, table.content(compress=True))
    return str(place)


def load(where: str, digest: str) -> Table:
    """A table: the one that is there, or, where that is another or none, the one of this digest ("" for any) that was sent.

    Raises:
        LabError: there is none.
    """
    try:
        found = catalog.load(where)
    except LabError:
        if _place(digest).is_file():
            return catalog.load(str(_place(digest)))
        raise
    other = digest not in ("", found.digest)
    return catalog.load(str(_place(digest))) if other and _place(digest).is_file() else found


def lacking(wanted: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Of tables, (where, digest), the digests of those that are not here."""
    return tuple(digest for where, digest in wanted if not _there(where, digest))


def _there(where: str, digest: str) -> bool:
    try:
        return digest in ("", load(where, digest).digest)
    except LabError:
        return False


def _place(digest: str) -> Path:
    return folder() / f"{digest}.npz"
