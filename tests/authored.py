"""Strategies as authors write them, with helpers beside them, for tests of what their runs depend on."""

from __future__ import annotations

from pathlib import Path

import pytest

import nasbench_lab

STRATEGY = '''"""Mine: the cell that a helper picks."""
import sys
from pathlib import Path
from dataclasses import dataclass
from nasbench_lab import Query, Strategy
{top}

@dataclass
class Mine(Strategy):
    offset: int = 0

    def propose(self):
        {inside}
        return Query({pick} + self.offset, self.task.full)

    def observe(self, result):
        pass
'''
HELPER = "def pick():\n    return {cell}\n"


def write(helper: Path, cell: int) -> None:
    helper.write_text(str(cell) if helper.name == "cell.txt" else HELPER.format(cell=cell))


def compared(*strategies, out, **options):
    """The cell that every strategy ends with, by its name on the board."""
    frame = nasbench_lab.compare(
        *strategies, table="toy", seeds=2, max_queries=2, out=out, **({"search": "oracle"} | options)
    )
    return dict(zip(frame["strategy"], frame["test_mean"], strict=True))


def truth(toy, cell):
    return pytest.approx(float(toy.truth[cell]))
