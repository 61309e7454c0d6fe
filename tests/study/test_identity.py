"""Old runs are never shown as new ones: whatever an author's code is made of, and however it is imported."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
from authored import STRATEGY, WAYS, compared, project, truth, write
from conftest import few

import nasbench_lab
from nasbench_lab import Query, Strategy, api, loading
from nasbench_lab.core import LabError
from nasbench_lab.study import execute, notes, replays
from nasbench_lab.study.given import named
from nasbench_lab.study.plan import resolve
from nasbench_lab.study.study import Study, StudyTask
from nasbench_lab.tables import catalog


@pytest.fixture(autouse=True)
def _unrepeated(monkeypatch):
    """What is shown beside the runs is none of this file's matters, and takes three processes of every strategy."""
    monkeypatch.setattr(replays, "_repeated", lambda *_: (replays.NOT_DONE, "not in these tests"))


def elsewhere(spec, out):
    """The same in a process of its own."""
    code = (
        "import sys, nasbench_lab\nprint(nasbench_lab.compare(sys.argv[1], table='toy', seeds=2, max_queries=2,"
        " search='oracle', out=sys.argv[2])['test_mean'][0])"
    )
    command = [sys.executable, "-c", code, spec, str(out)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr
    return {spec: float(ended.stdout)}


@pytest.mark.parametrize("way", few(WAYS, "import", "sibling", "package", "later", "by name", "executed", "data"))
@pytest.mark.usefixtures("own_modules")
def test_an_edited_helper_makes_other_runs_however_it_is_imported(way, tmp_path, toy):
    file, helper = project(tmp_path, way)
    assert compared(str(file), out=tmp_path / "out")[str(file)] == truth(toy, 7)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").iterdir()}
    compared(str(file), out=tmp_path / "out")
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / "out" / "runs").iterdir()}
    write(helper, 8)  # of the same size, and in the same second
    if way.startswith("by "):  # a module that everybody shares: only another process has it as it is now
        with pytest.raises(LabError, match="edited after it was loaded"):
            compared(str(file), out=tmp_path / "out")
        later = helper.stat().st_mtime + 2
        os.utime(helper, (later, later))  # Python's own cache looks at seconds and size
        assert elsewhere(str(file), out=tmp_path / "out") == {str(file): truth(toy, 8)}
    else:
        assert compared(str(file), out=tmp_path / "out") == {str(file): truth(toy, 8)}


def test_helpers_of_one_name_in_two_folders_are_two(tmp_path, toy):
    (one, _), (other, helper) = project(tmp_path / "a", "import"), project(tmp_path / "b", "import")
    write(helper, 8)
    found = compared(str(one), str(other), out=tmp_path / "out")
    assert found == {str(one): truth(toy, 7), str(other): truth(toy, 8)}
    assert "helper" not in sys.modules


def test_a_library_is_not_hidden_by_a_file_of_its_name(tmp_path):
    (tmp_path / "random.py").write_text("raise SystemExit")
    (tmp_path / "numpy.py").write_text(
        STRATEGY.format(top="import random, numpy", inside="numpy.zeros(1), random.Random(1)", pick="0")
    )
    assert loading.load("strategies", str(tmp_path / "numpy.py")).__name__ == "Mine"


def test_a_file_of_a_spec_inside_a_spec_is_followed(tmp_path):
    model = tmp_path / "model.py"
    code = (
        "import numpy as np\nfrom dataclasses import dataclass\nfrom nasbench_lab.surrogates._base import Surrogate\n"
        "import shift\n@dataclass\nclass M(Surrogate):\n    def fit(self, archs, y, rng=None, *, space=None):\n"
        "        return self\n    def predict(self, archs):\n"
        "        return shift.SIGN * np.asarray(archs, float), np.ones(len(archs))\n"
    )
    model.write_text(code)
    (tmp_path / "shift.py").write_text("SIGN = +1\n")
    spec = f"surrogate_local_search:surrogate=({model}:M)"
    plans = [resolve(Study((spec,), (StudyTask("toy", max_queries=15),), seeds=1))]
    (tmp_path / "shift.py").write_text("SIGN = -1\n")
    plans.append(resolve(plans[0].study))
    model.write_text(code + "\n")
    plans.append(resolve(plans[0].study))
    assert len({plan.groups[0].id for plan in plans}) == 3


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of somebody's that is on the path, imported by its name."""
    monkeypatch.syspath_prepend(tmp_path)
    file, helper = project(tmp_path, "package")
    for name in ("strategies", "lib"):
        (tmp_path / "package" / name / "__init__.py").write_text("")
    file.write_text(file.read_text().replace("from package.lib import helper", "from ..lib import helper"))
    yield "package.strategies.my", helper
    for name in [name for name in sys.modules if name.partition(".")[0] == "package"]:
        del sys.modules[name]


