from __future__ import annotations

import csv
import io
import json
import math

import numpy as np
import pytest
from conftest import Additive

import nasbench_lab
from nasbench_lab.core import LabError
from nasbench_lab.files import sealed
from nasbench_lab.leaderboard import details, parts, ranking, rebuild, wording, written
from nasbench_lab.leaderboard.parts import Entry, Setting
from nasbench_lab.report import pages, sections
from nasbench_lab.stats import progress, references, shares, standings
from nasbench_lab.stats.measures import Measure
from nasbench_lab.strategies.baselines.random_search import RandomSearch
from nasbench_lab.strategies.local.local_search import LocalSearch
from nasbench_lab.study import store
from nasbench_lab.study.runner import search

STRATEGIES = {"random_search": RandomSearch, "local_search": LocalSearch}


def runs_of(make, tmp_path, *, seeds=8, **budget):
    path = tmp_path / f"{make.__name__}.parquet"
    store.write(path, {"x": 1}, {seed: search(make(), Additive(), seed=seed, **budget) for seed in range(seeds)})
    return store.read(path)


def setting_of(**changes):
    val = Additive().val
    truth = np.round(50 + val - 0.3 * np.arange(len(val)) % 2, 3)
    arguments = {
        "table": "a",
        "score": "b",
        "kind": "measured",
        "search": "9",
        "max_queries": 12,
        "max_seconds": math.inf,
        "policy": "",
    }
    return Setting(**(arguments | {"seen": val, "truth": truth} | changes))


@pytest.fixture
def made(tmp_path):
    setting = setting_of()
    entries = [Entry(setting, name, runs_of(make, tmp_path, max_queries=12)) for name, make in STRATEGIES.items()]
    return ranking.build("Title", entries), entries, setting


def test_rows_say_what_the_records_say(made):
    board, entries, setting = made
    rows = {row["strategy"]: row for row in board.rows}
    for entry in entries:
        row, runs = rows[entry.strategy], entry.runs
        last = runs.columns["incumbent"][runs.offsets[1:] - 1]
        test = setting.truth[last]
        first = []
        for a, b in zip(runs.offsets[:-1], runs.offsets[1:], strict=True):
            hits = [
                i + 1
                for i, arch in enumerate(runs.columns["incumbent"][a:b])
                if setting.truth[arch] == setting.truth.max()
            ]
            first.append(hits[0] if hits else math.inf)
        assert row["runs"] == 8
        assert row["queries"] == 12
        assert row["test_mean"] == pytest.approx(test.mean())
        assert row["test_median"] == pytest.approx(np.median(test))
        assert row["test_sd"] == pytest.approx(test.std(ddof=1))
        assert row["regret_mean"] == pytest.approx(setting.truth.max() - test.mean())
        assert row["val_regret_mean"] == pytest.approx(setting.seen.max() - setting.seen[last].mean())
        assert row["reached_optimum"] == pytest.approx(np.isfinite(first).mean())
        assert row["queries_to_optimum_mean"] == pytest.approx(np.minimum(first, 12).mean())
        charged = np.minimum(first, 12).sum() / max(np.isfinite(first).sum(), 1e-300)
        assert row["queries_per_optimum"] == pytest.approx(charged if np.isfinite(first).any() else math.inf)
        assert row["seconds"] == pytest.approx(runs.last("finished").mean())
        assert row["decision_seconds_per_query"] == pytest.approx(runs.columns["decided"].mean())
        assert math.isnan(row["test_lo"])  # eight runs are too few for an interval
        assert set(row) == set(parts.COLUMNS)


def test_ranks_follow_mean_test_accuracy(made):
    board, entries, setting = made
    assert [row["rank"] for row in board.rows] == [1, 2]
    assert board.rows[0]["test_mean"] >= board.rows[1]["test_mean"]
    ends = np.stack([setting.truth[entry.runs.last("incumbent").astype(int)] for entry in entries], axis=1)
    expected = dict(zip(STRATEGIES, progress.mean_ranks(ends), strict=True))
    assert {row["strategy"]: row["rank_mean"] for row in board.rows} == pytest.approx(expected)


