"""What to run: a study is strategies x tasks x seeds, written as a TOML file.

title = "NAS-Bench-201 protocol"
strategies = ["random_search:replacement=true", "local_search"]
seeds = 500
[[task]]
table = "cifar10"            # searched
search = 12                  # schedule searched on, "all" of them, or "oracle"
score = ["cifar10", "cifar100"]  # tables the incumbent is scored on
max_seconds = 12000
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_lab.core import LAST_SEED, LabError, once, real, spread, whole
from nasbench_lab.errors import offered
from nasbench_lab.files import bounded, sealed
from nasbench_lab.spaces.frozen import ReadOnly

MOST = 10_000_000  # seeds of a study
_LONGEST = 1 << 20  # bytes of a study file


@dataclass(frozen=True)
class StudyTask:
    """One row of `[[task]]`: what is searched, what is scored, the budget and the policies (see runner and tabular).

    `trials` None: as the table says.
    """

    table: str
    search: int | str | None = None
    score: tuple[str, ...] = ()
    max_queries: float = math.inf
    max_seconds: float = math.inf
    trials: str | None = None
    noise: float = 0.0
    objectives: tuple[str, ...] = ("val",)
    simulated_workers: int = 1
    repeats: str = "charge"
    evaluator: str = "tabular"
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no number where one belongs, and what is given twice; numpy's numbers become Python's.

        Raises:
            LabError: says which.
        """
        _plain(self)
        object.__setattr__(self, "noise", spread(self.noise, "noise"))
        for name in ("max_queries", "max_seconds"):
            object.__setattr__(self, name, real(getattr(self, name), name))
            if math.isnan(getattr(self, name)):
                raise LabError(f"{name} must be a number, got nan")
        object.__setattr__(self, "simulated_workers", whole(self.simulated_workers, "simulated_workers", least=1))
        if self.search is not None and not isinstance(self.search, str):
            object.__setattr__(self, "search", whole(self.search, "search", least=1))
        for name in ("score", "objectives", "sources"):
            object.__setattr__(self, name, once(getattr(self, name), name))

    @property
    def scored_on(self) -> tuple[str, ...]:
        """The tables that incumbents are scored on."""
        return self.score or (self.table,)


@dataclass(frozen=True)
class Study:
    """Strategies x tasks x seeds `first_seed .. first_seed + seeds - 1`.

    Attributes:
        strategies: specs.
        tasks: what is searched, each by every strategy.
        seeds: runs per strategy and task.
        title: of the leaderboard; named after the first table if left out.
        first_seed: the seeds ascend from it.
        block: seeds in one job; if left out as many as take a few seconds, or 1 where runs train networks.
    """

    strategies: tuple[str, ...]
    tasks: tuple[StudyTask, ...]
    seeds: int = 50
    title: str = ""
    first_seed: int = 0
    block: int | None = None

    def __post_init__(self) -> None:
        _plain(self)
        if not self.strategies or not self.tasks:
            raise LabError("a study needs at least one strategy and one task")
        for name, least in (("seeds", 1), ("block", 1), ("first_seed", 0)):
            if name != "block" or self.block is not None:
                object.__setattr__(self, name, whole(getattr(self, name), name, least=least))
        if self.seeds > MOST or self.first_seed + self.seeds - 1 > LAST_SEED:
            raise LabError(
                f"a study has {MOST:,} seeds at most, and the last below 2^63; got {self.seeds} from {self.first_seed} on"
            )
        if len(set(self.tasks)) < len(self.tasks):
            raise LabError("a task is listed twice")
        if len(set(self.strategies)) < len(self.strategies):
            raise LabError(f"a strategy is listed twice: {', '.join(self.strategies)}")


