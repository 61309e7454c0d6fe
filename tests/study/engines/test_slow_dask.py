"""Real Dask clusters of separate processes in separate folders, and what may befall them: all runs are kept, none differs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from authored import project
from clusters import ROOT, Cluster
from conftest import make_table
from test_faults import killer, study

from nasbench_lab.core import LabError
from nasbench_lab.study import execute, shelf, store
from nasbench_lab.study.plan import Plan, resolve
from nasbench_lab.study.study import Study, StudyTask

pytestmark = [
    pytest.mark.slow,
    pytest.mark.needs("distributed"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning"),
]
SMALL = Study(("random_search",), (StudyTask("toy", max_queries=10, noise=0.5),), seeds=200, block=10)


@pytest.fixture
def cluster(tmp_path) -> Iterator[Cluster]:
    made = Cluster(tmp_path / "cluster")
    made.start_scheduler()
    yield made
    made.stop()


def digests(plan: Plan, out: Path) -> list[str]:
    return [store.digest(runs.columns) for _, runs in execute.collect(plan, out)]


def at(moment: int, what: Callable[[], object]) -> Callable[[int, int], None]:
    """As progress: do something once, when so many runs are done."""
    todo = [what]

    def progress(done: int, _total: int) -> None:
        if done >= moment and todo:
            todo.pop()()

    return progress


def test_workers_that_share_no_folder_and_lack_the_table(cluster, tmp_path, monkeypatch):
    """The output is relative, to a folder where no worker is; the table's file is gone when they look for it."""
    monkeypatch.chdir(tmp_path)
    path = make_table("far").save(tmp_path / "far.npz")
    plan = resolve(Study(("random_search", "local_search"), (StudyTask(str(path), max_queries=6),), seeds=40))
    execute.run(plan, Path("here"))
    cluster.start_worker()
    cluster.start_worker()
    gone = at(0, path.unlink)
    execute.run(plan, Path("out"), backend=f"dask:{cluster.address}", progress=gone)
    assert not path.exists()
    assert digests(plan, Path("out")) == digests(plan, Path("here"))
    assert not list(cluster.folder.rglob("*.parquet"))


def test_a_strategy_file_goes_to_workers_that_have_none(cluster, tmp_path):
    """With its helper, and what it reads on its way; the run is the one that it is at home."""
    home = tmp_path / "home"
    file, _ = project(home, "by computed name")
    other, _ = project(home / "other", "data")
    plan = resolve(Study((str(file), str(other)), (StudyTask("toy", max_queries=6),), seeds=40, block=5))
    execute.run(plan, tmp_path / "here")
    cluster.start_worker()
    cluster.start_worker()
    gone = at(0, lambda: home.rename(tmp_path / "away"))
    execute.run(plan, tmp_path / "out", backend=f"dask:{cluster.address}", progress=gone)
    assert not home.exists()
    (tmp_path / "away").rename(home)
    assert digests(plan, tmp_path / "out") == digests(plan, tmp_path / "here")
    assert [shelf.Shelf(tmp_path / "out").of(group).seeds for group in resolve(plan.study).groups] == [[range(40)]] * 2
    kept = {path.relative_to(cluster.folder).parts[:4] for path in cluster.folder.rglob("my.py")}
    assert kept == {(f"worker{n}", "cache", "nasbench_lab", "code") for n in (0, 1)}


def test_workers_write_into_the_folder_that_they_share(cluster, tmp_path, monkeypatch):
    """It is relative to the caller's folder, in which no worker is."""
    monkeypatch.chdir(tmp_path)
    plan = resolve(Study(("random_search", "local_search"), (StudyTask("toy", max_queries=6),), seeds=40))
    execute.run(plan, Path("here"))
    cluster.start_worker()
    cluster.start_worker()
    execute.run(plan, Path("out"), backend=f"dask:{cluster.address}", write_on="workers")
    assert digests(plan, Path("out")) == digests(plan, Path("here"))
    assert sorted(path.name for path in Path("out/runs").iterdir()) == sorted(
        p.name for p in Path("here/runs").iterdir()
    )


