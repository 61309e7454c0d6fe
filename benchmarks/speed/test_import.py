"""Import of official files: records a second, seconds for all, peak memory. `nox -s bench` runs it.

The folder is made outside the repository by repeating the three real records under other names and strings; a few
hundred records are measured and 15,625 extrapolated: time by the rate between two sizes, so that what is paid once (the
arrays, starting processes) counts once. Needs ../shared/data; skipped where it is absent.
"""

from __future__ import annotations

import bz2
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nasbench_lab.spaces import cell

REAL = Path(__file__).parents[3] / "shared" / "data" / "official" / "NATS-tss-v1_0-3ffb9-simple"
FEW, MANY = 240, 720
ALL = 15_625
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data/official")

# In a process of its own, so that peak memory is that of the import: this process's and its readers'.
PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from nasbench_lab.tables import importing
begin = time.perf_counter()
found = importing.read(Path(sys.argv[1]), workers=int(sys.argv[2]))
done = time.perf_counter() - begin
if sys.argv[2] != "1":  # readers are seen once they have ended
    from joblib.externals.loky import get_reusable_executor
    get_reusable_executor().shutdown(wait=True)
own = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss outlives exec
kb = int(own), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"seconds": done, "cells": int(found.tables[0].measured.sum()), "mb": kb[0] / 1024, "reader_mb": kb[1] / 1024}))
"""


def renamed(record: dict[str, Any], arch: int) -> dict[str, Any]:
    """A real record as another cell's."""
    for state in record.values():
        state["arch_index"], state["arch_str"] = arch, cell.to_string(arch)
    return record


@pytest.fixture(scope="module")
def folders() -> Iterator[dict[int, Path]]:
    """By number of records."""
    contents = [bz2.decompress((REAL / f"{arch:06d}.pickle.pbz2").read_bytes()) for arch in (0, 11, 284)]
    with tempfile.TemporaryDirectory(prefix="nasbench_lab_import_") as place:
        for count in (FEW, MANY):
            folder = Path(place) / str(count)
            folder.mkdir()
            for arch in range(count):
                record = renamed(pickle.loads(contents[arch % 3]), arch)  # noqa: S301 - ours would make equal strings one
                (folder / f"{arch:06d}.pickle.pbz2").write_bytes(bz2.compress(pickle.dumps(record, 4)))
        yield {count: Path(place) / str(count) for count in (FEW, MANY)}


def imported(path: Path, workers: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), str(workers)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.benchmark(group="import of the fast-mode folder (marks for 15,625 records: 8 minutes, 1.5 GB)")
@pytest.mark.parametrize("workers", [1, 2])
def test_fast_mode_folder(benchmark, folders: dict[int, Path], workers: int) -> None:
    few = imported(folders[FEW], workers)
    many = benchmark.pedantic(imported, args=(folders[MANY], workers), rounds=1)
    rate = (MANY - FEW) / (many["seconds"] - few["seconds"])
    benchmark.extra_info |= {
        "records_per_second": round(rate, 1),
        "minutes_for_all": round((many["seconds"] + (ALL - MANY) / rate) / 60, 2),
        "peak_mb": round(many["mb"]),
        "peak_mb_of_a_reader": round(many["reader_mb"]) if workers > 1 else 0,
    }
    assert many["cells"] == MANY


@pytest.mark.benchmark(group="import of the single file")
@pytest.mark.parametrize("format", ["pickle.pbz2", "pth"])
def test_single_file(benchmark, folders: dict[int, Path], format: str) -> None:
    """Peak memory grows with the pickle's memo, which must outlive the records; the rest is the arrays."""
    found = {}
    for count in (FEW, MANY):
        paths = sorted(folders[count].glob("0*.pickle.pbz2"))
        infos = {int(path.name[:6]): pickle.loads(bz2.decompress(path.read_bytes())) for path in paths}  # noqa: S301 - as above
        whole: dict[str, Any] = {
            "meta_archs": [cell.to_string(arch) for arch in range(ALL)],
            "arch2infos": infos,
            "evaluated_indexes": set(infos),
        }
        path = folders[count].with_suffix(f".{format}")
        if format == "pth":
            import torch

            whole["arch2infos"] = {arch: {"less": r["12"], "full": r["200"]} for arch, r in infos.items()}
            torch.save(whole, path, _use_new_zipfile_serialization=False)
        else:
            path.write_bytes(bz2.compress(pickle.dumps(whole, 4)))
        if count == FEW:
            found[count] = imported(path, 1)
        else:
            found[count] = benchmark.pedantic(imported, args=(path, 1), rounds=1)
    seconds, mb = ((found[MANY][name] - found[FEW][name]) / (MANY - FEW) for name in ("seconds", "mb"))
    benchmark.extra_info |= {
        "records_per_second": round(1 / seconds, 1),
        "minutes_for_all": round((found[MANY]["seconds"] + (ALL - MANY) * seconds) / 60, 2),
        "peak_mb": round(found[MANY]["mb"]),
        "peak_mb_for_all": round(found[MANY]["mb"] + (ALL - MANY) * mb),
    }
    assert found[MANY]["cells"] == MANY
