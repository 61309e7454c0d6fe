"""The committed numbers are what the code computes: every results folder whose tables come with the package."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import skipped_where_absent

import nasbench_lab
from nasbench_lab import loading
from nasbench_lab.errors import LabError
from nasbench_lab.files import sealed
from nasbench_lab.leaderboard import index as results_index
from nasbench_lab.leaderboard import ranking, written
from nasbench_lab.leaderboard.rebuild import entries, rebuild
from nasbench_lab.report import index as report_index
from nasbench_lab.study import execute
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import from_json, read_study
from nasbench_lab.tables import catalog

RESULTS = Path(__file__).parents[2] / "results"
FEW = 4  # strategies run anew in every setting: the cheapest; `nasbench-lab reproduce` runs them all
QUERIES = 60_000  # answered at most
OF_ALL = {"rank", "rank_low", "rank_high", "rank_mean", "seeds_to_next"}  # depend on which strategies are compared
MEASURED = {"decision_seconds_per_query"}


def embedded(folder: Path) -> bool:
    tables = json.loads((folder / "manifest.json").read_text()).get("tables")
    own = {path.stem for path in catalog.EMBEDDED.glob("*.npz")}
    return (
        bool(tables)
        and set(tables) <= own
        and all(catalog.load(name).digest == facts["digest"] for name, facts in tables.items())
    )


def folders() -> list[Path]:
    found = sorted(path.parent for path in RESULTS.glob("*/manifest.json"))
    return [folder for folder in found if embedded(folder)]


def cheapest(rows: list[dict]) -> list[str]:
    """The strategies that decide fastest, no more than can be run in a test."""
    chosen: list[str] = []
    cost = 0.0
    for row in sorted(rows, key=lambda row: row["decision_seconds_per_query"] or 0.0):
        if loading.build("strategies", row["strategy"]).family == "one_shot":  # a supernet is minutes
            continue
        cost += row["runs"] * row["queries"]
        if row["strategy"] not in chosen and len(chosen) < FEW and cost <= QUERIES:
            chosen.append(row["strategy"])
    return chosen


def test_there_are_committed_results_on_embedded_tables():
    assert RESULTS / "digits" in folders()


def test_the_lists_of_committed_leaderboards_are_current(tmp_path):
    """Of the folders they name; what else may lie there is somebody's own. Studies with a file are among them."""
    text = (RESULTS / "index.md").read_text()
    listed = re.findall(r"\]\((\w+)/leaderboard\.md\)", text)
    for name in listed:
        (tmp_path / name).symlink_to(RESULTS / name)
    again = "rebuild them with `nasbench-lab leaderboard --all`"
    assert results_index.to_markdown(tmp_path) == text, again
    html = (RESULTS / "index.html").read_text()
    assert report_index.page(tmp_path) == html.replace(f"/{report_index.PAGE}", "/leaderboard.md"), again
    studies = {path.stem for path in RESULTS.parent.glob("benchmarks/*.toml")}
    assert {path.parent.name for path in RESULTS.glob("*/leaderboard.json")} & studies <= set(listed)


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_committed_rows_are_what_the_code_computes(folder, tmp_path):
    committed = json.loads((folder / "leaderboard.json").read_text())
    study = from_json(json.loads((folder / "manifest.json").read_text())["study"])
    with skipped_where_absent():
        study = replace(study, strategies=tuple(cheapest(committed["rows"])))
        plan = resolve(study)
    execute.run(plan, tmp_path)
    board = ranking.build(study.title, list(entries(execute.collect(plan, tmp_path))))
    now = json.loads(written.to_json(board))

    def key(row):
        return tuple(row[name] for name in ("table", "score", "search", "budget", "policy", "strategy"))

    then = {key(row): row for row in committed["rows"]}
    assert len(now["rows"]) >= len(study.strategies) > 1
    for row in now["rows"]:
        for name in set(row) - OF_ALL - MEASURED:
            value = row[name] if row[name] is None or isinstance(row[name], str) else pytest.approx(row[name], rel=1e-9)
            assert then[key(row)][name] == value, (row["strategy"], name)
    if len(study.strategies) == len({row["strategy"] for row in committed["rows"]}):
        for row in now["rows"]:
            assert {name: row[name] for name in OF_ALL} == pytest.approx(
                {name: then[key(row)][name] for name in OF_ALL}
            )


