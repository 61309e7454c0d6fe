"""Killed studies go on to the same results; a real Dask cluster gives the same records as loky and one process."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from nasbench_lab import api
from nasbench_lab.experiments.reproduce import reproduce
from nasbench_lab.study import shelf, store
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import Study, StudyTask, load_study

pytestmark = pytest.mark.slow

TOML = """
strategies = ["random_search", "local_search", "regularized_evolution", "reinforce"]
seeds = 40
block = 4
[[task]]
table = "toy"
max_queries = 80
trials = "sample"
noise = 0.3
"""
MEASURED = ("decision_seconds_per_query",)


def command(folder: Path, out: str) -> list[str]:
    code = "from nasbench_lab.cli.app import main; main()"
    return [sys.executable, "-c", code, "run", str(folder / "study.toml"), "--out", str(folder / out), "--workers", "2"]


def results(out: Path):
    """What must be the same: the manifest with its record digests, and the leaderboard but for measured time."""
    rows = json.loads((out / "leaderboard.json").read_text())
    for key in ("sha256", "files"):  # of all that is written, measured seconds too
        rows.pop(key)
    for row in rows["rows"]:
        for column in MEASURED:
            del row[column]
    return json.loads((out / "manifest.json").read_text()), rows


def test_a_study_killed_at_20_random_moments_ends_with_the_same_results(tmp_path):
    (tmp_path / "study.toml").write_text(TOML)
    subprocess.run(command(tmp_path, "whole"), check=True, capture_output=True)
    rng, killed = random.Random(0), 0
    for i in range(20):
        out = tmp_path / f"killed{i}"
        process = subprocess.Popen(
            command(tmp_path, out.name), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        moment = rng.randrange(
            12
        )  # when so many files are there, of which some become one meanwhile, and a little later
        while process.poll() is None and len(list(out.glob("runs/*.parquet"))) < moment:
            time.sleep(0.005)
        time.sleep(rng.uniform(0, 0.1))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
        (out / "runs").mkdir(parents=True, exist_ok=True)
        (out / "runs" / ".random_search-toy.parquet.x1.tmp").write_bytes(b"what a killed writer leaves")
        subprocess.run(command(tmp_path, out.name), check=True, capture_output=True)
        assert results(out) == results(tmp_path / "whole")
        names = {path.name for path in (out / "runs").iterdir() if not path.name.endswith(".tmp")}
        assert names == {path.name for path in (tmp_path / "whole" / "runs").iterdir()}
        assert len(names) == 5  # one of every strategy, and the index
    assert killed >= 15  # the last blocks may be there and the study over before the signal is
    assert {outcome.verdict for outcome in reproduce(tmp_path / "killed0")} == {"same"}


def test_every_moment_of_a_write_can_be_the_last(tmp_path):
    """Kill single-process runs within their first blocks: whatever was renamed is whole."""
    (tmp_path / "study.toml").write_text(TOML)
    chosen = load_study(tmp_path / "study.toml")
    for i in range(5):
        out = tmp_path / f"out{i}"
        process = subprocess.Popen(
            command(tmp_path, out.name)[:-2], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while not list(out.glob("runs/*.parquet")) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.03 * i)
        process.kill()
        process.wait()
        written = list((out / "runs").glob("*.parquet"))
        assert written
        kept = shelf.Shelf(out)
        there = [own for group in resolve(chosen).groups for own in kept.of(group).seeds]
        assert sum(map(len, there)) == sum(len(store.read(path).seeds) for path in written)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("processes", [True, False])
def test_a_dask_cluster_gives_the_same_records(tmp_path, processes):
    distributed = pytest.importorskip("distributed")
    chosen = Study(
        ("random_search", "regularized_evolution"), (StudyTask("toy", max_queries=40, noise=0.5),), seeds=6, block=2
    )
    digests = []
    for backend, workers in (("sequential", 1), ("loky", 2)):
        api.run(chosen, tmp_path / backend, workers=workers, backend=backend)
        digests.append(results(tmp_path / backend))
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        processes=processes,
        dashboard_address=":0",  # of another study's cluster, beside this one, is the usual port
        scheduler_kwargs={"dashboard": False},
    )
    with cluster, distributed.Client(cluster):
        api.run(chosen, tmp_path / "dask", workers=2, backend="dask")
    digests.append(results(tmp_path / "dask"))
    assert digests[0] == digests[1] == digests[2]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_dask_starts_a_cluster_of_its_own_where_none_is_open(tmp_path):
    """Beside another one, which has the port that clusters usually take."""
    pytest.importorskip("distributed")
    chosen = Study(("random_search",), (StudyTask("toy", max_queries=10),), seeds=4, block=2)
    api.run(chosen, tmp_path / "one")
    with socket.socket() as taken:
        with suppress(OSError):  # then somebody has it
            taken.bind(("", 8787))
            taken.listen()
        api.run(chosen, tmp_path / "dask", workers=2, backend="dask")
    assert results(tmp_path / "one") == results(tmp_path / "dask")