def test_ranks_say_what_the_tests_say(made):
    """With eight paired seeds and a clear winner the two strategies are separated."""
    board, entries, setting = made
    best, other = board.rows
    ends = {entry.strategy: setting.truth[entry.runs.last("incumbent").astype(int)] for entry in entries}
    (pair,) = board.sections[0].tests["pairs"]
    assert (pair["one"], pair["other"]) == (best["strategy"], other["strategy"])
    assert pair["difference"] == pytest.approx((ends[pair["one"]] - ends[pair["other"]]).mean(), rel=1e-5)
    assert pair["separated"] == (pair["p_holm"] <= 0.05)
    ranges = [(row["rank_low"], row["rank_high"]) for row in board.rows]
    assert ranges == ([(1, 1), (2, 2)] if pair["separated"] else [(1, 2), (1, 2)])
    assert best["seeds_to_next"] == pair["more_seeds"]
    assert math.isnan(other["seeds_to_next"])


def test_rows_that_are_not_separated_share_ranks_on_the_page(tmp_path):
    runs = runs_of(RandomSearch, tmp_path, max_queries=5)
    board = ranking.build("x", [Entry(setting_of(), name, runs) for name in "x"])
    assert wording.cells_of(board.rows[0])[0] == "1"
    setting = setting_of()
    board = ranking.build("x", [Entry(setting, name, runs) for name in "xyz"])
    assert [wording.cells_of(row)[0] for row in board.rows] == ["1–3"] * 3
    assert wording.cells_of(board.rows[0])[wording.MARKDOWN.index("more seeds")] == "equal"
    assert board.sections[0].tests["cliques"] == [["x", "y", "z"]]


def test_anytime_regret_is_the_area_under_the_curve(made):
    board, _, _ = made
    for row in board.rows:
        curve = board.curves[(board.curves["strategy"] == row["strategy"]) & (board.curves["axis"] == "queries")]
        area = progress.area_under(curve["regret_mean"].to_numpy()[None], curve["at"].to_numpy())[0]
        assert row["regret_area"] == pytest.approx(area)


def test_references_are_exact(made):
    board, _, setting = made
    reference = board.sections[0].reference
    assert reference["optimum"] == setting.truth.max()
    assert reference["optimum_cells"] == np.flatnonzero(setting.truth == setting.truth.max()).tolist()
    assert reference["best_by_search"] == pytest.approx(setting.truth[np.argmax(setting.seen)])
    assert reference["random_queries"] == 12
    chance = references.random_search_to(setting.seen, setting.optimal).chance
    assert reference["random_chance_of_optimum"] == pytest.approx(chance)
    assert (f"in {shares.percent(chance)} of searches" in wording.footing(reference)) == (chance < 0.995)
    assert reference["random_test"] == pytest.approx(
        references.random_search_expectation(setting.seen, setting.truth, [12])[0]
    )


def test_curves_end_where_the_rows_are_and_carry_the_exact_random_line(made):
    board, _, _ = made
    for row in board.rows:
        curve = board.curves[(board.curves["strategy"] == row["strategy"]) & (board.curves["axis"] == "queries")]
        assert curve["at"].tolist() == progress.checkpoints(12)
        assert curve["test_mean"].iloc[-1] == pytest.approx(row["test_mean"])
        assert curve["test_lo"].isna().all()
    exact = board.curves[board.curves["strategy"].str.startswith("(exact)")]
    assert exact["at"].tolist() == progress.checkpoints(12)
    assert exact["test_mean"].is_monotonic_increasing


def test_a_budget_in_seconds_gets_a_curve_over_seconds(tmp_path):
    setting = setting_of(max_queries=math.inf, max_seconds=200.0)
    board = ranking.build("x", [Entry(setting, "random_search", runs_of(RandomSearch, tmp_path, max_seconds=200))])
    curve = board.curves[board.curves["axis"] == "seconds"]
    assert curve["at"].max() == 200
    assert board.rows[0]["budget"] == "200 s"
    assert curve["test_mean"].iloc[-1] == pytest.approx(board.rows[0]["test_mean"])


def test_settings_are_ranked_apart(tmp_path):
    runs = {name: runs_of(make, tmp_path, max_queries=12) for name, make in STRATEGIES.items()}
    settings = [setting_of(), setting_of(score="c", truth=100 - setting_of().truth)]
    board = ranking.build("x", [Entry(setting, name, runs[name]) for setting in settings for name in runs])
    assert [row["rank"] for row in board.rows] == [1, 2, 1, 2]
    assert [len(section.rows) for section in board.sections] == [2, 2]
    assert [section.rows[0]["score"] for section in board.sections] == ["b", "c"]


