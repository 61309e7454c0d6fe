"""The search loop: strategy x evaluator -> records, on a simulated clock with any number of asynchronous workers.

One heap of (finish, order asked, result) is the whole simulation. Real decision seconds are recorded beside the clock
and never added to it, so the same seed gives the same records on any machine, any day.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from heapq import heappop, heappush
from time import perf_counter
from typing import Literal, NamedTuple

import numpy as np

from nasbench_lab.core import LAST_SEED, Evaluator, LabError, Query, Record, Result, Strategy, Task, real, whole
from nasbench_lab.errors import StrategyError, contained
from nasbench_lab.spaces.frozen import ReadOnly
from nasbench_lab.spaces.space import Space
from nasbench_lab.spaces.whole import real_number, whole_number

__all__ = ["PATIENCE", "REPEATS", "Charges", "Repeats", "Run", "StrategyError", "bounded", "search"]
Repeats = Literal["charge", "free", "free-class"]
REPEATS: tuple[Repeats, ...] = ("charge", "free", "free-class")
PATIENCE = 10_000  # answers in a row that cost nothing before a run is ended


class Run(NamedTuple):
    """What a search yields: its records, and why it ended: "queries", "seconds", "strategy" or "repeats"."""

    records: list[Record]
    ended: str


def search(
    strategy: Strategy,
    evaluator: Evaluator,
    *,
    seed: int,
    max_queries: float = math.inf,
    max_seconds: float = math.inf,
    workers: int = 1,
    repeats: Repeats = "charge",
) -> Run:
    """Run one strategy once.

    Args:
        strategy: started anew with `seed`; its state afterwards is that of the finished run.
        evaluator: answers; see `core.Evaluator`.
        seed: decides everything; seed k gives every strategy the same design stream and the same noise.
        max_queries: answers at most; a whole number or inf.
        max_seconds: simulated seconds; a query that would finish later is neither answered nor recorded.
        workers: simulated asynchronous workers, at least 1.
        repeats: "charge" counts and charges a repeated (cell, epochs) like any other, as the papers do; "free" answers
            it again without charge, count or record; "free-class" does so for every isomorphic cell too, with the
            first member's answer. Only finished queries can be repeated for free.

    Raises:
        LabError: no budget at all, or an argument out of range.
        StrategyError: the strategy asked for a cell or a fidelity that does not exist, or ended the program.
    """
    task = bounded(evaluator.task, max_queries=max_queries, max_seconds=max_seconds, workers=workers, repeats=repeats)
    loop = _Loop(strategy, evaluator, task, whole(seed, "seed", least=0, most=LAST_SEED), int(workers), repeats)
    with contained(type(strategy).__name__):
        return loop.run()


def bounded(task: Task, *, max_queries: float, max_seconds: float, workers: int, repeats: str) -> Task:
    """The task with its budget, after all that `search` wants of its arguments has been checked.

    Raises:
        LabError: no budget at all, or an argument out of range.
    """
    max_queries, max_seconds = real(max_queries, "max_queries"), real(max_seconds, "max_seconds")
    whole(workers, "workers", least=1)
    if max_queries == max_seconds == math.inf:
        raise LabError("a search needs a budget: max_queries, max_seconds or both")
    if max_queries != math.inf and max_queries % 1:
        raise LabError(f"max_queries must be a whole number, got {max_queries}")
    if repeats not in REPEATS:
        raise LabError(f"repeats must be one of {', '.join(REPEATS)}, got {repeats!r}")
    try:
        return replace(task, max_queries=max_queries, max_seconds=max_seconds)
    except ValueError as error:
        raise LabError(str(error)) from error


@lru_cache(maxsize=1)
def _warm(space: Space) -> None:
    """Have a space's lists made before the clock of decisions starts: they are made once, for all strategies."""
    space.row(0), space.neighbours_of(0), space.index(space.row(0))
    if max(space.options) > 1:
        space.mutate(0, np.random.default_rng(0))


