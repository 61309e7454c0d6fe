"""The official API over any of our tables: scripts written for `nats_bench` run unchanged, instantly and seeded.

    from nasbench_lab.interop import nats_bench
    api = nats_bench.create(None, "tss", fast_mode=True, verbose=False)      # the tables that were imported
    api = nats_bench.create("digits", "tss")                                 # a table, several, a folder, an official file
    valid, latency, seconds, total = api.simulate_train_eval(1462, "cifar10", hp="12")

A script that imports `nats_bench` itself, or its predecessor `nas_201_api`, runs as it is:

    python -m nasbench_lab.interop.nats_bench script.py --dataset cifar10 ...

Methods, arguments and the keys of what they return are those of nats_bench 1.8 (Dong et al. 2021), written anew; names of
arguments that older versions had are taken, too. What differs: trials are drawn from a generator of the object's own, not
from Python's global one; nothing is printed but by `show`; there are no weights; what a table does not keep (losses,
training accuracy) is nan, and absent where the official API would leave it out; an unknown cell, schedule or dataset is an
error that says what there is. Opened on official records, everything in them is there, also of the size space.
"""

from __future__ import annotations

import importlib.util
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from nasbench_lab.core import LabError
from nasbench_lab.files import paths
from nasbench_lab.interop import nas_201
from nasbench_lab.interop.nats import Nats
from nasbench_lab.interop.results import ArchResults, ResultsCount
from nasbench_lab.interop.trainings import OfRecords, OfTables, Trainings
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog
from nasbench_lab.tables.formats import importing, official
from nasbench_lab.tables.table import Table

Source = Table | str | Path | Sequence[Table | str | Path] | Mapping[Any, Any] | None
TOPOLOGY, SIZE = ("tss", "topology"), ("sss", "size")
_BASES = {"tss": "NATS-tss-v1_0-3ffb9", "sss": "NATS-sss-v1_0-50262"}


def create(
    file_path_or_dict: Source = None,
    search_space: str = "tss",
    fast_mode: bool = False,
    verbose: bool = True,
    *,
    seed: int = 0,
) -> Nats:
    """An object with the official API's methods, as `nats_bench.create` makes it.

    Args:
        file_path_or_dict: a table, by itself, by name or by path; several, of different datasets; an official folder, file or
            dictionary; None for the official files in `$TORCH_HOME`, or else the imported tables of the benchmark.
        search_space: "tss" (topology), or "sss" (size, official records alone).
        fast_mode: as in the official object, `evaluated_indexes` are those asked for so far; any source will do.
        verbose: accepted for the official constructor's sake; nothing is printed.
        seed: decides which trials are drawn.

    Raises:
        ValueError: no such space.
        LabError: a source that does not exist or is of another space, or two of one dataset.
    """
    if search_space not in TOPOLOGY + SIZE:
        raise ValueError(f"search_space must be one of {', '.join(TOPOLOGY + SIZE)}, got {search_space!r}")
    kind = "tss" if search_space in TOPOLOGY else "sss"
    found = _opened(_at_hand(kind) if file_path_or_dict is None else file_path_or_dict)
    if (found.space == cell.SPACE) != (kind == "tss"):
        raise LabError(f"{found.name} is of {found.space.name}, which is not the space {search_space!r}")
    return Nats(found, seed, fast_mode=fast_mode)


def nats(*sources: Table | str | Path, seed: int = 0, verbose: bool = False) -> Nats:
    """The same for tables, by themselves, by name or by path, or for one official fast-mode folder.

    Raises:
        LabError: a source that does not exist, or two of one dataset.
    """
    return Nats(_opened(sources), seed)


def NATStopology(file_path_or_dict: Source = None, fast_mode: bool = False, verbose: bool = True) -> Nats:
    """As the official class: `create` for "tss"."""
    return create(file_path_or_dict, "tss", fast_mode, verbose)


def NATSsize(file_path_or_dict: Source = None, fast_mode: bool = False, verbose: bool = True) -> Nats:
    """As the official class: `create` for "sss"."""
    return create(file_path_or_dict, "sss", fast_mode, verbose)


def NASBench201API(file_path_or_dict: Source = None, verbose: bool = True) -> Nats:
    """As the class of nas_201_api: `create` for "tss", with the defaults of the version that is installed, else of 1.3.

    An official file that is not there is said on stderr, and what `create(None)` finds stands for it.
    """
    given = file_path_or_dict
    if (
        isinstance(given, (str, Path))
        and Path(given).name.startswith("NAS-Bench-201")
        and not paths.home(given).exists()
    ):
        file_path_or_dict = _at_hand("tss")
        found = file_path_or_dict if isinstance(file_path_or_dict, list) else [file_path_or_dict]
        print(f"note: {given} is not there; instead of it: {', '.join(map(str, found))}", file=sys.stderr)
    return nas_201.kind()(_opened(_at_hand("tss") if file_path_or_dict is None else file_path_or_dict))


def _opened(source: Source) -> Trainings:
    if isinstance(source, Mapping):
        return OfRecords(source)
    each = [source] if isinstance(source, (Table, str, Path)) else list(source or ())
    if len(each) == 1 and not isinstance(each[0], Table):
        path = paths.home(each[0])
        if path.is_dir():
            return OfRecords(path)
        if path.suffix in (".pbz2", ".pth") and path.is_file():
            return OfTables(importing.read(path).tables)
    return OfTables([item if isinstance(item, Table) else catalog.load(str(item)) for item in each])


def _at_hand(kind: str) -> Source:
    """The official files where the official package looks, else the imported tables.

    Raises:
        LabError: there is neither.
    """
    home = paths.of_variable("TORCH_HOME") or paths.home("~/.torch")
    base = home / _BASES[kind]
    places = [base.with_name(f"{base.name}-simple"), base.with_name(f"{base.name}.pickle.pbz2")]
    if there := [path for path in places if path.exists()]:
        return there[0]
    names = [name for name in official.DATASETS if name in catalog.available()] if kind == "tss" else []
    if not names:
        raise LabError(
            f"neither {places[0]} nor an imported table of it is there: `nasbench-lab tables import` brings one"
        )
    return names


def stand_in() -> None:
    """From here on `import nats_bench` and `import nas_201_api` in this process bring the functions of this module.

    What the official package has besides (`genotype_utils`) is its own, where it is installed.
    """
    spec = (
        importlib.util.find_spec("nats_bench")
        if "nats_bench" not in sys.modules
        else sys.modules["nats_bench"].__spec__
    )
    package = ModuleType("nats_bench", __doc__)
    package.__path__ = list(spec.submodule_search_locations or ()) if spec else []
    shown: dict[str, Any] = {"create": create, "NATStopology": NATStopology, "NATSsize": NATSsize}
    vars(package).update(shown)
    sys.modules["nats_bench"] = package
    for name, base in (("api_topology", _BASES["tss"]), ("api_size", _BASES["sss"])):
        part = ModuleType(f"nats_bench.{name}")
        vars(part).update(shown, ALL_BASE_NAMES=[base])
        sys.modules[part.__name__] = part
        setattr(package, name, part)
    older = ModuleType("nas_201_api", __doc__)
    vars(older).update(NASBench201API=NASBench201API, ArchResults=ArchResults, ResultsCount=ResultsCount)
    sys.modules["nas_201_api"] = older


if __name__ == "__main__":  # a script, with its arguments
    if len(sys.argv) < 2:
        sys.exit("python -m nasbench_lab.interop.nats_bench SCRIPT.py [its arguments]")
    stand_in()
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
    runpy.run_path(sys.argv[0], run_name="__main__")