def test_the_files_agree_and_the_json_is_strict(made, tmp_path):
    board, _, _ = made
    out = tmp_path / "out"
    paths = written.write(board, out, {"made": "by a test"})
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in paths)
    content = json.loads((out / "leaderboard.json").read_text(), parse_constant=pytest.fail)
    assert written.read_rows(out) == {key: value for key, value in content.items() if key != "sha256"}
    assert set(content["columns"]) == set(content["rows"][0])
    table = list(csv.DictReader(io.StringIO((out / "leaderboard.csv").read_text())))
    assert [row["strategy"] for row in table] == [row["strategy"] for row in content["rows"]]
    assert float(table[0]["test_mean"]) == pytest.approx(content["rows"][0]["test_mean"], rel=1e-5)
    page = written.read_page(out)
    assert page.startswith("# Title\n")
    assert f"| {board.rows[0]['test_mean']:.2f} |" in page
    assert sealed.read_json(out / "manifest.json", before=()) == {"made": "by a test"}
    assert [pair["one"] for pair in content["tests"][0]["pairs"]] == [board.rows[0]["strategy"]]
    lines = (out / "leaderboard.json").read_text().splitlines()
    assert sum('"one":' in line and '"separated":' in line for line in lines) == 1  # a pair is a line


def test_one_seed_has_no_interval_and_the_files_still_hold(tmp_path):
    board = ranking.build(
        "x", [Entry(setting_of(), "random_search", runs_of(RandomSearch, tmp_path, seeds=1, max_queries=3))]
    )
    row = json.loads(written.to_json(board), parse_constant=pytest.fail)["rows"][0]
    assert row["test_lo"] is row["test_hi"] is row["test_sd"] is None
    assert "nan" not in wording.to_markdown(board)


def test_a_budget_too_small_for_any_query_gives_empty_cells_not_made_up_ones(tmp_path):
    setting = setting_of(max_queries=math.inf, max_seconds=0.5)
    board = ranking.build("x", [Entry(setting, "random_search", runs_of(RandomSearch, tmp_path, max_seconds=0.5))])
    row = json.loads(written.to_json(board), parse_constant=pytest.fail)["rows"][0]
    assert row["test_mean"] is None
    assert row["queries"] == row["reached_optimum"] == 0
    assert (board.curves["test_mean"] > 50).all()
    assert "nan" not in wording.to_markdown(board)


def test_a_table_that_was_not_measured_is_called_what_it_is(tmp_path):
    runs = runs_of(RandomSearch, tmp_path, max_queries=3)
    board = ranking.build("x", [Entry(setting_of(kind="synthetic"), "random_search", runs)])
    assert board.rows[0]["kind"] == "synthetic"
    assert "(synthetic)" in wording.to_markdown(board)


def test_a_bound_that_is_not_a_mean_is_marked(made):
    board, _, _ = made
    row = board.rows[0] | {"reached_optimum": 0.5}
    assert any("≥" in text for text in wording.cells_of(row))
    assert not any("≥" in text for text in wording.cells_of(row | {"reached_optimum": 1.0}))


def three_settings(tmp_path, *, seeds=20):
    """Three strategies, clearly apart, under three settings of which the last turns the truth around."""
    made = {"a": LocalSearch, "b": RandomSearch}
    runs = {name: runs_of(make, tmp_path, seeds=seeds, max_queries=12) for name, make in made.items()}
    runs["c"] = runs_of(lambda: RandomSearch(replacement=True), tmp_path, seeds=seeds, max_queries=3)
    truth = setting_of().truth
    settings = [setting_of(score="a"), setting_of(kind="predicted", policy="noise=2"), setting_of(truth=200 - truth)]
    return [Entry(setting, name, runs[name]) for setting in settings for name in runs]


def test_rankings_of_several_settings_are_compared(tmp_path):
    board = ranking.build("x", three_settings(tmp_path))
    names = ["a", "a (predicted) → b, noise=2", "a → b"]
    assert [(row["one"], row["other"]) for row in board.agreements] == [
        (names[0], names[1]),
        (names[0], names[2]),
        (names[1], names[2]),
    ]
    same, reverse, also_reverse = board.agreements
    assert (same["end_tau"], same["along_tau"], same["strategies"]) == (1.0, 1.0, 3)
    assert reverse["end_tau"] == also_reverse["end_tau"] == -1.0
    assert same["end_low"] == same["end_high"] == 1.0
    content = json.loads(written.to_json(board))
    assert [row["end_tau"] for row in content["agreement"]] == [1.0, -1.0, -1.0]
    page = wording.to_markdown(board)
    assert f"## {wording.AGREEMENT}" in page
    assert f"| {' | '.join(wording.agreement_cells(same))} |" in page


