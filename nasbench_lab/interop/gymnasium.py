"""An environment for Gymnasium: reinforcement learning of which cell to ask for.

env = to_gymnasium(nasbench_lab.objective("digits"))
observation, info = env.reset(seed=0)
observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
"""

from __future__ import annotations

from typing import Any

import numpy as np

from nasbench_lab import extras
from nasbench_lab.core import Evaluator
from nasbench_lab.interop.objectives import Objective, objective_of
from nasbench_lab.tables.table import Table


def to_gymnasium(of: Objective | Table | str | Evaluator) -> Any:
    """An `Env` whose action is a cell, one option a decision, and whose episode is one query.

    The reward is the score, times -1 where lower ones are better, 0 for a training that failed; the observation are the
    options that were asked for. In a listed space it is the nearest cell that exists. `info` has the cell's index, its score,
    and the simulated seconds of the query; the best cell so far and all records are those of `.function`.

    Args:
        of: an objective, which counts what is asked; or a table or evaluator for one with its defaults.

    Raises:
        MissingPackage: gymnasium is not installed.
    """
    extras.need("a Gymnasium environment", "gymnasium")
    import gymnasium

    function = objective_of(of)
    space = function.space

    class Environment(gymnasium.Env[Any, Any]):  # type: ignore[misc]  # gymnasium may be absent where types are checked
        """The search of a table."""

        def __init__(self) -> None:
            self.function = function
            self.action_space = gymnasium.spaces.MultiDiscrete(space.options)
            self.observation_space = gymnasium.spaces.MultiDiscrete(space.options)

        def reset(
            self, *, seed: int | None = None, options: dict[str, Any] | None = None
        ) -> tuple[Any, dict[str, Any]]:
            super().reset(seed=seed)
            return np.zeros(len(space.options), dtype=np.int64), {}

        def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
            arch = space.closest(tuple(np.asarray(action).tolist()), self.np_random)
            result = function.ask(arch).result
            info = {"arch": arch, "score": function.measure.sign * result.val, "seconds": result.seconds}
            return np.array(space.row(arch), dtype=np.int64), float(np.nan_to_num(result.val)), True, False, info

    return Environment()
