"""The vocabulary: a strategy proposes queries, an evaluator answers them, the runner keeps the clock and yields records.

An architecture is an ``int``, its index in `Task.space`. Accuracies are in percent, times in (simulated) seconds.
Queries, results and records are plain tuples: cheap to make, hash, pickle and compare.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np

from nasbench_lab import extras
from nasbench_lab.errors import LabError
from nasbench_lab.spaces.frozen import ReadOnly, frozen
from nasbench_lab.spaces.space import FloatArray, Space
from nasbench_lab.spaces.whole import real_number, whole_number

__all__ = [
    "DIRECTIONS",
    "NO_METRICS",
    "SIZES",
    "Evaluator",
    "FloatArray",
    "LabError",
    "Query",
    "Record",
    "Result",
    "Strategy",
    "Task",
    "direction",
    "noise_stream",
    "parameters",
    "real",
    "stream",
    "whole",
]
NO_METRICS: ReadOnly[str, float] = ReadOnly({})


SIZES = ("params_m", "flops_m", "params", "n_params", "flops", "macs", "size_mb")  # known before any training


# The one table of directions: an objective's name up to the first "/" decides, of a metric of one's own how its name ends,
# "lat:lower" or "ssim:higher". +1: larger is better.
DIRECTIONS: Mapping[str, int] = ReadOnly(
    {"val": 1, "latency_ms": -1, "energy_mj": -1, "seconds": -1} | dict.fromkeys(SIZES, -1)
)
_ENDS: Mapping[str, int] = ReadOnly({"lower": -1, "higher": 1})


def direction(objective: str) -> int:
    """+1 if larger is better, -1 if smaller is.

    Raises:
        LabError: an objective of unknown direction.
    """
    found = known_direction(objective)
    if not found:
        raise LabError(
            f"unknown objective {objective!r}; known kinds: {', '.join(DIRECTIONS)}; others end with "
            f"{' or '.join(f':{end}' for end in _ENDS)}"
        )
    return found


def known_direction(metric: str) -> int:
    """As `direction`, and 0 where it is not known."""
    return _ENDS.get(directed(metric)[1]) or DIRECTIONS.get(metric.partition("/")[0], 0)


def directed(metric: str) -> tuple[str, str]:
    """("lat", "lower") of "lat:lower"; the second is empty where the name does not end with a direction."""
    column, _, end = metric.rpartition(":")
    return (column, end) if column and end in _ENDS else (metric, "")


@dataclass(frozen=True)
class Task:
    """What is searched and how much is allowed; all that a strategy may know.

    Attributes:
        space: the cells.
        fidelities: epochs at which a validation score exists, ascending; the last is "full".
        objectives: "val" first; further names are metrics that every result carries.
        max_queries: how many queries are answered at most (inf: no limit).
        max_seconds: simulated seconds; a query that would finish later is not answered (inf: no limit).
        one_run: the fidelities are points of one training, so that going on from one costs only the difference.
        known: what is known of all cells before anything is trained, name -> (N,) values, nan where there is none:
            "params_m", "flops_m", zero-cost scores ("proxy/synflow", larger is better), the seconds these take
            ("proxy_seconds/synflow"), and validation scores on *other* datasets ("source/cifar100"). Read-only.
        unit: of the scores: "%", or any text.
        better: "higher" or "lower" scores, as people read them; results hold larger-is-better ones either way.
    """

    space: Space
    fidelities: tuple[int, ...]
    objectives: tuple[str, ...] = ("val",)
    max_queries: float = math.inf
    max_seconds: float = math.inf
    one_run: bool = True
    known: Mapping[str, FloatArray] = field(default_factory=dict, compare=False, repr=False)
    unit: str = "%"
    better: str = "higher"

    def __post_init__(self) -> None:
        for epochs in self.fidelities:
            whole_number(epochs, "a fidelity")
        for name in ("max_queries", "max_seconds"):
            real_number(getattr(self, name), name)
        if not self.fidelities or list(self.fidelities) != sorted(set(self.fidelities)) or self.fidelities[0] < 1:
            raise ValueError(f"fidelities must be ascending positive epochs, got {self.fidelities}")
        if not self.objectives or self.objectives[0] != "val":
            raise ValueError(f"the first objective is 'val', got {self.objectives}")
        for objective in self.objectives:
            direction(objective)
        object.__setattr__(self, "known", frozen(self.known))
        if not (self.max_queries > 0 and self.max_seconds > 0):
            raise ValueError(f"budgets must be positive, got {self.max_queries} queries, {self.max_seconds} seconds")

    @property
    def full(self) -> int:
        """The highest fidelity, in epochs."""
        return self.fidelities[-1]


class Query(NamedTuple):
    """Train `arch` for `epochs`. `epochs == 0` means "my current answer": nothing is trained or charged but `overhead`."""

    arch: int
    epochs: int
    overhead: float = 0.0  # simulated seconds the strategy itself spent (a supernet epoch, say)


class Result(NamedTuple):
    """An answer. There is no field for a test score, so that none can be searched on.

    `val` is a validation score, larger is better (percent of a table in percent), nan if the evaluation failed;
    `seconds` is what it cost, simulated.
    """

    query: Query
    val: float
    seconds: float
    metrics: Mapping[str, float] = NO_METRICS

    @property
    def score(self) -> float:
        """`val`, with a failure as minus infinity, so that it can be compared."""
        return self.val if self.val == self.val else -math.inf


class Record(NamedTuple):
    """One answered query as the runner saw it.

    Attributes:
        order: position in the order of finishing, from 0.
        result: the answer.
        finished: simulated seconds at which it was known.
        incumbent: what the strategy would have recommended then; -1 before it has anything to recommend.
        decided: real seconds the strategy spent thinking since the previous record; never added to the clock.
    """

    order: int
    result: Result
    finished: float
    incumbent: int
    decided: float


@runtime_checkable
class Evaluator(Protocol):
    """A way to answer queries. Pure in (query, seed): the order of calls changes nothing.

    One that computes several answers faster than one after another (real training on a GPU) may have
    `prepare(queries, seed)` besides: with several workers it is shown what all of them ask before `evaluate` is called.
    """

    @property
    def task(self) -> Task:
        """Space, fidelities and objectives offered; budgets are the runner's."""
        ...

    def evaluate(self, query: Query, seed: int) -> Result:
        """The answer to a query whose `epochs` is one of `task.fidelities`, the same for the same (query, seed)."""
        ...

    def truth(self, arch: int) -> float:
        """Test score, larger is better. Only the scorer calls it, after the search."""
        ...


