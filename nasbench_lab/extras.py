"""Packages that the core does without: which extra brings each, and what is said where one is missing.

What computes with such a package names it in `requires`: a tuple of names as they are imported, or, where it depends on
the task, a function of it. It is then refused before a run begins, and the version is part of the runs it took part in.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType
from typing import Any

from nasbench_lab.errors import LabError

EXTRAS: Mapping[str, str] = MappingProxyType(  # package, as it is imported -> the smallest extra that brings it
    {
        "ConfigSpace": "configspace",
        "botorch": "models",
        "distributed": "dask",
        "gpytorch": "models",
        "nas_201_api": "nb201",
        "optuna": "optuna",
        "pytest": "test",
        "ray": "ray",
        "submitit": "slurm",
        "sklearn": "models",
        "torch": "training",
    }
)


class MissingPackage(LabError, ImportError):
    """Something needs a package that is not installed; the message says how to install it, `name` is the package."""


@cache
def absent(package: str) -> bool:
    """Whether a package is not installed; it is looked for, not imported."""
    try:
        return importlib.util.find_spec(package) is None
    except (ImportError, ValueError):
        return True


def required(part: Any, task: Any = None) -> tuple[str, ...]:
    """The packages that a strategy, surrogate or evaluator computes with beyond the core's; on a task, if one is given."""
    found = getattr(part, "requires", ())
    if callable(found):
        found = () if task is None else found(task)
    return tuple(found)


def need(what: str, *packages: str) -> None:
    """Refuse what cannot work as it is installed.

    Args:
        what: that needs the packages, as the message's subject: "strategy 'darts'".
        packages: as they are imported.

    Raises:
        MissingPackage: one of them is not installed.
    """
    lacking = [package for package in packages if absent(package)]
    if lacking:
        raise MissingPackage(said(what, lacking), name=lacking[0])


@contextmanager
def told(what: str) -> Iterator[None]:
    """Within it, an import that fails for want of an extra's package is said as `need` says it.

    Raises:
        MissingPackage: such an import.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS or not absent(package):
            raise
        raise MissingPackage(said(what, [package]), name=package) from error


def said(what: str, lacking: Sequence[str]) -> str:
    """One line: what needs what, and the command that installs it (in a clone: the package is on no index)."""
    extras, others = _brought(lacking)
    command = " ".join(["pip install", *([f"-c constraints.txt '.[{extras}]'"] if extras else []), *others])
    verb = "which is" if len(lacking) == 1 else "which are"
    where = "; in a clone: " if extras else ": "
    return f"{what} needs {' and '.join(lacking)}, {verb} not installed{where}{command}"


def label(packages: Sequence[str]) -> str:
    """Packages in a few characters: by the extras that bring them, `[training]`, or by their own names."""
    extras, others = _brought(packages)
    return " ".join([*([f"[{extras}]"] if extras else []), *others])


def _brought(packages: Sequence[str]) -> tuple[str, list[str]]:
    """The extras that bring packages, and the packages that none brings."""
    found = {EXTRAS[package] for package in packages if package in EXTRAS}
    if {"models", "training"} <= found:  # both bring torch and scikit-learn, models brings more
        found -= {"training" if {"botorch", "gpytorch"} & set(packages) else "models"}
    return ",".join(sorted(found)), [package for package in packages if package not in EXTRAS]
