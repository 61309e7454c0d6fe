"""`tables fetch transnas`: TransNAS-Bench-101 (Duan et al., CVPR 2021), both spaces, from one file for each task.

The files are NASGraph-Public's extracts: no curves, every metric its own maximum over the epochs, so that test scores
are optimistic (`formats.transnas` reads them).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nasbench_lab.tables.fetching.published import File, Report, chosen, obtain
from nasbench_lab.tables.formats import transnas
from nasbench_lab.tables.table import Table

_AT = ("Zhenhan-Huang/NASGraph-Public", "1f8fd621c60a48728fcc890818b6b94eee62e4dc")
_PUBLISHED = {
    "class_scene": (1280269, "fd314559c718b389bce78571e4e506fb89f5a66ece6e776e593f3ac180cee469"),
    "class_object": (1280886, "27490b4cf814237272eff729732f24f92f617bc907192b18f2cb2af6542b6bc3"),
    "jigsaw": (1266139, "8a1c2adb7877f9f982c3848c2d8d3260b2a01c8e70ec2c2c8e02cc065deced2d"),
    "room_layout": (953332, "43030a7d92972dcfb61881db26bb6e4b5309d19c2738ebc1422fe808792b86b1"),
    "segmentsemantic": (1318267, "35d9aefa0f0b56cf6727d7a0f6073e7bbfdd5d957a62df16ece2be010b123cff"),
    "normal": (945923, "b3e465c7a519324d4390c090d179110e5d64bbf1c2374f0251aa0bd71ce5eec7"),
    "autoencoder": (950690, "17888f4fc25b54ba2c62dc011f952e212337aa16fa75fb5447306e1157b7fcdc"),
}
FILES = {
    task: File(*_AT, f"data/transbench101_{task}.csv", size, sha256, "Apache-2.0")
    for task, (size, sha256) in _PUBLISHED.items()
}
DATASETS = tuple(FILES)


def fetch(datasets: Sequence[str], cache: Path, *, origin: str = "", progress: Report | None = None) -> list[Table]:
    """Two tables for each task; arguments as for `nb201.fetch`.

    Raises:
        LabError: an unknown task, a file that cannot be had or is not the published one, nowhere to write.
    """
    wanted = chosen(FILES, datasets)
    paths = obtain(wanted, cache, origin, progress)
    return [
        table
        for task, path in paths.items()
        for table in transnas.read(path, task=task, source=f"{_AT[0]}@{_AT[1][:12]}/{wanted[task].path}")
    ]
