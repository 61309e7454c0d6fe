"""A space for hyperopt.

f = nasbench_lab.objective("digits")
fmin(f.loss, to_hyperopt(f), algo=tpe.suggest, max_evals=100)
"""

from __future__ import annotations

from typing import Any

from nasbench_lab import extras
from nasbench_lab.interop.objectives import plain_options, space_of


def to_hyperopt(of: Any) -> dict[str, Any]:
    """Decision -> `hp.choice` of its labels; what `fmin` hands over is a dict of labels, a cell of an objective.

    Args:
        of: an objective, a table (itself or by name), or a space.

    Raises:
        MissingPackage: hyperopt is not installed.
    """
    extras.need("a hyperopt space", "hyperopt")
    from hyperopt import hp

    return {each.name: hp.choice(each.name, plain_options(each)) for each in space_of(of).decisions}
