"""Zero-cost proxies: score a sample of cells without training, then train them best first (Abdelfattah et al. 2021).

A proxy is anything known of all cells beforehand (`core.Task.known`): "proxy/synflow" and its kin where the table has
them, else size (`core.SIZES`), the proxy every other has to beat. Several, joined by "+", vote by their mean rank
(Abdelfattah et al. vote by majority of pairs). Where the table says what a proxy costs, those seconds are charged to
the simulated clock with the first cell of each sample, for every cell scored (of the proxies imported with the real
tables "zen" alone has a known cost; the others count as free). What search makes of the proxy later is for others:
`gp_bo:warm_start=proxy/synflow` starts from it, `gp_bo:surrogate=(gp:proxies=true)` learns from it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from nasbench_lab.core import SIZES, FloatArray, LabError, Query, Result, Strategy
from nasbench_lab.spaces import cell

_PREFERRED = ("proxy/synflow", "proxy/jacov", "proxy/nwot", "proxy/zen", *SIZES)


@dataclass
class ZeroCost(Strategy):
    """Best-first by a proxy.

    Attributes:
        proxy: what is known beforehand, names joined by "+"; "" for the first there is of synflow, jacov, nwot, zen,
            parameters and FLOPs, which are known of every cell of NAS-Bench-201.
        sample: uniform cells scored at a time; when all of them are asked for, another sample is drawn.
    """

    proxy: str = ""
    sample: int = 1000

    paper = "Abdelfattah et al. 2021, arXiv:2101.08134"
    cell_only = True

    def __post_init__(self) -> None:
        if self.sample < 1:
            raise ValueError(f"sample must be at least 1, got {self.sample}")

    def setup(self) -> None:
        self._value, self._seconds = self._scores()
        self._seen: set[int] = set()
        self._order: list[int] = []
        self._paying: Query | None = None  # the query that carries the cost of a sample's proxies

    def propose(self) -> Query | None:
        if self._paying is not None:
            return None  # a ranking that is not paid for yet does not exist yet
        overhead = 0.0
        if not self._order:
            if len(self._seen) == self.task.space.size:
                return None
            overhead = self._draw()
        query = Query(self._order.pop(), self.task.full, overhead)
        self._paying = query if overhead else None
        return query

    def observe(self, result: Result) -> None:
        if result.query == self._paying:
            self._paying = None  # what training says is not used

    def _draw(self) -> float:
        """A sample of cells not scored before, best last; returns the seconds their proxies cost."""
        fresh: list[int] = []
        wanted = min(self.sample, self.task.space.size - len(self._seen))
        while len(fresh) < wanted:
            arch = self.design()
            if arch not in self._seen:
                self._seen.add(arch)
                fresh.append(arch)
        self._order = sorted(fresh, key=lambda arch: self._value[arch])
        return float(np.nansum(self._seconds[fresh]))

    def _scores(self) -> tuple[FloatArray, FloatArray]:
        """(N,) mean rank, larger is better, and (N,) seconds to compute the proxies of a cell.

        Raises:
            LabError: a proxy that is not known on this task, or none that is.
        """
        sizes = {"params_m": cell.params_m("cifar10"), "flops_m": cell.flops_m("cifar10")}
        known = {**(sizes if self.task.space == cell.SPACE else {}), **self.task.known}
        names = self.proxy.split("+") if self.proxy else [name for name in _PREFERRED if name in known][:1]
        if not names:
            raise LabError(
                f"zero_cost ranks cells by what is known of them beforehand, and of this task's nothing is that it takes by "
                f"itself ({', '.join(_PREFERRED)}); known: {', '.join(known) or 'nothing'}"
            )
        missing = [name for name in names if name not in known]
        if missing:
            raise LabError(f"proxy {missing[0]!r} is not known beforehand on this task; known: {', '.join(known)}")
        ranks = [rankdata(np.where(np.isnan(known[name]), -np.inf, known[name])) for name in names]
        nothing = np.zeros(self.task.space.size)
        costs = [self.task.known.get(name.replace("proxy/", "proxy_seconds/"), nothing) for name in names]
        seconds = sum((cost for name, cost in zip(names, costs, strict=True) if name.startswith("proxy/")), nothing)
        return np.mean(ranks, axis=0), np.asarray(seconds, dtype=np.float64)
