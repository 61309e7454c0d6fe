from __future__ import annotations

import json

import numpy as np
import pytest

from nasbench_lab import api
from nasbench_lab.core import LabError
from nasbench_lab.experiments import audit
from nasbench_lab.stats.measures import Measure
from nasbench_lab.tables.readings import READINGS


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit")
    return audit.audit("toy", ("random_search", "local_search"), seeds=20, max_queries=15, runs=folder)


def test_every_reading_is_told_or_said_to_be_impossible(content):
    assert [row["reading"] for row in content["readings"]] == list(READINGS)
    impossible = {row["reading"] for row in content["readings"] if not row["possible"]}
    assert impossible == {"mixed-test", "filled-seeds"}  # toy's test set is one, and no trial is missing
    assert all(row["why_not"] for row in content["readings"] if not row["possible"])


def test_changes_are_differences_between_plain_studies(content, tmp_path):
    (row,) = [row for row in content["readings"] if row["reading"] == "best-seed"]
    for name in content["strategies"]:
        means = [
            api.compare(name, table="toy", search=12, seeds=20, max_queries=15, evaluator=spec, out=tmp_path)[
                "test_mean"
            ][0]
            for spec in ("tabular", "tabular:reading=best-seed")
        ]
        (change,) = [change for change in row["changes"] if change["strategy"] == name]
        assert content["plain"]["means"][name] == pytest.approx(means[0])
        assert change["mean"] == pytest.approx(means[1])
        assert change["change"] == pytest.approx(means[1] - means[0])
        assert change["low"] < change["change"] < change["high"]


def test_a_running_maximum_never_reports_less(content):
    (row,) = [row for row in content["readings"] if row["reading"] == "running-max-test"]
    assert all(change["change"] >= 0 for change in row["changes"])


def test_pairs_that_come_and_go_are_named():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(40, 3))
    noise -= noise.mean(axis=0)
    plain, read = (noise + np.array(shift) for shift in ([3.0, 0.0, 0.0], [0.0, 3.0, 0.0]))
    scores = [audit.Scores(values, audit.significance.compare(values), 0.0) for values in (plain, read)]
    found = audit._difference(("a", "b", "c"), *scores)
    assert (found["lost"], found["gained"], found["turned"]) == (["a > c"], ["b > c"], ["a > b"])
    assert (found["separated_plain"], found["separated"], found["pairs"]) == (2, 2, 3)


def test_the_page_and_the_json_say_the_same(content, tmp_path):
    audit.write([content], tmp_path)
    stored = json.loads((tmp_path / "audit.json").read_text(), parse_constant=pytest.fail)
    assert stored[0]["plain"]["means"] == pytest.approx(content["plain"]["means"])
    page = (tmp_path / "audit.md").read_text()
    assert "toy (synthetic): 12-epoch validation, 15 queries, 20 seeds" in page
    for row in stored[0]["readings"]:
        assert row["reading"] in page
        if row["possible"]:
            assert f"| {row['changes'][0]['change']:+.2f} ±" in page
    assert "nan" not in page


def test_what_is_shown_explains_itself(content):
    summary, each = audit.blocks(content)
    possible = [row for row in content["readings"] if row["possible"]]
    assert [row[0] for row in summary.rows[1:]] == list(each.heads[2:]) == [row["reading"] for row in possible]
    assert [row[0] for row in each.rows] == content["strategies"]
    assert {len(row) for row in summary.rows} == {len(summary.heads)}
    changes = [change["change"] for change in possible[0]["changes"]]
    assert summary.rows[1][2] == f"{min(changes):+.2f} to {max(changes):+.2f}"
    assert summary.rows[1][4] == f"{possible[0]['separated_plain']} → {possible[0]['separated']} of 1"
    for term in ("Tau: ", "Pairs separated: ", "lost: ", "gained: ", "turned: "):
        assert term in summary.note
    assert all(row["why_not"] in summary.note for row in content["readings"] if not row["possible"])


def test_a_reading_that_lost_a_pair_says_which():
    row = {
        "reading": "x",
        "what": "y",
        "changes": [{"change": -0.5}, {"change": 0.25}],
        "tau": 0.5,
        "tau_low": 0.1,
        "tau_high": 0.75,
        "pairs": 3,
        "separated_plain": 2,
        "separated": 1,
        "lost": ["a > b"],
        "gained": [],
        "turned": ["a > c"],
    }
    assert audit._moved(Measure(), row) == (
        "x",
        "y",
        "-0.50 to +0.25",
        "0.50 (0.10 – 0.75)",
        "2 → 1 of 3",
        "lost a > b; turned a > c",
    )


def test_some_readings_alone(tmp_path):
    names = ("best-seed", "search-on-test")
    found = audit.audit("toy", ("random_search", "local_search"), seeds=2, max_queries=3, readings=names, runs=tmp_path)
    assert [row["reading"] for row in found["readings"]] == list(names)
    assert found["decided"] is None  # nothing ran under simulated seconds
    assert "simulated seconds" not in audit.to_markdown(found)
    with pytest.raises(LabError, match="no reading named 'x'"):
        audit.audit("toy", readings=("x",), runs=tmp_path)


def test_one_strategy_is_nothing_to_compare(tmp_path):
    with pytest.raises(LabError, match="two or more, got random_search"):
        audit.audit("toy", ("random_search",), runs=tmp_path)


def test_the_command_prints_and_writes(lab, tmp_path):
    options = ("--strategy", "random_search", "--strategy", "local_search", "--seeds", 3, "--max-queries", 4)
    code, out, _ = lab("audit", "toy", *options, "--out", tmp_path)
    assert code == 0
    assert "validation-as-test" in out
    code, out, _ = lab("audit", "toy", *options, "--out", tmp_path, "--json")
    assert json.loads(out) == json.loads((tmp_path / "audit.json").read_text())
    code, out, _ = lab("audit", "toy", *options, "--reading", "best-seed", "--out", tmp_path)
    assert "best-seed" in out
    assert "validation-as-test" not in out


def test_a_table_misspelt_is_told_before_anything_runs(lab, tmp_path):
    code, _, error = lab("audit", "toy", "nosuch", "--out", tmp_path / "out")
    assert code == 2
    assert "no table named 'nosuch'" in error
    assert not (tmp_path / "out").exists()
