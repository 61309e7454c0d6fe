"""A parametrisation for nevergrad.

f = nasbench_lab.objective("digits")
nevergrad.optimizers.NGOpt(to_nevergrad(f), budget=100).minimize(f.loss)
"""

from __future__ import annotations

from typing import Any

from nasbench_lab import extras
from nasbench_lab.interop.objectives import plain_options, space_of


def to_nevergrad(of: Any) -> Any:
    """Nevergrad's `Dict` of a choice a decision, of ordered ones a `TransitionChoice`; its value is a dict of labels.

    Args:
        of: an objective, a table (itself or by name), or a space.

    Raises:
        MissingPackage: nevergrad is not installed.
    """
    extras.need("a nevergrad parametrisation", "nevergrad")
    import nevergrad

    kinds = {True: nevergrad.p.TransitionChoice, False: nevergrad.p.Choice}
    choices = {each.name: kinds[each.ordered](plain_options(each)) for each in space_of(of).decisions}
    return nevergrad.p.Dict(**choices)
