"""A portfolio: two or three strategies share one budget, and those whose cells have been among the best get more of it.

Which arm asks next is a bandit for the best of rewards, not for their mean: an answer counts as a success while it is among
the best `share` of all answers so far (Threshold Ascent, Streeter & Smith 2006), so what was good early stops counting once
others are better, and no scale is needed. Deviation: instead of Chernoff bounds the arm is chosen by Thompson sampling, the
largest of one draw each from Beta(1 + successes, 1 + the rest of its answers) (Chapelle & Li 2011).

Arms see the same common design. What one was answered, another is told: at once if it can learn from any answer (its class
says `learns_from_any = True`: `observe` takes answers to queries it did not ask), else when it asks for the same, for free.
So nothing is asked for twice at one fidelity, also where an arm alone would do so; where no arm has anything else to ask,
uniform cells are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from nasbench_lab import extras, loading
from nasbench_lab.core import Query, Result, Strategy, Task
from nasbench_lab.errors import StrategyError
from nasbench_lab.strategies._unseen import unseen

_REPLIES = 100  # answers known already that an arm is told in a row before another one may ask
Key = tuple[int, int]  # arch, epochs


@dataclass
class Portfolio(Strategy):
    """Strategies that compete for the queries of one search.

    Attributes:
        first: a strategy, as `name` or `(name:key=value)`.
        second: another one.
        third: another one, or "".
        share: of all answers so far, how many count as successes of who asked for them.
    """

    first: str = "gp_bo"
    second: str = "local_search"
    third: str = "regularized_evolution"
    share: float = 0.1

    paper = "Streeter & Smith 2006, doi:10.1007/11889205_40"
    learns_from_any = True

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share must be between 0 and 1, got {self.share}")
        if not self.first or not self.second:
            raise ValueError("a portfolio needs a first and a second strategy")
        self.arms: list[Strategy] = [
            loading.build("strategies", spec) for spec in (self.first, self.second, self.third) if spec
        ]
        self.cell_only = any(arm.cell_only for arm in self.arms)

    def requires(self, task: Task) -> tuple[str, ...]:
        """What the arms compute with."""
        return tuple(dict.fromkeys(package for arm in self.arms for package in extras.required(arm, task)))

    def start(self, task: Task, seed: int) -> None:
        super().start(task, seed)
        for arm in self.arms:
            arm.start(task, seed)
            arm.rng = self.rng  # one stream of draws: two arms with streams of the same seed would draw alike

    def setup(self) -> None:
        self._known: dict[Key, Result] = {}
        self._pending: dict[Key, list[tuple[int, Query]]] = {}  # who waits for an answer, who asked for it first
        self._scores: list[list[float]] = [[] for _ in self.arms]

    def propose(self) -> Query | None:
        for number in self._order():
            if (query := self._of(number)) is not None:
                return query
        if self._pending:
            return None
        full = self.task.full
        arch = unseen(self, {arch for arch, epochs in self._known if epochs == full})
        return None if arch is None else self._wanted(Query(arch, full), 0)

    def observe(self, result: Result) -> None:
        key = result.query.arch, result.query.epochs
        waiting = self._pending.pop(key, [])
        if not key[1] and len(waiting) > 1:  # answers without a training, one for each
            waiting, self._pending[key] = waiting[:1], waiting[1:]
        if key[1]:
            self._known[key] = result
        if key[1] == self.task.full and waiting:
            self._scores[waiting[0][0]].append(result.score)
        told = {number for number, _ in waiting}
        for number, query in waiting:
            self.arms[number].tell(result._replace(query=query))
        for number, arm in enumerate(self.arms):
            if key[1] and number not in told and getattr(arm, "learns_from_any", False):
                arm.tell(result)

    def successes(self) -> list[int]:
        """Of every arm: how many of its answers are among the best `share` of all."""
        every = sorted((score for own in self._scores for score in own), reverse=True)
        if not every:
            return [0] * len(self.arms)
        least = every[math.ceil(self.share * len(every)) - 1]
        return [sum(score >= least > -math.inf for score in own) for own in self._scores]

    def _order(self) -> list[int]:
        """The arms, best draw first."""
        draws = [
            float(self.rng.beta(1 + good, 1 + len(own) - good))
            for good, own in zip(self.successes(), self._scores, strict=True)
        ]
        return sorted(range(len(draws)), key=lambda number: -draws[number])

    def _of(self, number: int) -> Query | None:
        """What an arm asks for and nobody asked before; None where it waits, has ended, or repeats what is known."""
        arm = self.arms[number]
        for _ in range(_REPLIES):
            query = arm.ask()
            if query is None:
                return None
            self._check(arm, query)
            key = query.arch, query.epochs
            if key in self._pending and query.epochs:
                self._pending[key].append((number, query))
                return None
            if key not in self._known:
                return self._wanted(query, number)
            arm.tell(self._known[key]._replace(query=query, seconds=0.0))
        return None

    def _check(self, arm: Strategy, query: Query) -> None:
        """Raises StrategyError: it is none of this task's; names the arm, where the runner would name the portfolio."""
        allowed = (0, *self.task.fidelities)
        if not isinstance(query, Query) or query.epochs not in allowed or query.arch not in range(self.task.space.size):
            raise StrategyError(
                f"{type(arm).__name__}, an arm of the portfolio, asked for {query!r}; it may ask for Query(arch, epochs) with "
                f"arch 0..{self.task.space.size - 1} and epochs {', '.join(map(str, allowed[1:]))}, or 0"
            )

    def _wanted(self, query: Query, number: int) -> Query:
        key = query.arch, query.epochs
        self._pending.setdefault(key, []).append((number, query))
        return query
