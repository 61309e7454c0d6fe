from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nasbench_lab import api
from nasbench_lab.core import LabError
from nasbench_lab.files.sealed import seal
from nasbench_lab.plots import style
from nasbench_lab.report import charts, index, made, pages, publish
from nasbench_lab.stats import standings


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    base = tmp_path_factory.mktemp("results")
    for name, budget in (("one", 5), ("two", 6)):
        api.compare("random_search", "local_search", table="toy", seeds=3, max_queries=budget, out=base / name)
    return base


@pytest.fixture
def results(made_once, tmp_path):
    return shutil.copytree(made_once, tmp_path, dirs_exist_ok=True)


def test_all_pages_are_written_and_one_leads_to_them(lab, results):
    code, out, _ = lab("report", "--all", results)
    assert code == 0
    assert out.count("report.html") == 2
    text = (results / "index.html").read_text()
    links = re.findall(r'href="([^"#]+/[^"]+)"', text)
    assert links == ["one/report.html", "two/report.html"]
    assert all((results / link).is_file() for link in links)
    assert "(synthetic)" in text
    assert "6 queries" in text


def test_settings_of_a_study_stand_together_with_the_best_second(results):
    one = results / "one"
    content = json.loads((one / "leaderboard.json").read_text())
    content["rows"] += [{**row, "budget": "9 queries"} for row in content["rows"]]
    (one / "leaderboard.json").write_text(json.dumps(seal(content)))
    rows = re.findall(r"<tr( class=\"again\")?><th[^>]*><a href=\"(\w+)/", index.page(results))
    assert rows == [("", "one"), (' class="again"', "one"), ("", "two")]
    heads = re.findall(r"<th scope=\"col\".*?>([^<>]+)</button>", index.page(results))
    assert heads[:3] == ["study", "may be the best", "test %"]


def test_a_filter_has_something_to_choose(lab, results):
    assert lab("report", results / "one")[0] == 0
    text = (results / "one" / "report.html").read_text()
    assert [name for name in ("table", "budget", "family", "text") if f'id="filter-{name}"' in text] == [
        "family",
        "text",
    ]
    assert "No intervals are shown: they take 20 seeds." in text


def test_the_index_leads_to_leaderboards_that_are_there_without_any_page(lab, results):
    code, out, _ = lab("leaderboard", "--all", results)
    assert code == 0
    assert "index.html" in out
    text = (results / "index.html").read_text()
    assert re.findall(r'href="([^"#]+/[^"]+)"', text) == ["one/leaderboard.md", "two/leaderboard.md"]
    assert re.findall(r"5 queries|6 queries", text) == ["5 queries", "6 queries"]


def test_the_strategies_that_may_be_the_best_are_named(results):
    path = results / "one" / "leaderboard.json"
    content = json.loads(path.read_text())
    for row in content["rows"]:
        row["rank_low"] = 1 if row["strategy"] == "random_search" else 2
    path.write_text(json.dumps(seal(content)))
    page = index.page(results).replace("<wbr>", "")
    row = re.search(r"<tr><th[^>]*><a href=\"one/.*?</tr>", page)[0]
    assert "random_search" in row
    assert "local_search" not in row


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--all", "{}/nothing"), "no results in"),
        ((), "which results folder"),
        (("--all", "{}", "--out", "x.html"), "for one folder"),
        (("{}/one", "--charts", "gif"), "svg, png or pdf"),
    ],
)
def test_what_cannot_be_done_is_said(lab, results, arguments, said):
    code, _, err = lab("report", *(str(part).format(results) for part in arguments))
    assert code == 2
    assert said in err
    assert "Traceback" not in err


def test_leaderboard_and_curves_alone_make_a_page(lab, results):
    for name in ("details.json", "manifest.json"):
        (results / "one" / name).unlink()
    assert lab("report", results / "one")[0] == 0
    text = (results / "one" / "report.html").read_text()
    assert "Regret over queries" in text
    assert "Targets hit" not in text
    (results / "one" / "curves.csv").unlink()
    assert lab("report", results / "one")[0] == 0


def test_a_folder_of_an_older_day_can_be_shown(lab, results):
    path = results / "one" / "leaderboard.json"
    content = json.loads(path.read_text())
    for row in content["rows"]:
        for key in ("rank_low", "rank_high", "seeds_to_next", "regret_area"):
            row.pop(key, None)
    content.pop("tests")
    path.write_text(json.dumps(seal(content)))
    assert lab("report", results / "one")[0] == 0
    assert "Who beats whom" not in (results / "one" / "report.html").read_text()


def test_a_damaged_folder_is_named(results):
    (results / "one" / "leaderboard.json").write_text('{"rows": [{"strategy": 3}], "references": []}')
    with pytest.raises(LabError, match="one"):
        pages.read(results / "one")