# One stream per purpose. The design stream is the same for every strategy with the same seed, so that initial
# cells are common random numbers; spawn keys, because `default_rng([5, 0])` equals `default_rng(5)`.
_DESIGN, _STRATEGY, _NOISE = 1, 2, 3


LAST_SEED = (1 << 63) - 1  # seeds are kept as whole numbers of 64 bits
WIDEST = 1e12  # points that noise may spread by: beyond, scores would drown in rounding, and their squares overflow


def whole(value: Any, what: str, *, least: int, most: int | None = None) -> int:
    """A whole number that a user gives; numpy's are as good as Python's.

    Raises:
        LabError: anything else, 3.0, "3" and True among it, or a number below `least` or above `most`.
    """
    try:
        found = whole_number(value, what)
    except ValueError as error:
        raise LabError(str(error)) from None
    if found < least:
        raise LabError(f"{what} must be at least {least}, got {value!r}")
    if most is not None and found > most:
        raise LabError(f"{what} must be {most} at most, got {value!r}")
    return found


def real(value: Any, what: str) -> float:
    """A number that a user gives.

    Raises:
        LabError: anything else, a text that could be read as one and True among it.
    """
    try:
        return real_number(value, what)
    except ValueError as error:
        raise LabError(str(error)) from None


def once(values: Iterable[str], what: str) -> tuple[str, ...]:
    """Texts that a user gives, none of them twice.

    Raises:
        LabError: one is.
    """
    found = tuple(values)
    if len(set(found)) < len(found):
        raise LabError(f"{what}: given twice: {', '.join(found)}")
    return found


def spread(value: Any, what: str) -> float:
    """A standard deviation in points that a user gives: so large at most that what it is added to stays a number.

    Raises:
        LabError: no number, or outside of 0..`WIDEST`.
    """
    found = real(value, what)
    if not 0 <= found <= WIDEST:
        raise LabError(f"{what} is a standard deviation in points, 0 to {WIDEST:g}; got {value!r}")
    return found


