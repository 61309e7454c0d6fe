"""The loop that model-based strategies share: design, then fit a surrogate, score candidates, ask for the best.

    surrogate     any of `surrogates/` as `name` or `(name:key=value)`: predicts the targets of all cells; or any regressor,
                  `(sklearn.ensemble:ExtraTreesRegressor)`, from Python also as an instance; see `surrogates/regressor`
    acquisition   what is made of a prediction: see `ACQUISITIONS`
    candidates    which cells are scored: see `CANDIDATES`

Every strategy built on it takes all three, so that components can be exchanged one by one; a leaf file sets the
published combination as defaults and says where it deviates. Notation: N cells, G groups of cells that the surrogate
cannot tell apart (`Surrogate.alike`); of equals one is drawn at random.

With several workers, cells being evaluated count as observed with what is expected of them (Ginsbourger et al. 2010).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nasbench_lab import extras, loading
from nasbench_lab.core import FloatArray, LabError, Query, Result, Strategy
from nasbench_lab.spaces.space import IntArray
from nasbench_lab.surrogates._acquisition import log_expected_improvement, upper_confidence_bound
from nasbench_lab.surrogates._base import predictions
from nasbench_lab.surrogates._estimators import written
from nasbench_lab.surrogates._settled import best, settled
from nasbench_lab.surrogates._targets import TRANSFORMS

ACQUISITIONS: Mapping[str, str] = MappingProxyType(
    {
        "log_ei": "logarithm of the expected improvement on the best target seen",
        "ei": "the expected improvement: the same choice, as it is compared by its logarithm",
        "ucb": "mean + beta std",
        "thompson": "one draw of the surrogate's own (`sample`): joint where it can, else cell by cell",
        "its": "independent Thompson sampling: mean + std times a normal number of every cell (White et al. 2021)",
        "mean": "the mean: greedy",
    }
)
CANDIDATES: Mapping[str, str] = MappingProxyType(
    {
        "pool": "every cell not yet asked for",
        "mutation": "`children` one-edge mutants of the `parents` best cells seen",
        "climb": "where hill climbing on the acquisition ends, from the `parents` best cells seen and as many uniform ones",
    }
)


@dataclass
class ModelBased(Strategy):
    """Surrogate-guided search at the highest fidelity.

    Attributes:
        initial: cells of the common design before the model decides.
        surrogate: the model: any of `surrogates/`, as `name` or `(name:key=value)`.
        acquisition: what is made of a prediction: log_ei, ei, ucb, thompson, its or mean; see `ACQUISITIONS`.
        candidates: which cells are scored: pool (all), mutation or climb; see `CANDIDATES`.
        targets: transform of the scores before the surrogate sees them, see `surrogates/_targets`; or "none".
        batch: cells chosen with one fitted model before it is fitted again.
        beta: standard deviations that "ucb" adds to the mean.
        parents: the best cells seen that "mutation" and "climb" start from.
        children: mutants that "mutation" scores.
        random_share: probability that a uniform cell is asked for instead of the chosen one.
        warm_start: what is known of all cells beforehand (`core.Task.known`, "proxy/synflow" or "params_m", say) and
            picks the first cells: the best of 100 uniform ones each; "" for the common design. Where the task knows what
            a proxy costs ("proxy_seconds/..."), that is charged for every cell scored; so it is, for all cells at once,
            when a surrogate learns from proxies.
        dense: hyper-parameters are refitted at every result up to this many, then each time results grow by `growth`.
        growth: how much results grow between two refits, once there are more than `dense`.
    """

    initial: int = 10
    surrogate: str = "gp"
    acquisition: str = "log_ei"
    candidates: str = "pool"
    targets: str = "none"
    batch: int = 1
    beta: float = 2.0
    parents: int = 10
    children: int = 200
    random_share: float = 0.0
    warm_start: str = ""
    dense: int = 20
    growth: float = 1.2

    learns_from_any = True

    @property
    def requires(self) -> tuple[str, ...]:
        """What the surrogate computes with."""
        return extras.required(loading.build("surrogates", self.surrogate))

    def __post_init__(self) -> None:
        least = {"initial": self.initial, "batch": self.batch, "parents": self.parents, "children": self.children}
        for name, value in least.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.growth <= 1.0 or self.beta < 0 or not 0 <= self.random_share <= 1:
            got = f"{self.growth}, {self.beta}, {self.random_share}"
            raise ValueError(f"need growth > 1, beta >= 0 and random_share in 0..1, got {got}")
        allowed = {"acquisition": ACQUISITIONS, "candidates": CANDIDATES, "targets": ("none", *TRANSFORMS)}
        for name, names in allowed.items():
            if getattr(self, name) not in names:
                raise ValueError(f"{name} must be one of {', '.join(names)}, got {getattr(self, name)!r}")
        self.surrogate = written(self.surrogate)
        loading.build(
            "surrogates", self.surrogate
        )  # a name that does not exist is refused now, not in the middle of a study

    def setup(self) -> None:
        self._asked = np.zeros(self.task.space.size, dtype=bool)
        self._pending: list[int] = []
        self._archs: list[int] = []
        self._scores: list[float] = []
        self._model: Any = loading.build("surrogates", self.surrogate)
        self._refit_at = 1
        self._fitted = 0  # results the model has seen
        self._queue: list[int] = []  # chosen with the last fit, not asked for yet
        self._owed = 0.0  # simulated seconds that proxies cost and no query carries yet
        if self.warm_start and self.warm_start not in self.task.known:
            known = ", ".join(self.task.known) or "nothing"
            raise LabError(f"warm_start={self.warm_start!r}: not known beforehand on this task; known: {known}")
        self._unpaid = self._model.uses_known

    def propose(self) -> Query | None:
        asked = int(self._asked.sum())
        if asked == len(self._asked):
            return None
        if asked < self.initial or len(self._scores) < 2:
            arch = self._designed()
        elif self.random_share and self.rng.random() < self.random_share:
            arch = self._uniform()
        else:
            arch = self._next()
        self._asked[arch] = True
        self._pending.append(arch)
        owed, self._owed = self._owed, 0.0
        return Query(arch, self.task.full, owed)

    def observe(self, result: Result) -> None:
        arch = result.query.arch
        if arch in self._pending:
            self._pending.remove(arch)
        self._asked[arch] = True  # if by another strategy of a portfolio
        if result.val == result.val:  # a failure teaches nothing, and is not asked for again
            self._archs.append(arch)
            self._scores.append(result.val)

    def _designed(self) -> int:
        """The next cell of the common design that was not asked for, or the best of a few by what is known."""
        if self.warm_start:
            known = self.task.known[self.warm_start]
            drawn = [self.design() for _ in range(_CONSIDERED)]
            seconds = self.task.known.get(self.warm_start.replace("proxy/", "proxy_seconds/"))
            if seconds is not None and self.warm_start.startswith("proxy/"):
                self._owed += float(np.nansum(seconds[drawn]))
            free = [arch for arch in drawn if not self._asked[arch]]
            if free:
                return max(free, key=lambda arch: _value(float(known[arch])))
        while self._asked[arch := self.design()]:
            pass
        return arch

    def _uniform(self) -> int:
        """A uniform cell not asked for."""
        free = np.flatnonzero(~self._asked)
        return int(free[int(self.rng.integers(len(free)))])

    def _next(self) -> int:
        """The next cell chosen with the last fit; fits again when none is left."""
        while self._queue:
            arch = self._queue.pop()
            if not self._asked[arch]:
                return arch
        self._learn()
        self._queue = self._chosen(self.batch)[::-1]
        return self._queue.pop()

    def _learn(self) -> None:
        """Bring the model up to date; pending cells are believed to score what is expected of them."""
        if self._unpaid:
            self._unpaid = False
            self._owed += sum(float(np.nansum(v)) for k, v in self.task.known.items() if k.startswith("proxy_seconds/"))
        scores = np.array(self._scores)
        self._targets: FloatArray = scores if self.targets == "none" else TRANSFORMS[self.targets](scores)
        archs = np.array(self._archs, dtype=np.int64)
        count = len(archs)
        refit = count >= self._refit_at
        if refit:
            self._refit_at = count + 1 if count < self.dense else math.ceil(count * self.growth)
        context: dict[str, Any] = {"space": self.task.space, "known": self.task.known}
        self._model.update(archs, self._targets, self.rng, refit=refit, **context)
        if self._pending:
            pending = np.array(self._pending, dtype=np.int64)
            self._model.believe(pending, archs, self._targets, self.rng, **context)

    def _chosen(self, count: int) -> list[int]:
        """The `count` best candidates, best first; samples are drawn anew for each."""
        one_of, group_of = self._model.alike(self.task.space)
        allowed = self._allowed()
        few = self.candidates == "mutation"  # then only their groups are predicted
        groups = np.unique(group_of[allowed]) if few else np.arange(len(one_of))
        draw = self._acquirer(one_of[groups])
        by_group = np.full(len(one_of), -np.inf)
        chosen: list[int] = []
        while len(chosen) < count and allowed.any():
            if not chosen or self.acquisition in ("thompson", "its"):
                by_group[groups] = settled(draw(), self._unit) if self.candidates == "climb" else draw()
                values = by_group[group_of]
            among = self._climbed(values, allowed) if self.candidates == "climb" else np.flatnonzero(allowed)
            arch = int(among[best(values[among], self.rng, self._unit)])
            allowed[arch] = False
            chosen.append(arch)
        return chosen

    def _acquirer(self, archs: IntArray) -> Callable[[], FloatArray]:
        """What gives acquisition values of some cells, anew with every call if they are sampled."""
        if self.acquisition == "thompson":
            return lambda: self._model.sample(archs, self.rng)
        mean, std = predictions(self._model, archs)
        std = np.maximum(std, 1e-9 * min(1.0, float(np.std(self._targets)) or 1.0))
        if self.acquisition == "its":
            return lambda: mean + std * self.rng.standard_normal(len(mean))
        if self.acquisition == "mean":
            return lambda: mean
        if self.acquisition == "ucb":
            return lambda: upper_confidence_bound(mean, std, self.beta)
        return lambda: log_expected_improvement(mean, std, float(self._targets.max()))

    @property
    def _unit(self) -> float:
        """What acquisition values are compared in: the spread of the targets, but for logarithms."""
        logarithm = self.acquisition in ("log_ei", "ei")
        return 1.0 if logarithm else float(np.std(self._targets)) or 1.0

    def _allowed(self) -> NDArray[np.bool_]:
        """(N,) cells that may be asked for; all unasked ones where no mutant is left."""
        free = ~self._asked
        if self.candidates != "mutation":
            return free
        parents = self._best()
        mutants = [self.task.space.mutate(parents[i % len(parents)], self.rng) for i in range(self.children)]
        chosen = np.zeros_like(free)
        chosen[mutants] = True
        return chosen & free if (chosen & free).any() else free

    def _best(self) -> list[int]:
        """The best cells seen, best first."""
        order = np.argsort(-np.array(self._scores), kind="stable")[: self.parents].tolist()
        return [self._archs[i] for i in order]

    def _climbed(self, values: FloatArray, allowed: NDArray[np.bool_]) -> IntArray:
        """Where hill climbing over one-edge changes ends, all starts at once; only cells that may be asked for count."""
        space = self.task.space
        uniform = self.rng.choice(np.flatnonzero(allowed), size=self.parents).tolist()
        here = np.array([*self._best(), *uniform], dtype=np.int64)
        worth = np.where(allowed, values, -np.inf)
        while space.neighbours.shape[1]:
            around = space.neighbours[here]
            step = around[np.arange(len(here)), np.argmax(worth[around], axis=1)]
            better = worth[step] > worth[here]
            if not better.any():
                break
            here = np.where(better, step, here)
        ends: IntArray = np.unique(here[allowed[here]])
        return ends if len(ends) else np.flatnonzero(allowed)


_CONSIDERED = 100  # uniform cells of which `warm_start` takes the best


def _value(known: float) -> float:
    """A known value as something to compare: nothing known is worst."""
    return known if known == known else -math.inf
