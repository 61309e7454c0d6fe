from __future__ import annotations

import json

import pytest

from nasbench_lab.core import LabError
from nasbench_lab.files.sealed import seal
from nasbench_lab.leaderboard import index


@pytest.fixture
def results(lab, tmp_path):
    for name, budget in (("b", 3), ("a", 4)):
        lab(
            "compare",
            "random_search",
            "local_search",
            "--table",
            "toy",
            "--max-queries",
            budget,
            "--seeds",
            2,
            "--out",
            tmp_path / name,
        )
    return tmp_path


def test_all_leaderboards_are_rebuilt_and_listed(lab, results):
    before = (results / "a" / "leaderboard.json").read_text()
    (results / "a" / "leaderboard.json").write_text(before.replace("100", "99"))
    for file in (results / "b" / "runs").iterdir():
        file.unlink()
    code, out, _ = lab("leaderboard", "--all", results)
    assert code == 0
    assert f"rebuilt     {results / 'a'}" in out
    assert f"as written  {results / 'b'}: 2 of 2 runs of " in out
    assert (results / "a" / "leaderboard.json").read_text() == before
    lines = (results / "index.md").read_text().splitlines()
    assert [line.split("](")[1].split("/")[0] for line in lines if "](" in line] == ["a", "b"]
    assert "| toy (synthetic) | 12-epoch validation | 4 queries | 2 | 2 |" in lines[4]


def test_those_that_may_be_the_best_are_those_of_rank_1(results):
    path = results / "a" / "leaderboard.json"
    content = json.loads(path.read_text())
    for low, named in ((1, "random_search"), (2, "")):
        for each in content["rows"]:
            each["rank_low"] = low if each["strategy"] == "random_search" else 1
        path.write_text(json.dumps(seal(content)))
        cell = index.to_markdown(results).splitlines()[4].split(" | ")[1]  # the best stands second
        assert ("random_search" in cell) == bool(named)
        assert "local_search" in cell


def test_a_folder_without_results_is_said(lab, tmp_path):
    with pytest.raises(LabError, match="no results in"):
        index.to_markdown(tmp_path)
    assert lab("leaderboard")[0] == 2