def test_a_module_that_was_edited_after_it_was_loaded_is_refused_until_it_is_loaded_again(package, tmp_path, toy):
    module, helper = package
    assert compared(f"{module}:Mine", out=tmp_path / "out") == {f"{module}:Mine": truth(toy, 7)}
    write(helper, 8)
    with pytest.raises(LabError, match=r"helper.py was edited after it was loaded: start Python anew"):
        compared(f"{module}:Mine", out=tmp_path / "out")
    importlib.invalidate_caches()
    os.utime(helper, (1, 1))  # Python's own cache looks at seconds and size
    importlib.reload(sys.modules["package.lib.helper"])
    assert compared(f"{module}:Mine", out=tmp_path / "out") == {f"{module}:Mine": truth(toy, 8)}


def test_what_python_loaded_from_a_cache_that_is_not_the_files_is_refused(package, tmp_path):
    module, helper = package
    compared(f"{module}:Mine", out=tmp_path / "out")
    stamp = helper.stat().st_mtime_ns
    write(helper, 8)
    os.utime(helper, ns=(stamp, stamp))  # as if in the same second: the cached bytecode is taken for this text
    for name in [name for name in sys.modules if name.partition(".")[0] == "package"]:
        del sys.modules[name]
    with pytest.raises(LabError, match="edited after it was loaded"):
        compared(f"{module}:Mine", out=tmp_path / "out")


def test_a_class_that_was_changed_in_memory_makes_other_runs(package, tmp_path, toy):
    module, _ = package
    cls = loading.load("strategies", f"{module}:Mine")
    assert compared(cls(offset=1), out=tmp_path / "out") == {f"{module}:Mine:offset=1": truth(toy, 8)}
    cls.propose = lambda self: Query(20, self.task.full)
    assert compared(cls(offset=1), out=tmp_path / "out") == {f"{module}:Mine:offset=1": truth(toy, 20)}


@dataclass
class Fixed(Strategy):
    """Of a module that has a file, so that a spec describes it."""

    cell: int = 7

    def propose(self):
        return Query(self.cell, self.task.full)

    def observe(self, result):
        pass


def made(cell: int):
    class Made(Fixed):
        def propose(self):
            return Query(cell, self.task.full)

    return dataclass(Made)


def test_a_class_that_only_this_process_has_is_run_every_time_and_says_so(tmp_path, toy):
    assert compared(made(7), "local_search", out=tmp_path / "out")["Made"] == truth(toy, 7)
    assert compared(made(8), out=tmp_path / "out")["Made"] == truth(toy, 8)
    specs, given = named([made(7), "local_search"])
    plan = resolve(Study(tuple(specs), (StudyTask("toy", max_queries=5),)), given)
    assert notes.notes(plan)[0].startswith("Made: of a class from a script, a notebook or a function")
    assert plan.groups[0].id != resolve(plan.study, given).groups[0].id


