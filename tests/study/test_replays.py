"""Runs of somebody's strategies, repeated without tables: who is found, who is not, and what the board says of it."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import nasbench_lab
from nasbench_lab import loading
from nasbench_lab.cli.app import app
from nasbench_lab.evaluators.tabular import Tabular
from nasbench_lab.experiments.reproduce import reproduce
from nasbench_lab.files import sealed
from nasbench_lab.leaderboard import rebuild
from nasbench_lab.study import replays, runner
from nasbench_lab.tables import catalog

HEAD = """
import inspect, sys
from dataclasses import dataclass
import numpy as np
import nasbench_lab
from nasbench_lab.core import Query
from nasbench_lab.strategies.baselines.random_search import RandomSearch
KEPT = {}

@dataclass
class Mine(RandomSearch):
"""
BEST = "[int(a) for a in np.argsort(values)[-20:]]"
CHEATS = {
    "behaves while checked": f"""
        def setup(self):
            super().setup()
            self.best = []
            if "nasbench_lab.testing.strategy_kit" not in sys.modules and "nasbench_lab.study.blind" not in sys.argv[0]:
                try:
                    values = nasbench_lab.load_table("toy").truth
                    self.best = {BEST}
                except Exception:
                    pass
        def propose(self):
            return Query(self.best.pop(), self.task.full) if self.best else super().propose()
    """,
    "asks without being charged": f"""
        def setup(self):
            super().setup()
            self.best = []
        def propose(self):
            if not self.best:
                loops = [frame.frame.f_locals.get("self") for frame in inspect.stack()]
                answer = next(loop.evaluator.evaluate for loop in loops if hasattr(loop, "evaluator"))
                values = [answer(Query(a, self.task.full), 0).val for a in range(0, self.task.space.size, 50)]
                self.best = [50 * a for a in {BEST}]
            return Query(self.best.pop(), self.task.full)
    """,
    "learns from earlier runs": """
        def propose(self):
            return Query(KEPT.get("best", 17), self.task.full) if self.rng.random() < 0.2 else super().propose()
        def observe(self, result):
            super().observe(result)
            KEPT["best"] = result.query.arch
    """,
}
HONEST = """
    def propose(self):
        return Query(7, self.task.full) if self.rng.random() < 0.2 else super().propose()
