"""The public conformance kits and the pytest plug-in: `check_strategy`, `check_surrogate`, `CheckFailed`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nasbench_lab.testing.checks import Check, CheckFailed
    from nasbench_lab.testing.strategy_kit import check_strategy
    from nasbench_lab.testing.surrogate_kit import check_surrogate

__all__ = ["Check", "CheckFailed", "check_strategy", "check_surrogate"]
_HOMES = {
    "Check": "checks",
    "CheckFailed": "checks",
    "check_strategy": "strategy_kit",
    "check_surrogate": "surrogate_kit",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
