"""Uniform cells without repetition: the baseline for several objectives, scored by the front of all it saw.

Its records are those of `random_search`, which does not look at objectives either; it is here so that a study of several
objectives names its baseline, and to hold `random_search` against.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.core import Query, Result, Strategy
from nasbench_lab.strategies.multi_objective._pareto import unasked


@dataclass
class MoRandom(Strategy):
    """Random search at the highest fidelity, without replacement."""

    paper = "Li & Talwalkar 2019, arXiv:1902.07638"

    def setup(self) -> None:
        self._asked: set[int] = set()

    def propose(self) -> Query | None:
        arch = unasked(self.design, self._asked, self.task.space.size)
        if arch is None:
            return None
        self._asked.add(arch)
        return Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        pass  # random search learns nothing
