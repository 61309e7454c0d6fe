"""A benchmark for anyone's loop: a table as a plain function.

    f = nasbench_lab.objective("digits", seed=3)
    f(11472), f((4, 2, 1, 2, 1, 1)), f("|avg_pool_3x3~0|+|...")      # validation accuracy, percent
    f.queries, f.seconds, f.best                                     # what was asked for, simulated cost, best cell
    f.truth()                                                        # its test accuracy; no more questions after that

    f = nasbench_lab.objective("mine")                               # a table of any space, in its unit and direction
    f({"width": 16, "op": "conv"}), f([16, "conv"]), f("16, conv")   # labels by name or in order; numbers alone are options
    f.direction                                                      # "minimize" where lower scores are better

    f.loss({"width": 16, "op": "conv"})                              # the same for what minimises

Spaces and problems of other libraries, ready made, stand in a file each: `configspace`, `optuna`, `hyperopt`, `ax`,
`nevergrad`, `pymoo`, `gymnasium`. All take an objective, a table or a space, and what they propose is a cell of `f`.
Answers, costs and noise are those of a search with the same seed, but that a strategy is told scores times -1 where lower
ones are better; so are `records`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import Evaluator, LabError, Query, Record, direction, whole
from nasbench_lab.errors import counted
from nasbench_lab.evaluators.tabular import Tabular, measure_of, score_of
from nasbench_lab.spaces import naming
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space
from nasbench_lab.study.runner import Charges
from nasbench_lab.tables import catalog, typed
from nasbench_lab.tables.table import Table

Cell = int | str | Sequence[int] | Sequence[str | int | float] | Mapping[str, Any] | NDArray[Any]


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


class Objective:
    """The validation score as a function; counts and keeps what it was asked. Several threads may ask at once.

    Attributes:
        space: of the cells.
        measure: unit and direction of the scores.
        direction: "maximize" or "minimize".
        records: one per answer, in order; the incumbent is the best so far at the highest fidelity asked for. As a strategy
            sees them: `val` is the score times `measure.sign`.
        seconds: simulated, of all answers; epochs of a training that is gone on with are charged once.
        best: the incumbent; -1 before any answer.
    """

    def __init__(self, evaluator: Evaluator, seed: int = 0) -> None:
        self.evaluator, self.seed = evaluator, whole(seed, "seed", least=0)
        self.space = evaluator.task.space
        self.measure = measure_of(evaluator)
        self.direction = "maximize" if self.measure.sign > 0 else "minimize"
        self.records: list[Record] = []
        self.seconds = 0.0
        self.best = -1
        self._highest = (-1, -math.inf)
        self._charges = Charges(evaluator.task)
        self._closed = False
        self._one = threading.RLock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_one"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _one=threading.RLock())

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

    def loss(self, cell_: Cell, epochs: int | None = None) -> float:
        """As calling it, times -1 where higher scores are better: for what minimises."""
        return -self.ask(cell_, epochs).result.val

    def losses(self, cell_: Cell) -> tuple[float, ...]:
        """The same of all objectives of the task, in their order, at the highest fidelity."""
        result = self.ask(cell_).result
        further = self.evaluator.task.objectives[1:]
        return (-result.val, *(-direction(name) * result.metrics[name] for name in further))

    def ask(self, cell_: Cell, epochs: int | None = None) -> Record:
        """As calling it, with all that is known of the answer; its `val` is times `measure.sign`."""
        query = Query(self.index(cell_), self._fidelity(epochs))
        with self._one:
            self._open()
            answer = self.evaluator.evaluate(query, self.seed)
            result = self._charges.of(answer)
            self._charges.pay(query, answer.seconds)
            self.seconds += result.seconds
            if result.val == result.val and (query.epochs, result.val) > self._highest:
                self._highest, self.best = (query.epochs, result.val), query.arch
            self.records.append(Record(self.queries, result, self.seconds, self.best, 0.0))
            return self.records[-1]

    def peek(self, cell_: Cell, epochs: int) -> float:
        """The score after fewer epochs of a training that will be asked for: neither counted nor charged by itself.

        Raises:
            LabError: no such cell or fidelity, or fidelities that are trainings of their own.
        """
        if not self.evaluator.task.one_run:
            raise LabError("fidelities of this task are trainings of their own: ask for each")
        query = Query(self.index(cell_), self._fidelity(epochs))
        with self._one:
            self._open()
            return self.measure.sign * self.evaluator.evaluate(query, self.seed).val

    def _fidelity(self, epochs: int | None) -> int:
        task = self.evaluator.task
        epochs = task.full if epochs is None else whole(epochs, "epochs", least=1)
        if epochs not in task.fidelities:
            raise LabError(f"epochs must be one of {', '.join(map(str, task.fidelities))}, got {epochs!r}")
        return epochs

    def _open(self) -> None:
        if self._closed:
            raise LabError("the test score was looked at; a search that goes on after that needs a new objective")

    def index(self, cell_: Cell) -> int:
        """The index of a cell.

        Labels in order are told from option numbers by a text or a fraction among them; whole numbers are option numbers,
        also where a vector holds them as floats. A vector of zeros and ones, one for each option, is read as one-hot.

        Raises:
            LabError: no such cell, or whole numbers that are the labels of one cell and the option numbers of another.
        """
        space = self.evaluator.task.space
        try:
            if isinstance(cell_, (str, Mapping)):
                return typed.cell_of(space, cell_)
            cell_ = _flat(space, cell_)
            if isinstance(cell_, (list, tuple)) and len(cell_) != len(space.decisions):
                raise ValueError(
                    f"{space.name} has {counted(len(space.decisions), 'decision')}, "
                    f"{', '.join(each.name for each in space.decisions)}; got {len(cell_)}"
                )
            if isinstance(cell_, (list, tuple)) and any(map(_is_label, cell_)):
                return naming.of_labels(space, dict(zip((d.name for d in space.decisions), cell_, strict=True)))
            if not np.isscalar(cell_):
                return _of_numbers(space, cell_)  # type: ignore[arg-type]
            return space.known_cell(cell_)
        except (ValueError, TypeError) as error:
            said = str(error)  # of a text it says already what was got
            raise LabError(
                said if said.startswith("not a cell") or " has no cell " in said else f"not a cell: {cell_!r}: {said}"
            ) from error

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


def _flat(space: Space, given: Any) -> Any:
    """A vector as labels or option numbers; anything else as it is."""
    if isinstance(given, np.ndarray) and given.ndim == 1 and given.dtype.kind in "OU":
        given = given.tolist()
    if (
        not isinstance(given, (np.ndarray, list, tuple))
        or not len(given)
        or any(isinstance(each, str) for each in given)
    ):
        return given
    values = np.asarray(given)
    if values.dtype.kind == "f" and not isinstance(
        given, np.ndarray
    ):  # other people's vectors are arrays; 2.0 is no option
        return given
    if values.ndim != 1 or values.dtype.kind not in "iuf" or not _whole(values):
        return given
    if len(values) == sum(space.options) > len(space.options) and set(values.tolist()) <= {0, 1}:
        parts = np.split(values, np.cumsum(space.options)[:-1])
        if all(part.sum() == 1 for part in parts):
            return np.array([int(np.argmax(part)) for part in parts])
    return values.astype(np.int64) if values.dtype.kind == "f" else given


def _whole(values: NDArray[Any]) -> bool:
    return bool(np.isfinite(values).all() and (np.abs(values) < 2**53).all() and (values == np.rint(values)).all())


def space_of(of: Any) -> Space:
    """The space of an objective, a table (itself, its name or its path), or a space.

    Raises:
        LabError: something else.
    """
    found = of if isinstance(of, Space) else getattr(catalog.load(of) if isinstance(of, str) else of, "space", None)
    if not isinstance(found, Space):
        raise LabError(f"a space is that of an objective or a table, or one itself; got {of!r:.80}")
    return found


def objective_of(of: Objective | Table | str | Evaluator) -> Objective:
    """An objective, or that of a table with its defaults."""
    return of if isinstance(of, Objective) else objective(of)


def plain_options(each: Decision) -> list[Any]:
    """The labels of a decision, as Python's own values."""
    return [option.item() if isinstance(option, np.generic) else option for option in each.options]


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
