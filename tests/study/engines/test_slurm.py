"""Slurm by submitit: its local executor, which runs jobs here the way Slurm would; with a real Slurm where there is one."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from test_faults import killer, study

from nasbench_lab.core import LabError
from nasbench_lab.study import execute, shelf, store
from nasbench_lab.study.engines import dispatch
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import Study, StudyTask

pytestmark = pytest.mark.needs("submitit")
SMALL = Study(("random_search",), (StudyTask("toy", max_queries=10, noise=0.5),), seeds=30, block=10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("queue=x", "engine 'slurm' takes partition=..., account=.*; got 'queue'"),
        ("time=soon", "engine 'slurm': time must be a whole number from 1 on, got 'soon'"),
        ("time=0", "got '0'"),
        ("partition=", "got 'partition'"),
    ],
)
def test_an_option_that_cannot_be_is_refused(options, message, tmp_path):
    with pytest.raises(LabError, match=message):
        execute.run(resolve(SMALL), tmp_path / "out", backend=f"slurm:{options}")
    assert not (tmp_path / "out").exists()


def same_as_here(plan, out, backend, **options):
    execute.run(plan, out / "slurm", backend=backend, **options)
    execute.run(plan, out / "here")
    one, other = (store.digest(execute.collect(plan, out / name)[0][1].columns) for name in ("slurm", "here"))
    assert one == other


def answers() -> bool:
    """Whether there is a Slurm, and who schedules for it: its commands may be installed alone."""
    return (
        shutil.which("sinfo") is not None
        and not subprocess.run(["sinfo", "-h"], check=False, capture_output=True).returncode
    )


@pytest.mark.slow
def test_jobs_of_the_local_executor_give_the_same_records(tmp_path):
    same_as_here(resolve(SMALL), tmp_path, f"slurm:cluster=local,folder={tmp_path / 'jobs'},time=5", workers=2)


@pytest.mark.slow
def test_a_run_that_kills_its_job_is_named_and_all_others_are_kept(tmp_path):
    plan = resolve(study(killer(tmp_path, 1), seeds=4, block=2))
    with pytest.raises(LabError, match=r"1 left out.*mine.py on toy, seed 1 \(Slurm job .* ended without a result"):
        execute.run(plan, tmp_path / "out", backend=f"slurm:cluster=local,folder={tmp_path / 'jobs'}", workers=2)
    assert [seed for each in shelf.Shelf(tmp_path / "out").of(plan.groups[0]).seeds for seed in each] == [0, 2, 3]


@pytest.mark.slow
@pytest.mark.skipif(not answers(), reason="no Slurm answers here")
def test_a_real_slurm_gives_the_same_records(tmp_path):
    same_as_here(resolve(SMALL), tmp_path, f"slurm:folder={tmp_path / 'jobs'},time=5", workers=2)


def test_blocks_of_slurm_are_long():
    assert dispatch.seconds("slurm:partition=cpu", 2) == 300
    assert dispatch.seconds("loky", 2) == 2
    assert dispatch.seconds("dask:tcp://host:1", 1000) == 100
