"""What strategies that transfer read: validation scores of other datasets' tables (`core.Task.known`, "source/<name>").

The evaluator refuses a source of the dataset that is searched. A task without sources is a cold start.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nasbench_lab.core import FloatArray, Task

_PREFIX = "source/"


def sources_of(task: Task) -> dict[str, FloatArray]:
    """Source -> (N,) validation scores, nan where there is none; sources without two scores are left out."""
    named = {name: values for name, values in task.known.items() if name.startswith(_PREFIX)}
    return {name.removeprefix(_PREFIX): values for name, values in named.items() if np.isfinite(values).sum() > 1}


def with_shuffled_sources(task: Task, rng: np.random.Generator) -> Task:
    """The control: every source's scores dealt to other cells at random, so that nothing is left to transfer."""
    shuffled = {_PREFIX + name: rng.permutation(values) for name, values in sources_of(task).items()}
    return replace(task, known={**task.known, **shuffled})