def test_charts_become_files(lab, results):
    code, out, _ = lab("report", results / "one", "--charts", "svg", "--charts", "pdf")
    assert code == 0
    written = {path.name for path in (results / "one" / "charts").rglob("*.*")}
    assert {"regret-queries.svg", "regret-queries.pdf", "who-beats-whom.svg", "distance.pdf"} <= written
    assert out.count("\n") == 1 + len(list((results / "one" / "charts").rglob("*.*")))


def test_only_tables_of_the_package_have_their_scores_in_the_page(results, tmp_path, monkeypatch):
    content = publish.content(results / "one")
    assert set(content.shown["toy"].scores) == {"toy test", "toy validation"}
    monkeypatch.setattr(publish.catalog, "EMBEDDED", tmp_path)
    assert not publish.content(results / "one").shown


def test_commands_of_the_page_name_every_policy(results):
    study = {
        "strategies": ["a", "b:x=1"],
        "seeds": 7,
        "tasks": [
            {"table": "toy", "search": 12, "score": ["t2"], "trials": "sample", "noise": 0.5, "repeats": "free",
             "simulated_workers": 4, "evaluator": "tabular", "max_queries": None, "max_seconds": 100.0,
             "objectives": ["val", "params"], "sources": ["s"]}
        ],
    }  # fmt: skip
    assert made.commands(study, "results/x")[1] == (
        "nasbench-lab compare a 'b:x=1' --table toy --score t2 --search 12 --trials sample --noise 0.5 --repeats free "
        "--simulated-workers 4 --max-seconds 100 --objectives params --source s --seeds 7 --out results/mine_x"
    )


def test_commands_keep_tasks_apart_and_seeds_from_elsewhere_away():
    study = {"strategies": ["a"], "seeds": 7, "tasks": [{"table": "toy"}, {"table": "digits"}]}
    lines = made.commands(study, "my results/x")
    assert [line.partition("--out ")[2] for line in lines[1:]] == ["'my results/mine_x_1'", "'my results/mine_x_2'"]
    assert len(made.commands(study | {"first_seed": 500}, "results/x")) == 1


def test_seeds_that_no_number_suffices_for_are_said_as_in_markdown(results):
    """JSON has null both for that and for what is unknown; the last row has no next one."""
    path = results / "one" / "leaderboard.json"
    content = json.loads(path.read_text())
    assert len(content["rows"]) == 2
    content["rows"][0]["seeds_to_next"] = content["tests"][0]["pairs"][0]["more_seeds"] = None
    content["tests"][0]["pairs"][0]["separated"] = False
    path.write_text(json.dumps(seal(content)))
    assert pages.page(pages.read(results / "one")).count(">equal<") == 2  # its row, and the pair
    content["tests"][0]["pairs"][0]["difference"] = None
    path.write_text(json.dumps(seal(content)))
    assert ">equal<" not in pages.page(pages.read(results / "one"))


@settings(max_examples=8)
@given(
    arrays(float, st.tuples(st.integers(14, 24), st.integers(2, 4)), elements=st.integers(0, 4).map(float)),
    st.lists(st.integers(0, 12), min_size=6, max_size=6),
)
def test_the_picture_of_ranks_is_the_boards_verdict(scores, ahead):
    """Of random boards: its bars are the rows' ranges, and those follow from which pairs are said to be separated."""
    scores = scores + np.array(ahead[: scores.shape[1]]) / 4
    means = scores.mean(axis=0)
    order = np.argsort(-means, kind="stable")
    names = [f"s{i}" for i in order]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standings, "_friedman", lambda _: None)  # decides nothing, and is slow
        columns, tests = standings.of(names, scores[:, order], "test accuracy")
    ranks = 1 + (means[order][:, None] < means[order] - 1e-9).sum(axis=1)
    rows = [{"strategy": name, "rank": int(rank), **row} for name, rank, row in zip(names, ranks, columns, strict=True)]
    key = dict.fromkeys(("table", "score", "search", "budget", "policy"), "")
    setting = charts.Setting(rows, key, pd.DataFrame(), tests, {})
    (chart,) = charts._rank_ranges(setting, style.looks(names))
    (drawn,) = json.loads(style.spec(chart.spec))["datasets"].values()
    better = {(a, b) for pair in tests["pairs"] if pair["separated"] for a, b in [(pair["one"], pair["other"])]}
    for bar in drawn:
        above = sum(b == bar["strategy"] for _, b in better)
        below = sum(a == bar["strategy"] for a, _ in better)
        assert (bar["low"], bar["high"]) == (1 + above, len(names) - below)
        assert bar["low"] <= bar["rank"] <= bar["high"]
    assert [bar["strategy"] for bar in drawn] == names