class Charges:
    """What an answer costs: of a training that is gone on with, its new epochs alone.

    A query goes on with the furthest training of its cell that has not got there; where there is none it begins another.
    So going on step by step costs what one go would, and doing it twice costs that twice. Where fidelities are
    trainings of their own (`Task.one_run` is false), every answer costs what it costs from scratch.
    """

    def __init__(self, task: Task) -> None:
        self._multi = len(task.fidelities) > 1 and task.one_run
        self._idle: dict[int, dict[int, list[float]]] = {}  # cell -> epochs -> seconds from scratch of trainings there

    def of(self, result: Result) -> Result:
        """An answer that cost so many seconds from scratch, with what is left to pay; its training is busy until `pay`."""
        if not self._multi:
            return result
        idle = self._idle.get(result.query.arch, {})
        epochs = max((at for at in idle if at < result.query.epochs), default=0)
        if not epochs:
            return result
        seconds = idle[epochs].pop()
        if not idle[epochs]:
            del idle[epochs]
        return result._replace(seconds=result.seconds - seconds)

    def pay(self, query: Query, scratch: float) -> None:
        """A training got there; `scratch` seconds is what it costs from the start."""
        if self._multi and query.epochs:
            self._idle.setdefault(query.arch, {}).setdefault(query.epochs, []).append(scratch)