def test_several_settings_are_aggregated(tmp_path, made):
    board = ranking.build("x", three_settings(tmp_path))
    content = json.loads(written.to_json(board))
    assert [row["strategy"] for row in content["overall"]] == [row["strategy"] for row in board.overall]
    page = wording.to_markdown(board)
    assert f"| {' | '.join(standings.overall_cells(board.overall[0]))} |" in page
    truth = setting_of().truth
    means = {(row["score"], row["strategy"], row["policy"]): row["test_mean"] for row in board.rows}
    a = [value for key, value in means.items() if key[1] == "a"]
    scaled = [(a[0] - truth.mean()) / (truth.max() - truth.mean())] * 2
    scaled.append((a[2] - (200 - truth).mean()) / ((200 - truth).max() - (200 - truth).mean()))
    (row,) = [row for row in board.overall if row["strategy"] == "a"]
    assert row["mean"] == pytest.approx(np.mean(scaled))
    assert row["median"] == pytest.approx(np.median(scaled))
    assert row["mean_low"] <= row["mean"] <= row["mean_high"]
    assert made[0].overall == []


def test_search_and_budget_are_named_where_they_differ(tmp_path):
    entries = three_settings(tmp_path, seeds=3)
    runs = {entry.strategy: entry.runs for entry in entries}
    settings = [setting_of(score="a", search="12"), setting_of(score="a", search="200", max_queries=100)]
    board = ranking.build("x", [Entry(setting, name, runs[name]) for setting in settings for name in runs])
    (row,) = board.agreements
    assert (row["one"], row["other"]) == ("a, 12-epoch validation, 12 queries", "a, 200-epoch validation, 100 queries")
    assert math.isnan(row["end_low"])
    assert json.loads(written.to_json(board))["agreement"][0]["end_low"] is None
    assert "from 20 seeds on" in wording.agreement_cells(row)


def test_one_setting_or_two_strategies_say_nothing_of_agreement(made, tmp_path):
    single = three_settings(tmp_path)[:3]
    two = [entry for entry in three_settings(tmp_path) if entry.strategy != "c"]
    for board in (made[0], ranking.build("x", single), ranking.build("x", two)):
        assert board.agreements == []
        assert "agreement" not in json.loads(written.to_json(board))
        assert wording.AGREEMENT not in wording.to_markdown(board)


@pytest.mark.parametrize("content", [None, "{", "[1]", '{"rows": 3}'])
def test_a_folder_without_a_readable_leaderboard_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "leaderboard.json").write_text(content)
    with pytest.raises(LabError, match=r"leaderboard\.json"):
        written.read_rows(tmp_path)


def test_the_page_that_is_not_there_is_a_lab_error(tmp_path):
    (tmp_path / "leaderboard.json").write_text(json.dumps(sealed.seal({"rows": []})))
    with pytest.raises(LabError, match=r"leaderboard\.md"):
        written.read_page(tmp_path)


def test_an_unwritable_folder_is_a_lab_error(made, blocked):
    with pytest.raises(LabError, match="cannot write"):
        written.write(made[0], blocked, {})


def test_what_was_used_of_a_budget_in_seconds_is_shown(tmp_path):
    runs = runs_of(RandomSearch, tmp_path, max_seconds=200)
    timed = ranking.build("x", [Entry(setting_of(max_queries=math.inf, max_seconds=200), "random_search", runs)]).rows[
        0
    ]
    counted = ranking.build("x", [Entry(setting_of(), "random_search", runs)]).rows[0]
    shown = dict(zip(wording.heads_of(timed), wording.cells_of(timed), strict=True))
    assert shown["seconds"] == f"{runs.last('finished').mean():.0f}"
    assert "seconds" not in wording.heads_of(counted)
    assert len(wording.heads_of(counted)) == len(wording.cells_of(counted))


