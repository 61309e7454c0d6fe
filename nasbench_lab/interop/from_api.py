"""Tables from a live object of the official packages, `nas_201_api.NASBench201API` and `nats_bench` (topology), or of ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nasbench_lab.core import LabError
from nasbench_lab.errors import offered
from nasbench_lab.files import paths
from nasbench_lab.interop.nats import Nats
from nasbench_lab.interop.trainings import OfTables
from nasbench_lab.spaces import cell
from nasbench_lab.tables.formats import nats_simple, official
from nasbench_lab.tables.formats.collect import Collector, Row, rows_of
from nasbench_lab.tables.table import Table

_NEEDED = ("meta_archs", "arch2infos_dict", "evaluated_indexes")


def tables(api: Any) -> tuple[list[Table], list[str]]:
    """The tables of all datasets the object has, and what is missing. The object is only read.

    Raises:
        LabError: not such an object, of another space, or with nothing in it.
    """
    if not all(hasattr(api, name) for name in _NEEDED):
        raise LabError(f"expected an object of nats_bench or nas_201_api, got {type(api).__name__}")
    if list(api.meta_archs) != [cell.to_string(arch) for arch in range(len(api.meta_archs))]:
        raise LabError("the object's cells are not those of NAS-Bench-201 in official order")
    if isinstance(api, Nats) and isinstance(api.trainings, OfTables):
        return api.trainings.tables, []
    collector = Collector()
    for arch, rows in _rows(api):
        collector.add(arch, rows)
    source = f"{type(api).__module__.partition('.')[0]} object of {getattr(api, 'filename', None) or 'a dictionary'}"
    return collector.tables({"title": "NAS-Bench-201 as measured by its authors", "licence": "MIT", "source": source})


def table(api: Any, dataset: str = "cifar10") -> Table:
    """The table of one dataset of such an object; the object is only read.

    Raises:
        LabError: as `tables`; or the dataset is not in it.
    """
    found = {item.name: item for item in tables(api)[0]}
    if dataset not in found:
        raise LabError(f"the object has no {dataset!r}{offered(dataset, found, 'it has')}")
    return found[dataset]


def _rows(api: Any) -> Iterator[tuple[int, list[Row]]]:
    """In fast mode the records are read from their folder: the object would keep every one it is asked for."""
    folder = getattr(api, "archive_dir", None)
    if getattr(api, "fast_mode", False) and folder:
        yield from nats_simple.rows(paths.home(folder))
        return
    if isinstance(api, Nats):
        for arch in api.trainings.archs:
            yield arch, [row for last, trials in api.trainings.of(arch).items() for row in rows_of(trials, last)]
        return
    for arch, schedules in api.arch2infos_dict.items():
        rows: list[Row] = []
        for key, results in schedules.items():
            last = official.schedule_of(key)
            if not hasattr(results, "state_dict"):
                raise LabError(f"cell {arch}: expected results with a state_dict, got {type(results).__name__}")
            state = results.state_dict()
            if official.arch_of(state) != arch:
                raise LabError(f"the object's record of cell {arch} is another cell's")
            rows += rows_of(official.trials_of(state, last), last)
        yield arch, rows
