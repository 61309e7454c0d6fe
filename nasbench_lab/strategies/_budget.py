"""How much of the budget is spent, seen from inside a strategy: for schedules that run from 0 to 1 over a search."""

from __future__ import annotations

import math

from nasbench_lab.core import Result, Task

UNLIMITED = 200  # queries that schedules are spread over where the task has no budget at all


class Budget:
    """Counts what was asked and answered; a strategy calls `asked` when it proposes and `told` when it observes.

    A strategy is not told the clock. Simulated seconds are estimated as the answers' cost divided by the most answers
    that were ever pending at once, which is the number of workers: exact for one worker. What a run answers for free
    (a cell, or its class, asked for again under the policies "free" and "free-class") does not count.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._queries = self._pending = 0
        self._workers = 1
        self._seconds = 0.0
        self._classes: set[int] = set()

    def asked(self) -> None:
        """A query was asked."""
        self._pending += 1
        self._workers = max(self._workers, self._pending)

    def told(self, result: Result) -> None:
        """An answer came."""
        self._pending = max(0, self._pending - 1)
        number, cost = int(self._task.space.classes[result.query.arch]), result.seconds + result.query.overhead
        if cost > 0 or number not in self._classes:
            self._queries += 1
            self._seconds += cost
        self._classes.add(number)

    @property
    def fraction(self) -> float:
        """Share of the budget spent, 0 to 1: of queries or of seconds, whichever is further."""
        queries, seconds = self._task.max_queries, self._task.max_seconds
        if queries == seconds == math.inf:
            queries = UNLIMITED
        return min(1.0, max(self._queries / queries, self._seconds / self._workers / seconds))