class _Loop:
    """The state of one running search."""

    def __init__(
        self, strategy: Strategy, evaluator: Evaluator, task: Task, seed: int, workers: int, repeats: Repeats
    ) -> None:
        self.strategy, self.evaluator, self.task = strategy, evaluator, task
        self.seed, self.workers, self.repeats = seed, workers, repeats
        self.clock = 0.0
        self.asked = 0
        self.idle = 0  # answers in a row that cost nothing
        self.answering = 0.0  # real seconds the evaluator took (training, say): not the strategy's thinking
        self.heap: list[tuple[float, int, Result, float]] = []  # finish, order asked, answer, seconds from scratch
        self.records: list[Record] = []
        self.known: dict[tuple[int, int], Result] = {}
        self.charges = Charges(task)
        self.legal = frozenset(task.fidelities) | {0}
        # Several workers' queries are shown together to an evaluator that computes several at once: real training.
        self.prepare = getattr(evaluator, "prepare", None) if workers > 1 else None
        self.shown: list[Query] = []

    def run(self) -> Run:
        _warm(self.task.space)
        begin = perf_counter()
        self.strategy.start(self.task, self.seed)
        thinking = perf_counter() - begin
        max_queries, max_seconds = self.task.max_queries, self.task.max_seconds
        heap, records, strategy, size = self.heap, self.records, self.strategy, self.task.space.size
        while True:
            begin = perf_counter()
            ended = self._fill()
            if not heap:
                return Run(records, ended or "queries")
            if heap[0][0] > max_seconds:
                return Run(records, "seconds")
            if self.idle > PATIENCE:
                return Run(records, "repeats")
            self.clock, _, result, scratch = heappop(heap)
            strategy.tell(result)
            incumbent = strategy.recommend()
            if type(incumbent) is not int or not -1 <= incumbent < size:
                incumbent = self._recommended(incumbent)
            thinking += perf_counter() - begin - self.answering
            self.answering = 0.0
            records.append(Record(len(records), result, self.clock, incumbent, thinking))
            self._remember(result, scratch)
            thinking = 0.0
            if len(records) >= max_queries:
                return Run(records, "queries")

    def _fill(self) -> str:
        """Ask until all workers are busy; returns why asking stopped short of that, or ""."""
        ended = self._ask()
        if self.shown and self.prepare is not None:
            shown, self.shown = self.shown, []
            begin = perf_counter()
            self.prepare(shown, self.seed)
            self.answering += perf_counter() - begin
            for query in shown:
                self._launch(query)
        return ended

    def _ask(self) -> str:
        """As `_fill`; what is shown to the evaluator first is not launched yet."""
        heap, records, shown = self.heap, self.records, self.shown
        while len(heap) + len(shown) < self.workers and len(records) + len(heap) + len(shown) < self.task.max_queries:
            query = self.strategy.ask()
            if query is None:
                return "strategy"
            if (
                type(query) is not Query
                or not type(query[0]) is type(query[1]) is int
                or query[1] not in self.legal
                or type(query[2]) is not float
                or query[2]
            ):
                query = self._checked(query)
            if not 0 <= query[0] < self.task.space.size:
                raise StrategyError(self._complaint(query, f"cells are 0..{self.task.space.size - 1}"))
            earlier = self.known.get(self._key(query)) if self.repeats != "charge" else None
            if earlier is not None and query.epochs:
                self.idle += 1
                if self.idle > PATIENCE:
                    return "repeats"
                self.strategy.tell(earlier._replace(query=query, seconds=0.0))
                continue
            if self.prepare is None:
                self._launch(query)
            else:
                shown.append(query)
        return ""

    def _launch(self, query: Query) -> None:
        begin = perf_counter()
        result = self.evaluator.evaluate(query, self.seed) if query[1] else Result(query, math.nan, 0.0)
        if type(result[3]) is not ReadOnly:  # the strategy is told what is recorded
            result = result._replace(metrics=ReadOnly(result[3]))
        self.answering += perf_counter() - begin
        scratch = result[2]
        result = self.charges.of(result)
        cost = result[2] + query[2]
        if not 0 <= cost < math.inf:
            raise LabError(f"{type(self.evaluator).__name__} says that {query!r} costs {result[2]!r} seconds")
        self.idle = 0 if cost > 0 else self.idle + 1
        heappush(self.heap, (self.clock + cost, self.asked, result, scratch))
        self.asked += 1

    def _remember(self, result: Result, scratch: float) -> None:
        query = result[0]
        if self.repeats != "charge":
            self.known.setdefault(self._key(query), result)
        self.charges.pay(query, scratch)

    def _key(self, query: Query) -> tuple[int, int]:
        if self.repeats == "free-class":
            return int(self.task.space.classes[query.arch]), query.epochs
        return query.arch, query.epochs

    def _checked(self, query: object) -> Query:
        """Accept what can be read as a query; say what a strategy did wrong otherwise."""
        if not isinstance(query, Query):
            raise StrategyError(self._complaint(query, "propose() returns a Query or None"))
        try:
            arch, epochs = whole_number(query.arch, "arch"), whole_number(query.epochs, "epochs")
            query = Query(arch, epochs, real_number(query.overhead, "overhead"))
        except ValueError as error:
            raise StrategyError(self._complaint(query, f"arch and epochs are whole numbers; {error}")) from None
        if query.epochs not in self.legal:
            allowed = ", ".join(map(str, self.task.fidelities))
            raise StrategyError(
                self._complaint(query, f"epochs must be one of {allowed}, or 0 for 'my current answer'")
            )
        if not 0 <= query.overhead < math.inf:
            raise StrategyError(self._complaint(query, "overhead is in seconds, finite and not negative"))
        return query

    def _recommended(self, incumbent: object) -> int:
        """Accept what can be read as a cell, or -1 for none yet; say what a strategy did wrong otherwise."""
        with suppress(ValueError):
            arch = whole_number(incumbent, "a cell")
            if -1 <= arch < self.task.space.size:
                return arch
        name, last = type(self.strategy).__name__, self.task.space.size - 1
        raise StrategyError(
            f"{name} recommended {incumbent!r} after {len(self.records)} results; cells are 0..{last}, and -1 is none yet"
        )

    def _complaint(self, query: object, allowed: str) -> str:
        name = type(self.strategy).__name__
        return f"{name} asked for {query!r} after {len(self.records)} results; {allowed}"
