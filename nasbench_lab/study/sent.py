"""Tables where jobs are run: as they are found there, or as they were sent, once for every process that lacks them."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Iterable

from nasbench_lab.core import LabError
from nasbench_lab.tables import catalog, stored
from nasbench_lab.tables.table import Table

_MOST = 16  # tables that were sent and are kept
_received: OrderedDict[str, Table] = OrderedDict()  # by digest


def receive(contents: Iterable[bytes]) -> None:
    """Keep tables that came with a job.

    Raises:
        LabError: one was damaged on its way.
    """
    for content in contents:
        table = stored.read_file(io.BytesIO(content), "a table that was sent")
        _received[table.digest] = table
        if len(_received) > _MOST:
            _received.popitem(last=False)


def load(where: str, digest: str) -> Table:
    """A table: the one that is there, or, where that is another or none, the one of this digest that was sent.

    Raises:
        LabError: there is none.
    """
    try:
        found = catalog.load(where)
    except LabError:
        if digest in _received:
            return _received[digest]
        raise
    return found if found.digest == digest else _received.get(digest, found)


def lacking(wanted: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """Of tables, (where, digest), the digests of those that are not here."""
    return tuple(digest for where, digest in wanted if not _there(where, digest))


def _there(where: str, digest: str) -> bool:
    try:
        return load(where, digest).digest == digest
    except LabError:
        return False
