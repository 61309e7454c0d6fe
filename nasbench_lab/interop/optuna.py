"""A table as an objective of Optuna's studies, the distributions of its decisions, and finished studies as rows of a board.

    f = optuna_objective("digits")
    study = optuna.create_study(direction=f.function.direction, pruner=optuna.pruners.MedianPruner())
    study.optimize(f, n_trials=100)

    write_trials([study], "digits", "mine.csv")
    nasbench_lab.compare("outside:file=mine.csv", "tpe", seeds=1)

Optuna itself is imported when a trial ends early, or when distributions are made.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_lab import extras
from nasbench_lab.core import Evaluator, LabError, direction
from nasbench_lab.errors import offered
from nasbench_lab.files import paths, spreadsheet, writing
from nasbench_lab.interop.objectives import Objective, objective, plain_options, space_of
from nasbench_lab.spaces import naming
from nasbench_lab.spaces.space import Space
from nasbench_lab.strategies.foreign.outside import EPOCHS, RUN
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


def write_trials(studies: Sequence[Any], of: Any, path: str | Path, *, force: bool = False) -> list[str]:
    """Write the trials of finished studies as a file that the strategy `outside` asks for again: they are a row of a board.

    Complete trials are of the highest fidelity, pruned ones of the last step that they reported, which are epochs. Others
    (failed, unfinished, pruned before any report: in a listed space, no cell) are no queries, and are left out.

    Args:
        studies: of Optuna, one for each seed; parameters are called as the decisions are.
        of: an objective, a table (itself or by name), or a space: whose cells the trials are.
        path: of the CSV file.
        force: replace a file that is there.

    Returns:
        Notes: how many trials were left out, and why.

    Raises:
        LabError: a trial is no cell of the space, a study has no trial that counts, or a file is there already.
    """
    space, found = space_of(of), paths.home(path)
    writing.not_there([found], force=force)
    left: Counter[str] = Counter()
    rows = [row for run, study in enumerate(studies) for row in _trials(study, space, run, left)]
    if not studies:
        raise LabError("there is no study to write")
    if len({row[RUN] for row in rows}) < len(studies):
        raise LabError(f"a study has no trial that was answered; left out: {_counted(left) or 'nothing'}")
    frame = pd.DataFrame(rows).astype({EPOCHS: "Int64"})
    writing.write_atomically(found, spreadsheet.to_csv(frame).encode())
    return [f"left out: {_counted(left)}"] if left else []


def _counted(left: Counter[str]) -> str:
    return ", ".join(f"{count} {why}" for why, count in left.items())


def _trials(study: Any, space: Space, run: int, left: Counter[str]) -> list[dict[str, Any]]:
    """The rows of one study in the order in which its trials were asked for."""
    rows = []
    for trial in sorted(study.get_trials(deepcopy=False), key=lambda each: each.number):
        state, steps = trial.state.name.lower(), trial.intermediate_values
        if state != "complete" and not (state == "pruned" and steps):
            left["pruned before any report" if state == "pruned" else state] += 1
            continue
        try:
            naming.of_labels(space, trial.params)
        except ValueError as error:
            raise LabError(f"trial {trial.number} of study {study.study_name!r} is no cell: {error}") from None
        rows.append({RUN: run, EPOCHS: None if state == "complete" else max(steps), **trial.params})
    return rows


def stored_studies(storage: str, names: Sequence[str] = ()) -> list[Any]:
    """Studies of a storage of Optuna's, in the order of their names, or those named; nothing is written to it.

    Args:
        storage: a file of SQLite (.db, .sqlite, .sqlite3), a journal (.log, .jsonl, .journal), or a URL as Optuna takes it.
        names: of studies; all if there are none.

    Raises:
        LabError: there is no such file or study, or it cannot be read.
        MissingPackage: Optuna is not installed.
    """
    extras.need("reading Optuna's studies", "optuna")
    import optuna

    try:
        opened = _opened(storage)
        there = sorted(optuna.get_all_study_names(opened))
        if missing := [name for name in names if name not in there]:
            raise LabError(f"{storage} has no study {missing[0]!r}{offered(missing[0], there, 'it has:')}")
        return [optuna.load_study(study_name=name, storage=opened) for name in names or there]
    except LabError:
        raise
    except Exception as error:  # SQLAlchemy and Optuna raise dozens of kinds for what is no storage
        raise LabError(f"{storage} cannot be read as a storage of Optuna: {error}".splitlines()[0][:300]) from error


def _opened(storage: str) -> Any:
    """A storage; files are opened so that nothing can be written to them."""
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    url = storage.removeprefix("sqlite:///")
    if "://" in url:
        return RDBStorage(url)
    path = paths.home(url)
    if not path.is_file():
        raise LabError(f"no such file: {path}")
    if path.suffix in (".log", ".jsonl", ".journal"):
        return JournalStorage(JournalFileBackend(str(path)))
    address = f"{path.absolute().as_uri()}?mode=ro"  # names may hold what means something in an address
    return RDBStorage("sqlite://", engine_kwargs={"creator": lambda: sqlite3.connect(address, uri=True)})
