"""`HW-NAS-Bench-v1_0.pickle` (Li et al., ICLR 2021): latency and energy on six devices, added to tables at hand.

In the file: `nasbench201` -> dataset -> metric -> 15,625 numbers in official order (ms, mJ), and `config` with the
cells' strings. Where a device cannot run a cell the number is nan or not positive; it becomes nan.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded, unpickle
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog
from nasbench_lab.tables.formats.official import DATASETS
from nasbench_lab.tables.table import Table

FloatArray = NDArray[np.float64]
_METRICS = {"latency": "latency_ms", "energy": "energy_mj"}
_LIMIT = 1 << 29  # bytes; the real one has 0.1 billion
_METRICS_MOST = 64  # of a dataset; the real one has eleven
SOURCE = "HW-NAS-Bench v1.0 (Li et al. 2021, arXiv:2103.10584; MIT)"


def name_of(metric: str) -> str | None:
    """Our name of a metric of theirs, `edgegpu_latency` -> `latency_ms/edgegpu`; None for what we do not keep."""
    device, _, kind = metric.rpartition("_")
    return f"{_METRICS[kind]}/{device}" if kind in _METRICS else None


def read(path: Path) -> dict[str, dict[str, FloatArray]]:
    """Dataset -> our metric -> (A,) values.

    Raises:
        LabError: unreadable, hostile, or not such a file.
    """
    try:
        with bounded.regular(path) as file:
            content = unpickle.load(unpickle.Source(file, str(path), limit=_LIMIT))
    except OSError as error:
        raise LabError(f"cannot read {path}: {error.strerror or error}") from error
    found = content.get("nasbench201") if isinstance(content, Mapping) else None
    if not isinstance(found, Mapping) or not set(DATASETS) & set(found):
        raise LabError(f"{path} is not HW-NAS-Bench: it must hold 'nasbench201' with {', '.join(DATASETS)}")
    return {dataset: _metrics(path, dataset, found[dataset]) for dataset in DATASETS if dataset in found}


def _metrics(path: Path, dataset: str, raw: Any) -> dict[str, FloatArray]:
    try:
        _check_order(path, raw["config"])
        named = {name: values for key, values in raw.items() if (name := name_of(str(key)))}
        if len(named) > _METRICS_MOST or any(len(values) != cell.SPACE.size for values in named.values()):
            raise ValueError(
                f"every metric must have {cell.SPACE.size:,} numbers, and there are {_METRICS_MOST} at most"
            )
        arrays = {name: np.array([float(value) for value in values]) for name, values in named.items()}
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise LabError(f"{path}, {dataset}: not as HW-NAS-Bench writes it: {error!r}"[:300]) from error
    if any(values.shape != (cell.SPACE.size,) for values in arrays.values()) or not arrays:
        raise LabError(f"{path}, {dataset}: every metric must have {cell.SPACE.size:,} numbers")
    return {name: np.where(np.isfinite(values) & (values > 0), values, np.nan) for name, values in arrays.items()}


def _check_order(path: Path, configs: Any) -> None:
    for arch, config in enumerate(configs):
        if config["arch_str"] != cell.to_string(arch):
            raise LabError(f"{path}: its cells are not in official order, first {arch}")


def add_to_tables(path: Path) -> list[Table]:
    """The tables at hand with the file's metrics added.

    Raises:
        LabError: as `read`; or there is no table of these datasets.
    """
    found, known = read(path), catalog.available()
    tables = [with_metrics(catalog.load(name), metrics) for name, metrics in found.items() if name in known]
    if not tables:
        raise LabError(
            f"{path} holds metrics for {', '.join(found)}, of which there is no table to add them to; "
            "get one first: nasbench-lab tables fetch nb201"
        )
    return tables


def with_metrics(table: Table, metrics: Mapping[str, FloatArray]) -> Table:
    """The table with further metrics; those of the same name are replaced."""
    sources = str(table.about.get("source", ""))
    about = {**table.about, "source": sources if SOURCE in sources else f"{sources}; {SOURCE}"}
    return dataclasses.replace(table, metrics={**table.metrics, **metrics}, about=about).check()
