from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nasbench_lab.core import LabError
from nasbench_lab.experiments import assessment
from nasbench_lab.spaces import cell, naming
from nasbench_lab.spaces.space import Space
from nasbench_lab.tables.table import Table

SCORES = np.where(np.arange(cell.SPACE.size) % 50 == 0, np.nan, 1.0)  # some cells were not measured
COMMAND = ("surrogates", "gp:iterations=5", "knn", "--table", "toy", "--train", "20,40", "--seeds", "2")


@settings(max_examples=15)
@given(st.integers(0, 1000), st.integers(20, 9000), st.sampled_from(assessment.SPLITS))
def test_no_cell_is_on_both_sides_and_no_class_when_split_by_class(seed: int, size: int, how: str) -> None:
    pool, held_out = assessment.split(SCORES, cell.SPACE.classes, how, size, seed)
    assert len(held_out) == size
    assert not set(pool.tolist()) & set(held_out.tolist())
    assert not np.isnan(SCORES[np.concatenate([pool, held_out])]).any()
    classes = cell.SPACE.classes
    shared = set(classes[pool].tolist()) & set(classes[held_out].tolist())
    assert not shared if how == "class" else shared or size > 8000


def test_the_split_is_the_seeds() -> None:
    first, again = (assessment.split(SCORES, cell.SPACE.classes, "class", 500, 7) for _ in range(2))
    other = assessment.split(SCORES, cell.SPACE.classes, "class", 500, 8)
    assert (first[0] == again[0]).all()
    assert set(first[1].tolist()) != set(other[1].tolist())


def test_the_command_writes_tables_and_charts_and_repeats_nothing(lab, tmp_path) -> None:
    code, out, err = lab(*COMMAND, "--max-queries", 6, "--out", tmp_path)
    assert code == 0, err
    assert "tau" in out
    written = {path.name for path in tmp_path.iterdir()}
    assert {"surrogates.md", "surrogates.csv", "surrogates.json", "manifest.json", "runs"} <= written
    assert any(name.endswith(".svg") for name in written)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()}
    assert len([path for path in before if path.suffix == ".json" and path.name != "index.json"]) == 2 * 2 * 2
    code, out, _ = lab(*COMMAND, "--max-queries", 6, "--out", tmp_path, "--json")
    assert code == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").iterdir()} == before
    content = json.loads(out)
    assert {row["surrogate"] for row in content["rows"]} == {"gp:iterations=5", "knn"}
    assert content["regret"]


def test_a_damaged_outcome_is_done_again(tmp_path) -> None:
    chosen = assessment.Settings(("knn",), "toy", (20,), seeds=1, test_size=100)
    job = assessment.run(chosen, tmp_path)[0]
    good = job.read()
    job.path.write_text("{")
    assert job.read() is None
    again = assessment.run(chosen, tmp_path)[0].read()
    assert good is not None
    assert again is not None
    timed = ("fit_s", "predict_ms")
    assert {k: v for k, v in good["measures"].items() if k not in timed} == {
        k: v for k, v in again["measures"].items() if k not in timed
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense",), "no surrogate named 'nonsense'"),
        (("knn", "--train", "20,x"), "whole numbers separated by commas"),
        (("knn", "--train", "40,20"), "must ascend"),
        (("knn", "--train", "20000"), "training cells are too many"),
        (("knn", "--split", "random"), "split must be one of class, cell"),
        (("knn", "--target", "loss"), "target must be one of val, test, seconds"),
        (("knn", "knn"), "none listed twice"),
        (("knn", "--test-size", "3"), "--test-size (test_size) must lie in 20..15624, got 3"),
        (("knn", "--table", "nowhere"), "no table named 'nowhere'"),
    ],
)
def test_bad_input_is_a_message_and_nothing_is_written(lab, tmp_path, arguments, message) -> None:
    table = () if "--table" in arguments else ("--table", "toy")
    code, _, err = lab("surrogates", *arguments, *table, "--seeds", 1, "--out", tmp_path / "out")
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("options", [(4, 3, 2), (4, 3, 3), (5, 6, 7), (20, 20)])
def test_a_small_table_needs_no_sizes(lab, tmp_path, options) -> None:
    """Of 24 cells and more; of 24 there are 20 to hold out and few to train on."""
    space = Space(options)
    scores = np.random.default_rng(0).normal(70, 1, space.size)
    frame = pd.DataFrame(naming.columns(space))
    decisions = list(frame)
    table = Table.from_frame(
        frame.assign(val=scores, test=scores), name="s", decisions=decisions, val=["val"], test=["test"]
    )
    table.save(tmp_path / "s.npz")
    code, out, err = lab(
        "surrogates", "knn", "--table", tmp_path / "s.npz", "--seeds", 1, "--json", "--out", tmp_path / "o"
    )
    assert code == 0, err
    settings = json.loads((tmp_path / "o/surrogates.json").read_text())["settings"]
    assert settings["test_size"] == max(20, space.size // 3)
    assert {row["train"] for row in json.loads(out)["rows"]} == set(settings["train"])
    code, _, err = lab("surrogates", "knn", "--table", tmp_path / "s.npz", "--seeds", 1, "--test-size", 3000)
    assert code == 2
    assert f"--test-size (test_size) must lie in 20..{space.size - 1}, got 3000" in err


def test_the_sizes_of_nas_bench_201_are_as_they_were() -> None:
    assert assessment.sizes_for("toy", None, None) == (3000, (50, 100, 200, 400, 800))
    assert assessment.sizes_for("toy", 50, (7,)) == (50, (7,))


def test_a_surrogate_that_fails_is_named(tmp_path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(
        '"""Broken."""\nfrom dataclasses import dataclass\nfrom nasbench_lab.surrogates._base import Surrogate\n\n'
        "@dataclass\nclass Broken(Surrogate):\n    def fit(self, archs, y, rng=None, **context):\n        return 1 / 0\n"
    )
    chosen = assessment.Settings((str(path),), "toy", (20,), seeds=1, test_size=100)
    with pytest.raises(LabError, match="failed on 20 cells, seed 0: ZeroDivisionError"):
        assessment.run(chosen, tmp_path / "out")
