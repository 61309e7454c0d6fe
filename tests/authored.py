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


WAYS = {  # what is imported, where the strategy is, where its helper is, top, inside, pick
    "import": ("my.py", "helper.py", "import helper", "pass", "helper.pick()"),
    "sibling": ("my.py", "helper.py", "from . import helper", "pass", "helper.pick()"),
    "sibling's name": ("my.py", "helper.py", "from .helper import pick", "pass", "pick()"),
    "parent's": ("strategies/my.py", "lib/helper.py", "from ..lib import helper", "pass", "helper.pick()"),
    "package": (
        "package/strategies/my.py",
        "package/lib/helper.py",
        "from package.lib import helper",
        "pass",
        "helper.pick()",
    ),
    "package's own": ("my.py", "helper/__init__.py", "import helper", "pass", "helper.pick()"),
    "later": ("my.py", "helper.py", "", "from helper import pick", "pick()"),
    "later, sibling": ("my.py", "helper.py", "", "from . import helper", "helper.pick()"),
    "by name": ("my.py", "lib/helper_a.py", "PATH\nhelper = import_module('helper_a')", "pass", "helper.pick()"),
    "by computed name": (
        "my.py",
        "lib/helper_b.py",
        "PATH",
        "helper = import_module('helper' + '_b')",
        "helper.pick()",
    ),
    "executed": (
        "my.py",
        "lib/helper.txt",
        "namespace = {}\nexec(Path(__file__).with_name('lib').joinpath('helper.txt').read_text(), namespace)",
        "pass",
        "namespace['pick']()",
    ),
    "data": ("my.py", "cell.txt", "", "cell = int(Path(__file__).with_name('cell.txt').read_text())", "cell"),
}


def write(helper: Path, cell: int) -> None:
    helper.write_text(str(cell) if helper.name == "cell.txt" else HELPER.format(cell=cell))


def project(folder: Path, way: str) -> tuple[Path, Path]:
    """A strategy's file and its helper's."""
    file, helper, top, inside, pick = WAYS[way]
    path = f"from importlib import import_module\nsys.path.insert(0, {str(folder / 'lib')!r})"
    for name in (file, helper):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    if way == "package":
        for package in ("package", "package/strategies", "package/lib"):
            (folder / package / "__init__.py").write_text("")
    (folder / file).write_text(STRATEGY.format(top=top.replace("PATH", path), inside=inside, pick=pick))
    write(folder / helper, 7)
    return folder / file, folder / helper


def compared(*strategies, out, **options):
    """The cell that every strategy ends with, by its name on the board."""
    frame = nasbench_lab.compare(
        *strategies, table="toy", seeds=2, max_queries=2, out=out, **({"search": "oracle"} | options)
    )
    return dict(zip(frame["strategy"], frame["test_mean"], strict=True))


def truth(toy, cell):
    return pytest.approx(float(toy.truth[cell]))
