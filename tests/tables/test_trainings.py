"""Search and score from different trainings of a cell, end to end: the table, the evaluator, the board, the command."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nasbench_lab
from nasbench_lab.core import LabError, Query
from nasbench_lab.evaluators.tabular import Tabular, score_of
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog, trainings
from nasbench_lab.tables.schedule import Schedule, known_mean
from nasbench_lab.tables.table import Table

CLASSES = cell.SPACE.classes


def lucky(cells: int = cell.CLASSES, share: float = 0.9, seed: int = 0, trials: int = 3) -> Table:
    """A measured table whose trainings are lucky in validation and test alike; every third class has a training less."""
    rng = np.random.default_rng(seed)
    level = 80 - rng.gamma(2.0, 1.5, cells)
    luck = rng.normal(size=(cells, trials))
    val = level[:, None] + luck
    test = level[:, None] + share * luck + np.sqrt(1 - share**2) * rng.normal(size=luck.shape)
    for values in (val, test):
        values[::3, 2:] = np.nan
    schedule = Schedule(
        epochs=(3,),
        val=known_mean(val)[CLASSES, None],
        val_trials=val[CLASSES, None, :],
        test=known_mean(test)[CLASSES],
        test_trials=test[CLASSES],
        seconds=np.ones((len(CLASSES), 1)),
    )
    about = {"kind": "measured", "rows": "class", "seeds": {str(s): cells for s in range(trials)}}
    return Table("lucky", {3: schedule}, {}, about).check()


@pytest.fixture(scope="module")
def table() -> Table:
    return lucky()


def test_what_answers_a_run_does_not_score_it(table):
    evaluator = Tabular(table, trials="split")
    for seed in range(5):
        scores = evaluator.scores(seed)
        for arch in range(0, 15625, 1201):
            val = evaluator.evaluate(Query(arch, 3), seed).val
            seen = int(np.flatnonzero(table.last.val_trials[arch, 0] == val)[0])
            others = np.delete(table.last.test_trials[arch], seen)
            assert scores[arch] == pytest.approx(np.nanmean(others))
            assert scores[arch] == score_of(evaluator, arch, seed)
    assert evaluator.truth(7) == table.truth[7]
    assert np.isin(np.round(evaluator.scores(3), 9), np.round(evaluator.held_out, 9)).all()


def test_every_training_answers_equally_often(table):
    found = trainings.of(table, table.last)
    drawn = np.stack([trainings.drawn(found.known, seed) for seed in range(300)])
    full = found.known.all(axis=1)
    counts = np.stack([(drawn[:, full] == k).mean() for k in range(3)])
    assert np.abs(counts - 1 / 3).max() < 5 * np.sqrt(2 / 9 / drawn[:, full].size)
    assert not (drawn[:, ~full] == 2).any()  # the training that was not run never answers


def test_luck_that_search_and_score_share_is_not_scored(table):
    """The best of all cells by one training: its own test is too high by its luck, the others' tests are not."""
    noise = trainings.noise(table)
    assert noise is not None
    shared, split = [], []
    for seed in range(20):
        evaluator = Tabular(table, trials="split")
        values, _ = evaluator.evaluate_many(np.arange(15625), 3, seed)
        best = int(np.argmax(values))
        own = int(np.flatnonzero(table.last.val_trials[best, 0] == values[best])[0])
        shared.append(table.last.test_trials[best, own] - noise.level[best])
        split.append(evaluator.scores(seed)[best] - noise.level[best])
    assert np.mean(shared) > 1.5  # of a luck whose standard deviation is 1, the largest of thousands
    assert abs(np.mean(split)) < 0.7


def test_equal_cells_share_their_trainings_so_one_is_drawn_for_all(table):
    """Else a search that meets a class twice would be scored on a training that it asked for."""
    evaluator = Tabular(table, trials="split")
    for seed in range(3):
        values, scores = evaluator.evaluate_many(np.arange(15625), 3, seed)[0], evaluator.scores(seed)
        for array in (values, scores):
            assert np.array_equal(array, array[cell.SPACE.representatives])