@pytest.mark.parametrize("unit", ["%", "SSIM"])
def test_val_regret_is_in_the_unit_of_what_was_searched(tmp_path, unit):
    """1e-7 of a loss is not 0.00 points of the accuracy that scores the answers."""
    seen = 1e-7 * Additive().val
    setting = setting_of(space=Additive().task.space, seen=seen, unit=unit, seen_as=Measure("nats", "lower"))
    entries = [Entry(setting, name, runs_of(make, tmp_path, max_queries=12)) for name, make in STRATEGIES.items()]
    board = ranking.build("Title", entries)
    page, row = wording.to_markdown(board), board.rows[-1]
    head, regret = "val regret, nats", f"{row['val_regret_mean']:.4g}"
    assert row["val_unit"] == "nats"
    assert dict(zip(wording.heads_of(row), wording.cells_of(row), strict=True))[head] == regret
    assert head in page
    assert regret in page
    assert details.of(entries)["settings"][0]["best"][0]["seen"] < 0  # a loss, as its table has it
    plain = ranking.build("Title", [Entry(setting_of(), each.strategy, each.runs) for each in entries])
    assert "val_unit" not in plain.columns
    assert "val regret" in wording.heads_of(plain.rows[0])


def test_a_strategys_card_gives_every_score_its_own_unit(tmp_path):
    runs = {name: runs_of(make, tmp_path, max_queries=12) for name, make in STRATEGIES.items()}
    settings = [setting_of(), setting_of(score="loss", unit="nats", sign=-1), setting_of(score="c")]
    rows = [row for each in settings for row in ranking.build("T", [Entry(each, n, r) for n, r in runs.items()]).rows]
    own = [row for row in rows if row["strategy"] == "local_search"]
    heads, places = sections.places(own)
    assert heads == ("setting", "rank", "score", "regret")
    assert [(score.partition(" ")[2], regret.partition(" ")[2]) for *_, score, regret in places] == [
        ("%", "points"), ("nats ↓", "nats"), ("%", "points"),
    ]  # fmt: skip
    heads, places = sections.places([own[0], own[2]])
    assert heads == ("setting", "rank", "test %", "regret")
    assert places[0][2] == wording.cells_of(own[0])[2]


def test_curves_have_their_bounds_at_every_place_and_rows_are_the_same(made):
    """At every query of few, at a hundred places of many; and a board of an older day is made again as it was."""
    board, entries, _ = made
    dense = ranking.build("Title", entries, places=100)
    assert json.dumps(dense.rows) == json.dumps(board.rows)  # nan is itself there
    name = entries[0].strategy
    for found, at in ((board, progress.checkpoints(12)), (dense, list(range(1, 13)))):
        curve = found.curves[(found.curves["strategy"] == name) & (found.curves["axis"] == "queries")]
        assert curve["at"].tolist() == at
    common = board.curves.merge(dense.curves, on=["strategy", "axis", "at"])
    assert len(common) == len(board.curves)
    assert common["test_mean_x"].tolist() == common["test_mean_y"].tolist()


def test_places_are_every_number_of_few_and_as_many_of_more():
    assert progress.places(7, 100) == list(range(1, 8))
    many = progress.places(5000, 100)
    assert set(progress.checkpoints(5000)) <= set(many)
    assert (many[0], many[-1]) == (1, 5000)
    assert 80 <= len(many) <= 130


def test_columns_of_an_optimum_that_is_hardly_known_say_how_sure_it_is(tmp_path):
    """On the terminal, on the page and where columns are explained; of a sure one they do not, and files stay as they are."""
    nasbench_lab.compare("random_search", table="digits", trials="mean", seeds=2, max_queries=3, out=tmp_path / "d")
    board = rebuild.again(tmp_path / "d")
    (section,) = board.sections
    assert section.reference["optimum_chance"] < 0.5
    chance = shares.percent(section.reference["optimum_chance"])
    (block,) = wording.blocks(board, doubts=True)
    assert f"to optimum ({chance} sure)" in block.heads
    assert f"reached ({chance} sure)" in block.heads
    assert "to optimum" in wording.blocks(board)[0].heads
    said = wording.explained(board)[f"to optimum ({chance} sure)"]
    assert said.endswith(f"the best of all with probability {chance}")
    assert f"to optimum ({chance} sure)" in pages.page(pages.read(tmp_path / "d"))
    for name, how in (("toy", {}), ("digits", {"trials": "split"})):  # sure, and where the columns say nothing
        nasbench_lab.compare("random_search", table=name, seeds=2, max_queries=3, out=tmp_path / name, **how)
        assert "to optimum" in wording.blocks(rebuild.again(tmp_path / name), doubts=True)[0].heads
