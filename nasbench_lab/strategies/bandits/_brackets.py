"""Rungs, brackets and the loop of synchronous successive halving, shared by the fidelity bandits.

Notation: r_0 < r_1 < ... < R the *rungs*, numbers of epochs at which cells are compared; R is the full training. A
*bracket* evaluates n_0 cells at its first rung and lets the best n_i of them go on to rung i.

Rungs are R, R/eta, R/eta^2, ... down to the lowest fidelity, each moved to the nearest fidelity that exists (in the
logarithm, ties to the lower), so an arbitrary set of fidelities works; where the geometric ones exist they are used
exactly. Sizes count epochs: n_i = floor(n_0 r_0 / r_i), which is the papers' floor(n_0 / eta^i) on geometric rungs
and gives every rung of a bracket about the same number of epochs on any others: of (12, 200), one cell in 16.7 goes on.

Scores are compared within one rung only. So nothing changes where fidelities are separate schedules
(`task.one_run` is false) whose scores mean different things; what a rung costs is the runner's affair. Failed cells
never go on. With several workers a bracket that waits for results lets the next one begin, as HpBandSter does.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import deque
from collections.abc import Sequence

from nasbench_lab.core import Query, Result, Strategy
from nasbench_lab.strategies._unseen import unseen


def check_eta(eta: int) -> None:
    """Raise a ValueError unless eta is a usable reduction factor."""
    if eta < 2:
        raise ValueError(f"eta must be at least 2, got {eta}")


def rungs_of(fidelities: Sequence[int], eta: int) -> tuple[int, ...]:
    """Ascending rungs chosen from ascending `fidelities`; the last is always the highest fidelity."""
    chosen, level = set(), float(fidelities[-1])
    while level >= fidelities[0] * (1 - 1e-9):
        chosen.add(min(fidelities, key=lambda epochs: abs(math.log(epochs / level))))
        level /= eta
    return tuple(sorted(chosen))


def sizes_of(rungs: Sequence[int], cells: int) -> tuple[int, ...]:
    """How many cells are trained at each rung when `cells` begin: floor(cells r_0 / r_i), at least one."""
    return tuple(max(1, cells * rungs[0] // epochs) for epochs in rungs)


class Bracket:
    """One run of successive halving.

    Attributes:
        rungs, sizes: epochs of every level and how many cells they take at most.
        level: the level that is being filled.
        free: jobs of the level that nobody has taken yet.
        climbers: cells that were promoted to the level and not taken yet, the best last.
    """

    def __init__(self, rungs: tuple[int, ...], sizes: tuple[int, ...]) -> None:
        self.rungs, self.sizes = rungs, sizes
        self.level = 0
        self.free = sizes[0]
        self.climbers: list[int] = []
        self._pending = 0
        self._results: list[tuple[float, int]] = []

    @property
    def epochs(self) -> int:
        """What the level trains for."""
        return self.rungs[self.level]

    @property
    def done(self) -> bool:
        """Nothing is left to take or to wait for."""
        return not self.free and not self._pending

    def take(self) -> None:
        """A job of the level is being worked on."""
        self.free -= 1
        self._pending += 1

    def close(self) -> None:
        """No cell is left to begin with: go on with those that have."""
        self.free = 0
        self._climb()

    def tell(self, arch: int, score: float) -> None:
        """A job's answer; the level's last one promotes the best."""
        self._pending -= 1
        self._results.append((score, arch))
        self._climb()

    def _climb(self) -> None:
        if not self.done or self.level + 1 == len(self.rungs):
            return
        valid = [result for result in self._results if result[0] > -math.inf]
        ranked = sorted(valid, key=lambda result: -result[0])  # stable: the first of equals is better
        self.level += 1
        self.climbers = [arch for _, arch in ranked[: self.sizes[self.level]]][::-1]
        self.free, self._results = len(self.climbers), []


class Bracketed(Strategy):
    """The loop of synchronous successive halving; a subclass says which brackets come and may say which cells begin."""

    def setup(self) -> None:
        self._seen: set[int] = set()
        self._brackets: list[Bracket] = []
        self._begun = 0
        self._owners: dict[Query, deque[Bracket]] = {}

    @abstractmethod
    def bracket(self, number: int) -> Bracket:
        """The bracket with this number, counted from 0."""

    def trained(self, bracket: Bracket) -> int:
        """Epochs that a bracket's next job is really trained for."""
        return bracket.epochs

    def begin(self) -> int | None:
        """A cell for a bracket's first rung; None if there is none."""
        return unseen(self, self._seen)

    def pick(self, bracket: Bracket) -> int | None:
        """The cell of a bracket's next job: the best that was promoted, or a new one."""
        return bracket.climbers.pop() if bracket.level else self.begin()

    def propose(self) -> Query | None:
        for bracket in self._brackets:  # the oldest first
            while bracket.free:
                arch = self.pick(bracket)
                if arch is not None:
                    return self._ask(bracket, arch)
                bracket.close()
        self._brackets = [bracket for bracket in self._brackets if not bracket.done]
        bracket = self.bracket(self._begun)
        arch = self.pick(bracket)
        if arch is None:
            return None
        self._begun += 1
        self._brackets.append(bracket)
        return self._ask(bracket, arch)

    def observe(self, result: Result) -> None:
        owners = self._owners.get(result.query)
        if not owners:
            return
        bracket = owners.popleft()
        if not owners:
            del self._owners[result.query]
        bracket.tell(result.query.arch, result.score)
        if bracket.done:
            self._brackets.remove(bracket)

    def _ask(self, bracket: Bracket, arch: int) -> Query:
        query = Query(arch, self.trained(bracket))
        self._seen.add(arch)
        self._owners.setdefault(query, deque()).append(bracket)
        bracket.take()
        return query
