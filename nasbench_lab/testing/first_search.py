"""My search: one line that says what it does (Author et al., year)."""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.core import Query, Result, Strategy


@dataclass
class MySearch(Strategy):
    """Changes one decision of the best cell found so far, and now and then starts anywhere.

    Attributes:
        initial: fields are the hyper-parameters; what they mean stands here, one a line. Uniform cells to begin with.
        restart: probability that a query is a uniform cell again.
    """

    initial: int = 10
    restart: float = 0.2

    family = "local"
    paper = "Author et al. 2026"

    def __post_init__(self) -> None:
        if self.initial < 1 or not 0 <= self.restart <= 1:  # refused before anything runs
            raise ValueError(f"need initial >= 1 and 0 <= restart <= 1, got {self.initial} and {self.restart}")

    def setup(self) -> None:
        """State of a run. From here on there are self.task (space, fidelities, budget), self.rng and self.design()."""
        self._asked = 0
        self._best, self._score = -1, float("-inf")

    def propose(self) -> Query | None:
        """The next cell, an index in the space, and for how many epochs; None where there is nothing left to ask."""
        self._asked += 1
        starting = self._best < 0 or self._asked <= self.initial or self.task.space.size == 1
        if starting or self.rng.random() < self.restart:
            return Query(self.design(), self.task.full)  # uniform; the same first cells for all strategies of a seed
        return Query(self.task.space.mutate(self._best, self.rng), self.task.full)

    def observe(self, result: Result) -> None:
        """The answer to a query: a validation score, larger is better; a training that failed has -inf."""
        if result.score > self._score:
            self._best, self._score = result.query.arch, result.score