def test_a_worker_and_the_scheduler_are_killed_and_started_again(cluster, tmp_path):
    plan = resolve(SMALL)
    told: list[str] = []
    cluster.start_worker()

    def worker() -> None:
        cluster.workers[-1].kill()
        cluster.start_worker()

    def scheduler() -> None:
        cluster.scheduler.kill()
        cluster.scheduler.wait()
        cluster.start_scheduler()
        cluster.start_worker()

    first, second = at(20, worker), at(100, scheduler)
    execute.run(
        plan,
        tmp_path / "out",
        backend=f"dask:{cluster.address}",
        progress=lambda done, total: (first(done, total), second(done, total)),
        say=told.append,
    )
    execute.run(plan, tmp_path / "one")
    assert digests(plan, tmp_path / "out") == digests(plan, tmp_path / "one")


def test_without_workers_one_is_told_so_and_with_the_first_it_goes_on(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("nasbench_lab.study.engines.dispatch.SILENT", 2.0)
    plan = resolve(SMALL)
    told: list[str] = []

    def say(words: str) -> None:
        if not told:
            cluster.start_worker()
        told.append(words)

    execute.run(plan, tmp_path / "out", backend=f"dask:{cluster.address}", say=say)
    assert "waiting for workers: the Dask scheduler" in told[0]
    assert there(plan, tmp_path / "out") == 200


def there(plan: Plan, out: Path) -> int:
    return sum(map(len, shelf.Shelf(out).of(plan.groups[0]).seeds))


def test_a_scheduler_that_does_not_come_back_is_waited_for_as_long_as_is_said(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("nasbench_lab.study.engines.dask.PATIENCE", 3.0)
    plan = resolve(SMALL)
    cluster.start_worker()
    told: list[str] = []
    stop = at(50, lambda: cluster.scheduler.kill())
    with pytest.raises(LabError, match="did not come back within 3 s; what is finished is kept"):
        execute.run(plan, tmp_path / "out", backend=f"dask:{cluster.address}", progress=stop, say=told.append)
    assert any("is away; waiting for it" in each for each in told)
    assert 50 <= there(plan, tmp_path / "out") < 200


def test_a_worker_with_other_code_is_named(cluster, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(ROOT / "nasbench_lab", other / "nasbench_lab")
    (other / "nasbench_lab" / "core.py").open("a").write("\n# edited\n")
    cluster.start_worker(root=other)
    with pytest.raises(LabError, match="the code of random_search or of the lab is another one on "):
        execute.run(resolve(SMALL), tmp_path / "out", backend=f"dask:{cluster.address}")


def test_a_worker_without_the_package_is_named(cluster, tmp_path):
    (tmp_path / "without").mkdir()  # in front of the environment, in which it is installed
    (tmp_path / "without/nasbench_lab.py").write_text("raise ModuleNotFoundError(\"No module named 'nasbench_lab'\")")
    cluster.start_worker(root=tmp_path / "without")
    with pytest.raises(LabError, match="nasbench_lab"):
        execute.run(resolve(SMALL), tmp_path / "out", backend=f"dask:{cluster.address}")


def test_a_run_that_kills_dasks_workers_is_named_and_all_others_are_kept(cluster, tmp_path):
    plan = resolve(study(killer(tmp_path, 3), seeds=12, block=2))
    cluster.start_worker(nanny=True)
    with pytest.raises(LabError, match=r"1 left out.*mine.py on toy, seed 3 "):
        execute.run(plan, tmp_path / "out", backend=f"dask:{cluster.address}")
    assert there(plan, tmp_path / "out") == 11


def test_a_caller_that_is_killed_goes_on_where_it_was(cluster, tmp_path):
    cluster.start_worker()
    text = 'strategies = ["random_search"]\nseeds = 2000\nblock = 20\n[[task]]\ntable = "toy"\nmax_queries = 30\nnoise = 0.5\n'
    (tmp_path / "study.toml").write_text(text)
    code = "from nasbench_lab.cli.app import main; main()"
    command = [sys.executable, "-c", code, "run", "study.toml", "--out", "out", "--backend", f"dask:{cluster.address}"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 120
    while len(list((tmp_path / "out").glob("runs/*.parquet"))) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    plan = resolve(Study(("random_search",), (StudyTask("toy", max_queries=30, noise=0.5),), seeds=2000))
    before = there(plan, tmp_path / "out")
    assert 60 <= before < 2000
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    execute.run(plan, tmp_path / "one")
    assert digests(plan, tmp_path / "out") == digests(plan, tmp_path / "one")
    assert os.listdir(tmp_path / "out" / "runs") != []