def test_searching_a_class_again_and_again_gains_nothing(table):
    """The luckiest answer among a class's members is no luckier, and its score no unluckier, than any."""
    several, lost = np.flatnonzero(np.bincount(CLASSES) >= 6), []
    means = trainings.noise(table).repeated.means
    for seed in range(10):
        evaluator = Tabular(table, trials="split")
        values, scores = evaluator.evaluate_many(np.arange(15625), 3, seed)[0], evaluator.scores(seed)
        for number in several[:200]:
            members = np.flatnonzero(number == CLASSES)
            best = members[np.argmax(values[members])]
            lost.append(scores[best] - means[number])
    assert abs(np.mean(lost)) < 4 * np.std(lost) / np.sqrt(len(lost))


def test_one_objective_is_split_by_default_and_several_are_not(table):
    metrics = {"params_m": cell.params_m("cifar10")[cell.SPACE.representatives]}
    own = replace(table, metrics=metrics, about={**table.about, "default_trials": "split"})
    assert Tabular(own, objectives=("val", "params_m")).trials == "mean"
    assert Tabular(own).trials == "split"


def test_what_a_search_could_see_is_the_mean_of_what_may_answer_it():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame([(a, b) for a in range(8) for b in range(8)], columns=["a", "b"])
    frame = frame.assign(**{f"v{i}": 80 + rng.normal(size=64) for i in range(3)})
    brought = Table.from_frame(frame, name="brought", decisions=["a", "b"], val=["v0", "v1", "v2"], unit="%")
    evaluator = Tabular(brought, trials="split")
    assert np.allclose(evaluator.seen, frame[["v0", "v1", "v2"]].mean(axis=1))
    noise = trainings.noise(brought, evaluator.split)
    assert noise.repeated.trials.shape == (64, 3)


def test_a_table_may_say_that_it_is_split(table):
    own = replace(table, about={**table.about, "default_trials": "split"})
    assert Tabular(own).trials == "split"
    assert Tabular(own, trials="mean").trials == "mean"
    assert Tabular(own, search="oracle").trials == "mean"
    assert Tabular(table).trials == "mean"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda t: Tabular(catalog.load("toy"), trials="other"), "must be 'mean', 'sample' or 'split', got 'other'"),
        (lambda t: Tabular(t, trials="split", search="oracle"), "not with search='oracle'"),
        (lambda t: Tabular(t, trials="split", search="all"), "not with search='all'"),
        (lambda t: Tabular(lucky(trials=1), trials="split"), "fewer than two trainings"),
        (
            lambda t: Tabular(replace(t, about={**t.about, "seeds": {"3": {"val": ["a", "b", "c"]}}}), trials="split"),
            "which validation and which test score are of one training",
        ),
        (
            lambda t: Tabular(replace(t, about={"kind": "measured", "rows": "class"}), trials="split"),
            "which validation and which test score are of one training",
        ),
    ],
)
def test_what_cannot_be_split_is_refused(table, make, said):
    with pytest.raises(LabError, match=said):
        make(table)


def test_noise_is_of_rows_trained_apart(table):
    noise = trainings.noise(table)
    assert noise is not None
    assert len(noise.repeated.means) == cell.CLASSES
    assert np.array_equal(noise.row, CLASSES)
    assert noise.repeated.sd == pytest.approx(np.ones(cell.CLASSES), rel=0.25)
    assert trainings.noise(catalog.load("toy")) is None  # made up: no training was ever run


@pytest.fixture(scope="module")
def board(table, tmp_path_factory):
    folder = tmp_path_factory.mktemp("split")
    table.save(folder / "lucky.npz")
    names = ["random_search", "local_search"]
    table_ = str(folder / "lucky.npz")
    made = nasbench_lab.compare(*names, table=table_, trials="split", seeds=20, max_queries=30, out=folder / "out")
    return made, folder


def test_a_board_scores_runs_on_what_they_did_not_search(table, board):
    made, folder = board
    evaluator = Tabular(table, trials="split")
    content = json.loads((folder / "out" / "leaderboard.json").read_text())
    for row in content["rows"]:
        scores = []
        for seed in range(20):
            frame = nasbench_lab.search(row["strategy"], table, seed=seed, trials="split", max_queries=30)
            last = int(frame["incumbent"].iloc[-1])
            scores.append(evaluator.scores(seed)[last])
            assert frame["incumbent_test"].iloc[-1] == scores[-1]
        assert row["test_mean"] == pytest.approx(np.mean(scores))
        assert row["policy"] == "trials=split"
        assert row["reached_optimum"] is None  # no optimum is known beyond noise
    pair = content["tests"][0]["pairs"][0]
    assert 0 < pair["table_sd"] < 1
    text = (folder / "out" / "leaderboard.md").read_text()
    assert "scored on trainings that they did not search" in text
    assert "The table's own noise" in text


