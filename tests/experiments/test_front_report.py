from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from nasbench_lab.core import LabError
from nasbench_lab.experiments import front_report
from nasbench_lab.spaces import cell
from nasbench_lab.tables import catalog, trainings

STUDY = """
title = "two objectives"
strategies = ["mo_random", "nsga2:population=5"]
seeds = 21
[[task]]
table = "toy"
max_queries = 12
objectives = ["val", "params_m"]
"""


@pytest.fixture(scope="module")
def exact():
    return front_report.exact("toy", ["params_m"])


@pytest.fixture
def results(lab, tmp_path):
    (tmp_path / "study.toml").write_text(STUDY)
    code, _, err = lab("run", tmp_path / "study.toml", "--out", tmp_path / "out")
    assert code == 0, err
    return tmp_path / "out"


def test_rows_are_the_exact_front(exact):
    table, rows = exact.table, exact.rows()
    assert [row["arch"] for row in rows] == exact.target.cells.tolist()
    params, test = table.metrics["params_m"], table.truth
    for row in rows:
        assert not ((params < row["params_m"]) & (test >= row["test"])).any()
        assert not ((params <= row["params_m"]) & (test > row["test"])).any()
        assert row["cell"] == cell.to_string(row["arch"])
    assert [row["params_m"] for row in rows] == sorted(row["params_m"] for row in rows)


def test_cells_with_equal_values_are_one_point(lab, tmp_path):
    front = front_report.exact("digits", ["params_m", "flops_m"])
    rows, points = front.rows(), front.points()
    assert len(points) == front.target.size < len(rows)
    assert sum(point["cells"] for point in points) == len(rows)
    for point in points:
        equal = [row["arch"] for row in rows if all(row[k] == point[k] for k in ("test", "params_m", "flops_m"))]
        assert (point["arch"], point["cells"]) == (equal[0], len(equal))
    code, out, err = lab("front", "--objectives", "params_m", "--objectives", "flops_m", "--out", tmp_path)
    assert code == 0, err
    assert out.startswith("digits: test accuracy against params_m, flops_m\n")
    assert out.count("|") == len(points) * points[0]["cell"].count("|")
    assert f"\n{points[0]['arch']} +{points[0]['cells'] - 1} " in out
    assert len(pd.read_csv(tmp_path / "front.csv")) == len(rows)


def test_normalised_points_are_given_back_in_their_units(exact):
    units = exact.units(exact.target.points[exact.target.cells])
    assert units[:, 0] == pytest.approx([row["test"] for row in exact.rows()])
    assert units[:, 1] == pytest.approx([row["params_m"] for row in exact.rows()])


def test_the_command_prints_and_writes_the_front(lab, tmp_path, exact):
    code, out, err = lab("front", "--table", "toy", "--objectives", "params_m", "--out", tmp_path)
    assert code == 0, err
    assert f"{exact.target.size} points, normalised hypervolume {exact.target.possible:.5f}" in out
    assert (tmp_path / "front.svg").read_text().startswith("<svg")
    frame = pd.read_csv(tmp_path / "front.csv")
    assert frame["arch"].tolist() == exact.target.cells.tolist()


def test_the_command_says_what_strategies_reached(lab, results, exact):
    code, out, err = lab("front", "--table", "toy", "--objectives", "params_m", "--results", results, "--json")
    assert code == 0, err
    content = json.loads(out)
    assert content["hypervolume"] == pytest.approx(exact.target.possible)
    rows = content["reached"]
    assert sorted(row["strategy"] for row in rows) == ["mo_random", "nsga2:population=5"]
    assert rows[0]["hypervolume_mean"] >= rows[1]["hypervolume_mean"]
    for row in rows:
        assert 0 < row["hypervolume_lo"] < row["hypervolume_mean"] < row["hypervolume_hi"] <= 1
        assert 0 < row["igd_plus_mean"] < row["epsilon_mean"] < 1
        assert (row["runs"], row["queries"]) == (21, 12)
    curves = pd.read_csv(results / "reached_curves.csv")
    ends = curves[curves["axis"] == "queries"].groupby("strategy")["hypervolume_mean"].last()
    assert ends.to_dict() == pytest.approx({row["strategy"]: row["hypervolume_mean"] for row in rows})
    assert (results / "reached_curves.svg").read_text().startswith("<svg")
    medians = pd.read_csv(results / "reached_medians.csv")
    assert set(medians["strategy"]) == set(ends.index)


