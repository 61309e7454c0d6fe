"""Monte-Carlo tree search over partial cells: UCT from the first decision to the last (AlphaX in spirit, Wang et al. 2020).

The tree: a node is the options of the first decisions, a leaf a cell. An answer counts as a visit of every node above
it; its reward is its rank among all answers so far, 0 for the worst to 1 for the best, so that scores need no scale.
At a node with N visits below, option o with n visits of mean reward q is taken that maximises

    (n q + prior m) / (n + prior) + exploration * sqrt(log(1 + N) / (n + prior))

(UCT, Kocsis & Szepesvari 2006), m the mean reward of all cells with that option, wherever in the tree: `prior` visits'
worth of it (a progressive bias, Chaslot et al. 2008). Below the visited nodes the cell is completed at random, options
weighted by exp(m / temperature) (move averages, MAST, Finnsson & Bjornsson 2008). A cell asked for and not answered
counts as a visit of reward 0 (virtual loss). No cell is asked for twice: a subtree of which all was asked for is closed.

What of AlphaX (arXiv:1903.11059) this is: the tree over partial architectures, UCT, a rollout that completes the cell.
What it is not: AlphaX's network that predicts the accuracy of rollouts, in whose place the move averages m stand; its
actions on graphs of layers; its transfer of weights. It is not LaNAS (arXiv:1906.06832): there a node's children are
good and bad regions that a model learns to split the space into; here they are the options of the next decision.
`prior=0,temperature=inf` is plain UCT with uniform rollouts. Defaults chosen on the table `digits`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import FloatArray, Query, Result, Strategy
from nasbench_lab.spaces.frozen import frozen
from nasbench_lab.spaces.space import IntArray, Space
from nasbench_lab.strategies._unseen import unseen


@dataclass
class MCTS(Strategy):
    """Tree search over the decisions in order.

    Attributes:
        exploration: weight of the confidence bound, for rewards in 0..1.
        prior: visits that the mean over all cells with an option is worth; 0: every option is visited once first.
        temperature: of the rollouts, in units of reward; inf: uniform.
        initial: uniform cells before the tree is used.
    """

    exploration: float = 0.5
    prior: float = 1.0
    temperature: float = 0.1
    initial: int = 10

    paper = "Wang et al. 2020, arXiv:1903.11059"

    def __post_init__(self) -> None:
        if not 0 <= self.exploration < math.inf or not 0 <= self.prior < math.inf or not self.temperature > 0:
            got = f"{self.exploration}, {self.prior}, {self.temperature}"
            raise ValueError(f"need finite exploration >= 0 and prior >= 0, and temperature > 0, got {got}")
        if self.initial < 0:
            raise ValueError(f"initial must be at least 0, got {self.initial}")

    def setup(self) -> None:
        self._scores: dict[int, float | None] = {}  # every cell asked for; None: not answered yet
        self._leaves = _leaves(self.task.space)

    def propose(self) -> Query | None:
        if len(self._scores) == self.task.space.size:
            return None
        starting = len(self._scores) < self.initial
        arch = unseen(self, self._scores.keys()) if starting else self._descend()
        if arch is None:
            return None
        self._scores[arch] = None
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        self._scores[result.query.arch] = result.score

    def _descend(self) -> int:
        """From the root to a cell that was not asked for."""
        rows, answered, rewards = self._visits()
        begin, end = 0, self.task.space.size  # the leaves below the node
        for decision, count in enumerate(self.task.space.options):
            taken = rows[:, decision]
            visits = np.bincount(taken, minlength=count)
            gains = np.bincount(taken, weights=rewards, minlength=count).astype(np.float64)
            means = self._averages(answered, decision)
            if len(rows):
                worth = self._upper_bounds(visits, gains, means)
            else:  # Gumbel noise makes the best of them a draw from the softmax
                worth = means / self.temperature + self.rng.gumbel(size=count)
            edges = begin + np.searchsorted(
                self._leaves.rows[begin:end, decision], np.arange(count + 1, dtype=np.int16)
            )
            option = self._best(np.where(visits < np.diff(edges), worth, -math.inf))
            rows, rewards = rows[taken == option], rewards[taken == option]
            begin, end = edges[option : option + 2].tolist()
        return int(self._leaves.archs[begin])

    def _visits(self) -> tuple[NDArray[np.int8], tuple[NDArray[np.int8], FloatArray], FloatArray]:
        """Rows (n, E) of all cells asked for; rows and rewards of those answered; rewards (n,) of all."""
        rows = self.task.space.choices[np.fromiter(self._scores, dtype=np.int64)]
        known = np.array([score is not None for score in self._scores.values()], dtype=bool)
        scores = np.array([score for score in self._scores.values() if score is not None], dtype=float)
        rewards = np.zeros(len(rows))
        rewards[known] = _ranks(scores)
        return rows, (rows[known], rewards[known]), rewards

    def _averages(self, answered: tuple[NDArray[np.int8], FloatArray], decision: int) -> FloatArray:
        """(options,) mean reward of all answered cells with each option; one half for an option never tried."""
        taken, rewards = answered[0][:, decision], answered[1]
        count = self.task.space.options[decision]
        seen = np.bincount(taken, minlength=count)
        total = np.bincount(taken, weights=rewards, minlength=count)
        return np.where(seen > 0, total / np.maximum(seen, 1), 0.5)

    def _upper_bounds(self, visits: NDArray[np.integer], gains: FloatArray, means: FloatArray) -> FloatArray:
        weight = visits + self.prior
        some = np.where(weight > 0, weight, 1.0)
        bound = self.exploration * np.sqrt(math.log(1 + visits.sum()) / some)
        # Without a prior an option that was not visited comes first.
        return np.where(weight > 0, (gains + self.prior * means) / some + bound, math.inf)

    def _best(self, worth: FloatArray) -> int:
        """The option of the largest worth; equals at random."""
        best = np.flatnonzero(worth == worth.max())
        return int(best[self.rng.integers(len(best))]) if len(best) > 1 else int(best[0])


class _Leaves(NamedTuple):
    """All cells in lexicographic order, so that those below a node follow each other: (N, E) rows, (N,) indices."""

    rows: NDArray[np.int16]
    archs: IntArray


@lru_cache(maxsize=4)
def _leaves(space: Space) -> _Leaves:
    archs = np.lexsort(space.choices.T[::-1])
    return frozen(_Leaves(np.asfortranarray(space.choices[archs].astype(np.int16)), archs))


def _ranks(scores: FloatArray) -> FloatArray:
    """(n,) mid-ranks scaled to 0 (worst) .. 1 (best); one half for a single score."""
    if len(scores) < 2:
        return np.full(len(scores), 0.5)
    ordered = np.sort(scores)
    below, upto = np.searchsorted(ordered, scores, "left"), np.searchsorted(ordered, scores, "right")
    ranks: FloatArray = (below + upto - 1) / 2 / (len(scores) - 1)
    return ranks
