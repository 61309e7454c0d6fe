"""The conformance kit must pass what is right and fail what is broken: one strategy for every way to be broken."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import numpy as np
import pytest
from conftest import Additive
from kit import outcome

from nasbench_lab.core import LabError, Query, Strategy
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.testing import strategy_kit
from nasbench_lab.testing.strategy_kit import Check, CheckFailed, HashEvaluator, check_strategy


@dataclass
class OutsideTheSpace(RandomSearch):
    def propose(self):
        return Query(self.task.space.size, self.task.full)


@dataclass
class NoQuery(RandomSearch):
    def propose(self):
        return self.design()


@dataclass
class WrongFidelity(RandomSearch):
    def propose(self):
        return Query(self.design(), 7)


@dataclass
class ProposesNothing(RandomSearch):
    def propose(self):
        return None


@dataclass
class Raises(RandomSearch):
    def propose(self):
        raise ZeroDivisionError("in the strategy")


@dataclass
class GlobalRandom(RandomSearch):
    def propose(self):
        random.random()
        return super().propose()


@dataclass
class GlobalNumpy(RandomSearch):
    def propose(self):
        np.random.rand()  # noqa: NPY002
        return super().propose()


@dataclass
class GlobalTorch(RandomSearch):
    def propose(self):
        import torch

        torch.rand(1)
        return super().propose()


@dataclass
class OwnEntropy(RandomSearch):
    def propose(self):
        return Query(int(np.random.default_rng().integers(self.task.space.size)), self.task.full)


@dataclass
class SetOrder(RandomSearch):
    """The order of a set of strings depends on PYTHONHASHSEED."""

    def propose(self):
        archs = {str(self.design()) for _ in range(10)}
        return Query(int(next(iter(archs))), self.task.full)


@dataclass
class IgnoresSeed(RandomSearch):
    def start(self, task, seed):
        super().start(task, 0)


@dataclass
class DoesNotPickle(RandomSearch):
    def setup(self):
        super().setup()
        self.helper = lambda: None


@dataclass
class ForgetsWhenPickled(RandomSearch):
    replacement: bool = True

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._design = np.random.default_rng(0)


@dataclass
class WorseThanRandom(RandomSearch):
    """Only cells without any convolution on toy: none or pool everywhere."""

    def propose(self):
        options = [0, 4]
        return Query(self.task.space.index([options[i] for i in self.rng.integers(2, size=6)]), self.task.full)


@dataclass
class IgnoresRestart(RandomSearch):
    def start(self, task, seed):
        if not hasattr(self, "task"):
            super().start(task, seed)


@dataclass
class StopsOnFailure(RandomSearch):
    def setup(self):
        super().setup()
        self.failed = False

    def propose(self):
        return None if self.failed else super().propose()

    def observe(self, result):
        self.failed = self.failed or math.isnan(result.val)


@dataclass
class BreaksWhenAllFail(RandomSearch):
    def setup(self):
        super().setup()
        self.scores = []

    def observe(self, result):
        self.scores.append(result.val)
        if len(self.scores) == 20:
            self.scores.index(np.nanmax([x for x in self.scores if x == x]))


@dataclass
class OneAtATime(RandomSearch):
    """Breaks with more than one worker."""

    def setup(self):
        super().setup()
        self.waiting = False

    def propose(self):
        if self.waiting:
            raise RuntimeError("asked again before the answer")
        self.waiting = True
        return super().propose()

    def observe(self, result):
        self.waiting = False


@dataclass
class WantsOrder(RandomSearch):
    def setup(self):
        super().setup()
        self.asked = []

    def propose(self):
        query = super().propose()
        self.asked.append(query)
        return query

    def observe(self, result):
        if result.query != self.asked.pop(0):
            raise RuntimeError("not the answer expected next")


@dataclass
class RecommendsUnseen(RandomSearch):
    def recommend(self):
        return self.task.space.size - 1


@dataclass
class NeedsTheCellSpace(RandomSearch):
    def propose(self):
        return Query(self.design() + 100, self.task.full) if self.task.space.size < 100 else super().propose()


@dataclass
class NeedsAProduct(RandomSearch):
    def propose(self):
        row = [int(self.rng.integers(count)) for count in self.task.space.options]
        return Query(self.task.space.index(row), self.task.full)


@dataclass
class Slow(RandomSearch):
    def propose(self):
        from time import sleep

        sleep(0.05)
        return super().propose()


@dataclass
class OldSchool(Strategy):
    """Right, and allowed to end early."""

    def propose(self):
        return Query(self.design(), self.task.full)

    def observe(self, result):
        pass


class NotADataclass(Strategy):
    propose = OldSchool.propose
    observe = OldSchool.observe


@pytest.mark.parametrize(
    ("broken", "check", "message"),
    [
        (OutsideTheSpace, "proposes cells", "asked for Query(arch=15625"),
        (OutsideTheSpace, "same seed", "cells are 0..15624"),
        (NoQuery, "proposes cells", "returns a Query or None"),
        (WrongFidelity, "proposes cells", "epochs must be one of 1, 4, 12"),
        (ProposesNothing, "proposes cells", "no query"),
        (Raises, "proposes cells", "ZeroDivisionError: in the strategy"),
        (Raises, "16 async", "ZeroDivisionError"),
        (GlobalRandom, "global random states", "of random;"),
        (GlobalNumpy, "global random states", "of numpy;"),
        (OwnEntropy, "same seed", "differ"),
        (OwnEntropy, "fresh process", "differ"),
        (SetOrder, "fresh process", "differ"),
        (IgnoresSeed, "another seed", "same records"),
        (DoesNotPickle, "pickled", "pickle"),
        (ForgetsWhenPickled, "pickled", "goes on differently"),
        (WorseThanRandom, "not worse", "random search"),
        (IgnoresRestart, "starts anew", "differs from the first"),
        (StopsOnFailure, "failed evaluations", "stopped after"),
        (StopsOnFailure, "every evaluation fails", "stopped after 1 of 40"),
        (BreaksWhenAllFail, "every evaluation fails", "ValueError"),
        (OneAtATime, "4 async", "asked again"),
        (WantsOrder, "out of order", "not the answer"),
        (RecommendsUnseen, "recommends a cell", "recommends cell 15624"),
        (NeedsTheCellSpace, "small space", "asked for"),
        (NeedsAProduct, "works on", "a listed space with a cell that has no neighbours, 1 workers"),
        (NotADataclass, "is a strategy", "not a dataclass"),
        (HashEvaluator, "is a strategy", ""),
    ],
)
def test_a_broken_strategy_fails_its_check_and_is_told_why(broken, check, message):
    found = outcome(broken, check)
    assert found
    assert message in found


def test_use_of_torchs_global_generator_is_found_once_torch_is_loaded():
    pytest.importorskip("torch")
    assert "torch" in outcome(GlobalTorch, "global random states")


def test_a_strategy_that_thinks_for_seconds_fails(monkeypatch):
    monkeypatch.setattr(strategy_kit, "_SECONDS_PER_QUERY", 0.01)
    found = outcome(Slow, "asks quickly")
    assert "s a query" in found or "propose stands at" in found  # the latter if the machine is as slow
    assert not outcome(RandomSearch, "asks quickly")


@pytest.mark.parametrize("load", [OldSchool, lambda: RandomSearch(replacement=True)], ids=["class", "function"])
def test_a_right_strategy_passes(load):
    importable = "<" not in load.__qualname__
    for check in check_strategy(load):
        if importable or not any(part in check.name for part in ("fresh process", "holds no table")):
            check()


def test_a_strategy_another_process_cannot_import_fails_the_fresh_process_check():
    @dataclass
    class Local(RandomSearch):
        pass

    assert "fresh process failed" in outcome(Local, "fresh process")


def test_any_task_can_be_checked_on():
    for check in check_strategy("local_search", Additive().task):
        if not any(
            part in check.name for part in ("fresh", "not worse", "asynchronous", "failed", "fails", "permuted")
        ):
            check()


def test_nothing_runs_before_a_check_is_called():
    names = [str(check) for check in check_strategy(Raises)]
    assert len(names) == len(set(names)) >= 15


def test_a_strategy_that_does_not_exist_is_no_failed_check():
    with pytest.raises(LabError, match="no strategy named"):
        next(iter(check_strategy("no_such_strategy")))()


def test_a_check_passes_check_failures_on():
    def fail():
        raise CheckFailed("as it is")

    with pytest.raises(CheckFailed, match="^as it is$"):
        Check("x", fail)()


def test_random_search_with_other_draws_is_not_called_worse():
    failures = 0
    for i in range(12):

        @dataclass
        class Other(RandomSearch):
            salt: int = i

            def design(self):
                return int(self.rng.integers(self.task.space.size))

            def setup(self):
                super().setup()
                self.rng = np.random.default_rng([self.salt, self.rng.integers(2**32)])

        failures += bool(outcome(Other, "not worse"))
    assert failures == 0


def test_the_made_up_evaluator_is_pure_and_fails_as_often_as_told():
    evaluator = HashEvaluator(Additive().task, failing=0.5)
    queries = [Query(arch, 3) for arch in range(18)]
    first = [repr(evaluator.evaluate(query, 1)) for query in queries]
    assert [repr(evaluator.evaluate(query, 1)) for query in reversed(queries)] == first[::-1]
    assert [repr(evaluator.evaluate(query, 2)) for query in queries] != first
    assert 2 <= sum("nan" in text for text in first) <= 16


pytest_plugins = ["pytester"]


def test_the_plugin_makes_one_test_per_strategy_and_check(pytester):
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.strategies("random_search", "random_search:replacement=true")
        def test_conformance(strategy_check):
            assert strategy_check.name
        """
    )
    count = len(list(check_strategy("random_search")))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q")
    result.assert_outcomes(passed=2 * count)


def test_the_plugin_wants_to_know_which_strategies(pytester):
    pytester.makepyfile("def test_conformance(strategy_check): ...")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-q")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["*say which strategies*"])


def test_fingerprints_are_equal_for_equal_runs_only():
    assert strategy_kit.fingerprint(RandomSearch) == strategy_kit.fingerprint(RandomSearch)
    assert strategy_kit.fingerprint(RandomSearch) != strategy_kit.fingerprint(SetOrder)
