"""The trainings of one cell behind the official classes' methods: `ArchResults` (all), `ResultsCount` (one).

Names, arguments and the keys of what they return are those of nats_bench 1.8; see `nasbench_lab.interop.nats_bench`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from nasbench_lab.tables.formats.official import Curve, FloatArray, Trial

Metrics = dict[str, Any]
COMMENTS = {
    "cifar10": "train: on the 50,000 images of CIFAR-10's training set; test: on its 10,000 test images. ",
    "cifar10-valid": "train: on half of CIFAR-10's training set; valid: on the other half; test: on its 10,000 test images. ",
}
TIMES = "per-time: seconds of an epoch or a pass; all-time: of all epochs up to this one, of {} in all."


class ArchResults:
    """All trainings of one cell with one schedule, as the official class of this name."""

    clear_net_done = True  # there are no weights

    def __init__(self, arch_index: int, arch_str: str, trials: Sequence[Trial], rng: np.random.Generator) -> None:
        self.arch_index, self.arch_str = arch_index, arch_str
        self.all_results = {(trial.dataset, trial.seed): ResultsCount(trial, arch_str) for trial in trials}
        self.dataset_seed: dict[str, list[int]] = {}
        for trial in trials:
            self.dataset_seed.setdefault(trial.dataset, []).append(trial.seed)
        self._rng = rng

    def __repr__(self) -> str:
        return f"ArchResults(arch-index={self.arch_index}, arch={self.arch_str}, {len(self.all_results)} runs)"

    def arch_idx_str(self) -> str:
        """The index in six digits."""
        return f"{self.arch_index:06d}"

    def clear_params(self) -> None:
        """Nothing: there are no weights."""

    def get_net_param(self, dataset: str, seed: int | None = None) -> Any:
        """The weights of one training, of all by seed if none is named: None, as no record of either kind keeps them.

        Raises:
            ValueError: no such dataset or seed.
        """
        seeds = self._seeds(dataset)
        if seed is not None and seed not in seeds:
            raise ValueError(f"can not find random seed ({seed}) from {seeds}")
        return dict.fromkeys(seeds) if seed is None else None

    def get_dataset_names(self) -> list[str]:
        """The datasets it was trained on."""
        return list(self.dataset_seed)

    def get_dataset_seeds(self, dataset: str) -> list[int]:
        """The seeds of its trainings on a dataset."""
        return list(self._seeds(dataset))

    def query(self, dataset: str, seed: int | None = None) -> Any:
        """One training; all, by seed, if none is named."""
        if seed is None:
            return {each: self.all_results[dataset, each] for each in self._seeds(dataset)}
        return self.all_results[dataset, seed]

    def draw(self, dataset: str) -> int:
        """A seed drawn from those that exist."""
        seeds = self._seeds(dataset)
        return seeds[int(self._rng.integers(len(seeds)))]

    def get_total_epoch(self, dataset: str | None = None) -> int:
        """The epochs trained."""
        return next(r for (name, _), r in self.all_results.items() if dataset in (None, name)).epochs

    def get_metrics(
        self, dataset: str, setname: str, iepoch: int | None = None, is_random: bool | int = False
    ) -> Metrics:
        """Loss, accuracy and times on one set; `is_random` as for `get_more_info`.

        Raises:
            KeyError: there is no such set, or it was not evaluated after this epoch.
            ValueError: no such epoch or seed.
        """
        seeds = self._seeds(dataset)
        chosen = self.draw(dataset) if is_random is True else is_random
        if chosen is not False and chosen not in seeds:
            raise ValueError(f"can not find random seed ({chosen}) from {seeds}")
        picked = [self.all_results[dataset, seed] for seed in (seeds if chosen is False else [chosen])]
        infos = [r.get_train(iepoch) if setname == "train" else r.get_eval(setname, iepoch) for r in picked]
        if len(infos) == 1 and chosen is not False:
            return infos[0]
        return {key: _mean([info[key] for info in infos]) for key in infos[0]}

    def get_compute_costs(self, dataset: str) -> Metrics:
        """As `Nats.get_cost_info`."""
        results = [self.all_results[dataset, seed] for seed in self._seeds(dataset)]
        trials = [result.trial for result in results]
        latencies = [latency for result in results if (latency := result.get_latency()) > 0]
        info: Metrics = {
            "flops": mean_cost(trials, "flops_m"),
            "params": mean_cost(trials, "params_m"),
            "latency": _mean(latencies) if latencies else None,
        }
        times = [result.get_times() for result in results]
        return info | {key: _mean([each.get(key) for each in times]) for key in times[0]}

    def get_latency(self, dataset: str) -> float:
        """Seconds of one batch of 256 images."""
        return float(_mean([self.all_results[dataset, seed].get_latency() for seed in self._seeds(dataset)]))

    def _seeds(self, dataset: str) -> list[int]:
        if dataset not in self.dataset_seed:
            raise ValueError(f"invalid dataset-name : {dataset} vs. {list(self.dataset_seed)}")
        return self.dataset_seed[dataset]


class ResultsCount:
    """One training, as the official class of this name."""

    net_state_dict = None
    train_acc5es = None

    def __init__(self, trial: Trial, arch_str: str) -> None:
        self.name, self.seed, self.epochs, self.trial = trial.dataset, trial.seed, trial.epochs, trial
        self.params, self.flop = trial.params_m, trial.flops_m
        self.latency = None if np.isnan(trial.latency) else [trial.latency]
        self.eval_names = list(trial.splits)
        self.arch_config = configured(arch_str, trial.dataset)

    def __repr__(self) -> str:
        sets = ", ".join(self.eval_names)
        return (
            f"ResultsCount({self.name}, arch={self.arch_config['arch_str']}, FLOP={self.flop:.2f}M, "
            f"Param={self.params:.3f}MB, seed={self.seed}, {len(self.eval_names)} eval-sets: [{sets}])"
        )

    @property
    def train_acc1es(self) -> dict[int, float]:
        """Epoch, counted from 0 -> training accuracy; nan where it is not known."""
        return dict(enumerate(self.trial.train.accuracy.tolist()))

    @property
    def train_losses(self) -> dict[int, float]:
        """The same of the loss."""
        return dict(enumerate(self.trial.train.loss.tolist()))

    @property
    def train_times(self) -> dict[int, float] | None:
        """The same of an epoch's seconds; None where they are not known."""
        seconds = self.trial.train.seconds
        return None if np.isnan(seconds).any() else dict(enumerate(seconds.tolist()))

    @property
    def eval_acc1es(self) -> dict[str, float]:
        """Set and epoch, "x-valid@11" -> accuracy, where it was looked at."""
        return self._evaluated(lambda curve: curve.accuracy)

    @property
    def eval_losses(self) -> dict[str, float]:
        """The same of the loss."""
        return self._evaluated(lambda curve: curve.loss)

    @property
    def eval_times(self) -> dict[str, float]:
        """The same of the seconds of a pass."""
        return self._evaluated(lambda curve: curve.seconds)

    def _evaluated(self, part: Callable[[Curve], FloatArray]) -> dict[str, float]:
        return {
            f"{name}@{epoch}": value
            for name, curve in self.trial.splits.items()
            for epoch, (value, accuracy) in enumerate(zip(part(curve).tolist(), curve.accuracy.tolist(), strict=True))
            if accuracy == accuracy
        }

    def get_net_param(self, clone: bool = False) -> None:
        """The weights: None, as they are not kept."""

    def get_config(self, str2structure: Callable[[str], Any] | None = None) -> Metrics:
        """What the network is built from; the cell as a structure, if there is a function that makes one."""
        return as_config(self.arch_config, str2structure)

    def get_total_epoch(self) -> int:
        """The epochs trained."""
        return self.epochs

    def get_eval_set(self) -> list[str]:
        """What it was evaluated on."""
        return self.eval_names

    def get_latency(self) -> float:
        """Seconds of one batch of 256 images; -1 where it was not measured."""
        return -1.0 if np.isnan(self.trial.latency) else self.trial.latency

    def get_times(self) -> Metrics:
        """Seconds of an epoch and of all, of training and of every evaluation; None where they are not known."""
        info = _times("train", self.trial.train)
        for name, curve in self.trial.splits.items():
            info |= _times(name, curve)
        return info

    def get_train(self, iepoch: int | None = None) -> Metrics:
        """Loss, accuracy and times on the training set after an epoch, counted from 0; the last if left out."""
        return _at(self.trial.train, self._epoch(iepoch))

    def get_eval(self, name: str, iepoch: int | None = None) -> Metrics:
        """The same on another set ("valid" is x-valid).

        Raises:
            KeyError: there is no such set, or it was not evaluated after this epoch.
        """
        curve = self.trial.splits.get("x-valid" if name == "valid" else name)
        epoch = self._epoch(iepoch)
        if curve is None or np.isnan(curve.accuracy[epoch]):
            raise KeyError(f"{name}@{epoch}")
        return _at(curve, epoch)

    def _epoch(self, iepoch: int | None) -> int:
        epoch = self.epochs - 1 if iepoch is None else iepoch
        if not 0 <= epoch < self.epochs:
            raise ValueError(f"invalid iepoch={epoch} < {self.epochs}")
        return epoch


