"""Faults of processes of this machine: what is finished is kept, what kills is named, and the records are the same in the end."""

from __future__ import annotations

from pathlib import Path

import joblib.executor
import pytest

from nasbench_lab.core import LabError
from nasbench_lab.study import execute, shelf, store
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import Study, StudyTask

KILLER = """
import os
from dataclasses import dataclass
from pathlib import Path

from nasbench_lab import Query, Strategy


@dataclass
class Mine(Strategy):
    def setup(self):
        self.number = 0

    def propose(self):
        self.number += 1
        if self.number == 3 and self.first == KILLS:
            MOMENT
        return Query(self.design(), self.task.full)

    def start(self, task, seed):
        self.first = seed
        super().start(task, seed)

    def observe(self, result):
        pass
"""


def killer(folder: Path, seed: int, *, once: bool = False) -> Path:
    """A strategy that kills its process with a seed, always, or once where a file in the folder says that it did."""
    mark = folder / "killed"
    if once:
        moment = f"if not os.path.exists({str(mark)!r}): Path({str(mark)!r}).touch(), os.kill(os.getpid(), 9)"
    else:
        moment = f"os.kill(os.getpid(), 9) if open({str(mark)!r}, 'a').write('x') else 0"
    path = folder / "mine.py"
    path.write_text(KILLER.replace("KILLS", str(seed)).replace("MOMENT", moment))
    return path


def study(path: Path, **changes) -> Study:
    return Study((str(path),), (StudyTask("toy", max_queries=5),), **({"seeds": 24, "block": 6} | changes))


def there(plan, out: Path) -> list[range]:
    return shelf.Shelf(out).of(plan.groups[0]).seeds


@pytest.mark.slow
def test_a_run_that_kills_its_process_is_named_and_all_others_are_kept(tmp_path):
    plan = resolve(study(killer(tmp_path, 9)))
    with pytest.raises(LabError, match=r"1 left out.*3 worker processes.*mine.py on toy, seed 9 "):
        execute.run(plan, tmp_path / "out", workers=2)
    kept = [seed for each in there(plan, tmp_path / "out") for seed in each]
    assert kept == [seed for seed in range(24) if seed != 9]


@pytest.mark.slow
def test_a_process_that_is_killed_once_costs_nothing_but_time(tmp_path):
    path = killer(tmp_path, 9, once=True)
    plan = resolve(study(path))
    execute.run(plan, tmp_path / "out", workers=2)
    assert (tmp_path / "killed").exists()
    execute.run(plan, tmp_path / "one")
    one, other = (store.digest(execute.collect(plan, tmp_path / name)[0][1].columns) for name in ("one", "out"))
    assert one == other


@pytest.mark.parametrize("backend", ["threading", "sequential"])
def test_a_run_that_finds_no_memory_is_named(backend, tmp_path):
    """Where there are others to go on with, all other runs are kept; in this process alone those that were finished are."""
    path = tmp_path / "mine.py"
    path.write_text(KILLER.replace("KILLS", "9").replace("MOMENT", "raise MemoryError"))
    plan, several = resolve(study(path)), backend == "threading"
    told = (
        r"1 left out, as 3 worker processes .*mine.py on toy, seed 9 \(no memory is left on"
        if several
        else "no memory is"
    )
    with pytest.raises(LabError, match=told):
        execute.run(plan, tmp_path / "out", workers=2 if several else 1, backend=backend)
    kept = [seed for each in there(plan, tmp_path / "out") for seed in each]
    assert kept == [seed for seed in range(24 if several else 6) if seed != 9]


def test_a_study_and_joblib_leave_each_other_their_processes(tmp_path, monkeypatch):
    """Somebody's forest with `n_jobs=2` after, or before, a study with as many processes in one session."""
    plan = resolve(Study(("random_search",), (StudyTask("toy", max_queries=5),), seeds=4, block=2))
    monkeypatch.setattr(joblib.executor, "_executor_args", None)  # as in a process that has not used it
    for name in ("first", "second"):
        execute.run(plan, tmp_path / name, workers=2)
        assert joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(-i) for i in range(4)) == [0, 1, 2, 3]
    assert there(plan, tmp_path / "second") == [range(4)]