def read_study(path: Path) -> Study:
    """Read a study file.

    Raises:
        LabError: unreadable, or a key that is unknown, missing or of the wrong type; names it.
    """
    try:
        raw = tomllib.loads(bounded.text(path, _LONGEST))
    except FileNotFoundError:
        raise LabError(f"no such study file: {path}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise LabError(f"{path} cannot be read as TOML: {error}") from error
    keys = ["task" if key == "tasks" else key for key in Study.__dataclass_fields__]  # what a file calls them
    if unknown := [key for key in raw if key not in keys]:
        raise LabError(f"{path}: unknown key {unknown[0]!r}{offered(unknown[0], keys, 'allowed:')}")
    tasks = raw.pop("task", [])
    if not isinstance(tasks, list) or not all(isinstance(t, dict) for t in tasks):
        raise LabError(f"{path}: tasks are written as [[task]] sections")
    raw["tasks"] = tuple(_from_toml(StudyTask, task, f"{path}, task {i}") for i, task in enumerate(tasks, start=1))
    study: Study = _from_toml(Study, raw, str(path))
    return study


def load_study(path: Path) -> Study:
    """The study of a results folder (its manifest.json) or of a study file.

    Raises:
        LabError: neither.
    """
    if path.is_dir():
        file = path / "manifest.json"
        _check_folder(path)
        try:
            return from_json(sealed.read_json(file)["study"])
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise LabError(f"{file} cannot be read: {error!r}") from error
    if path.suffix != ".toml":
        raise LabError(f"no such results folder: {path}")
    return read_study(path)


_OF_OTHERS = ReadOnly({f"{name}.json": name for name in ("surrogates", "supernets", "validation", "audit")})


def _check_folder(path: Path) -> None:
    """Refuse a folder that holds no board of a study, and say what it holds.

    Raises:
        LabError: an unfinished study, what another command wrote, or nothing of ours.
    """
    board = (path / "leaderboard.json").is_file()  # beside which `validate` puts its report
    if not board and (other := [what for name, what in _OF_OTHERS.items() if (path / name).is_file()]):
        raise LabError(f"{path} holds no runs of a study but a report of {other[0]}; give its command again to compare")
    if (path / "manifest.json").exists():
        return
    if any((path / "runs").glob("*.parquet")):
        raise LabError(
            f"{path} holds runs of a study that was not finished, and no board yet; give the command again that began it, "
            "and it goes on from there"
        )
    raise LabError(f"{path} is not a results folder: it has no manifest.json")


def from_json(raw: dict[str, Any]) -> Study:
    """The inverse of `to_json`."""
    tasks = tuple(_from_toml(StudyTask, _numbers(task), "manifest") for task in raw["tasks"])
    study: Study = _from_toml(Study, {**_numbers(raw), "tasks": tasks}, "manifest")
    return study


def to_json(study: Study) -> dict[str, Any]:
    """A study as JSON values; infinities become null."""
    raw = asdict(study)
    raw["tasks"] = [{k: None if v == math.inf else v for k, v in task.items()} for task in raw["tasks"]]
    plain: dict[str, Any] = json.loads(json.dumps(raw))
    return plain


def _numbers(task: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in task.items() if v is not None}


_KINDS: Mapping[str, tuple[type, ...]] = ReadOnly(
    {
        "str": (str,),
        "str | None": (str,),
        "int": (int,),
        "float": (int, float),
        "int | None": (int,),
        "int | str | None": (int, str),
        "tuple[str, ...]": (list, tuple),
        "tuple[StudyTask, ...]": (tuple,),
    }
)


def _plain(made: Study | StudyTask) -> None:
    """Numpy's numbers become numbers, and what is of another type than its field is refused.

    Raises:
        LabError: names the field, its type and what was given.
    """
    for spec in fields(made):
        value = getattr(made, spec.name)
        value = value.item() if isinstance(value, np.generic) else value
        allowed = _KINDS[str(spec.type)]
        if not (isinstance(value, allowed) and not isinstance(value, bool)) and not (
            value is None and spec.default is None
        ):
            raise LabError(f"{spec.name} must be {spec.type}, got {value!r}")
        object.__setattr__(made, spec.name, value)


def _from_toml(kind: type[Any], raw: dict[str, Any], where: str) -> Any:
    allowed = {f.name: str(f.type) for f in fields(kind)}
    values = {}
    for key, value in raw.items():
        if key not in allowed:
            raise LabError(f"{where}: unknown key {key!r}{offered(key, allowed, 'allowed:')}")
        if not isinstance(value, _KINDS[allowed[key]]) or isinstance(value, bool):
            raise LabError(f"{where}: {key} must be {allowed[key]}, got {value!r}")
        if isinstance(value, list):
            if not all(isinstance(item, str) for item in value):
                raise LabError(f"{where}: {key} must be a list of strings, got {value!r}")
            value = tuple(value)
        values[key] = value
    missing = [f.name for f in fields(kind) if f.name not in values and _required(f)]
    if missing:
        raise LabError(f"{where}: {missing[0]} is missing")
    return kind(**values)


def _required(spec: Any) -> bool:
    return spec.default is MISSING and spec.default_factory is MISSING
