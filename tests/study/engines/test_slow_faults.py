"""Each fault befalls each engine: nothing is lost, nothing hangs, records are the same; see `faults`, which prints the table."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from authored import project
from benches import RayBench, opened
from faults import FAULTS

from nasbench_lab.study import execute, shelf, store
from nasbench_lab.study.engines import dispatch
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import Study, StudyTask

pytestmark = pytest.mark.slow
PACKAGE = {engine: packages[0] for engine, packages in dispatch._NEEDS.items()} | {"slurm-local": "submitit"}
CASES = [(name, engine) for name, (_, engines) in FAULTS.items() for engine in engines]


@pytest.mark.parametrize(("name", "engine"), CASES)
def test_nothing_is_lost_nothing_hangs_and_records_are_the_same(name, engine, tmp_path):
    if engine in PACKAGE:
        pytest.importorskip(PACKAGE[engine])
    lost, hung, same, said = FAULTS[name][0](engine, tmp_path / "study")
    assert (lost, hung, same) == (0, 0, True), said


def travels(tmp_path: Path, backend: str) -> None:
    """A strategy's file, its helper and what it reads are not there when workers look for them."""
    home = tmp_path / "home"
    file, _ = project(home, "by computed name")
    plan = resolve(Study((str(file),), (StudyTask("toy", max_queries=6),), seeds=10, block=5))
    execute.run(plan, tmp_path / "here")

    def gone(_done: int, _total: int) -> None:
        if home.exists():
            shutil.move(home, tmp_path / "away")

    execute.run(plan, tmp_path / "out", backend=backend, progress=gone)
    assert not home.exists()
    shutil.move(tmp_path / "away", home)
    one, other = (store.digest(execute.collect(plan, tmp_path / name)[0][1].columns) for name in ("out", "here"))
    assert one == other
    assert shelf.Shelf(tmp_path / "out").of(plan.groups[0]).seeds == [range(10)]


@pytest.mark.needs("submitit")
def test_a_strategy_file_goes_to_slurms_jobs(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    travels(tmp_path, f"slurm:cluster=local,folder={tmp_path / 'jobs'},time=5")
    assert list((tmp_path / "cache" / "nasbench_lab" / "code").rglob("my.py"))


@pytest.mark.needs("ray")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning")
def test_a_strategy_file_goes_to_rays_workers(tmp_path):
    with opened(RayBench(tmp_path / "ray"), tmp_path / "ray") as bench:
        travels(tmp_path, bench.backend)
        assert list((tmp_path / "ray").rglob("code/*/**/my.py"))
