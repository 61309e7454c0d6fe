"""A benchmark for anyone's loop: a table as a plain function, and as an objective for Optuna's `study.optimize`.

    f = nasbench_lab.objective("digits", seed=3)
    f(11472), f((4, 2, 1, 2, 1, 1)), f("|avg_pool_3x3~0|+|...")      # validation accuracy, percent
    f.queries, f.seconds, f.best                                     # what was asked for, simulated cost, best cell
    f.truth()                                                        # its test accuracy; no more questions after that

    study.optimize(nasbench_lab.optuna_objective("digits"), n_trials=100)

Answers, costs and noise are those of a search with the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nasbench_lab.core import Evaluator, LabError, Query, Record, whole
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.spaces import cell
from nasbench_lab.study.runner import Charges
from nasbench_lab.tables.table import Table

Cell = int | str | Sequence[int]


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
    """Validation accuracy as a function; counts and keeps what it was asked.

    Attributes:
        records: one per answer, in order; the incumbent is the best so far at the highest fidelity asked for.
        seconds: simulated, of all answers; epochs of a training that is gone on with are charged once.
        best: the incumbent; -1 before any answer.
    """

    def __init__(self, evaluator: Evaluator, seed: int = 0) -> None:
        self.evaluator, self.seed = evaluator, whole(seed, "seed", least=0)
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
        """Validation accuracy in percent, nan if the evaluation failed.

        Args:
            cell_: index, options by number, or the string of a NAS-Bench-201 cell.
            epochs: a fidelity of the task; the highest if left out.

        Raises:
            LabError: no such cell or fidelity, or `truth` was looked at before.
        """
        return self.ask(cell_, epochs).result.val

    def ask(self, cell_: Cell, epochs: int | None = None) -> Record:
        """As calling it, with all that is known of the answer."""
        if self._closed:
            raise LabError("the test accuracy was looked at; a search that goes on after that needs a new objective")
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

        Raises:
            LabError: no such cell.
        """
        space = self.evaluator.task.space
        try:
            if isinstance(cell_, str) and space == cell.SPACE:
                return cell.parse(cell_)
            if not np.isscalar(cell_):
                return int(space.indices(cell_))  # type: ignore[arg-type]
            return space.known_cell(cell_)
        except (ValueError, TypeError) as error:
            raise LabError(f"not a cell: {cell_!r}: {error}") from error

    def truth(self, cell_: Cell | None = None) -> float:
        """Test accuracy of the best cell, or of another; ends the search, as nothing may be searched on it.

        Raises:
            LabError: nothing was asked for yet, or no such cell.
        """
        arch = self.best if cell_ is None else self.index(cell_)
        if arch < 0:
            raise LabError("there is no best cell yet: nothing was answered")
        self._closed = True
        return self.evaluator.truth(arch)


class OptunaObjective:
    """`study.optimize(this)`: suggests every decision as a categorical and returns the objectives' values.

    Parameters are called "0", "1", ... with options by number; on the NAS-Bench-201 cell "0-1", "0-2", ... after the
    edges, with the operations' names.

    Attributes:
        function: counts and keeps records, see `Objective`.
        parameters: name -> options.
    """

    def __init__(self, function: Objective) -> None:
        self.function = function
        space = function.evaluator.task.space
        names: list[str] = [str(i) for i in range(len(space.options))]
        options: list[list[Any]] = [list(range(count)) for count in space.options]
        if space == cell.SPACE:
            names, options = [f"{a}-{b}" for a, b in cell.EDGES], [list(cell.OPS)] * len(cell.EDGES)
        self.parameters = dict(zip(names, options, strict=True))

    def __call__(self, trial: Any) -> float | tuple[float, ...]:
        chosen = [options.index(trial.suggest_categorical(name, options)) for name, options in self.parameters.items()]
        result = self.function.ask(chosen).result
        further = self.function.evaluator.task.objectives[1:]
        return (result.val, *(result.metrics[name] for name in further)) if further else result.val