def _at(curve: Curve, epoch: int) -> Metrics:
    known = not np.isnan(curve.seconds[epoch])
    return {
        "iepoch": epoch,
        "loss": float(curve.loss[epoch]),
        "accuracy": float(curve.accuracy[epoch]),
        "cur_time": float(curve.seconds[epoch]) if known else None,
        "all_time": sum(curve.seconds[: epoch + 1].tolist()) if known else None,
    }


def _times(name: str, curve: Curve) -> Metrics:
    seconds = curve.seconds.tolist()
    known = not np.isnan(curve.seconds).any()
    return {
        f"T-{name}@epoch": sum(seconds) / len(seconds) if known else None,
        f"T-{name}@total": sum(seconds) if known else None,
    }


def _mean(values: Sequence[Any]) -> Any:
    return None if values[0] is None else sum(values) / len(values)


def mean_cost(trials: Sequence[Trial], name: str) -> float:
    """`flops_m` or `params_m` of a cell: where trainings disagree, what seed 888 says (1.6: some files were migrated)."""
    values, seeds = [getattr(trial, name) for trial in trials], [trial.seed for trial in trials]
    if len({f"{value:.5f}" for value in values}) > 1 and 888 in seeds:
        values = [values[seeds.index(888)]]
    return float(_mean(values))


