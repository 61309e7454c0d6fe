"""Metrics of a table of one's own that say which of their values are better are objectives everywhere."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from nasbench_lab import api, core
from nasbench_lab.core import LabError
from nasbench_lab.spaces import naming
from nasbench_lab.spaces.space import Space
from nasbench_lab.tables import describe
from nasbench_lab.tables.table import Table

SPACE = Space((4, 3, 3))
DECISIONS = [each.name for each in SPACE.decisions]


@pytest.fixture
def file(tmp_path):
    frame = pd.DataFrame(naming.columns(SPACE))
    frame[["acc", "lat", "quality"]] = np.random.default_rng(0).uniform(1, 90, (SPACE.size, 3)).round(3)
    frame.to_csv(tmp_path / "mine.csv", index=False)
    return tmp_path / "mine.csv"


def imported(lab, file, *metrics):
    given = [word for metric in metrics for word in ("--metric", metric)]
    asked = ("--decisions", ",".join(DECISIONS), "--test", "acc", "--unit", "%", *given)
    return lab("tables", "import", file, *asked, "--out", file.parent)


def test_a_directed_metric_is_searched_and_its_front_is_exact(lab, file):
    assert imported(lab, file, "lat:lower", "quality:higher")[0] == 0
    path, frame = file.parent / "mine.npz", pd.read_csv(file)
    for name, sign in (("lat:lower", 1), ("quality:higher", -1)):
        code, out, err = lab("front", "--table", path, "--objectives", name, "--json", "--out", file.parent / "front")
        assert code == 0, err
        column = name.partition(":")[0]
        costs = np.stack([100 - frame["acc"], sign * frame[column]], axis=1)
        best = [i for i in range(len(costs)) if not ((costs <= costs[i]).all(1) & (costs < costs[i]).any(1)).any()]
        assert sorted(row["arch"] for row in json.loads(out)["front"]) == best
    out = file.parent / "out"
    found = api.compare(
        "nsga2",
        "random_search",
        table=str(path),
        objectives=["val", "lat:lower", "quality:higher"],
        seeds=2,
        max_queries=30,
        out=out,
    )
    assert (found["hypervolume_mean"] > 0).all()
    assert lab("reproduce", out)[0] == 0


def test_ranks_are_by_the_better_values(file):
    frame = pd.read_csv(file)
    kinds = {"lat": "lower", "quality": "higher"}
    table = Table.from_frame(frame, name="m", decisions=DECISIONS, test=["acc"], unit="%", metrics=kinds)
    assert list(table.metrics) == ["lat:lower", "quality:higher"]
    for name, best in (("lat:lower", frame["lat"].idxmin()), ("quality:higher", frame["quality"].idxmax())):
        assert describe.cell_facts(int(best), table)["scores"][name].rank == 1


def test_a_metric_without_a_direction_says_how_to_give_one(lab, file):
    assert imported(lab, file, "lat")[0] == 0
    code, _, err = lab(
        "front", "--table", file.parent / "mine.npz", "--objectives", "lat", "--out", file.parent / "front"
    )
    assert code == 2
    assert "--metric lat:lower or lat:higher" in " ".join(err.split())
    assert not (file.parent / "front").exists()
    frame = pd.read_csv(file)
    for wrong in ({"lat": "down"}, ["lat:down"], ["lat:lower", "lat:higher"]):
        with pytest.raises(LabError, match="lat"):
            Table.from_frame(frame, name="m", decisions=DECISIONS, test=["acc"], unit="%", metrics=wrong)


def test_a_column_of_that_name_is_taken_as_it_is(file):
    frame = pd.read_csv(file).rename(columns={"lat": "lat:lower"})
    table = Table.from_frame(frame, name="m", decisions=DECISIONS, test=["acc"], unit="%", metrics=["lat:lower"])
    assert list(table.metrics) == ["lat:lower"]


def test_names_decide():
    assert [core.known_direction(name) for name in ("a:lower", "a:b:higher", "latency_ms/x", "a", ":lower", "lower")] == [
        -1, 1, -1, 0, 0, 0,
    ]  # fmt: skip
