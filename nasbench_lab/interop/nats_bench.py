"""The official API over any of our tables: scripts written for `nats_bench` run unchanged, instantly and seeded.

    from nasbench_lab.interop import nats_bench
    api = nats_bench.nats("cifar10", "cifar100", seed=0)      # instead of nats_bench.create(path, "tss", fast_mode=True)
    valid, latency, seconds, total = api.simulate_train_eval(1462, "cifar10", hp="12")

Methods, arguments and the keys of what they return are those of nats_bench 1.8 (Dong et al. 2021), written anew. What
differs: trials are drawn from a generator of the object's own, not from Python's global one; what a table does not keep
(losses, training accuracy) is nan, and absent where the official API would leave it out; an unknown cell, schedule or
dataset is an error that says what there is. Opened on an official fast-mode folder, everything in its records is there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from nasbench_lab.core import LabError
from nasbench_lab.files import paths
from nasbench_lab.interop.results import ArchResults, Metrics
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog
from nasbench_lab.tables.formats import nats_simple
from nasbench_lab.tables.formats.official import DATASETS, Trial
from nasbench_lab.tables.formats.trials import Trials
from nasbench_lab.tables.table import Table

Records = Callable[[int], Mapping[int, Sequence[Trial]]]
_REMAP = {
    ("cifar10", "valid"): ("cifar10-valid", "x-valid"),
    ("cifar10", "test"): ("cifar10", "ori-test"),
}
_CIFAR10, _CIFAR10_SPLITS = ("cifar10", "cifar10-valid"), {"valid": "x-valid", "test": "ori-test"}
_SETS = {"valid": "x-valid", "test": "x-test"}


def nats(*sources: Table | str | Path, seed: int = 0, verbose: bool = False) -> Nats:
    """An object with the official API's methods.

    Args:
        *sources: tables of different datasets, by themselves, by name or by path; or one official fast-mode folder.
        seed: decides which trials are drawn.
        verbose: accepted for the official constructor's sake; nothing is printed.

    Raises:
        LabError: a source that does not exist, or two of one dataset.
    """
    if len(sources) == 1 and not isinstance(sources[0], Table) and paths.home(sources[0]).is_dir():
        return _of_folder(paths.home(sources[0]), seed)
    tables = [source if isinstance(source, Table) else catalog.load(str(source)) for source in sources]
    found = [Trials(table) for table in tables]
    names = [source.dataset for source in found]
    if not names or len(set(names)) < len(names):
        raise LabError(f"the official API has one table per dataset, got {', '.join(names) or 'none'}")
    lasts = sorted({last for table in tables for last in table.schedules})
    known = np.logical_or.reduce([table.measured for table in tables])

    @lru_cache(maxsize=4096)
    def records(arch: int) -> Mapping[int, Sequence[Trial]]:
        return {last: [t for f in found if last in f.table.schedules for t in f.of(arch, last)] for last in lasts}

    return Nats(records, np.flatnonzero(known).tolist(), lasts, names, seed, ", ".join(table.label for table in tables))


def _of_folder(folder: Path, seed: int) -> Nats:
    if not nats_simple.is_folder(folder):
        raise LabError(f"{folder} holds no records of NATS-Bench")
    paths = nats_simple.records(folder)

    @lru_cache(maxsize=256)
    def records(arch: int) -> Mapping[int, Sequence[Trial]]:
        if arch not in paths:
            raise LabError(f"cell {arch} is not in {folder}")
        return nats_simple.read_record(paths[arch], arch)

    return Nats(records, list(paths), [12, 200], DATASETS, seed, str(folder))


class Nats:
    """What `nats` returns; see there."""

    is_size, is_topology, search_space_name, fast_mode = False, True, "topology", False

    def __init__(
        self,
        records: Records,
        archs: Sequence[int],
        lasts: Sequence[int],
        datasets: Sequence[str],
        seed: int,
        name: str,
    ) -> None:
        self.verbose, self.filename, self.archive_dir = False, name, None
        self.evaluated_indexes = set(archs)
        self.meta_archs = [cell.to_string(arch) for arch in range(cell.SPACE.size)]
        self.archstr2index = {text: arch for arch, text in enumerate(self.meta_archs)}
        self.avaliable_hps = [str(last) for last in lasts]  # the official spelling
        self.full_train_epochs = self.full_epochs_in_paper = max(lasts)
        self._records, self._datasets = records, tuple(datasets)
        self._rng, self._used = np.random.default_rng(seed), 0.0

    def __len__(self) -> int:
        return len(self.meta_archs)

    def __getitem__(self, index: int) -> str:
        return self.meta_archs[index]

    def __repr__(self) -> str:
        return f"Nats({len(self.evaluated_indexes)}/{len(self)} architectures, file={self.filename})"

    # Cells

    def arch(self, index: int) -> str:
        """The string of a cell."""
        if not 0 <= index < len(self):
            raise ValueError(f"invalid index : {index} vs. {len(self)}.")
        return self.meta_archs[index]

    def random(self) -> int:
        """A cell drawn uniformly."""
        return int(self._rng.integers(len(self)))

    def query_index_by_arch(self, arch: Any) -> int:
        """The index of a cell given as index, string or anything with `tostr()`; -1 for what is none."""
        if isinstance(arch, (int, np.integer)):
            if not 0 <= arch < len(self):
                raise ValueError(f"Invalid architecture index {arch} vs [0, {len(self)}].")
            return int(arch)
        return self.archstr2index.get(arch.tostr() if hasattr(arch, "tostr") else arch, -1)

    def get_unique_str(self, arch: Any) -> str:
        """Equal for isomorphic cells."""
        return cell.canonical_string(cell.ops(self._index(arch)))

    @staticmethod
    def str2lists(arch_str: str) -> list[tuple[tuple[str, int], ...]]:
        """Node by node, (operation, from which node)."""
        row = cell.ops(cell.from_string(arch_str))
        named = [(target, cell.OPS[op], source) for (source, target), op in zip(cell.EDGES, row, strict=True)]
        return [tuple((op, source) for target, op, source in named if target == node) for node in (1, 2, 3)]

    @staticmethod
    def str2matrix(arch_str: str, search_space: Sequence[str] = cell.OPS) -> Any:
        """(4, 4) matrix of operations, row = node, column = from which node."""
        matrix = np.zeros((4, 4))
        for node, inputs in enumerate(Nats.str2lists(arch_str), start=1):
            for op, source in inputs:
                matrix[node, source] = list(search_space).index(op)
        return matrix

    # Results

    def query_meta_info_by_index(self, arch_index: int, hp: str | int = "12") -> ArchResults:
        """All trainings of a cell with one schedule."""
        index, found = self._index(arch_index), self._records(self._index(arch_index))
        trials = found.get(int(hp)) if str(hp).isdecimal() else None
        if trials is None:
            raise ValueError(f"the {index}-th architecture has hyper-parameters {self.avaliable_hps}, not {hp!r}")
        if not trials:
            raise ValueError(f"the {index}-th architecture was not measured")
        return ArchResults(index, trials, self._rng)

    def query_by_index(self, arch_index: int, dataname: str | None = None, hp: str | int = "12") -> Any:
        """The same; with a dataset, its trainings by seed."""
        info = self.query_meta_info_by_index(arch_index, hp)
        return info if dataname is None else info.query(dataname)

    def get_more_info(
        self, index: Any, dataset: str, iepoch: int | None = None, hp: str | int = "12", is_random: bool | int = True
    ) -> Metrics:
        """Accuracy, loss and time on the training set and on what there is of validation and test.

        Args:
            index: a cell.
            dataset: cifar10-valid, cifar10, cifar100, ImageNet16-120, or the dataset of the table.
            iepoch: an epoch, counted from 0; the last if left out.
            hp: the schedule.
            is_random: True draws a trial, False takes the mean, a number is a seed.
        """
        results = self.query_meta_info_by_index(self._index(index), hp)
        chosen = results.draw(dataset) if is_random is True else is_random
        train = results.get_metrics(dataset, "train", iepoch, chosen)
        total = train["iepoch"] + 1
        info = _renamed("train", train, total)
        splits = {"valid": "x-valid", "test": "x-test", "valtest": "ori-test"}
        for name, split in (_CIFAR10_SPLITS if dataset in _CIFAR10 else splits).items():
            try:
                found = results.get_metrics(dataset, split, iepoch, chosen)
            except KeyError:  # there is no such set, or it was not evaluated after this epoch
                continue
            info |= _renamed(name, found, total)
        return info

    def simulate_train_eval(
        self, arch: Any, dataset: str, iepoch: int | None = None, hp: str | int = "12", account_time: bool = True
    ) -> tuple[float, float | None, float, float]:
        """Train and validate: validation accuracy, latency, seconds of this query, seconds of all so far."""
        if dataset not in self._datasets:
            raise ValueError(f"Invalid dataset name : {dataset} vs {self._datasets}")
        index, trained = self._index(arch), "cifar10-valid" if dataset == "cifar10" else dataset
        info = self.get_more_info(index, trained, iepoch, hp)
        if "valid-accuracy" in info:
            accuracy, cost = info["valid-accuracy"], info["train-all-time"] + info["valid-per-time"]
        elif "valtest-accuracy" in info:
            last = self.get_more_info(index, trained, None, hp)
            accuracy, cost = info["valtest-accuracy"], info["train-all-time"] + last["valid-per-time"]
        else:
            raise LabError(f"{dataset} has no validation score after epoch {iepoch} of the {hp}-epoch schedule")
        if account_time:
            self._used += cost
        return accuracy, self.get_latency(index, dataset, hp), cost, self._used

    @property
    def used_time(self) -> float:
        """Seconds of all queries so far."""
        return self._used

    def reset_time(self) -> None:
        """Begin to count anew."""
        self._used = 0.0

    def get_cost_info(self, index: Any, dataset: str, hp: str | int = "12") -> Metrics:
        """FLOPs and parameters (millions), latency (seconds), seconds of training and of every evaluation."""
        return self.query_meta_info_by_index(self._index(index), hp).get_compute_costs(dataset)

    def get_latency(self, index: Any, dataset: str, hp: str | int = "12") -> float | None:
        """Seconds of one batch of 256 images; None where it was not measured."""
        latency: float | None = self.get_cost_info(index, dataset, hp)["latency"]
        return latency

    def get_net_config(self, index: Any, dataset: str) -> Metrics:
        """What the network is built from."""
        classes = {"cifar100": 100, "ImageNet16-120": 120}.get(dataset, 10)
        text = self.meta_archs[self._index(index)]
        return {"name": "infer.tiny", "C": 16, "N": 5, "arch_str": text, "num_classes": classes}

    def find_best(
        self,
        dataset: str,
        metric_on_set: str,
        flop_max: float | None = None,
        param_max: float | None = None,
        hp: str | int = "12",
    ) -> tuple[int, float | None]:
        """The cell with the highest mean accuracy among those within the limits, and that accuracy."""
        fallback = dataset, _SETS.get(metric_on_set, metric_on_set)
        dataset, split = _REMAP.get((dataset, metric_on_set), fallback)
        best, highest = -1, None
        for index in sorted(self.evaluated_indexes):
            results = self.query_meta_info_by_index(index, hp)
            costs = results.get_compute_costs(dataset)
            if (flop_max is not None and costs["flops"] > flop_max) or (
                param_max is not None and costs["params"] > param_max
            ):
                continue
            accuracy = results.get_metrics(dataset, split)["accuracy"]
            if highest is None or highest < accuracy:
                best, highest = index, accuracy
        return best, highest

    def statistics(self, dataset: str, hp: str | int) -> dict[int, int]:
        """How many cells were trained how many times."""
        counts: dict[int, int] = {}
        for index in sorted(self.evaluated_indexes):
            seeds = self.query_meta_info_by_index(index, hp).dataset_seed.get(dataset, [])
            counts[len(seeds)] = counts.get(len(seeds), 0) + 1
        return counts

    def _index(self, arch: Any) -> int:
        index = self.query_index_by_arch(arch)
        if index < 0:
            raise ValueError(f"{str(arch)[:100]!r} is no cell of the space")
        return index


def _renamed(name: str, info: Metrics, total: int) -> Metrics:
    seconds = info["all_time"]
    return {
        f"{name}-loss": info["loss"],
        f"{name}-accuracy": info["accuracy"],
        f"{name}-per-time": None if seconds is None else seconds / total,
        f"{name}-all-time": seconds,
    }