def test_names_of_objects_are_those_that_build_them_and_differ():
    own = loading.load("strategies", "regularized_evolution")
    specs, given = named([own(population=7), own, Fixed(cell=3), made(1)(cell=2), made(1)])
    assert specs == [
        "regularized_evolution:population=7",
        "regularized_evolution",
        f"{__name__}:Fixed:cell=3",
        "Made:cell=2",
        "Made",
    ]
    assert list(given) == ["Made:cell=2", "Made"]
    with pytest.raises(LabError, match="two strategies would both be called 'Made'"):
        named([made(1), made(2)])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (3, "a strategy is a spec such as 'local_search', a Strategy class or an instance; got 3"),
        (int, "got <class 'int'>"),
        (made(1)(cell=object()), "parameter cell is a object; only numbers, text, lists and None"),
    ],
)
def test_what_is_no_strategy_is_refused(wrong, message):
    with pytest.raises(LabError) as error:
        named([wrong])
    assert message in str(error.value)


SCRIPT = """
from dataclasses import dataclass
import nasbench_lab
from nasbench_lab import Query, Strategy
CELL = {cell}

@dataclass
class Mine(Strategy):
    offset: int = 0

    def propose(self):
        return Query(CELL + self.offset, self.task.full)

    def observe(self, result):
        pass

if __name__ == "__main__":
    frame = nasbench_lab.compare(
        Mine, Mine(offset=1), table="toy", search="oracle", seeds=1, max_queries=2, out={out!r}, workers={workers}
    )
    print(*(f"{{s}}={{t:.6f}}" for s, t in zip(frame["strategy"], frame["test_mean"])))
"""


@pytest.mark.parametrize("how", few(["script", "standard input"], "script"))
def test_classes_of_a_script_run_in_several_processes_and_are_never_taken_from_disk(how, tmp_path, toy):
    for cell, workers in ((7, 2), (9, 1)):
        text = SCRIPT.format(cell=cell, out=str(tmp_path / "out"), workers=workers)
        (tmp_path / "script.py").write_text(text)
        command = [sys.executable, *(["script.py"] if how == "script" else ["-"])]
        ended = subprocess.run(
            command, input=text, capture_output=True, text=True, cwd=tmp_path, timeout=300, check=False
        )
        assert ended.returncode == 0, ended.stderr
        found = dict(each.split("=") for each in ended.stdout.replace("offset=", "offset:").split())
        expected = {"Mine": toy.truth[cell], "Mine:offset:1": toy.truth[cell + 1]}
        assert {name: float(value) for name, value in found.items()} == pytest.approx(expected, abs=1e-5)


def test_several_processes_run_what_this_one_would(tmp_path, toy):
    file, helper = project(tmp_path, "parent's")
    write(helper, 8)
    found = compared(str(file), made(9), out=tmp_path / "out", workers=2)
    assert found == {str(file): truth(toy, 8), "Made": truth(toy, 9)}
    write(helper, 7)
    assert compared(str(file), out=tmp_path / "out", workers=2) == {str(file): truth(toy, 7)}


def test_what_is_edited_while_a_study_runs_is_not_collected(tmp_path):
    file, helper = project(tmp_path, "later")
    study = Study((str(file),), (StudyTask("toy", max_queries=2),), seeds=2)
    plan = resolve(study)
    api.run(study, tmp_path / "out")
    write(helper, 8)
    with pytest.raises(LabError, match="2 runs of the study are missing, damaged or made by other code"):
        execute.collect(plan, tmp_path / "out")


def test_an_instance_that_was_changed_runs_as_it_is(tmp_path, monkeypatch):
    """An attribute that was set, or a method that was replaced, is no parameter: no spec builds it."""
    (tmp_path / "changed.py").write_text(
        "from dataclasses import dataclass\nfrom nasbench_lab import Query, Strategy\n"
        "@dataclass\nclass Fixed(Strategy):\n    def propose(self):\n"
        "        return Query(getattr(self, 'cell', 3), self.task.full)\n    def observe(self, result):\n        pass\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("changed")
    plain, set_, replaced = module.Fixed(), module.Fixed(), module.Fixed()
    set_.cell = 7000
    replaced.propose = lambda: Query(5, replaced.task.full)
    for instance, cell in ((plain, 3), (set_, 7000), (replaced, 5)):
        frame = nasbench_lab.compare(instance, table="toy", seeds=1, max_queries=1, out=tmp_path / "out")
        assert list(frame["test_mean"]) == [pytest.approx(catalog.load("toy").truth[cell])]
