"""NAS-Bench-Macro as its authors publish it: JSON, eight ternary digits -> three test accuracies, params and flops.

There is no validation and no time: search sees one of the three runs, the score is the mean of the others (`brought`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from nasbench_lab.core import LabError
from nasbench_lab.files import bounded
from nasbench_lab.spaces import named
from nasbench_lab.tables.table import Table

RUNS = ("test_acc_run1", "test_acc_run2", "test_acc_run3")
_LONGEST = 1 << 24  # bytes; the file has 1.2 million


def read(path: Path, *, source: str = "", licence: str = "") -> Table:
    """The table of the file.

    Raises:
        LabError: unreadable, or not such a file.
    """
    try:
        content = bounded.parsed(bounded.text(path, _LONGEST))
        rows = [_row(digits, entry) for digits, entry in content.items()]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise LabError(f"{path} is not the file of NAS-Bench-Macro: {error!r}"[:300]) from error
    space = named.nas_bench_macro()
    decisions = [each.name for each in space.decisions]
    table = Table.from_frame(
        pd.DataFrame(rows), name="nas-bench-macro", decisions=decisions, test=RUNS, metrics=["params", "flops"], unit="%",
        space=space, source=source or f"imported from {path.name}", licence=licence or "Apache-2.0",
    )  # fmt: skip
    title = "NAS-Bench-Macro (Su et al. 2021) on CIFAR-10: three runs, test accuracies alone"
    return table.described(title, "cifar10")


def _row(digits: str, entry: dict[str, Any]) -> dict[str, Any]:
    if len(digits) != 8 or len(entry["test_acc"]) != len(RUNS):
        raise ValueError(f"entry {digits[:20]!r} is not eight digits with three accuracies")
    labels = {f"stage_{i + 1}": named.BLOCKS[int(digit)] for i, digit in enumerate(digits)}
    runs = dict(zip(RUNS, map(float, entry["test_acc"]), strict=True))
    return labels | runs | {"params": float(entry["params"]), "flops": float(entry["flops"])}
