"""nasbench_lab: compare neural-architecture-search strategies honestly, in seconds, on tabular and learned benchmarks.

    import nasbench_lab as nl
    frame = nl.compare("random_search", "local_search", table="toy", seeds=20, max_queries=100)

Names are imported when they are first used, so that `import nasbench_lab` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasbench_lab import plot
    from nasbench_lab.api import compare, load_table, search, to_latex
    from nasbench_lab.core import LabError, Query, Record, Result, Strategy, Task
    from nasbench_lab.interop.objectives import objective, optuna_objective
    from nasbench_lab.spaces.decisions import Decision
    from nasbench_lab.spaces.space import Space
    from nasbench_lab.tables.table import Table
    from nasbench_lab.testing.strategy_kit import check_strategy

_HOMES = {
    "compare": "api",
    "load_table": "api",
    "objective": "interop.objectives",
    "optuna_objective": "interop.objectives",
    "search": "api",
    "to_latex": "api",
    "LabError": "core",
    "Query": "core",
    "Record": "core",
    "Result": "core",
    "Decision": "spaces.decisions",
    "Space": "spaces.space",
    "Strategy": "core",
    "Table": "tables.table",
    "Task": "core",
    "check_strategy": "testing.strategy_kit",
}

__all__ = [
    "Decision",
    "LabError",
    "Query",
    "Record",
    "Result",
    "Space",
    "Strategy",
    "Table",
    "Task",
    "check_strategy",
    "compare",
    "load_table",
    "objective",
    "optuna_objective",
    "plot",
    "search",
    "to_latex",
]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "plot":
        return import_module("nasbench_lab.plot")
    if name not in _HOMES:
        raise AttributeError(f"module 'nasbench_lab' has no attribute {name!r}")
    return getattr(import_module(f"nasbench_lab.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
