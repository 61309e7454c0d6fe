"""One official record: everything that NAS-Bench-201 and NATS-Bench keep of one training, as arrays.

NATS-Bench's size space keeps the same of its networks, which are written by their channels, 8:16:24:32:40.

Both benchmarks store, for every cell and schedule, a *state*: a dictionary with the cell's string and, for every
(dataset, seed), one training with its curves. `trials_of` reads a state, `state_of` writes one. The official names:

    dataset   cifar10-valid (trained on 25k images), cifar10 (on 50k), cifar100, ImageNet16-120
    split     x-valid, x-test, ori-test; on cifar100 and ImageNet16-120 ori-test is x-valid and x-test together
    schedule  "12" and "200" (NATS-Bench), "less" and "full" (NAS-Bench-201), "01", "12" and "90" (sizes): epochs trained

Notation: E epochs of the schedule. Accuracies in percent, nan = not recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.spaces import cell, named, naming
from nasbench_lab.spaces.space import Space

FloatArray = NDArray[np.float64]
DATASETS = ("cifar10", "cifar100", "ImageNet16-120")
SCHEDULES = {"less": 12, "full": 200}
_SPLITS = ("train", "x-valid", "x-test", "ori-test")
_MOST_EPOCHS = 1000
_MOST_TRIALS = 64  # of one cell and schedule; the benchmark has 4 datasets with 3 seeds at most


class Curve(NamedTuple):
    """(E,) each; `seconds` are of the epoch alone."""

    accuracy: FloatArray
    loss: FloatArray
    seconds: FloatArray


@dataclass(frozen=True)
class Trial:
    """One training.

    Attributes:
        dataset, seed, epochs: what was trained, E epochs.
        params_m, flops_m: millions.
        latency: seconds of one batch of 256 images; nan where it was not measured.
        train: on the images trained on.
        splits: by the names of the evaluation sets, in the file's order.
    """

    dataset: str
    seed: int
    epochs: int
    params_m: float
    flops_m: float
    latency: float
    train: Curve
    splits: Mapping[str, Curve] = field(default_factory=dict)


def schedule_of(key: object) -> int:
    """The epochs of a schedule by its official name.

    Raises:
        LabError: no such name.
    """
    if key in SCHEDULES:
        return SCHEDULES[str(key)]
    if isinstance(key, str) and key.isdecimal() and 1 <= int(key) <= _MOST_EPOCHS:
        return int(key)
    raise LabError(f"an official schedule is '12', '200', 'less' or 'full', got {key!r:.30}")


def is_state(value: object) -> bool:
    """Whether this is the state of one cell and schedule."""
    return isinstance(value, Mapping) and {"arch_str", "all_results", "dataset_seed"} <= value.keys()


def space_of(text: object) -> Space:
    """The space of a network by how it is written: sizes by channels, anything else by operations."""
    sizes = isinstance(text, str) and ":" in text and "|" not in text
    return named.nats_size() if sizes else cell.SPACE


def name_of(space: Space, arch: int) -> str:
    """How the benchmark writes a network of one of its two spaces."""
    if space == cell.SPACE:
        return cell.to_string(arch)
    return ":".join(naming.labels(space, arch).values())


@lru_cache(maxsize=2)
def names_of(space: Space) -> tuple[str, ...]:
    """All networks of a space in official order."""
    return tuple(name_of(space, arch) for arch in range(space.size))


def arch_of(state: Mapping[str, Any]) -> int:
    """The index of a state's cell, in the space that it is of.

    Raises:
        LabError: its string is not a cell's, or its index is another's.
    """
    try:
        text = state["arch_str"]
        space = space_of(text)
        arch = cell.from_string(text) if space == cell.SPACE else naming.parse(space, text.replace(":", ","))
        index = int(state.get("arch_index", arch))
    except (ValueError, AttributeError, TypeError, ArithmeticError) as error:
        raise LabError(f"a record's cell cannot be read: {error}"[:300]) from error
    if index != arch:
        raise LabError(f"a record says that cell {state['arch_str']} has another index than {arch}")
    return arch


def trials_of(state: Mapping[str, Any], last: int) -> list[Trial]:
    """The trainings of a state, in the order of its datasets and seeds.

    Raises:
        LabError: it is not such a state, or its trainings have another number of epochs than `last`.
    """
    try:
        named = state["dataset_seed"]
        if sum(len(_listed_few(seeds)) for seeds in named.values()) > _MOST_TRIALS:
            raise ValueError(f"it has more than {_MOST_TRIALS} trainings")
        keys = [(dataset, seed) for dataset, seeds in named.items() for seed in seeds]
        if len(set(keys)) < len(keys):
            raise ValueError("it has a training twice")
        found = []
        for dataset, seed in keys:
            raw = state["all_results"][dataset, seed]
            if type(raw["epochs"]) is int and raw["epochs"] != last:  # looked at before a curve of that length is made
                raise LabError(f"the record of {state['arch_str']} has {raw['epochs']} epochs where {last} should be")
            found.append(_trial(dataset, seed, raw))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise LabError(
            f"the record of {state.get('arch_str')} is not as the benchmark writes it: {error!r}"[:300]
        ) from error
    return found


def _trial(dataset: str, seed: int, raw: Mapping[str, Any]) -> Trial:
    epochs = raw["epochs"]
    if (
        not isinstance(dataset, str)
        or type(seed) is not int
        or type(epochs) is not int
        or not 1 <= epochs <= _MOST_EPOCHS
    ):
        raise ValueError("a training needs a dataset, a seed and a number of epochs")
    latency, names = _listed_few(raw["latency"] or ()), _listed_few(raw["eval_names"])
    if any(name not in _SPLITS for name in names) or len(set(names)) < len(names):
        raise ValueError(f"evaluation sets are {', '.join(_SPLITS)}, got {names!r}"[:200])
    keys = range(epochs)
    return Trial(
        dataset,
        seed,
        epochs,
        float(raw["params"]),
        float(raw["flop"]),
        sum(latency) / len(latency) if latency else np.nan,
        Curve(*(_curve(raw[name], keys) for name in ("train_acc1es", "train_losses", "train_times"))),
        {
            name: Curve(
                *(_curve(raw[part], _keys(name, epochs)) for part in ("eval_acc1es", "eval_losses", "eval_times"))
            )
            for name in names
        },
    )


def _listed_few(values: Any) -> list[Any] | tuple[Any, ...]:
    """A list or tuple, of which nobody wrote many; an array may be a view that goes on forever."""
    if type(values) not in (list, tuple) or len(values) > _MOST_EPOCHS:
        raise ValueError(f"a short list was expected, got {type(values).__name__}")
    found: list[Any] | tuple[Any, ...] = values
    return found


@lru_cache(maxsize=64)
def _keys(name: str, epochs: int) -> tuple[str, ...]:
    return tuple(f"{name}@{i}" for i in range(epochs))


def _curve(values: Mapping[Any, float] | None, keys: Any) -> FloatArray:
    if values is not None and len(values) > _MOST_EPOCHS * len(_SPLITS):
        raise ValueError(f"a curve has {len(values):,} points")
    found = [] if values is None else [values.get(key, np.nan) for key in keys]
    return np.array(found or [np.nan] * len(keys), dtype=np.float64)


def state_of(arch: int, trials: list[Trial]) -> dict[str, Any]:
    """The official state of a cell's trainings; what is nan is left out."""
    seeds: dict[str, list[int]] = {}
    for trial in trials:
        seeds.setdefault(trial.dataset, []).append(trial.seed)
    return {
        "arch_index": arch,
        "arch_str": cell.to_string(arch),
        "all_results": {(trial.dataset, trial.seed): _raw(arch, trial) for trial in trials},
        "dataset_seed": {dataset: sorted(found) for dataset, found in seeds.items()},
        "clear_net_done": True,
    }


