from __future__ import annotations

import json
from pathlib import Path

import pytest

from nasbench_lab.core import LabError
from nasbench_lab.study import study
from nasbench_lab.study.study import Study, StudyTask

TOML = """
title = "Mine"
strategies = ["random_search", "local_search:improvement=best"]
seeds = 5
block = 2
first_seed = 3
[[task]]
table = "toy"
search = 12
score = ["toy"]
max_queries = 7
max_seconds = 1e5
trials = "sample"
noise = 0.5
simulated_workers = 2
repeats = "free"
[[task]]
table = "toy"
search = "oracle"
max_queries = 4
"""


def test_a_study_file_is_read_whole(tmp_path):
    (tmp_path / "x.toml").write_text(TOML)
    chosen = study.read_study(tmp_path / "x.toml")
    task = StudyTask("toy", 12, ("toy",), 7, 1e5, "sample", 0.5, ("val",), 2, "free")
    oracle = StudyTask("toy", "oracle", max_queries=4)
    assert chosen == Study(("random_search", "local_search:improvement=best"), (task, oracle), 5, "Mine", 3, 2)
    assert oracle.scored_on == ("toy",)
    assert study.from_json(json.loads(json.dumps(study.to_json(chosen), allow_nan=False))) == chosen


@pytest.mark.parametrize(
    "path", sorted(Path(study.__file__).parents[2].glob("benchmarks/*.toml")), ids=lambda path: path.name
)
def test_the_committed_study_files_can_be_read(path):
    assert study.read_study(path).seeds >= 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = 5", "seeds = 5.5", "seeds must be int, got 5.5"),
        ("seeds = 5", "seeds = true", "seeds must be int, got True"),
        ("seeds = 5", "seeds = 0", "seeds must be at least 1"),
        ("seeds = 5", "seed = 5", "unknown key 'seed'; did you mean seeds? Allowed: strategies, task, seeds"),
        ("[[task]]", "[[tasks]]", "unknown key 'tasks'; did you mean task? "),
        ("seeds = 5", "seeds = 5\ntasks = []", "unknown key 'tasks'; did you mean task? "),
        ("seeds = 5", "seeds = ", "cannot be read as TOML"),
        ('table = "toy"\nsearch = 12', "search = 12", "task 1: table is missing"),
        ('["random_search", "local_search:improvement=best"]', "[]", "at least one strategy"),
        ('["random_search", "local_search:improvement=best"]', '"random_search"', "strategies must be tuple"),
        ('["random_search", "local_search:improvement=best"]', "[1]", "list of strings"),
        ('["random_search", "local_search:improvement=best"]', '["random_search", "random_search"]', "listed twice"),
        ('search = "oracle"', "search = [12]", "task 2: search must be int | str | None"),
        ("noise = 0.5", 'noise = "much"', "noise must be float"),
        ("[[task]]", "[task]", "TOML|[[task]]"),
    ],
)
def test_a_wrong_study_file_is_refused_by_key(tmp_path, old, new, message):
    path = tmp_path / "x.toml"
    path.write_text(TOML.replace(old, new, 1) if new != "[task]" else "[task]\ntable = 'toy'\n")
    with pytest.raises(LabError) as error:
        study.read_study(path)
    assert any(part in str(error.value) for part in message.split("|")) or message in str(error.value)


def test_missing_and_binary_study_files_are_refused(tmp_path):
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe\x00")
    for path in (tmp_path / "no.toml", tmp_path / "x.toml", tmp_path):
        with pytest.raises(LabError, match="study file|cannot be read"):
            study.read_study(path)


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ((), "is not a results folder: it has no manifest.json"),
        (("runs/a-b-0123456789ab-000000.parquet",), "holds runs of a study that was not finished, and no board yet"),
        (("surrogates.json", "manifest.json"), "no runs of a study but a report of surrogates"),
        (("validation.json",), "no runs of a study but a report of validation"),
        (("leaderboard.json", "manifest.json", "validation.json"), "manifest.json cannot be read: KeyError"),
    ],
)
def test_what_a_folder_holds_that_is_no_board_is_said(tmp_path, there, said):
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(LabError, match=said):
        study.load_study(tmp_path)
