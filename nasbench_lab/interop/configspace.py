"""A space for ConfigSpace, and with it for SMAC, HpBandSter, DEHB and others.

space = to_configspace("digits")
f(space.sample_configuration())          # a configuration is a cell of `nasbench_lab.objective("digits")`
"""

from __future__ import annotations

from typing import Any

from nasbench_lab import extras
from nasbench_lab.interop.objectives import space_of


def to_configspace(of: Any) -> Any:
    """ConfigSpace's `ConfigurationSpace`: ordered decisions ordinal, the others categorical, labels as they are.

    Of a listed space it has all combinations, also those that do not exist.

    Args:
        of: an objective, a table (itself or by name), or a space.

    Raises:
        MissingPackage: ConfigSpace is not installed.
    """
    extras.need("a configuration space", "ConfigSpace")
    import ConfigSpace

    space = space_of(of)
    found = ConfigSpace.ConfigurationSpace(name=space.name)
    for each in space.decisions:
        ordinal = each.ordered and len(each.options) > 1
        kind = ConfigSpace.OrdinalHyperparameter if ordinal else ConfigSpace.CategoricalHyperparameter
        found.add(kind(each.name, list(each.options)))
    return found