def _raw(arch: int, trial: Trial) -> dict[str, Any]:
    train, numbers = trial.train, range(trial.epochs)
    raw: dict[str, Any] = {
        "name": trial.dataset,
        "train_acc1es": _listed(train.accuracy, numbers, complete=True),
        "train_acc5es": None,
        "train_losses": _listed(train.loss, numbers, complete=True),
        "train_times": None if np.isnan(train.seconds).any() else _listed(train.seconds, numbers),
        "arch_config": {"channel": 16, "num_cells": 5, "arch_str": cell.to_string(arch), "class_num": 0},
        "params": trial.params_m,
        "flop": trial.flops_m,
        "seed": f"{trial.seed:04d}",
        "epochs": trial.epochs,
        "latency": None if np.isnan(trial.latency) else [trial.latency],
        "eval_names": list(trial.splits),
        "eval_acc1es": {},
        "eval_times": {},
        "eval_losses": {},
        "net_state_dict": None,
    }
    for name, curve in trial.splits.items():
        keys = _keys(name, trial.epochs)
        raw["eval_acc1es"] |= _listed(curve.accuracy, keys)
        raw["eval_times"] |= _listed(curve.seconds, keys)
        known = ~np.isnan(curve.accuracy)  # the API wants a loss beside every accuracy
        losses = zip(keys, curve.loss.tolist(), known, strict=True)
        raw["eval_losses"] |= {key: loss for key, loss, is_known in losses if is_known}
    return raw


def _listed(values: FloatArray, keys: Any, *, complete: bool = False) -> dict[Any, float]:
    return {key: value for key, value in zip(keys, values.tolist(), strict=True) if complete or value == value}
