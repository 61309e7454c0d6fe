"""Records in the official format: the three real ones where ../shared is, and made ones everywhere."""

from __future__ import annotations

import bz2
import os
import pickle
from collections import OrderedDict
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from nasbench_lab.spaces import cell
from nasbench_lab.tables.formats.official import Curve, Trial, names_of, state_of

SHARED = Path(__file__).parents[2] / "shared" / "data"
REAL = SHARED / "official" / "NATS-tss-v1_0-3ffb9-simple"
TIDY = SHARED / "nb201" / "nb201.parquet"
ARCHS = (0, 11, 284)
SIZES = {"cifar10-valid": 25, "cifar10": 50, "cifar100": 50, "ImageNet16-120": 151.7}
PASSES = {"x-valid": {"cifar10-valid": 25, "cifar100": 5, "ImageNet16-120": 3}, "x-test": {"cifar100": 5, "ImageNet16-120": 3},
          "ori-test": {"cifar10-valid": 10, "cifar10": 10, "cifar100": 10, "ImageNet16-120": 6}}  # fmt: skip


def present(path: Path = REAL) -> bool:
    """Whether real data is there; in CI beside the data it must be."""
    if not path.exists() and os.environ.get("CI") == "true" and SHARED.is_dir():
        raise FileNotFoundError(f"{path}: in CI the real data must be there")
    return path.exists()


def curve(rng: np.random.Generator, last: int, seconds: float, *, only_last: bool = False) -> Curve:
    accuracy, loss = rng.uniform(0, 100, last), rng.uniform(0, 5, last)
    if only_last:
        accuracy[:-1] = loss[:-1] = np.nan
    return Curve(accuracy, loss, np.full(last, seconds))


@cache
def size(dataset: str, arch: int) -> tuple[float, float]:
    """Parameters and FLOPs of a cell, in millions; worked out for all cells at once, so not anew for every training."""
    name = dataset.removesuffix("-valid")
    return round(float(cell.params_m(name)[arch]), 6), round(float(cell.flops_m(name)[arch]), 5)


def trial(rng: np.random.Generator, arch: int, dataset: str, seed: int, last: int) -> Trial:
    """Evaluated where the benchmark evaluated: after 200 epochs elsewhere than in between."""
    splits = [name for name, sets in PASSES.items() if dataset in sets]
    sparse = {("cifar10-valid", "ori-test"), ("cifar100", "x-valid"), ("cifar100", "x-test"), ("ImageNet16-120", "x-valid"),
              ("ImageNet16-120", "x-test")} if last == 200 else set()  # fmt: skip
    rate = 0.3 + arch % 7 / 10
    return Trial(
        dataset, seed, last,
        *size(dataset, arch),
        0.01 + arch / 1e5,
        curve(rng, last, SIZES[dataset] * rate),
        {name: curve(rng, last, PASSES[name][dataset] * rate / 3, only_last=(dataset, name) in sparse) for name in splits},
    )  # fmt: skip


def made(arch: int, seed: int = 0) -> OrderedDict:
    """A record as NATS-Bench has it: one or two seeds after 12 epochs, one to three after 200."""
    rng = np.random.default_rng([seed, arch])
    seeds = {12: [111], 200: [[888], [777, 888], [777, 888, 999]][(arch + 2) % 3]}
    record = OrderedDict()
    for last in (12, 200):
        trials = [
            trial(rng, arch, dataset, s, last)
            for dataset in SIZES
            for s in ([111, 777] if (last, dataset) == (12, "cifar10-valid") else seeds[last])
        ]
        record[str(last)] = state_of(arch, trials)
    return record


def write(folder: Path, records: dict[int, object], *, meta: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for arch, record in records.items():
        (folder / f"{arch:06d}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(record, 4)))
    if meta:
        (folder / "meta.pickle.pbz2").write_bytes(_meta())
    return folder


@cache
def _meta() -> bytes:
    content = {
        "meta_archs": list(names_of(cell.SPACE)),
        "total_archs": 15625,
        "arch2infos": None,
        "evaluated_indexes": set(),
    }
    return bz2.compress(pickle.dumps(content, 4))


def whole(records: dict[int, OrderedDict], keys: tuple[str, str] = ("12", "200")) -> dict:
    """One dictionary of all, as the single files hold it; `keys` are the schedules' names in it."""
    renamed = {arch: dict(zip(keys, (record["12"], record["200"]), strict=True)) for arch, record in records.items()}
    return {"meta_archs": list(names_of(cell.SPACE)), "total_archs": 15625, "arch2infos": renamed,
            "evaluated_indexes": set(records)}  # fmt: skip


def loaded(folder: Path) -> dict[int, OrderedDict]:
    """By Python's own pickle: these files are ours, or came with the project."""
    paths = {arch: folder / f"{arch:06d}.pickle.pbz2" for arch in ARCHS}
    return {arch: pickle.loads(bz2.decompress(path.read_bytes())) for arch, path in paths.items()}


def torch_saved(path, content, *, legacy):
    """A file of torch, as it writes them today or as before 1.6."""
    torch = pytest.importorskip("torch")
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path
