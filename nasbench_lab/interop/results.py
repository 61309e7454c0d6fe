"""The trainings of one cell behind the official classes' methods: `ArchResults` (all), `ResultsCount` (one).

Names, arguments and the keys of what they return are those of nats_bench 1.8; see `nasbench_lab.interop.nats_bench`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from nasbench_lab.spaces import cell
from nasbench_lab.tables.formats.official import Curve, Trial

Metrics = dict[str, Any]


class ArchResults:
    """All trainings of one cell with one schedule, as the official class of this name."""

    def __init__(self, arch_index: int, trials: Sequence[Trial], rng: np.random.Generator) -> None:
        self.arch_index, self.arch_str = arch_index, cell.to_string(arch_index)
        self.all_results = {(trial.dataset, trial.seed): ResultsCount(trial) for trial in trials}
        self.dataset_seed: dict[str, list[int]] = {}
        for trial in trials:
            self.dataset_seed.setdefault(trial.dataset, []).append(trial.seed)
        self._rng = rng

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
        seeds = self._seeds(dataset)
        results = [self.all_results[dataset, seed] for seed in seeds]
        latencies = [latency for result in results if (latency := result.get_latency()) > 0]
        info: Metrics = {
            "flops": _mean(_repaired([result.flop for result in results], seeds)),
            "params": _mean(_repaired([result.params for result in results], seeds)),
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

    def __init__(self, trial: Trial) -> None:
        self.name, self.seed, self.epochs, self._trial = trial.dataset, trial.seed, trial.epochs, trial
        self.params, self.flop = trial.params_m, trial.flops_m
        self.eval_names = list(trial.splits)

    def get_total_epoch(self) -> int:
        """The epochs trained."""
        return self.epochs

    def get_eval_set(self) -> list[str]:
        """What it was evaluated on."""
        return self.eval_names

    def get_latency(self) -> float:
        """Seconds of one batch of 256 images; -1 where it was not measured."""
        return -1.0 if np.isnan(self._trial.latency) else self._trial.latency

    def get_times(self) -> Metrics:
        """Seconds of an epoch and of all, of training and of every evaluation; None where they are not known."""
        info = _times("train", self._trial.train)
        for name, curve in self._trial.splits.items():
            info |= _times(name, curve)
        return info

    def get_train(self, iepoch: int | None = None) -> Metrics:
        """Loss, accuracy and times on the training set after an epoch, counted from 0; the last if left out."""
        return _at(self._trial.train, self._epoch(iepoch))

    def get_eval(self, name: str, iepoch: int | None = None) -> Metrics:
        """The same on another set ("valid" is x-valid).

        Raises:
            KeyError: there is no such set, or it was not evaluated after this epoch.
        """
        curve = self._trial.splits.get("x-valid" if name == "valid" else name)
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


def _repaired(values: list[float], seeds: Sequence[int]) -> list[float]:
    """Where trials disagree, what seed 888 says (nats_bench 1.6: some files were migrated)."""
    if len({f"{value:.5f}" for value in values}) > 1 and 888 in seeds:
        return [values[list(seeds).index(888)]]
    return values
