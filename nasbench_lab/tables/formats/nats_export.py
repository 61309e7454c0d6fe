"""Tables -> a fast-mode folder that the official `nats_bench` reads, and back without a loss.

`meta` carries, beside what the official package wants, the whole table under a key of ours: what the format has no
place for (proxies, sources, means published without their trials) survives the way out and in again. An import trusts
it only where the records say the same.
"""

from __future__ import annotations

import bz2
import io
import pickle
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_lab.core import LabError
from nasbench_lab.spaces import cell
from nasbench_lab.tables import stored
from nasbench_lab.tables.formats.nats_simple import META
from nasbench_lab.tables.formats.official import names_of, state_of
from nasbench_lab.tables.formats.trials import Trials
from nasbench_lab.tables.table import Table

KEY = "nasbench_lab"
_PROTOCOL = 4
_CLOSE = 1e-5


def write(
    found: Sequence[Table],
    folder: Path,
    *,
    archs: Iterable[int] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write tables of different datasets into one folder; `meta` comes last, so a folder with it is whole.

    Args:
        found: the tables.
        folder: made if it is not there; must be empty.
        archs: only these cells; all that were measured if left out.
        progress: called with (records written, records in all).

    Returns:
        The number of records.

    Raises:
        LabError: two tables of one dataset, a folder with something in it, or nowhere to write.
    """
    sources = [Trials(table) for table in found]
    if len({source.dataset for source in sources}) < len(sources):
        raise LabError("tables of the same dataset cannot go into one folder")
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise LabError(f"{folder} is not empty")
    wanted = list(range(cell.SPACE.size)) if archs is None else sorted(set(archs))
    written = 0
    for done, arch in enumerate(wanted, start=1):
        record = _record(sources, arch)
        if record:
            _write(folder / f"{arch:06d}.pickle.pbz2", record)
            written += 1
        if progress is not None:
            progress(done, len(wanted))
    _write(folder / META, _meta(sources))
    return written


def _record(sources: Sequence[Trials], arch: int) -> OrderedDict[str, Any]:
    lasts = sorted({last for source in sources for last in source.table.schedules})
    record: OrderedDict[str, Any] = OrderedDict()
    for last in lasts:
        trials = [t for source in sources if last in source.table.schedules for t in source.of(arch, last)]
        if trials:
            record[str(last)] = state_of(arch, trials)
    return record


def _meta(sources: Sequence[Trials]) -> dict[str, Any]:
    return {
        "meta_archs": list(names_of(cell.SPACE)),
        "total_archs": cell.SPACE.size,
        "arch2infos": None,
        "evaluated_indexes": set(),
        KEY: {source.dataset: source.table.content(compress=True) for source in sources},
    }


def _write(path: Path, content: Any) -> None:
    """Not flushed to disk one by one: `meta` comes last."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bz2.compress(pickle.dumps(content, protocol=_PROTOCOL)))
    except OSError as error:
        raise LabError(f"cannot write {path}: {error.strerror or error}") from error


def restored(table: Table, meta: Mapping[str, Any]) -> Table:
    """The table that was exported, if `meta` holds it and the records agree with it; else the table itself.

    Raises:
        LabError: what `meta` holds is damaged.
    """
    kept = meta.get(KEY)
    if not isinstance(kept, Mapping) or table.name not in kept:
        return table
    content = kept[table.name]
    if not isinstance(content, bytes):
        raise LabError(f"what nasbench_lab wrote into {META} is damaged: no bytes")
    whole = stored.read_file(io.BytesIO(content), META)
    return whole if _agree(table, whole) else table


def _agree(records: Table, whole: Table) -> bool:
    """Whether both have the same cells and, closely, the same scores."""
    if set(records.schedules) != set(whole.schedules) or not np.array_equal(records.measured, whole.measured):
        return False
    return all(
        schedule.epochs == whole.schedules[last].epochs
        and np.allclose(schedule.val, whole.schedules[last].val, atol=_CLOSE, rtol=0, equal_nan=True)
        and np.allclose(schedule.test, whole.schedules[last].test, atol=_CLOSE, rtol=0, equal_nan=True)
        and np.allclose(schedule.seconds, whole.schedules[last].seconds, atol=1e-4, rtol=1e-6, equal_nan=True)
        for last, schedule in records.schedules.items()
    )
