"""`tables fetch macro`: NAS-Bench-Macro (Su et al., ICLR 2021), CIFAR-10, from its authors' file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nasbench_lab.tables.fetching.published import File, Report, chosen, obtain
from nasbench_lab.tables.formats import nas_bench_macro
from nasbench_lab.tables.table import Table

FILES = {
    "cifar10": File(
        "xiusu/NAS-Bench-Macro",
        "61a2bfc2ca0dce04d0997e6cf498047c27d6acf2",
        "data/nas-bench-macro_cifar10.json",
        1178821,
        "686dee8363cc21cca8c1f321ad5749454f2d9b9ca5972682e137e539bc522297",
        "Apache-2.0",
    )
}
DATASETS = tuple(FILES)


def fetch(datasets: Sequence[str], cache: Path, *, origin: str = "", progress: Report | None = None) -> list[Table]:
    """The table; arguments as for `nb201.fetch`.

    Raises:
        LabError: an unknown dataset, a file that cannot be had or is not the published one, nowhere to write.
    """
    wanted = chosen(FILES, datasets)
    paths = obtain(wanted, cache, origin, progress)
    return [
        nas_bench_macro.read(paths[name], source=f"{file.repository}@{file.commit[:12]}/{file.path}")
        for name, file in wanted.items()
    ]
