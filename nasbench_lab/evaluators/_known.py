"""What a strategy may know of all cells before it asks for any (`core.Task.known`): sizes, zero-cost scores, other datasets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from nasbench_lab.core import SIZES, FloatArray, LabError
from nasbench_lab.tables import catalog
from nasbench_lab.tables.table import Table

Sources = Mapping[str, Table] | Iterable[str]
_KINDS = (*SIZES, "proxy", "proxy_seconds")


def opened(table: Table | str) -> Table:
    """The table itself, or the one of a name or path."""
    return table if isinstance(table, Table) else catalog.load(table)


def opened_sources(sources: Sources) -> dict[str, Table]:
    """Tables by the names a study gives them, from these or from the names alone."""
    return dict(sources) if isinstance(sources, Mapping) else {name: catalog.load(name) for name in sources}


def from_metrics(metrics: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """The metrics that need no training: size, and zero-cost scores with the seconds they take."""
    return {name: values for name, values in metrics.items() if name.partition("/")[0] in _KINDS}


def from_sources(dataset: str, sources: Mapping[str, Table], *, searched: Table | None = None) -> dict[str, FloatArray]:
    """Validation scores, larger better, after the longest schedule of tables of other datasets, by "source/<name>".

    Args:
        dataset: what is searched.
        sources: by the name, or path, that the study gives them.
        searched: the table that is searched; one that holds the same validation scores is the same dataset under another
            name, and one of another space is of no use.

    Raises:
        LabError: a source of the dataset that is searched or of another space, or two of one name.
    """
    found: dict[str, FloatArray] = {}
    for given, source in sources.items():
        scores = source.last.val[:, -1] if source.sign > 0 else -source.last.val[:, -1]
        if searched is not None and source.space != searched.space:
            raise LabError(
                f"source {given!r} is of the space {source.space.name!r}, and {searched.space.name!r} is searched"
            )
        copied = searched is not None and np.array_equal(
            scores, searched.sign * searched.last.val[:, -1], equal_nan=True
        )
        if copied or _plain(dataset_of(source)) == _plain(dataset):
            raise LabError(f"source {given!r} is of the dataset that is searched, {dataset!r}; use another one's")
        name = f"source/{Path(given).stem if given.endswith('.npz') else given}"
        if name in found:
            raise LabError(f"two sources are both called {name.removeprefix('source/')!r}; copy one under another name")
        found[name] = scores
    return found


def dataset_of(table: Table) -> str:
    """What a table was trained on: its header's dataset (without "-valid"), else its name."""
    return table.dataset.removesuffix("-valid")


def _plain(name: str) -> str:
    """A dataset's name without what spellings differ in."""
    return re.sub(r"[^a-z0-9]", "", name.lower().removesuffix("-valid"))
