"""Trials of elsewhere as a row: asked for in their order, charged by the table, marked on the board."""

from __future__ import annotations

import json

import pytest

import nasbench_lab
from nasbench_lab import loading
from nasbench_lab.core import LabError
from nasbench_lab.experiments import reproduce
from nasbench_lab.leaderboard import written
from nasbench_lab.spaces import cell
from nasbench_lab.study import replays

EDGES = [f"{a}-{b}" for a, b in cell.EDGES]
FIRST, OTHER = [7, 11, 7], [5, 6]


def lines(cells, run=None, epochs=()):
    found = []
    for place, arch in enumerate(cells):
        ops = [cell.OPS[op] for op in cell.SPACE.row(arch)]
        more = [epochs[place]] if epochs else []
        found.append(",".join([*([str(run)] if run is not None else []), *map(str, more), *ops]))
    return found


@pytest.fixture
def trials(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([",".join(["run", *EDGES]), *lines(FIRST, 0), *lines(OTHER, 1)]) + "\n")
    return path


def test_a_search_asks_for_the_trials_in_their_order_and_the_table_answers(trials, toy):
    for seed, cells in enumerate((FIRST, OTHER)):
        run = nasbench_lab.search(f"outside:file={trials}", "toy", seed=seed, max_queries=50)
        assert run["arch"].tolist() == cells
        schedule = toy.schedules[toy.default_search]
        assert run["val"].tolist() == pytest.approx([schedule.val[arch, -1] for arch in cells])
        assert run["incumbent"].iloc[-1] == max(cells, key=lambda arch: schedule.val[arch, -1])
    assert len(nasbench_lab.search(f"outside:file={trials}", "toy", max_queries=2)) == 2


def test_a_trial_that_ended_early_costs_its_epochs_alone(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([",".join(["epochs", *EDGES]), *lines([7, 11], epochs=[2, ""])]))
    run = nasbench_lab.search(f"outside:file={path}", "digits", max_queries=50)
    full = nasbench_lab.load_table("digits").last
    assert run["epochs"].tolist() == [2, 6]
    assert run["seconds"].iloc[0] < run["seconds"].iloc[1]
    assert run["incumbent"].tolist() == [7, 11], full  # at the highest fidelity


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a,b\n1,2\n", "has the decisions"),
        (",".join(EDGES) + "\n" + ",".join(["conv"] * 6), "line 2: .*no option 'conv'"),
        (
            ",".join(["epochs", *EDGES]) + "\n3," + lines([7])[0],
            "epochs must be one of 1, 4, 12, or empty for 12; got '3'",
        ),
        (",".join(["epochs", *EDGES]) + "\nx," + lines([7])[0], "got 'x'"),
        (",".join(["run", *EDGES]) + "\n1," + lines([7])[0], "no run 0, which seed 0 asks for; it has 1 "),
        (",".join(["run", "run"]) + "\n1,1\n", "given twice"),
        ("\x00", "has no trials"),
        ("", "has no trials"),
        (" \n\n", "has no trials"),
        ("\ufeff", "cannot be read as CSV: it is empty"),
        (",".join(EDGES) + "\n", "has no trials"),
        (",".join(EDGES) + "\n" + lines([7])[0] + "\n" + lines([7])[0] + ",none", "line 3 has 7 fields, the header 6"),
    ],
)
def test_what_is_no_trial_is_said_with_its_line(tmp_path, text, why):
    path = tmp_path / "mine.csv"
    path.write_text(text)
    with pytest.raises(LabError, match=why):
        nasbench_lab.search(f"outside:file={path}", "toy", max_queries=5)


def test_a_file_without_trials_is_refused_before_anything_runs(tmp_path):
    (tmp_path / "mine.csv").touch()
    with pytest.raises(LabError, match="has no trials"):
        nasbench_lab.compare(f"outside:file={tmp_path}/mine.csv", "random_search", table="toy", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_no_file_says_is_not_shown_as_brought():
    assert not replays.is_outside("outside:file=")
    assert replays.is_outside("outside:file=mine.csv")


def test_a_file_that_is_not_there_is_said():
    with pytest.raises(LabError, match="nowhere.csv"):
        loading.build("strategies", "outside:file=nowhere.csv")


def test_a_board_says_what_was_brought_and_no_time_that_nobody_measured(trials, tmp_path):
    spec, out = f"outside:file={trials}", tmp_path / "out"
    frame = nasbench_lab.compare(spec, "random_search", table="toy", seeds=2, max_queries=3, out=out).set_index(
        "strategy"
    )
    assert frame.loc[spec, "mark"] == "brought from outside"
    assert frame.isna().loc[:, "decision_seconds_per_query"].to_dict() == {spec: True, "random_search": False}
    (note,) = written.read_rows(out)["notes"]
    assert note.startswith(f"{spec}: brought from outside: its cells were chosen elsewhere")
    assert f"{spec} (brought from outside)" in (out / "leaderboard.md").read_text()
    manifest = json.loads((out / "manifest.json").read_text())
    assert any(item["status"] == "by hand" and spec in item["why"] for item in manifest["checklist"])
    assert {outcome.verdict for outcome in reproduce.reproduce(out)} == {"same"}
    before = [run["id"] for run in manifest["runs"]]
    trials.write_text(trials.read_text().replace("skip_connect", "none"))
    nasbench_lab.compare(spec, "random_search", table="toy", seeds=2, max_queries=3, out=out)
    after = [run["id"] for run in json.loads((out / "manifest.json").read_text())["runs"]]
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True]  # another file, other runs
