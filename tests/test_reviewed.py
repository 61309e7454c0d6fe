"""What was once wrong in silence on tables of one's own: each kind by an input of its own."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from nasbench_lab import api
from nasbench_lab.cli.app import app
from nasbench_lab.core import LabError
from nasbench_lab.experiments import assessment
from nasbench_lab.spaces import naming
from nasbench_lab.spaces.decisions import Decision
from nasbench_lab.spaces.space import Space
from nasbench_lab.stats.measures import Measure
from nasbench_lab.surrogates._targets import TRANSFORMS
from nasbench_lab.tables.table import Table


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("NASBENCH_LAB_DATA", str(tmp_path))
    return tmp_path


def table(space: Space, val, **how) -> Table:
    frame = pd.DataFrame(naming.columns(space)).assign(val=val)
    made = {"name": "t", "decisions": [each.name for each in space.decisions], "val": ["val"], "unit": "nats"} | how
    return Table.from_frame(frame, **made)


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert isinstance(result.exception, LabError), (result.output, result.exception)
    return str(result.exception)


def test_surrogates_learn_on_the_space_of_their_table(data):
    space = Space((4,) * 5)
    weights = np.random.default_rng(0).normal(0, 1, 20)
    table(space, space.one_hot @ weights).save(data / "t.npz")
    settings = assessment.Settings(("gp", "bayes_linear"), "t", train=(60,), seeds=1, test_size=100)
    for spec in settings.surrogates:
        model, _ = assessment._fitted(spec, settings, np.arange(0, space.size, 17), 0)
        mean, _ = model.predict(np.arange(space.size))
        assert np.corrcoef(mean, space.one_hot @ weights)[0, 1] > 0.6  # 0 on average where the space is another


@pytest.mark.parametrize(
    "rows", ["conv,16,90.1,1\npool,32,88.0,2\n", "conv,16,90.1,\npool,32,88.0,\n", "conv,16,90.1\npool,32,88,2\n"]
)
def test_rows_longer_than_the_header_are_refused(data, rows):
    (data / "x.csv").write_text(f"op,width,val\n{rows}")
    said = refused("tables", "import", data / "x.csv", "--decisions", "op,width", "--val", "val")
    assert "x.csv" in said
    assert not list(data.glob("*.npz"))


@pytest.mark.parametrize("mark", [";", "\t"])
def test_other_separators_are_said(data, mark):
    (data / "x.csv").write_text(f"op{mark}width{mark}val\nconv{mark}16{mark}0.3\n")
    assert "commas" in refused("tables", "import", data / "x.csv")


def test_blanks_around_labels_are_dirt():
    frame = pd.DataFrame({"a": ["x ", " y", "x", "y "], "b": [1, 1, 2, 2], "val": [1.0, 2.0, 3.0, 4.0]})
    made = Table.from_frame(frame, name="t", decisions=["a", "b"], val=["val"], unit="nats")
    assert made.space.decisions[0].options == ("x", "y")
    with pytest.raises(LabError, match="same configuration"):
        Table.from_frame(frame.assign(b=1), name="t", decisions=["a", "b"], val=["val"])


def test_texts_of_numbers_are_numbers():
    frame = pd.DataFrame({"a": ["1", "10", "2"], "val": [1.0, 2.0, 3.0]})
    (decision,) = Table.from_frame(frame, name="t", decisions=["a"], val=["val"]).space.decisions
    assert (decision.options, decision.ordered) == ((1.0, 2.0, 10.0), True)


@pytest.mark.parametrize(
    "values",
    [
        pd.to_timedelta([1, 2, 3], unit="s"),
        pd.to_datetime(["2020", "2021", "2022"]),
        np.array([1, 2, 3j]),
        [True, 1.0, 2.0],
        [1, [2], 3],
    ],
    ids=["durations", "dates", "complex", "a truth value", "a list"],
)
def test_what_is_no_number_is_no_score(values):
    frame = pd.DataFrame(
        {"a": list("xyz"), "val": pd.Series(values, dtype=object if isinstance(values, list) else None)}
    )
    with pytest.raises(LabError, match="'val'"):
        Table.from_frame(frame, name="t", decisions=["a"], val=["val"])


@pytest.mark.parametrize(
    ("frame", "how", "said"),
    [
        ({"a": [1]}, {}, "pandas frame"),
        (pd.DataFrame({"a": [1], "val": [1.0]}), {"space": "fcnet"}, "Space"),
        (pd.DataFrame({"a": [{}], "val": [1.0]}), {}, "label"),
    ],
)
def test_arguments_of_other_types_are_refused(frame, how, said):
    with pytest.raises(LabError, match=said):
        Table.from_frame(frame, name="t", decisions=["a"], val=["val"], **how)


@pytest.mark.parametrize("val", [[0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2], [1e30] * 4, [0.0] * 4, [0.0, 1.0, 2.0, 3.0]])
def test_scores_that_hardly_differ_have_a_board(data, val):
    table(Space((4,)), val, better="lower").save(data / "t.npz")
    api.compare("random_search", table="t", seeds=3, max_queries=4, out=data / "out")
    for name in ("leaderboard.md", "leaderboard.csv"):
        text = (data / "out" / name).read_text()
        assert "-0 " not in text
        assert ",-0," not in text
    assert (data / "out/manifest.json").is_file()


def test_scores_too_large_to_be_squared_are_refused():
    with pytest.raises(LabError, match="1e\\+100"):
        table(Space((2,)), [1e308, -1e308])


def test_an_oracle_is_labelled_where_no_epochs_are_counted(data):
    table(Space((4, 3)), np.arange(12.0)).save(data / "t.npz")
    api.compare("random_search", table="t", search="oracle", seeds=3, max_queries=4, out=data / "out")
    assert "oracle" in (data / "out/leaderboard.md").read_text()
    assert {row["search"] for row in json.loads((data / "out/leaderboard.json").read_text())["rows"]} == {"oracle"}


def test_scores_have_as_many_digits_as_tell_them_apart():
    assert Measure("loss").for_scores(12345 + np.arange(9) / 10).text(12345.87) == "12345.87"
    assert Measure("loss", "lower").for_scores(np.array([3e-5, 0.1, 9000.0])).digits == 4
    assert Measure("%").for_scores(np.array([99.0, 99.1])).text(99.04) == "99.04"


def test_a_number_of_the_row_as_a_decision_is_said(data):
    pd.DataFrame({"run": [f"r{i}" for i in range(9)], "a": list("xyz") * 3, "val": np.arange(9.0)}).to_csv(
        data / "x.csv", index=False
    )
    result = CliRunner().invoke(app, ["tables", "import", str(data / "x.csv"), "--decisions", "run", "--val", "val"])
    assert "note" in result.output
    result = CliRunner().invoke(
        app, ["tables", "import", str(data / "x.csv"), "--decisions", "run,a", "--val", "val", "--name", "y"]
    )
    assert "decision 'run' is different in every row" in " ".join(result.output.split())
    assert "--decisions a --val" in refused("tables", "import", data / "x.csv")


def test_scores_of_different_tasks_are_not_proposed_as_trials(data):
    columns = {
        "op": list("xyz"),
        "scene_valid_top1": [1.0, 2, 3],
        "jigsaw_valid_top1": [4.0, 5, 6],
        "scene_test_top1": [7.0, 8, 9],
    }
    pd.DataFrame(columns).to_csv(data / "x.csv", index=False)
    said = refused("tables", "import", data / "x.csv")
    assert "--val scene_valid_top1 --test scene_test_top1" in said


@pytest.mark.parametrize("transform", ["logit", "log_error"])
def test_transforms_for_percentages_tell_other_scores_apart(transform):
    for scores in (np.array([-1e-4, -2e-4, -3e-5]), np.array([0.2, 0.1, 0.7]), np.array([200.0, 100.0, 900.0])):
        assert np.argsort(TRANSFORMS[transform](scores)).tolist() == [1, 0, 2]
    assert not TRANSFORMS[transform](np.array([-3.0, -3.0])).any()


@pytest.mark.parametrize("name", ["index", "a"])
def test_an_exported_table_is_not_taken_for_another_benchmark(data, name):
    space = Space([Decision(name, (1.5, 2, 3), ordered=True), Decision("b", ("x", "y"))])
    table(space, np.arange(6.0)).save(data / "t.npz")
    path = str(data / "x.csv")
    assert CliRunner().invoke(app, ["tables", "export", "t", "--format", "csv", "--out", path]).exit_code == 0
    again = ["tables", "import", path, "--decisions", f"{name},b", "--val", "t/1/val", "--name", "again"]
    assert CliRunner().invoke(app, again).exit_code == 0
    assert name == "index" or "is a table of your own" in refused("tables", "import", path)