"""


def written(tmp_path, body: str) -> str:
    path = tmp_path / "mine.py"
    path.write_text(HEAD + textwrap.indent(textwrap.dedent(body), "    "))
    return str(path)


def compared(tmp_path, strategies, **changes):
    """The board, what its manifest has of the first strategy, and its note on it."""
    out = tmp_path / "out"
    how = {"table": "toy", "seeds": 4, "max_queries": 12} | changes
    rows = nasbench_lab.compare(*strategies, out=out, **how)
    board = rebuild.again(out)  # looking runs nothing, and says the same
    assert list(rows.get("mark", pd.Series([None] * len(rows))).fillna("")) == marks(board)
    entry = json.loads((out / "manifest.json").read_text())["runs"][0]
    return board, entry.get("replayed"), next((note for note in board.notes if "of this package" in note), "")


def marks(board) -> list[str]:
    return [row.get("mark", "") for row in board.rows]


@pytest.mark.parametrize("name", CHEATS)
def test_who_needed_more_than_results_is_marked_on_the_board(tmp_path, name):
    board, found, note = compared(tmp_path, [written(tmp_path, CHEATS[name]), "local_search"])
    assert found["verdict"] == replays.DIFFERS, found
    assert sorted(marks(board)) == ["", "other records without tables"]
    assert "mine.py: not of this package, and a run is another" in note
    shown = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "(other records without tables)" in shown


def test_who_reads_results_alone_is_said_to_and_its_row_is_plain(tmp_path):
    spec = written(tmp_path, HONEST)
    board, found, note = compared(tmp_path, [spec, "random_search"], simulated_workers=3, repeats="free")
    assert found["verdict"] == replays.SAME, found
    assert len(found["seeds"]) == replays.SEEDS
    assert marks(board) == ["", ""]
    assert note.endswith("runs repeated where no table can be opened had the same records")


@pytest.mark.parametrize("name", ["digits", "errors"])
def test_who_knows_good_cells_beforehand_is_marked(tmp_path, monkeypatch, name):
    """In accuracies and in errors, of which the lower ones are better."""
    digits = catalog.load("digits")
    best = np.argsort(digits.truth)[-10:].tolist()
    if name == "errors":
        monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path))
        arrays = ("val", "val_trials", "test", "test_trials")
        turned = {
            last: replace(schedule, **{each: 100 - getattr(schedule, each) for each in arrays})
            for last, schedule in digits.schedules.items()
        }
        replace(digits, name=name, schedules=turned, better="lower").save(tmp_path / "errors.npz")
    body = f"""
        def propose(self):
            blind = self.rng.random() < 0.7
            return super().propose() if blind else Query(int(self.rng.choice({best})), self.task.full)
    """
    board, found, note = compared(tmp_path, [written(tmp_path, body)], table=name, max_queries=30)
    assert found["verdict"] == replays.KNOWS, found
    assert marks(board) == ["knows good cells beforehand"]
    assert "from a prior or from the table" in note


@pytest.mark.parametrize("spec", ["random_search", "regularized_evolution", "local_search"])
def test_where_answers_are_dealt_anew_a_search_finds_nothing(spec):
    """One that favours no cell meets a good one all the same in 5% of deals, so in all six in 1.6e-8 of cases."""
    evaluator, found = Tabular(catalog.load("digits")), []
    for deal in range(40):
        dealt = replays.Dealt(evaluator, np.random.default_rng(deal).permutation(evaluator.task.space.size))
        records = runner.search(loading.build("strategies", spec), dealt, seed=deal, max_queries=100).records
        found.append(replays._met_blindly({record.result.query.arch for record in records}, evaluator.table.truth))
    assert (
        np.mean(np.array(found) <= 0.05) < 0.3
    )  # 0.02 to 0.07 of 100 deals; of 40, 0.3 is exceeded once in 10 million


def test_strategies_of_this_package_are_not_repeated(tmp_path):
    board, found, note = compared(tmp_path, ["random_search"])
    assert found is None
    assert note == ""
    assert "mark" not in board.columns


def test_what_came_of_it_is_kept_while_records_are_the_same(tmp_path, monkeypatch):
    spec = written(tmp_path, HONEST)
    first = compared(tmp_path, [spec])[1]
    monkeypatch.setattr(replays, "compared", lambda *_: pytest.fail("repeated again"))
    assert compared(tmp_path, [spec])[1] == first
    again, heard = (
        ["compare", spec, "--table", "toy", "--max-queries", "12", "--out", str(tmp_path / "out")],
        "are repeated where",
    )
    assert heard not in CliRunner().invoke(app, [*again, "--seeds", "4"]).stderr
    monkeypatch.setattr(replays, "compared", lambda *_: ("not done", "why not"))
    assert heard in CliRunner().invoke(app, [*again, "--seeds", "5"]).stderr
    board, found, _ = compared(tmp_path, [spec], seeds=5)
    assert found["verdict"] == replays.NOT_DONE
    assert marks(board) == [replays.UNCHECKED]


def test_a_row_of_which_nothing_is_stored_is_not_checked(tmp_path):
    compared(tmp_path, [written(tmp_path, HONEST)])
    manifest = tmp_path / "out" / "manifest.json"
    content = json.loads(manifest.read_text())
    del content["runs"][0]["replayed"], content[sealed.KEY]
    manifest.write_text(json.dumps(sealed.seal(content)))
    assert marks(rebuild.again(tmp_path / "out")) == [replays.UNCHECKED]


def test_a_file_that_a_strategy_reads_is_named(tmp_path):
    (tmp_path / "weights.json").write_text("[3, 5]")
    body = """
        def propose(self):
            from pathlib import Path
            import json
            weights = json.loads((Path(__file__).parent / "weights.json").read_text())
            return Query(weights[0], self.task.full)
    """
    board, found, _ = compared(tmp_path, [written(tmp_path, body)])
    assert found["reads"] == ["weights.json"]
    assert any(note.endswith("reads weights.json; nobody checked what is in there") for note in board.notes)


NOTEBOOK = """
from dataclasses import dataclass
import nasbench_lab
from nasbench_lab.core import Query
from nasbench_lab.strategies.baselines.random_search import RandomSearch
table = nasbench_lab.load_table("toy")

@dataclass
class Carrying(RandomSearch):
    def propose(self):
        return Query(int(table.truth.argmax()), self.task.full)

@dataclass
class Plain(RandomSearch):
    pass
"""


def test_objects_are_repeated_too_and_a_table_they_carry_is_found(tmp_path):
    names: dict[str, object] = {"__name__": "__main__"}
    exec(NOTEBOOK, names)
    board, found, _ = compared(tmp_path, [names["Carrying"], names["Plain"]])
    assert found["verdict"] == replays.DIFFERS
    assert "table toy" in found["why"]
    assert {row["strategy"]: row.get("mark", "") for row in board.rows} == {
        "Carrying": "other records without tables",
        "Plain": "",
    }


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"evaluator": "training"}, "trained for real"), ({"strategies": ("external:command=(x)",)}, "program")],
)
def test_what_cannot_be_repeated_is_not_checked(changes, why):
    class Text:
        spec, given, header = changes.get("strategies", ("mine.py",))[0], False, {"class": "Mine"}

        class task:
            trains = "evaluator" in changes

    verdict, said = replays._repeated(Text, None, [0])
    assert verdict == replays.NOT_DONE
    assert why in said


def test_a_verdict_that_was_edited_is_not_reproduced(tmp_path):
    compared(tmp_path, [written(tmp_path, CHEATS["asks without being charged"])], seeds=2, max_queries=5)
    manifest = tmp_path / "out" / "manifest.json"
    content = json.loads(manifest.read_text())
    content["runs"][0]["replayed"] |= {"verdict": "same", "why": ""}
    content["notes"] = []
    del content[sealed.KEY]
    manifest.write_text(json.dumps(sealed.seal(content)))
    rebuild.again(tmp_path / "out")
    found = [each for each in reproduce(tmp_path / "out", trusted=None) if each.verdict != "same"]
    assert any("replayed, verdict: 'same' then, 'differs' now" in each.reason for each in found), found
    assert any(each.id == "leaderboard.json" for each in found)
