"""What a strategy may know of all cells before it asks for any (`core.Task.known`): sizes, zero-cost scores, other datasets."""

from __future__ import annotations

from collections.abc import Mapping

from nasbench_lab.core import FloatArray, LabError
from nasbench_lab.tables.table import Table

_KINDS = ("params_m", "flops_m", "proxy", "proxy_seconds")


def from_metrics(metrics: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """The metrics that need no training: size, and zero-cost scores with the seconds they take."""
    return {name: values for name, values in metrics.items() if name.partition("/")[0] in _KINDS}


def from_sources(dataset: str, sources: Mapping[str, Table]) -> dict[str, FloatArray]:
    """Validation scores after the longest schedule of tables of other datasets, by "source/<name>".

    Raises:
        LabError: a source of the dataset that is searched.
    """
    found: dict[str, FloatArray] = {}
    for source in sources.values():
        if dataset_of(source) == dataset.removesuffix("-valid"):
            raise LabError(f"source {source.name!r} is of the dataset that is searched, {dataset!r}; use another one's")
        found[f"source/{source.name}"] = source.last.val[:, -1]
    return found


def dataset_of(table: Table) -> str:
    """What a table was trained on: its header's dataset (without "-valid"), else its name."""
    return str(table.about.get("dataset") or table.name).removesuffix("-valid")
