"""The conformance kit: what every strategy and surrogate must do, as named checks anyone can run on their own in seconds.

    @pytest.mark.strategies("my_package.mine:Mine", "local_search:improvement=best")
    def test_conformance(strategy_check):     # the fixture comes with the package's pytest plugin
        strategy_check()

or, without pytest, `for check in check_strategy("my_file.py"): check()`, or `nasbench-lab check my_file.py`. Likewise
`check_surrogate`, the marker `surrogates` with the fixture `surrogate_check`, and `nasbench-lab check --kind surrogate`.
"""

from __future__ import annotations

import hashlib
import math
import pickle
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import perf_counter

import numpy as np

from nasbench_lab import core, loading
from nasbench_lab.core import Evaluator, LabError, Query, Record, Result, Strategy, Task
from nasbench_lab.errors import StrategyError, of_predictor, place
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.stats import shares
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.study import replays, runner
from nasbench_lab.tables import catalog
from nasbench_lab.testing import peeking, sharing
from nasbench_lab.testing.checks import (
    SECONDS,
    Check,
    CheckFailed,
    in_fresh_process,
    leaves_global_states_alone,
    require,
)
from nasbench_lab.testing.small_spaces import PRODUCT, SPACES
from nasbench_lab.testing.surrogate_kit import check_surrogate

FALSE_ALARM = 0.001  # of "not worse than random", for a strategy that is exactly as good as random search
_RUNS = 16  # of "not worse than random"
_FEW = 14  # queries on a small space of every kind
_QUICK = 20  # queries of the first run, and of "asks quickly"; both wait half as long again as the latter allows
_SECONDS_PER_QUERY = 2.0  # "asks quickly" means: fit for interactive use on any machine; speed has its own benchmarks


class HashEvaluator:
    """A made-up evaluator for any task: additive scores with noise, from hashes, so that it needs no table.

    Args:
        task: space, fidelities and objectives to answer for.
        failing: share of cells whose evaluation fails (val is nan).
    """

    def __init__(self, task: Task, *, failing: float = 0.0) -> None:
        self.task = task
        self.failing = failing
        rng = core.stream(12, 5)
        space = task.space
        gains = rng.normal(size=space.one_hot.shape[1])
        level = space.one_hot @ gains + 0.3 * rng.normal(size=space.size)
        self._level = 50.0 + 40.0 * (level - level.mean()) / (np.abs(level - level.mean()).max() + 1e-9)
        self._fails = rng.random(space.size) < failing

    def evaluate(self, query: Query, seed: int) -> Result:
        """Score rises with epochs; cost is proportional to them and differs from cell to cell."""
        arch, epochs, _ = query
        noise = float(core.stream(seed, 7, arch, epochs).normal(0, 0.5))
        val = math.nan if self._fails[arch] else float(self._level[arch]) * (1 - 0.4 / (1 + epochs)) + noise
        metrics = dict.fromkeys(self.task.objectives[1:], 1.0 + arch % 97)
        return Result(query, val, epochs * (1.0 + arch % 5), metrics)

    def truth(self, arch: int) -> float:
        """The same made-up score, without noise."""
        return float(self._level[arch])


