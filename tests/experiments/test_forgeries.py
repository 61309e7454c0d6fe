"""`reproduce` checks what is shown: every forgery is caught, in a clone and with runs, and honest re-runs pass."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path

import pytest
from conftest import make_table
from run_files import forge

import nasbench_lab
from nasbench_lab.core import LabError
from nasbench_lab.experiments.reproduce import reproduce
from nasbench_lab.files import sealed
from nasbench_lab.leaderboard import rebuild
from nasbench_lab.study import plan, store

MINE = '''"""Mine: cells of the design."""
from dataclasses import dataclass
from nasbench_lab import Query, Strategy

@dataclass
class Mine(Strategy):
    def propose(self):
        return Query(self.design(), self.task.full)

    def observe(self, result):
        pass
'''
pytestmark = pytest.mark.usefixtures("repeated_once")
TEXTS = ("leaderboard.csv", "leaderboard.md", "curves.csv")


@pytest.fixture(scope="module")
def made(tmp_path_factory, repeated_once):
    """A study with a table and a strategy of its own, and with a note."""
    base = tmp_path_factory.mktemp("made")
    make_table("own").save(base / "own.npz")
    (base / "mine.py").write_text(MINE)
    nasbench_lab.compare(
        "random_search",
        "hyperband",
        str(base / "mine.py"),
        table=str(base / "own.npz"),
        seeds=3,
        max_queries=6,
        out=base / "out",
    )
    return base


@pytest.fixture(params=["runs", "clone"])
def folder(request, made, tmp_path):
    out = shutil.copytree(made / "out", tmp_path / "out")
    if request.param == "clone":
        shutil.rmtree(out / "runs")
    kept = {name: (made / name).read_bytes() for name in ("own.npz", "mine.py")}
    yield out
    for name, content in kept.items():
        (made / name).write_bytes(content)


def rewrite(path: Path, change) -> None:
    """Change a JSON file's content, with a seal that fits, and the leaderboard's seals of the texts beside it."""
    content = json.loads(path.read_text())
    content.pop(sealed.KEY, None)
    content.pop(sealed.FILES, None)
    change(content)
    texts = {name: (path.parent / name).read_text() for name in TEXTS} if path.name == "leaderboard.json" else None
    path.write_text(json.dumps(sealed.seal(content, texts)))


def replace(name: str, pattern: str, by: str):
    """A forgery of a text file: the first match, and the seals with it."""

    def change(out: Path) -> None:
        text = (out / name).read_text()
        forged = re.sub(pattern, by, text, count=1)
        assert forged != text
        (out / name).write_text(forged)
        rewrite(out / "leaderboard.json", lambda content: None)

    return change


def edit(name: str, change):
    return lambda out: rewrite(out / name, change)


def more(row, key):
    row[key] += 1


def swap(content):
    first, second = content["rows"][:2]
    first["strategy"], second["strategy"] = second["strategy"], first["strategy"]


def other_table(out: Path, *, refit: bool) -> None:
    """The table with other test scores, and a digest that fits; the manifest's too, or not."""
    table = make_table("own")
    path = Path(next(iter(json.loads((out / "manifest.json").read_text())["tables"])))
    last = dataclasses.replace(
        table.last, test=table.last.test[::-1].copy(), test_trials=table.last.test_trials[::-1].copy()
    )
    other = dataclasses.replace(table, schedules={12: last})
    path.unlink()
    other.save(path)
    if refit:
        rewrite(out / "manifest.json", lambda content: content["tables"][str(path)].update(digest=other.digest))


def other_strategy(out: Path) -> None:
    mine = next(s for s in json.loads((out / "manifest.json").read_text())["study"]["strategies"] if s.endswith(".py"))
    Path(mine).write_text(MINE.replace("self.design()", "7"))


def other_records(out: Path) -> None:
    """Numbers of a file of runs, with seals that fit; in a clone, the digest of records."""
    if not (out / "runs").is_dir():
        rewrite(out / "manifest.json", lambda content: content["runs"][1].update(records_sha256="0" * 64))
        return
    path = sorted((out / "runs").glob("*.parquet"))[0]
    forge(path, val=store.read(path).columns["val"] + 1)


FORGERIES = {
    "a number of the leaderboard": edit("leaderboard.json", lambda c: more(c["rows"][1], "test_mean")),
    "a number far behind the point": edit(
        "leaderboard.json", lambda c: c["rows"][0].update(test_mean=c["rows"][0]["test_mean"] + 1e-5)
    ),
    "a reference": edit("leaderboard.json", lambda c: more(c["references"][0], "optimum")),
    "a number of the table": replace("leaderboard.csv", r"(\d)\.(\d)(\d*),", r"\1.\g<2>9,"),
    "a number of the page": replace("leaderboard.md", r"\| (\d)(\d\.\d\d)", r"| 9\2"),
    "a number of a curve": replace("curves.csv", r",(\d\d)\.", r",1\1."),
    "a detail": edit("details.json", lambda c: more(c["settings"][0]["best"][0], "runs")),
    "a row less": edit("leaderboard.json", lambda c: c["rows"].pop()),
    "names of rows": edit("leaderboard.json", swap),
    "a line of the table less": replace("leaderboard.csv", r"\n[^\n]+\n$", "\n"),
    "a file less": lambda out: (out / "curves.csv").unlink(),
    "records": other_records,
    "a digest of the table": edit("manifest.json", lambda c: next(iter(c["tables"].values())).update(digest="0" * 64)),
    "seeds": edit("manifest.json", lambda c: more(c["study"], "seeds")),
    "fewer seeds": edit("manifest.json", lambda c: c["study"].update(seeds=2)),
    "the title": edit("leaderboard.json", lambda c: c.update(title="Another")),
    "notes": edit("leaderboard.json", lambda c: c.pop("notes")),
    "notes of the manifest": edit("manifest.json", lambda c: c.update(notes=["all is well"])),
    "what the manifest says of a strategy": edit(
        "manifest.json", lambda c: next(iter(c["strategies"].values())).update(paper="Nobody 2000")
    ),
    "the checklist": edit("manifest.json", lambda c: c["checklist"][0].update(why="because")),
    "the table": lambda out: other_table(out, refit=False),
    "the table, and its digest in the manifest": lambda out: other_table(out, refit=True),
    "the strategy": other_strategy,
}


