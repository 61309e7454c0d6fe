"""Strategies that end the program, never return, or change what others share: the kit finds them and outlives them."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import math
import os
from dataclasses import dataclass

import pytest
from kit import outcome

import nasbench_lab
from nasbench_lab.errors import LabError
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.tables import catalog
from nasbench_lab.testing import checks, strategy_kit
from nasbench_lab.testing.strategy_kit import CheckFailed, check_strategy


@dataclass
class WritesToTheSpace(RandomSearch):
    """Shuffles what all share, in place."""

    def propose(self):
        query = super().propose()
        self.rng.shuffle(self.task.space.neighbours[query.arch])
        return query


@dataclass
class WritesAndGoesOn(RandomSearch):
    def setup(self):
        super().setup()
        with contextlib.suppress(ValueError):
            self.task.space.classes.setflags(write=True)


@dataclass
class ReplacesWhatIsThere(RandomSearch):
    def setup(self):
        super().setup()
        strategy_kit.Tabular.truth = lambda self, arch, _before=strategy_kit.Tabular.truth: _before(self, arch)


def _up_the_stack():
    """The loop that asks, and its evaluator."""
    return next(f.frame.f_locals["self"] for f in inspect.stack() if hasattr(f.frame.f_locals.get("self"), "evaluator"))


@dataclass
class ForgesAnswers(RandomSearch):
    def observe(self, result):
        super().observe(result)
        values = _up_the_stack().evaluator._values
        values.update({epochs: (99.99, *column[1:]) for epochs, column in values.items()})


@dataclass
class ForgesScores(RandomSearch):
    def observe(self, result):
        super().observe(result)
        table = _up_the_stack().evaluator.table
        scores = table.truth.copy()
        scores[777] = 99.99
        last = dataclasses.replace(table.last, test=scores)
        object.__setattr__(table, "schedules", {**table.schedules, max(table.schedules): last})


@dataclass
class Hangs(RandomSearch):
    def propose(self):
        while True:
            self.forever = True


@dataclass
class SleepsOnFailure(RandomSearch):
    def observe(self, result):
        if math.isnan(result.val):
            from time import sleep

            sleep(30)


@dataclass
class Quits(RandomSearch):
    def propose(self):
        raise SystemExit(0)


@dataclass
class LeavesAtOnce(RandomSearch):
    def propose(self):
        os._exit(0)


@dataclass
class Interrupts(RandomSearch):
    def propose(self):
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("broken", "check", "message"),
    [
        (WritesToTheSpace, "changes nothing", "tries to change what other runs share: ValueError: array is read-only"),
        (WritesAndGoesOn, "changes nothing", "test_outlived.py:"),
        (ReplacesWhatIsThere, "changes nothing", "in the place of nasbench_lab.evaluators.tabular.Tabular.truth"),
        (ForgesAnswers, "changes nothing", "changes what its evaluator answers"),
        (ForgesScores, "changes nothing", "changes what its evaluator answers, or how cells are scored"),
        (Quits, "same seed", "ends the program instead of returning: SystemExit: 0"),
        (Quits, "out of order", "ends the program instead of returning: SystemExit: 0"),
        (LeavesAtOnce, "same seed", "ends the program instead of returning: _Exit: os._exit(0)"),
        (LeavesAtOnce, "pickled", "os._exit(0)"),
        (Interrupts, "same seed", "KeyboardInterrupt"),
    ],
)
def test_a_strategy_that_breaks_out_fails_its_check_and_is_told_where(broken, check, message):
    assert message in outcome(broken, check)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(strategy_kit, "SECONDS", 1.0)
    monkeypatch.setattr(strategy_kit, "_SECONDS_PER_QUERY", 0.03)


@pytest.fixture(autouse=True)
def _truth_is_put_back():
    before = strategy_kit.Tabular.truth
    yield
    strategy_kit.Tabular.truth = before
    catalog._cached.cache_clear()  # tables may be forged


def test_a_board_is_not_made_of_a_table_that_was_changed_in_memory(tmp_path):
    with pytest.raises(LabError, match="table 'toy' was changed in memory"):
        nasbench_lab.compare(ForgesScores, table="toy", seeds=2, max_queries=3, out=tmp_path)
    assert not (tmp_path / "leaderboard.json").exists()


@pytest.mark.usefixtures("impatient")
def test_a_strategy_that_does_not_return_is_found_at_once_and_waited_for_once():
    found = list(check_strategy(Hangs))
    assert "proposes cells" in found[1].name
    with pytest.raises(CheckFailed, match=r"does not return within 0.9 s: propose stands at .*test_outlived\.py:\d+$"):
        found[1]()
    for check in found[2:]:
        with pytest.raises(CheckFailed, match="not run: .proposes cells of .* did not return"):
            check()


@pytest.mark.usefixtures("impatient")
def test_a_strategy_that_does_not_return_in_one_case_is_found_there():
    found = outcome(SleepsOnFailure, "every evaluation fails")
    assert "observe stands at" in found
    assert not outcome(SleepsOnFailure, "same seed")


def test_where_a_thread_stands_names_the_authors_method_and_the_line_reached():
    with pytest.raises(CheckFailed, match=r"propose stands at .*:\d+, in _wait \(.*:\d+\)"):
        checks.within(0.5, _Deep().propose)


class _Deep:
    def propose(self):
        self._wait()

    def _wait(self):
        while True:
            self.here = True


@dataclass
class AsksFor(RandomSearch):
    """Anything but a query of the task."""

    what: str = "cell"

    def propose(self):
        query = super().propose()
        wrong = {
            "cell": query._replace(arch=self.task.space.size),
            "epochs": query._replace(epochs=7),
            "label": query._replace(arch="a"),
            "bare": query.arch,
            "nothing": None,
        }
        if self.what == "error":
            raise ZeroDivisionError
        return wrong[self.what]


@pytest.mark.parametrize("what", ["cell", "epochs", "label", "bare", "nothing", "error"])
def test_a_mistake_in_every_query_is_told_once(what):
    found = list(check_strategy(lambda: AsksFor(what=what)))
    told = []
    for check in found:
        try:
            check()
        except checks.NotRun:
            told.append("not run")
        except CheckFailed as error:
            told.append(str(error))
    assert len(told) == len(found) - 1
    assert {"nothing": "no query was proposed", "error": "ZeroDivisionError"}.get(what, "asked for") in told[0]
    assert told[1:] == ["not run"] * (len(found) - 2)
