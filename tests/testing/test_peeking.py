"""Strategies that look where they must not: which are found, and which cannot be."""

from __future__ import annotations

import textwrap

import pytest
from conftest import Additive

from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.study import blind
from nasbench_lab.tables import catalog
from nasbench_lab.testing import peeking
from nasbench_lab.testing.checks import CheckFailed
from nasbench_lab.testing.strategy_kit import check_strategy

HEAD = """
import gc, inspect, json
from dataclasses import dataclass
from pathlib import Path
import numpy as np
import nasbench_lab
from nasbench_lab.core import Query
from nasbench_lab.strategies.baselines.random_search import RandomSearch

@dataclass
class Cheat(RandomSearch):
    def setup(self):
        super().setup()
        self.best = list(np.argsort(-self.peek())[:60])

    def propose(self):
        return Query(int(self.best.pop(0)), self.task.full)

"""
CHEATS = {
    "by name": """
        def peek(self):
            return nasbench_lab.load_table("toy").truth
    """,
    "by file": """
        def peek(self):
            file = Path(nasbench_lab.__file__).parent / "tables" / "data" / "toy.npz"
            with np.load(file) as archive:
                return archive["12/test"]
    """,
    "in the heap": """
        def peek(self):
            from nasbench_lab.tables.table import Table
            return [o for o in gc.get_objects() if type(o) is Table][-1].truth
    """,
    "up the stack": """
        def peek(self):
            for frame in inspect.stack():
                loop = frame.frame.f_locals.get("self")
                if hasattr(getattr(loop, "evaluator", None), "truth"):
                    return np.array([loop.evaluator.truth(a) for a in range(self.task.space.size)])
    """,
    "if it can": """
        def peek(self):
            try:
                return nasbench_lab.load_table("toy").truth
            except Exception:
                return self.rng.random(self.task.space.size)
    """,
    "by earlier results": """
        def peek(self):
            return np.array(json.loads((Path(__file__).parent / "leaderboard.json").read_text()))
    """,
}


def written(tmp_path, body) -> str:
    path = tmp_path / "cheat.py"
    path.write_text(HEAD + textwrap.indent(textwrap.dedent(body).strip(), "    ") + "\n")
    return str(path)


@pytest.mark.parametrize("name", CHEATS)
def test_a_strategy_that_looks_elsewhere_is_found(tmp_path, name):
    (tmp_path / "leaderboard.json").write_text(str(catalog.load("toy").truth.tolist()))
    found = peeking.peeks(written(tmp_path, CHEATS[name]), Tabular(catalog.load("toy")), max_queries=10)
    assert found
    assert any(words in found for words in ("opens ", "searches otherwise", "in a process that holds no table"))


def test_other_test_scores_alone_find_who_reads_the_table(tmp_path):
    spec = written(tmp_path, CHEATS["by name"])
    checks = {check.name: check for check in check_strategy(spec)}
    with pytest.raises(CheckFailed, match="where test scores are permuted: after 0 results cell"):
        checks["asks the same where test scores are permuted"]()
    with pytest.raises(CheckFailed, match=r"opens .*toy\.npz"):
        checks["asks the same in a process that holds no table"]()


@pytest.mark.parametrize(
    ("spec", "how"),
    [
        ("local_search", {}),
        ("asha", {"workers": 3}),
        ("nsga2", {"repeats": "free"}),
    ],
)
def test_who_reads_results_alone_is_not(spec, how):
    evaluator = Tabular(catalog.load("digits"), objectives=("val", "params_m"), noise=0.5)
    assert peeking.peeks(spec, evaluator, seed=3, **how) is None


def test_any_evaluator_can_be_asked_from_afar():
    assert peeking.peeks("random_search", Additive()) is None


def test_what_is_written_into_the_strategy_cannot_be_found(tmp_path):
    """The limit that README names."""
    best = catalog.load("toy").truth.argsort()[::-1][:60].tolist()
    body = f"def peek(self):\n    out = np.zeros(self.task.space.size)\n    out[{best}] = np.arange(60, 0, -1)\n    return out"
    assert peeking.peeks(written(tmp_path, body), Tabular(catalog.load("toy")), max_queries=10) is None


ENDS = """
import os, time
from dataclasses import dataclass
from nasbench_lab.strategies.baselines.random_search import RandomSearch

@dataclass
class Ends(RandomSearch):
    def setup(self):
        super().setup()
        if "nasbench_lab.tables.catalog" not in __import__("sys").modules:
            {line}
"""


@pytest.mark.parametrize(
    ("line", "words", "seconds"),
    [("os.kill(os.getpid(), 9)", "without a word", 60), ("time.sleep(99)", "not end in time", 4)],
)
def test_a_process_that_ends_or_hangs_is_told(tmp_path, line, words, seconds):
    path = tmp_path / "ends.py"
    path.write_text(ENDS.format(line=line))
    found = peeking.peeks(str(path), Additive(), max_queries=3, seconds=seconds)
    assert words in found


def test_the_seal_closes_tables_and_results_and_nothing_else(tmp_path):
    seal = blind.Seal((str(tmp_path / "tables"),))
    (tmp_path / "leaderboard.json").touch()
    for name in ("tables/toy.npz", "tables/official.pth", "runs/x.parquet", "leaderboard.json", "manifest.json"):
        with pytest.raises(PermissionError):
            seal("open", (str(tmp_path / name), "r", 0))
    for name in ("weights.pt", "own.npz", "own.parquet", "elsewhere/manifest.json", "tables/__init__.py"):
        seal("open", (str(tmp_path / name), "r", 0))
    seal("open", (3, "r", 0))
    seal("import", ("x",))
    assert len(seal.opened) == 5