def stream(seed: int, *key: int) -> np.random.Generator:
    """A generator that depends on (seed, key) alone."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))


def noise_stream(seed: int, epochs: int) -> np.random.Generator:
    """The stream of the evaluation noise of one seed at one fidelity: drawn for all cells at once, never by call order."""
    return stream(seed, _NOISE, epochs)


class Strategy(ABC):
    """Base of all strategies. A subclass is a dataclass whose fields are its hyper-parameters.

    An author writes `propose` and `observe`, and `setup` for state. Available from `setup` on: `self.task`,
    `self.rng` (the only randomness allowed) and `self.design()` (uniform cells, common to all strategies of a seed).
    """

    family = (
        "other"  # how `nasbench-lab list` groups it: the folder's name, the base's elsewhere, or what a class declares
    )
    paper = ""  # where it was published
    cell_only = False  # whether it works on the NAS-Bench-201 cell alone, not on any finite space
    requires: ClassVar[Any] = ()  # packages it computes with beyond the core's, see `extras`

    task: Task
    rng: np.random.Generator
    _design: np.random.Generator
    _incumbent: tuple[int, float, int]  # (epochs, val, arch)

    def __init_subclass__(cls, **keywords: Any) -> None:
        """The family of a strategy of this package is the folder it lies in; said once, here."""
        super().__init_subclass__(**keywords)
        parts = cls.__module__.split(".")
        if parts[:2] == ["nasbench_lab", "strategies"] and len(parts) > 3 and "family" not in vars(cls):
            cls.family = parts[2]

    def start(self, task: Task, seed: int) -> None:
        """Bind to a task; forgets everything an earlier run left. `seed` decides all randomness.

        Raises:
            MissingPackage: on this task it needs a package that is not installed.
        """
        extras.need(f"strategy {type(self).__name__}", *extras.required(self, task))
        self.task = task
        self.rng = stream(seed, _STRATEGY)
        self._design = stream(seed, _DESIGN)
        self._incumbent = (-1, -math.inf, -1)
        self.setup()

    def design(self) -> int:
        """The next uniform cell of the design stream that all strategies of this seed share."""
        return self.task.space.sample(self._design)

    def ask(self) -> Query | None:
        """The next query, or None: nothing to propose until a pending result arrives (or at all, if none is pending)."""
        return self.propose()

    def tell(self, result: Result) -> None:
        """Hand over an answer; answers may come in any order."""
        query, val = result.query, result.val
        if val == val and query.epochs > 0 and (query.epochs, val) > self._incumbent[:2]:
            self._incumbent = (query.epochs, val, query.arch)
        self.observe(result)

    def recommend(self) -> int:
        """The best cell by validation at the highest fidelity seen; the first of equals; -1 before any result."""
        return self._incumbent[2]

    def setup(self) -> None:  # noqa: B027 - optional
        """Create per-run state here, never in `__init__`: fields are hyper-parameters only."""

    @abstractmethod
    def propose(self) -> Query | None:
        """The next query, or None to wait for a pending answer (with none pending: the end)."""
        ...

    @abstractmethod
    def observe(self, result: Result) -> None:
        """Learn from a result. `result.val` may be nan; `result.score` is then minus infinity."""


def parameters(strategy: Any) -> dict[str, Any]:
    """The hyper-parameters of a strategy, evaluator or surrogate: its dataclass fields, in order, as JSON can hold them.

    Raises:
        LabError: one is a set, an array or another object that cannot be written down; names it.
    """
    names = getattr(strategy, "__dataclass_fields__", {})
    return {name: _plain(getattr(strategy, name), f"{type(strategy).__name__}: parameter {name}") for name in names}


def _plain(value: Any, what: str) -> Any:
    """A value as JSON can hold it: numpy's numbers are numbers, what is not finite is a word."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        plain = [_plain(each, what) for each in value]
        return plain if isinstance(value, list) else tuple(plain)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(each, what) for key, each in value.items()}
    raise LabError(f"{what} is a {type(value).__name__}; only numbers, text, lists and None can be written down")
