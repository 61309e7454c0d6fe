"""An author's files are where jobs are run: the strategy is the same there, whatever it is made of, and so are its runs."""

from __future__ import annotations

import dataclasses
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from authored import STRATEGY, WAYS, project, write
from conftest import few

import nasbench_lab
from nasbench_lab.core import LabError
from nasbench_lab.study import authors, execute, heard, jobs, shelf, store
from nasbench_lab.study.plan import Plan, resolve
from nasbench_lab.study.study import Study, StudyTask

WORKER = (
    "import pickle, sys\nfrom nasbench_lab.study import jobs\n"
    "found = [jobs.run(job) for job in pickle.load(sys.stdin.buffer)]\nsys.stdout.buffer.write(pickle.dumps(found))"
)
WAYS_TOO = WAYS | {
    "data, in a package": (
        "package/strategies/my.py",
        "package/cell.txt",
        "from package import here",
        "cell = int(Path(here.__file__).with_name('cell.txt').read_text())",
        "cell",
    )
}


def planned(spec: str) -> Plan:
    return resolve(Study((spec,), (StudyTask("toy", search="oracle", max_queries=2),), seeds=2))


def brought(plan: Plan) -> tuple[jobs.Job, authors.Code]:
    """The only job of a plan, and its author's files."""
    job = jobs.of_group(plan, plan.groups[0])
    code = authors.of_group(plan.groups[0], heard.files(job.of(range(1))) or {})
    assert code is not None
    return job, code


def elsewhere(folder: Path, *asked: jobs.Job) -> list[jobs.Done | jobs.Lacking]:
    """What comes of jobs in a process that stands in a folder of its own, which is also its home."""
    folder.mkdir(exist_ok=True)
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(nasbench_lab.__file__).parents[1]),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    ended = subprocess.run(
        [sys.executable, "-c", WORKER], input=pickle.dumps(asked), capture_output=True, cwd=folder, env=env, check=False
    )
    assert ended.returncode == 0, ended.stderr.decode()
    found: list[jobs.Done | jobs.Lacking] = pickle.loads(ended.stdout)
    return found


def cells(done: jobs.Done | jobs.Lacking) -> set[int]:
    assert isinstance(done, jobs.Done)
    assert isinstance(done.content, bytes)
    return set(store.decoded(done.content, "a test").columns["arch"].tolist())


@pytest.mark.parametrize("way", few(WAYS_TOO, "import", "by computed name", "data"))
@pytest.mark.usefixtures("own_modules")
def test_files_are_sent_to_where_they_are_not_however_they_are_used(way, tmp_path, monkeypatch):
    """What comes back is kept here as if it had been run here: it names the files by where they are here."""
    monkeypatch.setitem(WAYS, way, WAYS_TOO[way])
    home = tmp_path / "home"
    file, _ = project(home, way)
    if "in a package" in way:
        for name in ("", "strategies"):
            (home / "package" / name / "__init__.py").write_text("")
        (home / "package" / "here.py").write_text("")
    plan = planned(str(file))
    job, code = brought(plan)
    bare = job.supplied((), authors.without(code))
    home.rename(tmp_path / "away")
    assert elsewhere(tmp_path / "there", bare) == [jobs.Lacking((), code=True)]
    first, again = elsewhere(tmp_path / "there", job.supplied((), code), bare)
    assert cells(first) == cells(again) == {7}
    assert not [path for path in (tmp_path / "there").iterdir() if path.name != "cache"]
    (tmp_path / "away").rename(home)
    kept = shelf.Shelf(tmp_path / "out").of(plan.groups[0])
    kept.add(first.content, store.decoded(first.content, "a test"))
    assert shelf.Shelf(tmp_path / "out").of(plan.groups[0]).seeds == [range(2)]
    (at_home,) = elsewhere(tmp_path / "other", bare)  # finds them where they are
    assert store.decoded(at_home.content, "a test").files.keys() == store.decoded(first.content, "a test").files.keys()
    assert not (tmp_path / "other" / "cache" / "nasbench_lab" / "code").exists()


def test_another_file_at_the_same_path_and_other_modules_beside_the_worker_are_not_taken(tmp_path):
    """A copy of before lies where the worker looks; another study's files were sent there, too."""
    home, there = tmp_path / "home", tmp_path / "there"
    file, helper = project(home, "import")
    job, code = brought(planned(str(file)))
    write(helper, 8)
    there.mkdir()
    write(there / "helper.py", 9)
    (newer,) = elsewhere(there, job.supplied((), code))
    assert cells(newer) == {7}
    later, more = brought(planned(str(file)))
    assert code.digest != more.digest
    home.rename(tmp_path / "away")
    found = elsewhere(there, job.supplied((), authors.without(code)), later.supplied((), more), job.supplied((), code))
    assert [cells(each) for each in found] == [{7}, {8}, {7}]


