"""BOHB: Hyperband whose cells come from densities of good and bad results instead of a uniform draw (Falkner et al. 2018).

The model is built at the largest number of epochs with N >= N_min + 2 results: the best max(N_min, q N) make the
density l, the worst max(N_min, N - their number) the density g. Of `num_samples` draws from l, its bandwidths widened by
`bandwidth_factor`, the one with the largest l / g begins; a share of cells stays uniform. All cells do before there is a
model. Only ranks within one number of epochs are used.

Documented settings: the paper's (the default), and NAS-Bench-201's `num_samples=4,random_fraction=0,min_bandwidth=0.3,
bandwidth_factor=1,replacement=true`; its script writes factor 3, which HpBandSter applies to continuous parameters only.

The published row of NAS-Bench-201 (93.61 / 70.85) is of something else, `protocol=nas-bench-201`, see `_hpbandster.py`; all
settings are then the script's.

Deviations, as every decision here is categorical: the bandwidth rule 1.06 sigma n^(-1/(4 + E)) takes for sigma the
spread of the one-hot choices, sqrt(1 - sum p^2), where HpBandSter takes the standard deviation of the options' numbers,
which depends on their order; bandwidths are cut at the uniform kernel's, where HpBandSter's can exceed 1 (negative
"densities"); the number of options is the space's, not that of the data. Candidates seen before are dropped unless
`replacement`. Rungs and recommendation: see `hyperband`. With a single fidelity this is a TPE with these densities.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

import numpy as np

from nasbench_lab.core import FloatArray, Query, Result, Task
from nasbench_lab.strategies._density import Density, Options, drawn
from nasbench_lab.strategies.bandits._hpbandster import Script
from nasbench_lab.strategies.bandits.hyperband import Hyperband
from nasbench_lab.surrogates._settled import largest

Protocol = Literal["paper", "nas-bench-201"]


@dataclass
class Bohb(Hyperband):
    """Bayesian optimisation and Hyperband.

    Attributes:
        random_fraction: share of uniform cells.
        top: q, the share of results that count as good.
        min_points: N_min; 0 for one more than there are decisions.
        num_samples: draws from l that are compared.
        bandwidth_factor: what bandwidths are multiplied by for these draws.
        min_bandwidth: least bandwidth of a decision.
        replacement: whether a cell may begin twice, and be charged for again, as in the authors' code.
        protocol: "paper", or "nas-bench-201" for what its script does; that leaves nothing else to be set.
    """

    random_fraction: float = 1 / 3
    top: float = 0.15
    min_points: int = 0
    num_samples: int = 64
    bandwidth_factor: float = 3.0
    min_bandwidth: float = 1e-3
    replacement: bool = False
    protocol: Protocol = "paper"

    paper = "Falkner et al. 2018, arXiv:1807.01774"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.protocol not in get_args(Protocol):
            raise ValueError(f"protocol must be one of {', '.join(get_args(Protocol))}, got {self.protocol!r}")
        changed = [each.name for each in fields(self) if getattr(self, each.name) != each.default]
        if self.protocol != "paper" and changed != ["protocol"]:
            raise ValueError(
                f"protocol={self.protocol} is one setting of everything; leave out {', '.join(changed[:-1])}"
            )
        if not 0 <= self.random_fraction <= 1 or not 0 < self.top < 1:
            raise ValueError(f"need 0 <= random_fraction <= 1 and 0 < top < 1, got {self.random_fraction}, {self.top}")
        if self.min_points < 0 or self.num_samples < 1:
            raise ValueError(f"need min_points >= 0 and num_samples >= 1, got {self.min_points}, {self.num_samples}")
        if self.bandwidth_factor <= 0 or self.min_bandwidth <= 0:
            raise ValueError(
                f"bandwidth_factor and min_bandwidth must be positive, got {self.bandwidth_factor}, {self.min_bandwidth}"
            )

    def start(self, task: Task, seed: int) -> None:
        """See `Strategy`."""
        super().start(task, seed)
        self._script = Script() if self.protocol == "nas-bench-201" else None
        if self._script is not None:
            self._script.start(task, seed)

    def propose(self) -> Query | None:
        return super().propose() if self._script is None else self._script.ask()

    def recommend(self) -> int:
        return super().recommend() if self._script is None else self._script.recommend()

    def setup(self) -> None:
        super().setup()
        self._least = self.min_points or len(self.task.space.options) + 1
        self._results: dict[int, list[tuple[float, int]]] = {epochs: [] for epochs in self.task.fidelities}

    def observe(self, result: Result) -> None:
        if self._script is not None:
            self._script.tell(result)
            return
        super().observe(result)
        self._results[result.query.epochs].append((result.score, result.query.arch))

    def begin(self) -> int | None:
        found = self.densities()
        if found is None or self.rng.random() < self.random_fraction:
            return super().begin()
        good, bad = found
        rows, cells = drawn(good, self.task.space, self.num_samples, self.rng, widen=self.bandwidth_factor)
        archs = cells.tolist()
        allowed = [i for i, arch in enumerate(archs) if self.replacement or arch not in self._seen]
        if not allowed:
            return super().begin()
        ratio = (good(rows) / np.maximum(bad(rows), 1e-32))[allowed]
        return int(archs[allowed[int(largest(ratio, float(ratio.max()))[0])]])

    def densities(self) -> tuple[Density, Density] | None:
        """The densities l and g at the largest number of epochs with enough results; None if there is none."""
        for epochs in reversed(self.task.fidelities):
            results = self._results[epochs]
            if len(results) >= self._least + 2:
                break
        else:
            return None
        ranked = [arch for _, arch in sorted(results, key=lambda result: -result[0])]
        good = max(self._least, int(self.top * len(ranked)))
        bad = max(self._least, len(ranked) - good)
        return self._density(ranked[:good]), self._density(ranked[-bad:])

    def _density(self, archs: list[int]) -> Density:
        rows = self.task.space.choices[archs]
        return Density(self.task.space.options, rows, self._bandwidths(rows))

    def _bandwidths(self, rows: Options) -> FloatArray:
        """(E,) rule-of-thumb bandwidths of (n, E) options."""
        count, decisions = rows.shape
        shares = [np.bincount(rows[:, edge]) / count for edge in range(decisions)]
        spread = np.sqrt([1.0 - float(p @ p) for p in shares])
        widths: FloatArray = np.maximum(1.06 * spread * count ** (-1 / (4 + decisions)), self.min_bandwidth)
        return widths
