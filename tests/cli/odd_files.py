"""The files that odd invocations name: strategies, studies, tables, results, and what is none of them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from nasbench_lab import api
from nasbench_lab.tables import catalog

STRATEGY = '''"""Draws at random."""
from dataclasses import dataclass
from nasbench_lab.core import Query, Strategy

@dataclass
class Mine(Strategy):
    """Draws at random."""
    level: int = 1

    def propose(self):
        {body}return Query(self.task.space.sample(self.rng), self.task.full)

    def observe(self, result):
        pass
'''
STUDY = 'strategies = ["random_search"]\nseeds = 2\n[[task]]\ntable = "toy"\nmax_queries = 3\n'
NAMES = ["a:b.py", "a(b.py", "a)b.py", "a=b.py", "a b.py", "a\nb.py", "a,b.py", "é.py", "a'b.py", "~.py", "-a.py"]
BODIES = {
    "prints.py": 'print("hello"); ', "exits.py": "raise SystemExit(0); ", "interrupts.py": "raise KeyboardInterrupt; ",
    "ends.py": "import os; os._exit(0); ", "raises.py": "1 / 0; ", "numpy.py": "import numpy; ", "recurses.py": "return self.propose(); ",
    "generator.py": "raise GeneratorExit; ", "warns.py": "import warnings; warnings.warn('look'); ", "memory.py": "raise MemoryError; ",
}  # fmt: skip
CSV = "index,digits/6/val,digits/6/test,digits/6/seconds\n" + "".join(
    f"{i},50.5,50.{i % 10},1.5\n" for i in range(15625)
)
PLAIN = ["results/done", "ok.toml", "ok.py", "table.csv", "toy"]
ODD = [
    *NAMES, *BODIES, "ok.py", "sub/ok.py", "./ok.py", "bom.py", "coding.py", "empty.py", "syntax.py", "null.py", "import_exits.py",
    "import_prints.py", "two.py", "gone.py", "folder.py", "helped.py", "ok.py:Mine", "ok.py:Other", "ok.py:level=2", "ok.py:level=x",
    "ok.toml", "bom.toml", "empty.toml", "binary.toml", "latin.toml", "folder.toml", "gone.toml", "nested.toml", "home.toml", "wrong.toml",
    "results/done", "results/done/", "results", "results/empty", "results/broken", "results/linked", "~/done", "table.csv", "bom.csv",
    "empty.csv", "binary", "dangling", "loop", "unreadable", "folder", "fifo", "binary.npz", "data/mine.npz", "data/._mine.npz",
    "data/gone.npz", "data/folder.npz", "empty.json", "ok.py/x", "x/../ok.py", "~", "~/", "~/new", "new/deep/er", "a\nb", "n (1)=:",
    "random_search:initial=1", "external:command=(true)", "external:command=(false)", "external:command=(cat)",
    "external:command=(no-such-program)", "external:command=(sh -c 'echo x')", "external:command=('unclosed)", "mine",
]  # fmt: skip


def make(place: Path) -> None:
    """All of them, in a new folder."""
    for folder in ("home", "data", "sub", "folder", "folder.py", "folder.toml", "data/folder.npz", "results/empty"):
        (place / folder).mkdir(parents=True)
    _strategies(place)
    _studies(place)
    _tables(place)
    for name in ("empty.json", "empty.csv"):
        (place / name).touch()
    (place / "binary").write_bytes(bytes(range(256)) * 20)
    shutil.copy(place / "binary", place / "binary.npz")
    (place / "dangling").symlink_to("nowhere")
    (place / "loop").symlink_to("loop")
    (place / "unreadable").write_text(STUDY)
    (place / "unreadable").chmod(0)
    done = place / "results/done"
    api.compare("random_search", "local_search", table="toy", seeds=2, max_queries=3, out=done)
    shutil.copytree(done, place / "home/done")
    shutil.copytree(done, place / "results/broken")
    (place / "results/broken/manifest.json").write_text("{}")
    (place / "results/linked").symlink_to("done")


def _strategies(place: Path) -> None:
    plain = STRATEGY.format(body="")
    for name in ("ok.py", "sub/ok.py", *NAMES):
        (place / name).write_text(plain)
    for name, body in BODIES.items():
        (place / name).write_text(STRATEGY.format(body=body))
    (place / "bom.py").write_bytes(b"\xef\xbb\xbf" + plain.encode())
    (place / "coding.py").write_bytes(
        b"# -*- coding: latin-1 -*-\n" + plain.replace("Draws", "Dräws").encode("latin-1")
    )
    (place / "null.py").write_bytes(plain.encode() + b"\0")
    (place / "empty.py").touch()
    (place / "syntax.py").write_text("def f(:\n")
    (place / "import_exits.py").write_text("raise SystemExit(0)\n" + plain)
    (place / "import_prints.py").write_text(plain + 'print("hello")\n')
    (place / "two.py").write_text(plain + plain.replace("Mine", "Other"))
    (place / "gone.py").symlink_to("nowhere.py")
    (place / "helper.py").write_text("LEVEL = 1\n")
    (place / "helped.py").write_text("import helper\n" + plain.replace("= 1", "= helper.LEVEL"))


def _studies(place: Path) -> None:
    (place / "ok.toml").write_text(STUDY)
    (place / "bom.toml").write_bytes(b"\xef\xbb\xbf" + STUDY.encode())
    (place / "empty.toml").touch()
    (place / "binary.toml").write_bytes(bytes(range(256)))
    (place / "latin.toml").write_bytes('title = "Dräw"\n'.encode("latin-1") + STUDY.encode())
    (place / "gone.toml").symlink_to("nowhere.toml")
    (place / "nested.toml").write_text("x = " + "[" * 5000)
    (place / "home.toml").write_text(STUDY.replace('"toy"', '"~/mine.npz"'))
    (place / "wrong.toml").write_text(STUDY.replace("seeds = 2", "seeds = 9999999999999999999999"))


def _tables(place: Path) -> None:
    (place / "table.csv").write_text(CSV)
    (place / "bom.csv").write_bytes(b"\xef\xbb\xbf" + CSV.encode())
    toy = catalog.load("toy")
    shutil.copy(catalog.EMBEDDED / "toy.npz", place / "home/mine.npz")
    shutil.copy(catalog.EMBEDDED / "toy.npz", place / "data/mine.npz")
    assert np.isfinite(toy.truth).all()
    (place / "data/._mine.npz").write_bytes(b"\0\5\26\7" + os.urandom(100))
    (place / "data/gone.npz").symlink_to("nowhere.npz")
