"""A problem for pymoo.

f = nasbench_lab.objective("digits", objectives=("val", "params_m"))
minimize(to_pymoo(f), NSGA2(pop_size=20, sampling=IntegerRandomSampling(), crossover=SBX(vtype=float, repair=RoundingRepair()),
mutation=PM(vtype=float, repair=RoundingRepair())), ("n_gen", 10))
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nasbench_lab import extras
from nasbench_lab.core import Evaluator
from nasbench_lab.interop.objectives import Objective, objective_of
from nasbench_lab.tables.table import Table


def to_pymoo(of: Objective | Table | str | Evaluator) -> Any:
    """An `ElementwiseProblem` over option numbers: all objectives of the task, each the smaller the better.

    In a listed space, options that no cell has violate the problem's constraint and cost no query.

    Args:
        of: an objective, which counts what is asked; or a table or evaluator for one with its defaults.

    Raises:
        MissingPackage: pymoo is not installed.
    """
    extras.need("a pymoo problem", "pymoo")
    from pymoo.core.problem import ElementwiseProblem

    function = objective_of(of)
    space, listed = function.space, function.space.listed is not None
    count = len(function.evaluator.task.objectives)

    class Problem(ElementwiseProblem):  # type: ignore[misc]  # pymoo has no types
        """The search of a table."""

        def __init__(self) -> None:
            upper = np.array(space.options) - 1
            self.function = function
            bounds = {"xl": np.zeros_like(upper), "xu": upper, "vtype": int}
            super().__init__(n_var=len(upper), n_obj=count, n_ieq_constr=int(listed), **bounds)

        def _evaluate(self, x: Any, out: dict[str, Any], *_args: Any, **_named: Any) -> None:
            options = np.rint(np.asarray(x, dtype=np.float64)).astype(np.int64)
            exists = function.exists(options.tolist())
            out["F"] = function.losses(space.index(tuple(options.tolist()))) if exists else (np.inf,) * count
            if listed:
                out["G"] = float(not exists)

    return Problem()
