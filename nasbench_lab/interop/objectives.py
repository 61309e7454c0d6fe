"""A benchmark for anyone's loop: a table as a plain function, and as an objective for Optuna's `study.optimize`.

    f = nasbench_lab.objective("digits", seed=3)
    f(11472), f((4, 2, 1, 2, 1, 1)), f("|avg_pool_3x3~0|+|...")      # validation accuracy, percent
    f.queries, f.seconds, f.best                                     # what was asked for, simulated cost, best cell
    f.truth()                                                        # its test accuracy; no more questions after that

    f = nasbench_lab.objective("mine")                               # a table of any space, in its unit and direction
    f({"width": 16, "op": "conv"}), f([16, "conv"]), f("16, conv")   # labels by name or in order; numbers alone are options
    f.direction                                                      # "minimize" where lower scores are better

    study = optuna.create_study(direction=f.direction)
    study.optimize(nasbench_lab.optuna_objective("digits"), n_trials=100)

Answers, costs and noise are those of a search with the same seed, but that a strategy is told scores times -1 where lower
ones are better; so are `records`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nasbench_lab import extras
from nasbench_lab.core import Evaluator, LabError, Query, Record, whole
from nasbench_lab.evaluators.tabular import Tabular, measure_of, score_of
from nasbench_lab.spaces import naming
from nasbench_lab.spaces.space import Space
from nasbench_lab.study.runner import Charges
from nasbench_lab.tables.table import Table

Cell = int | str | Sequence[int] | Sequence[str | int | float] | Mapping[str, str | int | float]


def objective(table: Table | str | Evaluator, *, seed: int = 0, **policies: Any) -> Objective:
    """A table as a function of a cell.

    Args:
        table: a table, its name or path, or any evaluator.
        seed: of the noise and of the trials sampled.
        **policies: with a table: `search`, `trials`, `noise`, `objectives`, `sources`, see `evaluators.tabular`.

    Raises:
        LabError: a table or policy that does not exist.
    """
    if isinstance(table, (str, Table)):
        try:
            return Objective(Tabular.open(table, **policies), seed)
        except TypeError as error:
            raise LabError(f"unknown policy: {error}") from error
    if policies:
        raise LabError(f"policies go with a table, not with an evaluator; got {', '.join(policies)}")
    return Objective(table, seed)


def optuna_objective(table: Table | str | Evaluator, *, seed: int = 0, **policies: Any) -> OptunaObjective:
    """A table as an objective for Optuna, arguments as in `objective`; `.function` is what counts and keeps records.

    With further `objectives` the trial returns a tuple in their order; directions are in `core.DIRECTIONS`.
    """
    return OptunaObjective(objective(table, seed=seed, **policies))


class Objective:
    """The validation score as a function; counts and keeps what it was asked.

    Attributes:
        measure: unit and direction of the scores.
        direction: "maximize" or "minimize".
        records: one per answer, in order; the incumbent is the best so far at the highest fidelity asked for. As a strategy
            sees them: `val` is the score times `measure.sign`.
        seconds: simulated, of all answers; epochs of a training that is gone on with are charged once.
        best: the incumbent; -1 before any answer.
    """

    def __init__(self, evaluator: Evaluator, seed: int = 0) -> None:
        self.evaluator, self.seed = evaluator, whole(seed, "seed", least=0)
        self.measure = measure_of(evaluator)
        self.direction = "maximize" if self.measure.sign > 0 else "minimize"
        self.records: list[Record] = []
        self.seconds = 0.0
        self.best = -1
        self._highest = (-1, -math.inf)
        self._charges = Charges(evaluator.task)
        self._closed = False

    @property
    def queries(self) -> int:
        """How many answers were given."""
        return len(self.records)

    def __call__(self, cell_: Cell, epochs: int | None = None) -> float:
        """The validation score in the table's unit and direction (accuracy in percent), nan if the evaluation failed.

        Args:
            cell_: index; options by number; labels by the decision's name, in order, or as text; the string of a cell.
            epochs: a fidelity of the task; the highest if left out.

        Raises:
            LabError: no such cell or fidelity, or `truth` was looked at before.
        """
        return self.measure.sign * self.ask(cell_, epochs).result.val

    def ask(self, cell_: Cell, epochs: int | None = None) -> Record:
        """As calling it, with all that is known of the answer; its `val` is times `measure.sign`."""
        if self._closed:
            raise LabError("the test score was looked at; a search that goes on after that needs a new objective")
        task = self.evaluator.task
        epochs = task.full if epochs is None else whole(epochs, "epochs", least=1)
        if epochs not in task.fidelities:
            raise LabError(f"epochs must be one of {', '.join(map(str, task.fidelities))}, got {epochs!r}")
        query = Query(self.index(cell_), epochs)
        answer = self.evaluator.evaluate(query, self.seed)
        result = self._charges.of(answer)
        self._charges.pay(query, answer.seconds)
        self.seconds += result.seconds
        if result.val == result.val and (epochs, result.val) > self._highest:
            self._highest, self.best = (epochs, result.val), query.arch
        self.records.append(Record(self.queries, result, self.seconds, self.best, 0.0))
        return self.records[-1]

    def index(self, cell_: Cell) -> int:
        """The index of a cell.

        Labels in order are told from option numbers by a text or a fraction among them; whole numbers are option numbers.

        Raises:
            LabError: no such cell, or whole numbers that are the labels of one cell and the option numbers of another.
        """
        space = self.evaluator.task.space
        try:
            if isinstance(cell_, Mapping):
                return naming.of_labels(space, cell_)
            if isinstance(cell_, str):
                return naming.parse(space, cell_)
            if isinstance(cell_, (list, tuple)) and any(map(_is_label, cell_)):
                return naming.of_labels(space, dict(zip((d.name for d in space.decisions), cell_, strict=True)))
            if not np.isscalar(cell_):
                return _of_numbers(space, cell_)  # type: ignore[arg-type]
            return space.known_cell(cell_)
        except (ValueError, TypeError) as error:
            raise LabError(f"not a cell: {cell_!r}: {error}") from error

    def exists(self, options: Sequence[int]) -> bool:
        """Whether there is a cell with these option numbers; a listed space lacks some."""
        try:
            self.evaluator.task.space.index(tuple(options))
        except ValueError:
            return False
        return True

    def truth(self, cell_: Cell | None = None) -> float:
        """Test score of the best cell, or of another, in the table's direction; ends the search, as nothing may be searched
        on it.

        Raises:
            LabError: nothing was asked for yet, or no such cell.
        """
        arch = self.best if cell_ is None else self.index(cell_)
        if arch < 0:
            raise LabError("there is no best cell yet: nothing was answered")
        self._closed = True
        return self.measure.sign * score_of(self.evaluator, arch, self.seed)


def _of_numbers(space: Space, given: Sequence[int]) -> int:
    """The cell of option numbers, unless they could be labels that mean another.

    Raises:
        ValueError: no such cell, or two.
    """
    arch = int(space.indices(given))  # type: ignore[arg-type]
    try:
        named = naming.of_labels(space, dict(zip((each.name for each in space.decisions), given, strict=True)))
    except ValueError:
        return arch
    if named != arch:
        raise ValueError(
            f"as option numbers this is cell {arch}, as labels cell {named}; say which with the labels by name, such as "
            f"{dict(zip((each.name for each in space.decisions), naming.labels(space, arch).values(), strict=True))}, or "
            "the cell's index"
        )
    return arch


def _is_label(given: object) -> bool:
    """Whether this, in a list of labels or option numbers, can only be a label."""
    return isinstance(given, str) or (isinstance(given, float) and not given.is_integer())


class OptunaObjective:
    """`study.optimize(this)`: suggests every decision as a categorical and returns the objectives' values.

    Parameters are called as the decisions are, with their labels ("0-1", "0-2", ... and operations of a four-node cell).
    A listed space has no cell for some combinations: such a trial is pruned, and costs no query.

    Attributes:
        function: counts and keeps records, see `Objective`.
        parameters: name -> options.
    """

    def __init__(self, function: Objective) -> None:
        self.function = function
        space = function.evaluator.task.space
        self.parameters = {each.name: list(each.options) for each in space.decisions}

    def __call__(self, trial: Any) -> float | tuple[float, ...]:
        chosen = [options.index(trial.suggest_categorical(name, options)) for name, options in self.parameters.items()]
        if not self.function.exists(chosen):
            import optuna

            raise optuna.TrialPruned("no such cell: these options are not listed together")
        result = self.function.ask(self.function.evaluator.task.space.index(tuple(chosen))).result
        value, further = self.function.measure.sign * result.val, self.function.evaluator.task.objectives[1:]
        return (value, *(result.metrics[name] for name in further)) if further else value


def configuration_space(space: Space) -> Any:
    """A space as ConfigSpace's `ConfigurationSpace`: ordered decisions ordinal, the others categorical, labels as they are.

    A configuration of it, as a dictionary, is a cell of `objective`. Of a listed space it has all combinations, also those
    that do not exist.

    Raises:
        MissingPackage: ConfigSpace is not installed.
    """
    extras.need("a configuration space", "ConfigSpace")
    import ConfigSpace

    found = ConfigSpace.ConfigurationSpace(name=space.name)
    for each in space.decisions:
        ordinal = each.ordered and len(each.options) > 1
        kind = ConfigSpace.OrdinalHyperparameter if ordinal else ConfigSpace.CategoricalHyperparameter
        found.add(kind(each.name, list(each.options)))
    return found