def test_the_command_shows_them_as_a_table(lab, results):
    code, out, _ = lab("front", "--table", "toy", "--objectives", "params_m", "--results", results)
    assert code == 0
    assert "hypervolume reached/possible" in out
    assert "nsga2:population=5" in out


def test_medians_are_what_half_of_the_runs_reached(results, exact):
    from nasbench_lab.study.study import load_study

    found = front_report.attained(exact, load_study(results), results)
    table = exact.table
    for each in found:
        own = [row for row in front_report.medians(exact, found) if row["strategy"] == each.label]
        for row in own:
            reached = [
                (
                    (table.truth[cells] >= row["test"] - 1e-9)
                    & (table.metrics["params_m"][cells] <= row["params_m"] + 1e-9)
                ).any()
                for cells in each.reached.cells
            ]
            assert np.mean(reached) >= 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--objectives", "latency_ms/none"],
            "'latency_ms/none' is no objective beside 'val' on table 'toy'; it has: params_m",
        ),
        (["--objectives", "params_m", "--objectives", "params_m"], "different metrics"),
        (["--table", "none", "--objectives", "params_m"], "none"),
        (["--objectives", "params_m", "--results", "nowhere"], "nowhere"),
    ],
)
def test_what_does_not_exist_is_said_in_one_message(lab, arguments, message):
    table = [] if "--table" in arguments else ["--table", "toy"]
    code, _, err = lab("front", *table, *arguments)
    assert code == 2
    assert message in err


def test_a_study_without_these_objectives_is_named(lab, tmp_path):
    code, _, err = lab(
        "compare", "random_search", "--table", "toy", "--seeds", 2, "--max-queries", 3, "--out", tmp_path
    )
    assert code == 0, err
    code, _, err = lab("front", "--table", "toy", "--objectives", "params_m", "--results", tmp_path)
    assert code == 2
    assert "it has: val scored on toy" in err


def test_a_metric_that_some_cells_lack_has_a_front_of_the_others(tmp_path, monkeypatch):
    from conftest import make_table

    latency = np.where(np.arange(cell.SPACE.size) % 3 == 0, np.nan, np.arange(cell.SPACE.size) + 1.0)
    path = make_table("gaps", metrics={"latency_ms/x": latency}).save(tmp_path / "gaps.npz")
    front = front_report.exact(str(path), ["latency_ms/x"])
    assert front.left_out == int(np.isnan(latency).sum())
    assert (front.target.cells % 3 != 0).all()
    with pytest.raises(LabError, match="'x' is no objective"):
        front_report.exact(str(make_table("odd", metrics={"x": latency}).save(tmp_path / "odd.npz")), ["x"])


def test_the_best_of_many_means_is_said_to_be_lucky(lab, tmp_path):
    """Where a table was measured several times; `compare` measures regret to what is expected, so both numbers have a name."""
    code, out, _ = lab("front", "--table", "digits", "--objectives", "params_m", "--out", tmp_path)
    words = " ".join(out.split())
    table, noise = catalog.load("digits"), trainings.noise(catalog.load("digits"))
    best = int(table.truth.argmax())
    assert code == 0
    assert (
        f"cell {best}, {table.truth[best]:.2f}, is expected to have {noise.level[best]:.2f} when trained anew" in words
    )
    code, out, _ = lab("front", "--table", "toy", "--objectives", "params_m", "--out", tmp_path / "t")
    assert (code, "trained anew" in out) == (0, False)