def bad(out):
    return [each for each in reproduce(out, trusted=None) if each.verdict != "same"]


def test_an_honest_rerun_passes(folder):
    assert bad(folder) == []


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_is_caught(forgery, folder):
    FORGERIES[forgery](folder)
    assert bad(folder)


def test_what_no_manifest_knows_is_named_and_no_failure_unless_it_poses_as_a_boards(folder, lab):
    posing = ["Leaderboard.md", "a b/MANIFEST.JSON", "old/leaderboard.csv", "runs/curves.csv"]
    runs = ["runs/x-000000000000-000000.parquet"] if (folder / "runs").is_dir() else []
    other = ["notes.txt", "report.html", *runs, "sub/deep/chart.svg", "two\nlines"]
    shutil.copytree(folder, folder / "sub" / "results")
    for name in [*posing, *other]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("something")
    code, out, _ = lab("reproduce", folder, "--trust", "all")
    assert code == 1
    assert [line.split()[1:] for line in out.splitlines() if line.startswith("differs")] == [n.split() for n in posing]
    names = [*other[:-1], "sub/results/", "'two\\nlines'"]
    assert out.splitlines()[-1] == f"not of these results, and not checked: {', '.join(names)}"


def names_exchanged(study):
    study["strategies"] = [study["strategies"][1], study["strategies"][0], *study["strategies"][2:]]


OTHER_STUDIES = {
    "names exchanged": names_exchanged,
    "another budget": lambda study: study["tasks"][0].update(max_queries=5),
    "noise": lambda study: study["tasks"][0].update(noise=1.0),
    "another schedule": lambda study: study["tasks"][0].update(search="oracle"),
    "another table": lambda study: study["tasks"][0].update(table="toy", score=[]),
    "simulated workers": lambda study: study["tasks"][0].update(simulated_workers=4),
    "repeats": lambda study: study["tasks"][0].update(repeats="free"),
    "trials": lambda study: study["tasks"][0].update(trials="sample"),
}


@pytest.mark.parametrize("name", OTHER_STUDIES)
def test_runs_are_not_shown_as_those_of_another_study(name, made, tmp_path):
    """Everything fits together again, but the runs were asked for otherwise."""
    out = shutil.copytree(made / "out", tmp_path / "out")
    before = (out / "leaderboard.json").read_bytes()

    def change(content):
        OTHER_STUDIES[name](content["study"])
        tables = [task["table"] for task in content["study"]["tasks"] for _ in content["study"]["strategies"]]
        for run, table, spec in zip(content["runs"], tables, content["study"]["strategies"], strict=True):
            run.update(table=table, strategy=spec)

    rewrite(out / "manifest.json", change)
    with pytest.raises(LabError, match="are not those of its study"):
        rebuild.again(out)
    assert (out / "leaderboard.json").read_bytes() == before
    assert any(outcome.verdict != "same" for outcome in reproduce(out, trusted=None))


def test_a_file_of_runs_that_is_gone_is_missed(made, tmp_path):
    out = shutil.copytree(made / "out", tmp_path / "out")
    sorted((out / "runs").glob("*.parquet"))[1].unlink()
    assert any("3 of 3 runs of" in each.reason for each in bad(out))


def test_a_number_that_differs_is_told_by_file_row_and_column(folder):
    replace("leaderboard.csv", r",6,", ",7,")(folder)
    edit("leaderboard.json", lambda c: more(c["rows"][1], "test_mean"))(folder)
    told = {each.id: each.reason for each in bad(folder)}
    assert re.fullmatch(r"row \(\S+, own, own\), queries: '7' then, '6' now", told["leaderboard.csv"])
    assert re.match(r"rows \(\S+, own, own\), test_mean: \d+\.\d+ then, \d+\.\d+ now", told["leaderboard.json"])
    assert {each.verdict for each in reproduce(folder, trusted=None) if each.kind == "run"} == {"same"}


def test_another_processor_is_told_from_other_code(folder, monkeypatch):
    other_records(folder)
    monkeypatch.setattr("nasbench_lab.experiments.reproduce.kernel", lambda: "openblas 0.3 Haswell")
    causes = [each.cause for each in bad(folder) if each.cause]
    assert causes
    then = plan.kernel()
    assert all(
        cause
        == f"Code and packages are the same; another processor's linear algebra: {then} then, openblas 0.3 Haswell now"
        for cause in causes
    )