def test_published_rows_are_printed_beside_ours_and_none_is_outside(capsys):
    assert runpy.run_path(str(RESULTS.parent / "benchmarks" / "published.py"))["main"]() == 0
    said = capsys.readouterr().out
    assert "0 figures outside their tolerance" in said
    assert len(re.findall(r"^bohb:protocol=nas-bench-201 +cifar100? ", said, re.M)) == 4  # plain, and with noise


def test_every_committed_folder_can_be_rebuilt_by_one_command():
    script = runpy.run_path(str(RESULTS.parent / "benchmarks" / "rebuild.py"))
    made = set(script["MADE"])
    listed = [
        "git",
        "-C",
        str(RESULTS.parent),
        "ls-files",
        "results/*/*.json",
    ]  # whoever tried README has others beside
    done = subprocess.run(listed, capture_output=True, text=True, check=False)
    lines = done.stdout.split() or [f"results/{path.parent.name}/" for path in RESULTS.glob("*/*.json")]  # no git here
    committed = {line.split("/")[1] for line in lines} - {"gpu"}  # that one needs a GPU
    assert "digits" in committed
    assert committed <= made | set(script["MEASURED"])
    assert made <= {path.name for path in RESULTS.iterdir() if path.is_dir()}
    for path in re.findall(r"benchmarks/\w+\.(?:toml|py)", str(script["MADE"])):
        assert (RESULTS.parent / path).exists(), path


def test_results_of_older_code_are_told_from_those_of_today(tmp_path):
    state = runpy.run_path(str(RESULTS.parent / "benchmarks" / "rebuild.py"))["state"]
    out = tmp_path / "toy"
    study = replace(read_study(RESULTS.parent / "benchmarks" / "toy.toml"), strategies=("random_search",), seeds=2)
    plan = resolve(study)
    execute.run(plan, out)
    rebuild(plan, out)
    assert state(out) == "current"
    manifest = sealed.read_json(out / "manifest.json")
    for change, said in (
        ("runs", "older code: 1 of 1 rows, random_search on toy"),
        ("study", "not told: no table named 'gone'"),
    ):
        other = json.loads(json.dumps(manifest))
        other["runs"][0] |= {"id": "0" * 12} if change == "runs" else {}
        other["study"]["tasks"][0] |= {"table": "gone"} if change == "study" else {}
        (out / "manifest.json").write_text(json.dumps(sealed.seal(other)))
        assert state(out).startswith(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{folder}", "--beaten", "gp_bo"], "{folder}: .* runs of .* are not in {folder}/runs"),
        (["{folder}/none", "25"], "{folder}/none: .*No such file"),
        (["{folder}"], "say numbers of queries, --beaten STRATEGY or --optimum"),
        (["{folder}", "many"], "invalid float value: 'many'"),
    ],
)
def test_what_a_clone_has_no_runs_for_is_said_in_a_sentence(tmp_path, arguments, said):
    folder = shutil.copytree(RESULTS / "digits", tmp_path / "copy", ignore=shutil.ignore_patterns("runs"))
    words = [each.format(folder=folder) for each in arguments]
    script = RESULTS.parent / "benchmarks" / "at_queries.py"
    done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, check=False)
    assert done.returncode
    assert re.search(said.format(folder=folder), done.stderr)
    assert "Traceback" not in done.stderr


def test_who_beats_a_strategy_wants_one_that_is_there(tmp_path):
    nasbench_lab.compare("random_search", "local_search", table="toy", seeds=6, max_queries=5, out=tmp_path)
    beaten = runpy.run_path(str(RESULTS.parent / "benchmarks" / "at_queries.py"))["beaten"]
    beaten(tmp_path, "random_search")
    with pytest.raises(LabError, match="no strategy 'gp_bo'; there are"):
        beaten(tmp_path, "gp_bo")


def test_when_the_best_was_found_is_what_the_board_says(tmp_path, capsys):
    board = nasbench_lab.compare("random_search", "local_search", table="toy", seeds=6, max_queries=60, out=tmp_path)
    runpy.run_path(str(RESULTS.parent / "benchmarks" / "at_queries.py"))["optimum"](tmp_path)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(board)
    for line in lines:
        strategy, least, mean, reached = re.fullmatch(r"toy +(\S+) +(≥ )?(\S+) ± \S+ +(\d+%) of 6", line).groups()
        (row,) = board[board["strategy"] == strategy].to_dict("records")
        assert float(mean) == pytest.approx(row["queries_to_optimum_mean"], abs=0.051)
        assert (reached, bool(least)) == (f"{row['reached_optimum']:.0%}", row["reached_optimum"] < 1)