def test_modules_that_all_share_are_those_of_each_study(tmp_path):
    """Two versions of a module in a folder of `sys.path`, in one process that goes on."""
    both = []
    for cell in (7, 8):
        file, helper = project(tmp_path / str(cell), "by name")
        write(helper, cell)
        both.append(brought(planned(str(file))))
        (tmp_path / str(cell)).rename(tmp_path / f"away{cell}")
        sys.modules.pop("helper_a", None)
    (one, code), (other, more) = both
    found = elsewhere(tmp_path / "there", *(each for each in (one.supplied((), code), other.supplied((), more)) * 2))
    assert [cells(each) for each in found] == [{7}, {8}, {7}, {8}]


def test_what_was_damaged_on_its_way_or_edited_meanwhile_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    file, helper = project(tmp_path, "import")
    plan = planned(str(file))
    job, code = brought(plan)
    with pytest.raises(LabError, match="was damaged on its way"):
        jobs.run(job.supplied((), dataclasses.replace(code, contents=(b"x",) * len(code.files))))
    assert authors.folder().is_relative_to(tmp_path)
    write(helper, 8)
    with pytest.raises(LabError, match="was edited after it was loaded"):
        authors.of_group(plan.groups[0], {})
    helper.unlink()
    with pytest.raises(LabError, match=r"helper.py"):
        authors.of_group(plan.groups[0], {})


def test_what_is_too_large_is_not_sent_and_said(tmp_path, monkeypatch):
    monkeypatch.setattr(authors, "_MOST", 10)
    file, _ = project(tmp_path, "import")
    plan = planned(str(file))
    group = execute._Group.of(plan, plan.groups[0], shelf.Shelf(tmp_path / "out"))
    group.bring({}, print)
    with pytest.raises(LabError, match=r"the files of .*my.py are not where it is to be run, and too large to be sent"):
        group.sent(group.job)


def test_what_a_strategy_does_to_its_process_is_not_done_to_the_caller(tmp_path):
    path = tmp_path / "my.py"
    path.write_text(STRATEGY.format(top="import os", inside="os.kill(os.getpid(), 9)", pick="7"))
    plan = planned(str(path))
    assert heard.files(jobs.of_group(plan, plan.groups[0])) is None


LATE = """self.asked = getattr(self, 'asked', 0) + 1
        late = Path(__file__).with_name('late.txt')
        {how}"""


@pytest.mark.parametrize("how", ["surely", "if it is there"])
def test_what_is_read_too_late_to_be_sent_ends_the_run_by_name(how, tmp_path):
    """A strategy that does without would have other records under the same id."""
    reads = "if self.asked > 35: late.read_text()"
    if how == "if it is there":
        reads = f"try:\n            {reads}\n        except OSError:\n            self.offset = 1"
    home = tmp_path / "home"
    home.mkdir()
    path = home / "my.py"
    path.write_text(STRATEGY.format(top="", inside=LATE.format(how=reads), pick="self.asked"))
    (home / "late.txt").write_text("late")
    plan = resolve(Study((str(path),), (StudyTask("toy", search="oracle", max_queries=40),), seeds=1))
    job, code = brought(plan)
    home.rename(tmp_path / "away")
    sent = job.supplied((), code)
    if how == "surely":
        with pytest.raises(AssertionError, match=r"it wanted .*home/late.txt, which was not sent"):
            elsewhere(tmp_path / "there", sent)
        return
    (done,) = elsewhere(tmp_path / "there", sent)
    assert done.missed == (str(home / "late.txt"),)
    group = execute._Group.of(plan, plan.groups[0], shelf.Shelf(tmp_path / "out"))
    group.keep(sent, done)  # it is not at home either: nothing was missed
    (tmp_path / "away").rename(home)
    with pytest.raises(LabError, match=r"my.py wanted .*late.txt, which was not sent, as nothing had read it"):
        group.keep(sent, done)


@pytest.mark.parametrize("linked", ["file", "folder"])
def test_data_behind_a_link_is_found_by_the_link(linked, tmp_path):
    home, data = tmp_path / "home", tmp_path / "data"
    home.mkdir()
    data.mkdir()
    (data / "cell.txt").write_text("7")
    (home / "near").symlink_to(data if linked == "folder" else data / "cell.txt")
    name = "near/cell.txt" if linked == "folder" else "near"
    path = home / "my.py"
    pick = f"int((Path(__file__).parent / '{name}').read_text())"
    path.write_text(STRATEGY.format(top="", inside="pass", pick=pick))
    job, code = brought(planned(str(path)))
    home.rename(tmp_path / "away")
    data.rename(tmp_path / "data away")
    (done,) = elsewhere(tmp_path / "there", job.supplied((), code))
    assert cells(done) == {7}


def test_what_a_strategy_leaves_running_is_not_waited_for(tmp_path):
    path = tmp_path / "my.py"
    inside = "subprocess.Popen(['sleep', '50'])"
    path.write_text(STRATEGY.format(top="import subprocess", inside=inside, pick="7"))
    plan = planned(str(path))
    assert (heard.files(jobs.of_group(plan, plan.groups[0])) or {}).keys() == {str(path)}


def test_a_strategy_of_this_package_brings_nothing(tmp_path):
    plan = planned("random_search")
    assert not plan.groups[0].foreign
    assert jobs.of_group(plan, plan.groups[0]).code is None