def test_the_tables_noise_is_what_a_bootstrap_over_trainings_comes_to(table, board):
    """Differences of two strategies over tables measured anew, for the cells they ended with."""
    _, folder = board
    pair = json.loads((folder / "out" / "leaderboard.json").read_text())["tests"][0]["pairs"][0]
    ends = {}
    for name in (pair["one"], pair["other"]):
        frames = [nasbench_lab.search(name, table, seed=s, trials="split", max_queries=30) for s in range(20)]
        ends[name] = np.array([int(frame["incumbent"].iloc[-1]) for frame in frames])
    rng, drawn = np.random.default_rng(0), []
    evaluator = Tabular(table, trials="split")
    numbers = np.unique(CLASSES[np.concatenate(list(ends.values()))])
    weights = {
        name: [evaluator.split.shares_of(seed, CLASSES[arch]) for seed, arch in enumerate(cells)]
        for name, cells in ends.items()
    }
    for _ in range(1500):
        luck = {int(number): rng.normal(size=3) for number in numbers}  # the table was made with noise of 1
        means = []
        for name in (pair["one"], pair["other"]):
            own = [counted @ luck[int(CLASSES[arch])] for counted, arch in zip(weights[name], ends[name], strict=True)]
            means.append(np.mean(own))
        drawn.append(means[0] - means[1])
    assert pair["table_sd"] == pytest.approx(np.std(drawn), rel=0.2)


@given(st.integers(0, 2**63 - 1), st.lists(st.integers(0, cell.SPACE.size - 1), min_size=1, max_size=40), st.booleans())
def test_some_cells_are_drawn_as_all_are(seed, cells, square):
    """Few rows are drawn one by one, skipping those between; the trainings are the same."""
    split = trainings.of(*whole_digits())
    chosen = np.array(cells)[:, None] if square else np.array(cells)
    np.testing.assert_array_equal(split.held_out_of(seed, chosen), split.held_out(seed)[chosen])
    row = int(split.row[cells[0]])
    shares = split.shares_of(seed, row)
    assert shares[split.drawn(seed)[cells[0]]] == 0.0
    assert shares.sum() == pytest.approx(1.0)
    assert shares @ split.scored[split.first[row]] == pytest.approx(split.held_out(seed)[cells[0]])


@cache
def whole_digits():
    table = catalog.load("digits")
    return table, table.schedules[max(table.schedules)]


def test_a_table_that_was_measured_twice_over_is_split_unless_one_says_otherwise(table):
    whole = trainings.split_where_it_can(table)
    assert Tabular(whole).trials == "split"
    once = lucky(trials=1)
    assert trainings.split_where_it_can(once) is once
    assert trainings.split_where_it_can(catalog.load("digits")) == catalog.load(
        "digits"
    )  # most classes have one training


@pytest.mark.parametrize("seed", [0, 1, 77, 2**31 + 5])
def test_what_is_drawn_for_all_cells_at_once_is_what_is_drawn_of_the_trainings_that_exist(seed):
    """Of rows with two to four trainings, some of them not the first ones, and of cells that share a row."""
    known = np.random.default_rng(0).random((300, 4)) < 0.5
    known[:, 1] = known[:, 3] = True
    row = np.arange(300) // 3
    known = known[3 * row]
    scored = np.where(known, np.random.default_rng(1).random((300, 4)), np.nan)
    seen = np.stack([scored + 1, scored + 2], axis=1)
    made = trainings.Trainings(seen, scored, row)
    which = trainings.drawn(known[made.first], seed)[row]
    places = np.arange(300)
    assert made.drawn(seed).tolist() == which.tolist()
    assert made.answers(1, seed).tolist() == seen[places, 1, which].tolist()
    assert made.held_out(seed).tolist() == made._others[places, which].tolist()
    assert known[places, which].all()
