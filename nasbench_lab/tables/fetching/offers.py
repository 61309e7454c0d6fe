"""What can be fetched, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from nasbench_lab.core import LabError
from nasbench_lab.errors import offered
from nasbench_lab.spaces.frozen import ReadOnly
from nasbench_lab.tables.fetching import macro, nb201, transnas
from nasbench_lab.tables.table import Table


class Offer(NamedTuple):
    """One benchmark: its datasets, and how their tables are made (arguments as for `nb201.fetch`)."""

    datasets: tuple[str, ...]
    fetch: Callable[..., list[Table]]


OFFERS: Mapping[str, Offer] = ReadOnly(
    {
        "nb201": Offer(tuple(nb201.DATASETS), nb201.fetch),
        "transnas": Offer(transnas.DATASETS, transnas.fetch),
        "macro": Offer(macro.DATASETS, macro.fetch),
    }
)


def named(name: str) -> Offer:
    """The benchmark with this name.

    Raises:
        LabError: there is none.
    """
    if name not in OFFERS:
        raise LabError(f"there is nothing called {name!r} to fetch{offered(name, OFFERS, 'there are')}")
    return OFFERS[name]
