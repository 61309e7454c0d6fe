"""Predictors of a cell's score, one per file. Files that start with `_` are shared helpers.

from nasbench_lab.surrogates import FeatureSurrogate, Surrogate      # bases of your own
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasbench_lab.surrogates._base import Surrogate
    from nasbench_lab.surrogates._rows import FeatureSurrogate

__all__ = ["FeatureSurrogate", "Surrogate"]
_HOMES = MappingProxyType({"FeatureSurrogate": "_rows", "Surrogate": "_base"})


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
