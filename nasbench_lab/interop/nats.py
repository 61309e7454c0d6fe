"""The object that `interop.nats_bench` makes: the official API's methods over any source of trainings; see there."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from nasbench_lab.core import LabError
from nasbench_lab.files import paths
from nasbench_lab.interop.results import COMMENTS, TIMES, ArchResults, Metrics, as_config, configured, shown
from nasbench_lab.interop.trainings import OfRecords, Record, Trainings
from nasbench_lab.spaces import cell
from nasbench_lab.tables.formats import official

_REMAP = {
    ("cifar10", "valid"): ("cifar10-valid", "x-valid"),
    ("cifar10", "test"): ("cifar10", "ori-test"),
}
_CIFAR10, _CIFAR10_SPLITS = ("cifar10", "cifar10-valid"), {"valid": "x-valid", "test": "ori-test"}
_SETS = {"valid": "x-valid", "test": "x-test"}
T = TypeVar("T")


def _older(method: Callable[..., T]) -> Callable[..., T]:
    """A method that takes what nas_201_api called its arguments."""

    @functools.wraps(method)
    def called(*args: Any, **named: Any) -> T:
        for old, new in (("use_12epochs_result", "hp"), ("FLOP_max", "flop_max"), ("Param_max", "param_max")):
            if old in named:
                named[new] = named.pop(old)
        return method(*args, **named)

    return called


def _epochs(hp: object) -> int | None:
    """The last epoch of a schedule as it is asked for: "12", 12, "less", or whether it is the one of 12 epochs."""
    if isinstance(hp, bool):
        return 12 if hp else 200
    try:
        return official.schedule_of(str(hp))
    except LabError:
        return None


class Nats:
    """What `create` returns; see there."""

    verbose = False

    def __init__(self, trainings: Trainings, seed: int = 0, *, fast_mode: bool = False) -> None:
        self.trainings, self._fast_mode = trainings, fast_mode
        self.filename = trainings.name
        self.meta_archs = list(official.names_of(trainings.space))
        self.archstr2index = {text: arch for arch, text in enumerate(self.meta_archs)}
        self.is_topology = trainings.space == cell.SPACE
        self.is_size = not self.is_topology
        self.search_space_name = "topology" if self.is_topology else "size"
        self.avaliable_hps = [f"{last:02d}" for last in trainings.lasts]  # the official spelling
        self.full_train_epochs = self.full_epochs_in_paper = max(trainings.lasts)
        self._reloaded: dict[int, Trainings] = {}
        self._asked: set[int] = set()
        self._best: dict[tuple[str, str, int], tuple[Any, ...]] = {}  # what searches for the best cell went through
        self._rng, self._used = np.random.default_rng(seed), 0.0

    @property
    def fast_mode(self) -> bool:
        """Whether `evaluated_indexes` grows with what is asked for."""
        return self._fast_mode

    @property
    def archive_dir(self) -> str | None:
        """The folder of records, in fast mode."""
        return self.filename if self._fast_mode and isinstance(self.trainings, OfRecords) else None

    @property
    def evaluated_indexes(self) -> set[int]:
        """The cells that there is something of; in fast mode those asked for so far."""
        return set(self._asked) if self._fast_mode else {*self.trainings.archs, *self._reloaded}

    @property
    def arch2infos_dict(self) -> Mapping[int, Mapping[str, ArchResults]]:
        """Cell -> schedule -> results."""
        return _Infos(self)

    def reset_fast_mode(self, fast_mode: bool) -> None:
        """Set `fast_mode`."""
        self._fast_mode = fast_mode

    def reset_archive_dir(self, archive_dir: str | Path) -> None:
        """Take records from another folder from now on."""
        self.reload(archive_dir)

    def reload(self, archive_root: str | Path | None = None, index: int | None = None) -> None:
        """Take the records of a cell, of all if none is named, from another folder; from the same one they are read anew.

        Raises:
            LabError: no folder of records of this space, or not with this cell.
        """
        source = self.archive_dir if archive_root is None else archive_root
        if source is None:
            raise LabError("reload takes the folder of records to read from: archive_root")
        found = OfRecords(paths.home(source))
        if found.space != self.trainings.space:
            raise LabError(f"{source} holds networks of {found.space.name}, not of {self.trainings.space.name}")
        if index is None:
            self.trainings, self.filename = found, found.name
        else:
            found.of(self._index(index))
            self._reloaded[index] = found
            self._asked.add(index)
        self._best.clear()

    def clear_params(self, index: int, hp: str | int | None = None) -> None:
        """Drop the weights of a cell: there are none.

        Raises:
            ValueError: no such cell or schedule.
        """
        if hp is None:
            self._index(index)
        else:
            self.query_meta_info_by_index(index, hp)

    def get_net_param(self, index: int, dataset: str, seed: int | None, hp: str | int = "12") -> Any:
        """The weights of a training, of all by seed if none is named: None, as no record keeps them."""
        return self.query_meta_info_by_index(index, hp).get_net_param(dataset, seed)

    def _record(self, index: int) -> Record:
        found = self._reloaded.get(index, self.trainings).of(index)
        self._asked.add(index)
        return found

    def __len__(self) -> int:
        return len(self.meta_archs)

    def __getitem__(self, index: int) -> str:
        return self.meta_archs[index]

    def __repr__(self) -> str:
        some = f"{len(self.evaluated_indexes)}/{len(self)} architectures"
        return f"Nats({some}, fast_mode={self.fast_mode}, file={self.filename})"

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
        """Equal for isomorphic cells; of sizes, each its own."""
        index = self._index(arch)
        return cell.canonical_string(cell.ops(index)) if self.is_topology else self.meta_archs[index]

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

    @_older
    def query_meta_info_by_index(self, arch_index: int, hp: str | int = "12") -> ArchResults:
        """All trainings of a cell with one schedule."""
        index = self._index(arch_index)
        trials = self._record(index).get(_epochs(hp) or 0)
        if trials is None:
            raise ValueError(f"the {index}-th architecture has hyper-parameters {self.avaliable_hps}, not {hp!r}")
        if not trials:
            raise ValueError(f"the {index}-th architecture was not measured")
        return ArchResults(index, self.meta_archs[index], trials, self._rng)

    @_older
    def query_by_index(self, arch_index: int, dataname: str | None = None, hp: str | int = "12") -> Any:
        """The same; with a dataset, its trainings by seed."""
        info = self.query_meta_info_by_index(arch_index, hp)
        return info if dataname is None else info.query(dataname)

    @_older
    def query_info_str_by_arch(self, arch: Any, hp: str | int = "12") -> str:
        """Everything of a cell with one schedule, in words."""
        index = self._index(arch)
        return "\n".join(shown(self.query_meta_info_by_index(index, hp), f"arch-index={index}"))

    query_by_arch = query_info_str_by_arch  # as it was called in NAS-Bench-201

    def show(self, index: int = -1) -> None:
        """Print everything of a cell; of all that were evaluated, if the index is negative."""
        if index < 0:
            print(self)
        for each in sorted(self.evaluated_indexes) if index < 0 else [index]:
            if index < 0:
                print(f"\ncell {each:06d} : {self.arch(each)}")
            for results in self.arch2infos_dict[each].values():
                print(f"{'>' * 40} {results.get_total_epoch():03d} epochs {'>' * 40}")
                print("\n".join(shown(results)))
            print(f"{'<' * 40}{'-' * 12}{'<' * 40}")

    @_older
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
        if dataset in COMMENTS:
            info["comment"] = COMMENTS[dataset] + TIMES.format(results.get_total_epoch(dataset))
        splits = {"valid": "x-valid", "test": "x-test", "valtest": "ori-test"}
        for name, split in (_CIFAR10_SPLITS if dataset in _CIFAR10 else splits).items():
            try:
                found = results.get_metrics(dataset, split, iepoch, chosen)
            except KeyError:  # there is no such set, or it was not evaluated after this epoch
                continue
            info |= _renamed(name, found, total)
        return info

    @_older
    def simulate_train_eval(
        self, arch: Any, dataset: str, iepoch: int | None = None, hp: str | int = "12", account_time: bool = True
    ) -> tuple[float, float | None, float, float]:
        """Train and validate: validation accuracy, latency, seconds of this query, seconds of all so far."""
        if dataset not in self.trainings.datasets:
            raise ValueError(f"Invalid dataset name : {dataset} vs {self.trainings.datasets}")
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

    @_older
    def get_cost_info(self, index: Any, dataset: str, hp: str | int = "12") -> Metrics:
        """FLOPs and parameters (millions), latency (seconds), seconds of training and of every evaluation."""
        return self.query_meta_info_by_index(self._index(index), hp).get_compute_costs(dataset)

    @_older
    def get_latency(self, index: Any, dataset: str, hp: str | int = "12") -> float | None:
        """Seconds of one batch of 256 images; None where it was not measured."""
        latency: float | None = self.get_cost_info(index, dataset, hp)["latency"]
        return latency

    def get_net_config(self, index: Any, dataset: str) -> Metrics:
        """What the network is built from."""
        return as_config(configured(self.meta_archs[self._index(index)], dataset), None)

    @_older
    def find_best(
        self,
        dataset: str,
        metric_on_set: str,
        flop_max: float | None = None,
        param_max: float | None = None,
        hp: str | int = "12",
        enforce_all: bool | None = None,
    ) -> tuple[int, float | None]:
        """The cell with the highest mean accuracy among those within the limits, and that accuracy; (-1, None) of none.

        Args:
            dataset: trained on.
            metric_on_set: valid, test, or a set as records call it (x-valid, x-test, ori-test, train).
            flop_max: in millions; a cell whose FLOPs are not known is not within it.
            param_max: likewise.
            hp: the schedule.
            enforce_all: of all cells; left out, all but in fast mode those asked for so far if it is False.

        Raises:
            ValueError: no such schedule.
        """
        last = _epochs(hp)
        if last not in self.trainings.lasts:
            raise ValueError(f"there are hyper-parameters {self.avaliable_hps}, not {hp!r}")
        fallback = dataset, _SETS.get(metric_on_set, metric_on_set)
        dataset, split = _REMAP.get((dataset, metric_on_set), fallback)
        archs, accuracy, flops, params = self._scored(dataset, split, last)
        within = ~np.isnan(accuracy)
        for values, most in ((flops, flop_max), (params, param_max)):
            within &= True if most is None else values <= most
        if self._fast_mode and enforce_all is False:
            within &= np.isin(archs, list(self._asked))
        if not within.any():
            return -1, None
        best = int(np.argmax(np.where(within, accuracy, -np.inf)))
        return int(archs[best]), float(accuracy[best])

    def _scored(self, dataset: str, split: str, last: int) -> tuple[Any, ...]:
        """Cells, and for each its mean accuracy, FLOPs and parameters; kept, as records are read one by one."""
        key = dataset, split, last
        if key not in self._best:
            archs = sorted({*self.trainings.archs, *self._reloaded})
            own = [arch for arch in archs if arch not in self._reloaded]
            columns = [list(part) for part in self.trainings.scored(dataset, split, last, own)]
            for arch in (arch for arch in archs if arch in self._reloaded):
                for column, value in zip(
                    columns, self._reloaded[arch].scored(dataset, split, last, [arch]), strict=True
                ):
                    column.insert(archs.index(arch), float(value[0]))
            self._best[key] = (np.array(archs), *(np.array(column, dtype=np.float64) for column in columns))
        return self._best[key]

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


class _Infos(Mapping[int, Mapping[str, ArchResults]]):
    """`arch2infos_dict`: made as it is asked for."""

    def __init__(self, api: Nats) -> None:
        self._api = api

    def __getitem__(self, index: int) -> Mapping[str, ArchResults]:
        api = self._api
        record = api._record(api._index(index))
        return {f"{last:02d}": api.query_meta_info_by_index(index, last) for last, trials in record.items() if trials}

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._api.evaluated_indexes))

    def __len__(self) -> int:
        return len(self._api.evaluated_indexes)
