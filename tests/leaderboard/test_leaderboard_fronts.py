from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest
from conftest import Additive

from nasbench_lab.cli import screen
from nasbench_lab.core import Query, Strategy
from nasbench_lab.leaderboard import parts, ranking, wording, written
from nasbench_lab.leaderboard.front_scores import Reached, target_of
from nasbench_lab.leaderboard.parts import Entry, Setting
from nasbench_lab.stats import progress
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.multi_objective.nsga2 import Nsga2
from nasbench_lab.study import store
from nasbench_lab.study.runner import search

OBJECTIVES = ("val", "latency_ms/x")


class Costly(Additive):
    """`Additive` with a latency that grows faster than what it buys, so that the best cell is a small part of the front."""

    def __init__(self):
        super().__init__((4, 4, 4))
        self.task = type(self.task)(self.task.space, self.task.fidelities, OBJECTIVES)
        self.latency = 1.0 + self.val**3

    def evaluate(self, query, seed):
        return super().evaluate(query, seed)._replace(metrics={"latency_ms/x": float(self.latency[query.arch])})


class OneCell(Strategy):
    """Knows the best cell by accuracy, and asks for nothing else."""

    def propose(self):
        return Query(int(np.argmax(Costly().val)), self.task.full)

    def observe(self, result):
        pass


def setting_of(front=True, **changes):
    made = Costly()
    target = target_of(made.val, {"latency_ms/x": made.latency}, OBJECTIVES) if front else None
    values = {
        "table": "a", "score": "b", "kind": "measured", "search": "9", "max_queries": 15, "max_seconds": 200.0,
        "policy": "", "seen": made.val, "truth": made.val, "front": target, "full": 9,
    }  # fmt: skip
    return Setting(**(values | changes))


def entries_of(setting, tmp_path, seeds=24):
    found = []
    for make in (OneCell, RandomSearch, lambda: Nsga2(population=4)):
        path = tmp_path / f"{len(found)}.parquet"
        store.write(path, {}, {s: search(make(), Costly(), seed=s, max_queries=15) for s in range(seeds)}, OBJECTIVES)
        found.append(Entry(setting, f"s{len(found)}", store.read(path)))
    return found


@pytest.fixture
def made(tmp_path):
    setting = setting_of()
    entries = entries_of(setting, tmp_path)
    return ranking.build("Title", entries), entries, setting


def test_rows_are_ranked_by_hypervolume_not_by_test_accuracy(made):
    board, entries, setting = made
    means = {e.strategy: Reached(e.runs, setting.front, 9).hypervolume.mean() for e in entries}
    assert [row["strategy"] for row in board.rows] == sorted(means, key=lambda name: -means[name])
    assert [row["rank"] for row in board.rows] == [1, 2, 3]
    assert board.rows[-1]["strategy"] == "s0"
    assert board.rows[-1]["test_mean"] == max(row["test_mean"] for row in board.rows)
    for row in board.rows:
        assert row["hypervolume_mean"] == pytest.approx(means[row["strategy"]])
        assert row["hypervolume_lo"] <= row["hypervolume_mean"] <= row["hypervolume_hi"]


def test_mean_ranks_are_of_hypervolume(made):
    board, entries, setting = made
    shares = np.stack([Reached(e.runs, setting.front, 9).hypervolume for e in entries], axis=1)
    expected = dict(zip((e.strategy for e in entries), progress.mean_ranks(shares), strict=True))
    assert {row["strategy"]: row["rank_mean"] for row in board.rows} == pytest.approx(expected)


def test_curves_have_the_hypervolume_over_queries_and_seconds(made):
    board, _, _ = made
    own = board.curves[board.curves["strategy"] == "s1"]
    assert set(own["axis"]) == {"queries", "seconds"}
    for axis in ("queries", "seconds"):
        shares = own[own["axis"] == axis]["hypervolume_mean"].to_numpy()
        assert (np.diff(shares) >= -1e-12).all()
    last = own[own["axis"] == "queries"].iloc[-1]
    row = next(row for row in board.rows if row["strategy"] == "s1")
    assert last["hypervolume_mean"] == pytest.approx(row["hypervolume_mean"])


def test_page_json_csv_and_terminal_show_it(made, capsys, tmp_path):
    board, _, setting = made
    page = wording.to_markdown(board)
    assert "| rank | strategy | hypervolume share | 95% interval | test % |" in page
    assert f"{setting.front.size} points and normalised hypervolume {setting.front.possible:.5f}, of which" in page
    assert "ranked by it" in page
    content = json.loads(written.to_json(board))
    assert list(content["columns"])[-3:] == list(parts.FRONT_COLUMNS)
    assert content["references"][0]["front_hypervolume"] == pytest.approx(setting.front.possible)
    header = next(csv.reader(io.StringIO(board.frame().to_csv(index=False))))
    assert header == [*parts.COLUMNS, *parts.FRONT_COLUMNS]
    screen.show(board, tmp_path, as_json=False)
    shown = capsys.readouterr().out
    assert "share" in shown
    assert f"{board.rows[0]['hypervolume_mean']:.4f}" in shown


def test_one_objective_is_shown_as_ever(tmp_path):
    setting = setting_of(front=False)
    board = ranking.build("Title", entries_of(setting, tmp_path, seeds=3))
    assert all(set(row) == set(parts.COLUMNS) for row in board.rows)
    assert board.columns == parts.COLUMNS
    assert not [name for name in board.curves if "hypervolume" in name]
    assert "ypervolume" not in wording.to_markdown(board) + written.to_json(board)


def test_settings_with_and_without_a_front_share_a_board(made, tmp_path):
    _, entries, _ = made
    single = setting_of(front=False, table="c", max_seconds=math.inf)
    board = ranking.build("Title", [*entries, *(Entry(single, e.strategy, e.runs) for e in entries)])
    assert board.frame()["hypervolume_mean"].isna().tolist() == [False] * 3 + [True] * 3
    assert wording.to_markdown(board).count("| hypervolume share |") == 1