# What networks are built from

_SIZED = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"  # their cell


def configured(arch_str: str, dataset: str) -> Metrics:
    """`arch_config` as records have it; networks of the size space have one cell and are written by their channels."""
    classes = {"cifar100": 100, "ImageNet16-120": 120}.get(dataset, 10)
    if ":" in arch_str and "|" not in arch_str:
        sized = {"name": "infer.shape.tiny", "channels": arch_str, "genotype": _SIZED}
        return sized | {"arch_str": arch_str, "class_num": classes}
    return {"channel": 16, "num_cells": 5, "arch_str": arch_str, "class_num": classes}


def as_config(arch_config: Metrics, str2structure: Callable[[str], Any] | None) -> Metrics:
    """The arguments of a network of the official code."""
    made = str2structure or (lambda text: text)
    if "channels" in arch_config:
        named = {name: arch_config[name] for name in ("name", "channels")}
        return named | {"genotype": made(arch_config["genotype"]), "num_classes": arch_config["class_num"]}
    own = {"name": "infer.tiny", "C": arch_config["channel"], "N": arch_config["num_cells"]}
    cell_named = {"arch_str" if str2structure is None else "genotype": made(arch_config["arch_str"])}
    return own | cell_named | {"num_classes": arch_config["class_num"]}


# What is printed


def shown(results: ArchResults, extra: object = None) -> list[str]:
    """Everything of a cell and schedule in lines, those of the official `show`; what is not known is left out."""
    lines = [results.arch_str, f"datasets : {results.get_dataset_names()}, extra-info : {extra}"]
    for dataset in results.get_dataset_names():
        costs = results.get_compute_costs(dataset)
        latency = costs["latency"]
        spent = f"{latency * 1000:.2f}" if latency is not None and latency > 0 else None
        lines.append(
            f"{dataset:14s} FLOP={costs['flops']:6.2f} M, Params={costs['params']:.3f} MB, latency={spent} ms."
        )
        sized = dataset == "cifar10-valid" and "|" not in results.arch_str  # there it was tested, too
        label, tested = (
            "test " if dataset == "cifar10" else "test",
            "ori-test" if dataset == "cifar10" or sized else "x-test",
        )
        sets = {"train": "train", "valid": "x-valid", label: tested}
        parts = [f"{label} : [{text}]" for label, name in sets.items() if (text := _in_words(results, dataset, name))]
        lines.append(f"{dataset:14s} {', '.join(parts)}")
    return lines


def _in_words(results: ArchResults, dataset: str, name: str) -> str:
    try:
        found = results.get_metrics(dataset, name)
    except KeyError:  # there is no such set
        return ""
    return f"loss = {found['loss']:.3f} & top1 = {found['accuracy']:.2f}%"