def check_strategy(load: str | Callable[[], Strategy], task: Task | None = None) -> Iterator[Check]:
    """The checks of one strategy, each a callable with a name.

    Args:
        load: a spec ("local_search:restarts=false", "pkg.module:Class", "file.py"), or a class or function without
            arguments that makes the strategy. A class that another process cannot import (defined inside a function,
            say) skips nothing but fails the fresh-process check: give its spec.
        task: the task to check on; the toy table's if left out. Its budget is ignored.

    Yields:
        named checks; none runs before it is called. A program of its own (`external`) is not checked for opening tables.
    """
    spec = load if isinstance(load, str) else f"{load.__module__}:{load.__qualname__}"
    make: Callable[[], Strategy] = (lambda: loading.build("strategies", load)) if isinstance(load, str) else load
    kit, over = _Kit(make, spec, task), list[str]()

    def _check(name: str, function: Callable[[], None], seconds: float = SECONDS, *, first: bool = False) -> Check:
        return Check(name, function, (StrategyError,), seconds, over, first)

    waits = 1.5 * _QUICK * _SECONDS_PER_QUERY
    yield _check("is a strategy, a dataclass whose fields are its parameters", kit.is_strategy, first=True)
    yield _check("proposes cells of the space at the task's fidelities", kit.proposes_inside, waits, first=True)
    yield _check("asks quickly", kit.quick, waits)
    yield _check("same seed, same records", kit.same_seed)
    yield _check("same records in a fresh process with another PYTHONHASHSEED", kit.fresh_process)
    yield _check("another seed, other records", kit.other_seed)
    yield _check("leaves the global random states of random, numpy and torch alone", kit.global_states)
    for workers in (1, 4, 16):
        yield _check(f"runs with {workers} asynchronous workers", lambda w=workers: kit.workers(w))  # type: ignore[misc]
    yield _check("takes results out of order", kit.out_of_order)
    yield _check("survives failed evaluations (nan)", kit.failures)
    yield _check("survives when every evaluation fails", kit.all_fail)
    yield _check("stops when the budget ends, in queries and in seconds", kit.budget)
    yield _check("ends, or repeats itself, when a small space is exhausted", kit.small_space)
    yield _check(f"works on {', '.join(SPACES)}", kit.any_space)
    yield _check("can be pickled in the middle of a run", kit.pickling)
    yield _check("starts anew when started again", kit.restart)
    yield _check("recommends a cell it has results for", kit.recommends)
    yield _check("changes nothing that other runs share", kit.shared)
    yield _check("asks the same where test scores are permuted", kit.permuted)
    if not replays.is_program(spec):
        yield _check("asks the same in a process that holds no table", kit.apart)
    name = f"is not worse than random search on toy (false alarms: {shares.percent(FALSE_ALARM, 1)})"
    yield _check(name, kit.not_worse, _RUNS * SECONDS)


