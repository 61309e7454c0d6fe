"""Optuna's samplers as strategies, through ask and tell (Akiba et al. 2019, arXiv:1907.10902); needs the extra `optuna`.

Every decision of the space is a parameter named by its number: categorical, or the place of an option where they have an
order; what does not exist in a listed space is answered by the closest cell that does; objectives and their directions are the
task's; a failed evaluation is a trial that failed. The sampler is Optuna's own, as installed and with its defaults
but where a field says otherwise, and so it may ask for a cell again, as it does for everyone who uses it.

Deviation: Optuna starts with uniform trials of its own; here the first `initial` are cells of the common design,
enqueued, so that comparisons are paired. With `initial=0` the run is Optuna's, cell by cell (a test holds it to that).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from nasbench_lab.core import Query, Result, Strategy, Task, direction
from nasbench_lab.spaces.space import Space


@dataclass
class OptunaStrategy(Strategy):
    """A study that is asked and told.

    Attributes:
        initial: cells of the common design before the sampler decides.
    """

    initial: int = 10

    paper = "Akiba et al. 2019, arXiv:1907.10902"
    requires: ClassVar[tuple[str, ...]] = ("optuna",)

    def __post_init__(self) -> None:
        if self.initial < 0:
            raise ValueError(f"initial must be 0 or more, got {self.initial}")

    @abstractmethod
    def sampler(self, seed: int) -> Any:
        """Optuna's sampler; `seed` decides all its randomness."""

    def setup(self) -> None:
        self._study = make_study(self.task, self.sampler(int(self.rng.integers(2**31))))
        self._distributions = distributions_of(self.task.space)
        self._asked = 0
        self._pending: dict[tuple[int, int], list[int]] = {}  # (cell, epochs) -> numbers of its trials

    def propose(self) -> Query | None:
        if self._asked < self.initial:
            self._study.enqueue_trial(parameters_of(self.task.space, self.design()))
        self._asked += 1
        trial = self._study.ask(self._distributions)
        query = Query(
            self.task.space.closest([int(value) for value in trial.params.values()], self.rng), self.task.full
        )
        self._pending.setdefault((query.arch, query.epochs), []).append(trial.number)
        return query

    def observe(self, result: Result) -> None:
        number = self._pending[result.query.arch, result.query.epochs].pop(0)
        values = [result.val, *(result.metrics.get(name, np.nan) for name in self.task.objectives[1:])]
        if np.isfinite(values).all():
            self._study.tell(number, values)
        else:
            self._study.tell(number, state=optuna().trial.TrialState.FAIL)


def optuna() -> Any:
    """The package, imported when a run starts."""
    import optuna

    return optuna


def make_study(task: Task, sampler: Any) -> Any:
    """A study in memory with the task's objectives."""
    directions = ["maximize" if direction(name) > 0 else "minimize" for name in task.objectives]
    with quiet():
        return optuna().create_study(directions=directions, sampler=sampler)


def distributions_of(space: Space) -> dict[str, Any]:
    """A categorical distribution per decision, one over whole numbers where options have an order."""
    kinds = optuna().distributions
    return {
        str(edge): kinds.IntDistribution(0, len(each.options) - 1)
        if each.ordered and len(each.options) > 1
        else kinds.CategoricalDistribution(tuple(range(len(each.options))))
        for edge, each in enumerate(space.decisions)
    }


def parameters_of(space: Space, arch: int) -> dict[str, int]:
    """A cell as parameters of a trial."""
    return {str(edge): option for edge, option in enumerate(space.row(arch))}


@contextmanager
def quiet() -> Iterator[None]:
    """Optuna's log of studies being made is not shown meanwhile; its verbosity is then as it was."""
    logs = optuna().logging
    before = logs.get_verbosity()
    logs.set_verbosity(logs.WARNING)
    try:
        yield
    finally:
        logs.set_verbosity(before)
