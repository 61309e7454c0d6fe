"""`tables import PATH`: which format a path holds, and its tables.

| what | recognised by |
| --- | --- |
| fast-mode folder of NATS-Bench, topologies or sizes | a folder of `000000.pickle.pbz2` ... |
| `NATS-tss-v1_0-3ffb9.pickle.pbz2`, `NATS-sss-v1_0-50262.pickle.pbz2` | `.pbz2` |
| `NAS-Bench-201-v1_0-e61699.pth`, `-v1_1-096897.pth` | `.pth` |
| `HW-NAS-Bench-v1_0.pickle` | `.pickle`; adds metrics to tables at hand |
| tidy file of NAS-Bench-201 | `.parquet`, `.csv`, `.csv.gz` with a column `arch`, or `index` and scores |
| a task of TransNAS-Bench-101 | `.csv` with `file_id`, `time_elapsed` and scores |
| NAS-Bench-Macro | `.json` |
| a table of the user's own | any other `.parquet`, `.csv`, `.csv.gz`; its columns have to be named |
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, paths
from nasbench_lab.spaces import cell
from nasbench_lab.tables.formats import hw_nas_bench, monolith, nats_export, nats_simple
from nasbench_lab.tables.formats.collect import Collector
from nasbench_lab.tables.formats.named_columns import Columns
from nasbench_lab.tables.table import Table

T = TypeVar("T")
Report = Callable[[int, int], None]
_OFFICIAL = re.compile(r"(?:NATS-[ts]ss-v1_0|NAS-Bench-201-v1_[01])-([0-9a-f]{5,6})\.(?:pickle\.pbz2|pth)")
_OTHERS = (".csv", ".parquet", ".gz", ".json")  # which official files of NAS-Bench-201 are not
_ABOUT = {
    "title": "NAS-Bench-201 / NATS-Bench topology search space, as measured by its authors",
    "licence": "MIT (D-X-Y/NATS-Bench, D-X-Y/NAS-Bench-201)",
    "cite": "Dong & Yang 2020, arXiv:2001.00326; Dong et al. 2021, arXiv:2009.00437",
}


_SIZES = {
    "title": "NATS-Bench size search space, as measured by its authors",
    "cite": "Dong et al. 2021, arXiv:2009.00437",
}


class Imported(NamedTuple):
    """Tables, what the user should know about them, and whether they are tables at hand to which something was added."""

    tables: list[Table]
    notes: list[str]
    added: bool = False


def locate(path: Path) -> Path:
    """The path, or the official file or folder of this name in `$TORCH_HOME` (or ~/.torch), where the official packages look.

    Raises:
        LabError: there is neither.
    """
    if path.exists():
        return path
    if path.is_absolute() or path.suffix in _OTHERS:
        raise LabError(f"no such file: {path}")
    home = paths.of_variable("TORCH_HOME") or paths.home("~/.torch")
    if (home / path).exists():
        return home / path
    raise LabError(f"no such file: {path} (nor {home / path})")


def read(
    path: Path,
    *,
    source: str = "",
    licence: str = "",
    workers: int = 1,
    progress: Report | None = None,
    columns: Columns | None = None,
) -> Imported:
    """The tables of a file or folder in any known format.

    Args:
        path: what to read.
        source, licence: kept in the header, in place of what is known of the format.
        workers: processes, where the format allows several.
        progress: called with (records read, records in all).
        columns: what the columns of a table of the user's own are.

    Raises:
        LabError: nothing there, not such a file, damaged or hostile.
    """
    path = locate(path)
    if columns:
        return _own(path, columns, source, licence)
    if path.is_dir():
        return _folder(path, source, licence, workers, progress)
    _check_md5(path)
    if path.name.endswith(".pbz2"):
        return _collected(monolith.read_pickle(path), path, source, licence)
    if path.suffix == ".pth":
        return _collected(monolith.read_torch(path), path, source, licence)
    if path.suffix in (".pickle", ".pkl"):
        return Imported(hw_nas_bench.add_to_tables(path), [], added=True)
    if path.suffix == ".json":
        from nasbench_lab.tables.formats import nas_bench_macro  # pandas

        return Imported([nas_bench_macro.read(path, source=source, licence=licence)], [])
    return _columns(path, source, licence)


def _columns(path: Path, source: str, licence: str) -> Imported:
    """A Parquet or CSV file, by the names of its columns."""
    from nasbench_lab.tables.formats import frames, tidy, transnas  # pandas

    names = frames.columns(path)
    if transnas.is_one(names):
        return Imported(transnas.read(path, source=source, licence=licence), [])
    if tidy.is_tidy(names):
        return Imported(tidy.read_tidy(path, source=source, licence=licence), [])
    return _own(path, Columns(), source, licence)


def _own(path: Path, columns: Columns, source: str, licence: str) -> Imported:
    from nasbench_lab.tables.formats import own  # pandas

    table, notes = own.read(path, columns, source=source, licence=licence)
    return Imported([table], notes)


def _folder(path: Path, source: str, licence: str, workers: int, progress: Report | None) -> Imported:
    if not nats_simple.is_folder(path):
        raise LabError(f"{path} holds no records of NATS-Bench, which are named 000000.pickle.pbz2 and so on")
    meta = nats_simple.read_meta(path)
    space = nats_simple.space_of(path, meta)
    count = len(nats_simple.records(path, space))
    collector = Collector(space)
    for arch, rows in _counted(nats_simple.rows(path, workers=workers, space=space), count, progress):
        collector.add(arch, rows)
    found = _collected(collector, path, source, licence)
    return Imported([nats_export.restored(table, meta) for table in found.tables], found.notes)


def _collected(collector: Collector, path: Path, source: str, licence: str) -> Imported:
    about: dict[str, Any] = {
        **_ABOUT,
        **({} if collector.space == cell.SPACE else _SIZES),
        "source": source or f"imported from {path.name}",
    }
    tables, notes = collector.tables(about | ({"licence": licence} if licence else {}))
    return Imported(tables, notes)


def _counted(items: Iterable[T], count: int, progress: Report | None) -> Iterator[T]:
    for done, item in enumerate(items, start=1):
        if progress is not None:
            progress(done, count)
        yield item


def _check_md5(path: Path) -> None:
    """The authors put digits of the file's MD5 into its name; whoever writes that name must mean that file."""
    match = _OFFICIAL.fullmatch(path.name)
    if match is None:
        return
    with bounded.regular(path) as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if not (found.startswith(match[1]) or found.endswith(match[1])):
        raise LabError(
            f"{path} is not the published file: its MD5 is {found}, which neither begins nor ends with {match[1]}. "
            "It may be cut short; if it is a file of your own, give it another name"
        )