class _Kit:
    def __init__(self, make: Callable[[], Strategy], spec: str, task: Task | None) -> None:
        self.make, self.spec = make, spec
        self.evaluator: Evaluator = HashEvaluator(task) if task else Tabular(catalog.load("toy"))

    def run(
        self, seed: int = 0, *, queries: float = 40, evaluator: Evaluator | None = None, workers: int = 1
    ) -> list[Record]:
        chosen = evaluator or self.evaluator
        return runner.search(self.make(), chosen, seed=seed, max_queries=queries, workers=workers).records

    def is_strategy(self) -> None:
        strategy = self.make()
        meant = f"does not derive from nasbench_lab.Strategy{of_predictor(strategy)}"
        require(isinstance(strategy, Strategy), f"{type(strategy).__name__} {meant}")
        require(hasattr(strategy, "__dataclass_fields__"), f"{type(strategy).__name__} is not a dataclass")

    def proposes_inside(self) -> None:
        try:
            records = self.run(queries=_QUICK)
        except StrategyError as error:
            raise CheckFailed(str(error)) from error
        require(bool(records), "no query was proposed")

    def same_seed(self) -> None:
        require(_exact(self.run(3)) == _exact(self.run(3)), "two runs with seed 3 differ")

    def fresh_process(self) -> None:
        code = (
            "import sys; from nasbench_lab.testing import strategy_kit; from nasbench_lab.loading import build;"
            "print(\"\\n\" + strategy_kit.fingerprint(lambda: build('strategies', sys.argv[1])))"
        )
        here = fingerprint(self.make)
        require(in_fresh_process(code, self.spec) == here, "the records of a fresh process differ")

    def other_seed(self) -> None:
        require(_exact(self.run(1)) != _exact(self.run(2)), "seeds 1 and 2 give the same records")

    def global_states(self) -> None:
        leaves_global_states_alone(lambda: self.run(5), "self.rng")

    def workers(self, count: int) -> None:
        records = self.run(1, workers=count)
        ordered = [record.finished for record in records]
        require(len(records) == 40, f"{len(records)} of 40 queries with {count} workers")
        require(ordered == sorted(ordered), "records are not in order of finishing")

    def out_of_order(self) -> None:
        strategy, evaluator = self.make(), self.evaluator
        strategy.start(replace(evaluator.task, max_queries=60), 0)
        for _ in range(15):
            asked = [query for query in (strategy.ask() for _ in range(4)) if query is not None]
            for query in reversed(asked):
                strategy.tell(evaluator.evaluate(query, 0))
        require(strategy.recommend() >= 0, "recommends nothing after results that came in reverse order")

    def failures(self) -> None:
        task = replace(self.evaluator.task, max_queries=40)
        records = self.run(2, evaluator=HashEvaluator(task, failing=0.5))
        require(len(records) == 40, f"stopped after {len(records)} of 40 queries when half of them failed")
        chosen = [r for r in records if r.result.val == r.result.val]
        require(not chosen or records[-1].incumbent >= 0, "recommends nothing though some queries succeeded")

    def all_fail(self) -> None:
        task = replace(self.evaluator.task, max_queries=40)
        records = self.run(2, evaluator=HashEvaluator(task, failing=1.1))
        require(len(records) == 40, f"stopped after {len(records)} of 40 queries when all of them failed")

    def budget(self) -> None:
        require(len(self.run(queries=7)) <= 7, "more queries than the budget allows")
        cost = self.run(queries=3)[-1].finished
        records = runner.search(self.make(), self.evaluator, seed=0, max_seconds=4 * cost).records
        require(bool(records) and records[-1].finished <= 4 * cost, "went past the budget of simulated seconds")

    def small_space(self) -> None:
        if self.make().cell_only:
            return
        task = Task(PRODUCT, (1, 3), max_queries=60)
        records = self.run(evaluator=HashEvaluator(task), queries=60)
        require(bool(records), "proposes nothing on a space of 12 cells")
        records = self.run(evaluator=HashEvaluator(task), queries=60, workers=4)
        require(bool(records), "proposes nothing on a space of 12 cells with 4 workers")

    def any_space(self) -> None:
        if self.make().cell_only:
            return
        objectives = self.evaluator.task.objectives
        for kind, space in SPACES.items():
            task = Task(space, (1, 3), objectives, max_queries=_FEW)
            for workers in (1, 3) if space.listed is not None else (1,):
                try:
                    records = self.run(evaluator=HashEvaluator(task), queries=_FEW, workers=workers)
                except Exception as error:
                    raise CheckFailed(f"{kind}, {workers} workers: {place(error)}") from error
                require(bool(records), f"proposes nothing on {kind} with {workers} workers")

    def pickling(self) -> None:
        strategy = self.make()
        strategy.start(replace(self.evaluator.task, max_queries=40), 0)
        _continue(strategy, self.evaluator, 15)
        copy = pickle.loads(pickle.dumps(strategy))  # noqa: S301 - its own bytes
        first, second = _continue(strategy, self.evaluator, 15), _continue(copy, self.evaluator, 15)
        require(first == second, "goes on differently after pickling")

    def restart(self) -> None:
        strategy = self.make()
        again = [runner.search(strategy, self.evaluator, seed=4, max_queries=25).records for _ in range(2)]
        require(_exact(again[0]) == _exact(again[1]), "a second run of the same instance differs from the first")

    def recommends(self) -> None:
        known: set[int] = set()
        for record in self.run(6):
            known.add(record.result.query.arch)
            zero = record.result.query.epochs == 0  # a one-shot strategy answers with its own current cell
            require(zero or record.incumbent in known, f"recommends cell {record.incumbent} without a result for it")

    def shared(self) -> None:
        task = self.evaluator.task
        said, before, arrays = sharing.told(self.evaluator), sharing.names(), sharing.contents(task)
        tried = sharing.attempts(lambda: self.run(9, queries=15), type(self.make()).__module__)
        require(not tried, f"tries to change what other runs share: {'; '.join(tried[:1])}; change a copy instead")
        changed = sharing.changed(before)
        require(not changed, f"puts something else in the place of {', '.join(changed[:3])}")
        after = sharing.contents(task)
        self.run(9, queries=15)  # what was made on first use was there this time
        written = sharing.written(arrays, after) + sharing.written(after, sharing.contents(task))
        require(not written, f"writes to {', '.join(written)}, which all runs share; change a copy instead")
        require(sharing.told(self.evaluator) == said, "changes what its evaluator answers, or how cells are scored")

    def permuted(self) -> None:
        if isinstance(self.evaluator, Tabular):
            found = peeking.permuted(self.make, self.evaluator, 10, {"max_queries": 30})
            require(found is None, str(found))

    def apart(self) -> None:
        how = {"max_queries": 30}
        here = peeking.searched(self.make, self.evaluator, 10, how)
        found = peeking.apart(self.spec, self.evaluator, 10, how, here, 0.9 * SECONDS)
        require(found is None, str(found))

    def not_worse(self) -> None:
        evaluator = Tabular(catalog.load("toy"))
        cost = 40 * float(np.mean(evaluator.table.last.seconds[:, -1]))
        mine, random_ = [], []
        for seed in range(_RUNS):
            runs = [
                runner.search(strategy, evaluator, seed=seed, max_seconds=cost).records
                for strategy in (self.make(), RandomSearch())
            ]
            require(bool(runs[0]) and runs[0][-1].incumbent >= 0, f"seed {seed} ends without a recommendation")
            ends = [records[-1].incumbent for records in runs]
            mine.append(evaluator.truth(ends[0]))
            random_.append(evaluator.truth(ends[1]))
        difference = np.array(mine) - np.array(random_)
        if not difference.any():
            return
        from scipy import stats  # a second to import, which the processes that are started for the other checks save

        p = stats.ttest_1samp(difference, 0.0, alternative="less").pvalue
        require(
            bool(p >= FALSE_ALARM),
            f"mean test accuracy {np.mean(mine):.2f}, random search {np.mean(random_):.2f} over {_RUNS} seeds (p = {p:.1g})",
        )

    def quick(self) -> None:
        begin = perf_counter()
        count = len(self.run(8, queries=_QUICK))
        each = (perf_counter() - begin) / max(1, count)
        require(each < _SECONDS_PER_QUERY, f"{each:.1f} s a query; at most {_SECONDS_PER_QUERY:g}")


def _exact(records: list[Record]) -> list[tuple[object, ...]]:
    """Records without the real time, nan comparable."""
    return [(r.order, r.result.query, repr(r.result.val), r.result.seconds, r.finished, r.incumbent) for r in records]


def fingerprint(make: Callable[[], Strategy]) -> str:
    """SHA-256 of a short run on the toy table, without real times."""
    evaluator = Tabular(catalog.load("toy"))
    records = runner.search(make(), evaluator, seed=11, max_queries=30).records
    return hashlib.sha256(repr(_exact(records)).encode()).hexdigest()


def _continue(strategy: Strategy, evaluator: Evaluator, queries: int) -> list[Query]:
    asked = []
    for _ in range(queries):
        query = strategy.ask()
        if query is None:
            break
        asked.append(query)
        strategy.tell(evaluator.evaluate(query, 0))
    return asked


__all__ = ["Check", "CheckFailed", "HashEvaluator", "LabError", "check_strategy", "check_surrogate", "fingerprint"]
