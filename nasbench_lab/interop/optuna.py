"""A table as an objective of Optuna's studies, and the distributions of its decisions.

    f = optuna_objective("digits")
    study = optuna.create_study(direction=f.function.direction, pruner=optuna.pruners.MedianPruner())
    study.optimize(f, n_trials=100)

Optuna itself is imported when a trial ends early, or when distributions are made.
"""

from __future__ import annotations

from typing import Any

from nasbench_lab import extras
from nasbench_lab.core import Evaluator, LabError, direction
from nasbench_lab.interop.objectives import Objective, objective, plain_options, space_of
from nasbench_lab.tables.table import Table


def optuna_objective(table: Table | str | Evaluator, *, seed: int = 0, **policies: Any) -> OptunaObjective:
    """A table as an objective for Optuna, arguments as in `objective`; `.function` is what counts and keeps records.

    With further `objectives` the trial returns a tuple in their order; directions are in `core.DIRECTIONS`.
    """
    return OptunaObjective(objective(table, seed=seed, **policies))


def to_optuna(of: Any) -> dict[str, Any]:
    """Decision -> `CategoricalDistribution` of its labels, as `study.ask` takes them.

    Args:
        of: an objective, a table (itself or by name), or a space.

    Raises:
        MissingPackage: Optuna is not installed.
    """
    extras.need("Optuna's distributions", "optuna")
    from optuna.distributions import CategoricalDistribution

    return {each.name: CategoricalDistribution(plain_options(each)) for each in space_of(of).decisions}


class OptunaObjective:
    """`study.optimize(this)`: suggests every decision as a categorical and returns the objectives' values.

    Parameters are called as the decisions are, with their labels ("0-1", "0-2", ... and operations of a four-node cell).
    A listed space has no cell for some combinations: such a trial is pruned, and costs no query.

    Where the task has several fidelities of one training, a trial reports the score after each, and ends where the study's
    pruner says so: one query, charged for the epochs that were trained, as any; a cell that is suggested again goes on.
    Several threads may call it (`n_jobs`).

    Attributes:
        function: counts and keeps records, see `Objective`.
        parameters: name -> options.
        directions: of the objectives, as a study has to have them.
    """

    def __init__(self, function: Objective) -> None:
        self.function = function
        task = function.evaluator.task
        self.parameters = {each.name: list(each.options) for each in function.space.decisions}
        self.directions = [function.direction]
        self.directions += ["maximize" if direction(name) > 0 else "minimize" for name in task.objectives[1:]]

    def __call__(self, trial: Any) -> float | tuple[float, ...]:
        """The score of the cell that a trial suggests.

        Raises:
            LabError: the study has other directions than the objectives.
            optuna.TrialPruned: the study's pruner ends the trial, or there is no such cell.
        """
        self._check(getattr(trial, "study", None))
        chosen = tuple(
            options.index(trial.suggest_categorical(name, options)) for name, options in self.parameters.items()
        )
        if not self.function.exists(chosen):
            raise _pruned("no such cell: these options are not listed together")
        arch, task = self.function.space.index(chosen), self.function.evaluator.task
        if len(self.directions) == 1 and task.one_run:
            self._report(trial, arch)
        result = self.function.ask(arch).result
        value, further = self.function.measure.sign * result.val, task.objectives[1:]
        return (value, *(result.metrics[name] for name in further)) if further else value

    def _report(self, trial: Any, arch: int) -> None:
        """The score after each fidelity but the last; the trial may end there."""
        for epochs in self.function.evaluator.task.fidelities[:-1]:
            trial.report(self.function.peek(arch, epochs), epochs)
            if trial.should_prune():
                self.function.ask(arch, epochs)
                raise _pruned(f"after {epochs} epochs")

    def _check(self, study: Any) -> None:
        """Raises LabError where a study would look for the worst."""
        found = [each.name.lower() for each in study.directions] if study is not None else self.directions
        if found != self.directions:
            named = (
                f"direction={self.directions[0]!r}" if len(self.directions) == 1 else f"directions={self.directions}"
            )
            raise LabError(f"the study has {', '.join(found)}; this objective needs optuna.create_study({named})")


def _pruned(why: str) -> Exception:
    import optuna

    found: Exception = optuna.TrialPruned(why)
    return found
