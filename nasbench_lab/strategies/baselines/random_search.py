"""Random search: cells drawn uniformly, with or without replacement (Li & Talwalkar, UAI 2019, as the baseline).

The cells come from the design stream, so random search visits what other strategies of the same seed start from.
"""

from __future__ import annotations

from dataclasses import dataclass

from nasbench_lab.core import Query, Result, Strategy


@dataclass
class RandomSearch(Strategy):
    """Uniform cells at the highest fidelity.

    Attributes:
        replacement: draw with replacement, as NAS-Bench-201's own random search does; without it every cell is
            asked for once and the search ends when the space does.
    """

    replacement: bool = False

    paper = "Li & Talwalkar 2019, arXiv:1902.07638"

    def setup(self) -> None:
        self._seen: set[int] = set()
        self._rest: list[int] | None = None

    def propose(self) -> Query | None:
        arch = self.design() if self.replacement else self._unseen()
        return None if arch is None else Query(arch, self.task.full)

    def observe(self, result: Result) -> None:
        pass  # random search learns nothing

    def _unseen(self) -> int | None:
        """A uniform cell not asked for yet: by rejection while half the space is left, then from a shuffled rest."""
        size = self.task.space.size
        if self._rest is None and 2 * len(self._seen) < size:
            while (arch := self.design()) in self._seen:
                pass
            self._seen.add(arch)
            return arch
        if self._rest is None:
            unseen = [arch for arch in range(size) if arch not in self._seen]
            self._rest = [unseen[i] for i in self.rng.permutation(len(unseen)).tolist()]
        return self._rest.pop() if self._rest else None
