"""Strategies handed over as classes and instances: the spec that describes each, or the name it has where none does."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from nasbench_lab import core, loading
from nasbench_lab.core import LabError, Strategy


def named(strategies: Sequence[str | type[Strategy] | Strategy]) -> tuple[list[str], dict[str, Strategy]]:
    """Specs of strategies, and those of them that no spec describes: of classes from scripts, notebooks and functions.

    Raises:
        LabError: not a strategy, one that cannot be built without arguments or has a parameter that cannot be written down,
            or two different ones of one name.
    """
    specs: list[str] = []
    given: dict[str, Strategy] = {}
    for each in strategies:
        if isinstance(each, str):
            specs.append(each)
            continue
        strategy = _instance(each)
        spec = _spec(strategy)
        if spec is None:
            spec = _written(type(strategy).__name__, strategy)
            if spec in given:
                raise LabError(
                    f"two strategies would both be called {spec!r} on the board; give one class another name"
                )
            given[spec] = strategy
        specs.append(spec)
    return specs, given


def _instance(each: Any) -> Strategy:
    """An instance of a class with its defaults, or the instance itself."""
    if inspect.isclass(each) and issubclass(each, Strategy):
        try:
            each = each()
        except TypeError as error:
            raise LabError(f"{each.__name__} cannot be built without arguments ({error}); give an instance") from error
    if not isinstance(each, Strategy):
        raise LabError(f"a strategy is a spec such as 'local_search', a Strategy class or an instance; got {each!r}")
    strategy: Strategy = each
    if not dataclasses.is_dataclass(type(strategy)):
        raise LabError(f"{type(strategy).__name__} must be a dataclass, its fields are its parameters")
    return strategy


def _spec(strategy: Strategy) -> str | None:
    """The spec that builds the same strategy in any process; None where there is none."""
    cls = type(strategy)
    own = next((name for name, module in loading.leaves("strategies").items() if module == cls.__module__), None)
    module = sys.modules.get(cls.__module__)
    if cls.__module__ == "__main__" or not getattr(module, "__file__", None):
        return None
    spec = _written(own or f"{cls.__module__}:{cls.__qualname__}", strategy)
    try:
        again = loading.build("strategies", spec)
    except LabError:  # of a function, or with a value that a spec cannot have
        return None
    same = type(again) is cls and core.parameters(again) == core.parameters(strategy)
    return spec if same and not _more(strategy, again) else None


def _more(strategy: Strategy, built: Strategy) -> bool:
    """Whether an instance has more than its spec would build: an attribute that was set, a method that was replaced."""
    own, plain = (vars(each).keys() - core.parameters(each).keys() for each in (strategy, built))
    replaced = any(callable(getattr(type(strategy), name, None)) for name in own)
    return replaced or ("task" not in own and own != plain)  # "task": it was started


def _written(head: str, strategy: Strategy) -> str:
    """A name and the parameters that are not their defaults, as a spec is written.

    Raises:
        LabError: a parameter that cannot be written down.
    """
    core.parameters(strategy)
    values = []
    for field in dataclasses.fields(strategy):  # type: ignore[arg-type]  # `_instance` looked
        value = getattr(strategy, field.name)
        value = value.item() if isinstance(value, np.generic) else value
        if value != _default(field):
            text = value if isinstance(value, str) else repr(value)
            values.append(f"{field.name}=({text})" if set(text) & set(":,=()") else f"{field.name}={text}")
    return f"{head}:{','.join(values)}" if values else head


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
