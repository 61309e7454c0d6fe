"""What has no source here, or is found by names that are computed: its runs are never shown as those of other code."""

from __future__ import annotations

import json
import py_compile
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from authored import HELPER, STRATEGY, compared, truth, write

from nasbench_lab import sources
from nasbench_lab.study import execute, replays, shelf
from nasbench_lab.study.plan import Plan, resolve
from nasbench_lab.study.runs import Runs
from nasbench_lab.study.study import Study, StudyTask

PICK_C = """
#include <Python.h>
int cell(void) {{ return {cell}; }}
static PyObject *pick(PyObject *self, PyObject *none) {{ return PyLong_FromLong({cell}); }}
static PyMethodDef methods[] = {{{{"pick", pick, METH_NOARGS, ""}}, {{NULL}}}};
static struct PyModuleDef module = {{PyModuleDef_HEAD_INIT, "helper", "", -1, methods}};
PyMODINIT_FUNC PyInit_helper(void) {{ return PyModule_Create(&module); }}
"""
PROGRAM = """
import json, sys
import helper
sys.stdin.readline()
while True:
    print(json.dumps({{"ask": {{"arch": helper.pick()}}}}), flush=True)
    if "val" not in json.loads(sys.stdin.readline() or "{{}}"):
        break
"""


def bytecode(folder: Path, cell: int) -> str:
    (folder / "text.py").write_text(HELPER.format(cell=cell))
    py_compile.compile(str(folder / "text.py"), str(folder / "helper.pyc"))
    (folder / "text.py").unlink()
    return "helper.pyc"


def archive(folder: Path, cell: int) -> str:
    with zipfile.ZipFile(folder / "lib.zip", "w") as made:  # a module in it has a file, by name, that is none
        made.writestr("helper.py", HELPER.format(cell=cell))
    return "helper.py"


def machine_code(folder: Path, cell: int, name: str = f"helper{EXTENSION_SUFFIXES[0]}") -> str:
    include, compiler = sysconfig.get_path("include"), shutil.which("cc")
    if compiler is None or not Path(include, "Python.h").is_file():
        pytest.skip("no compiler for extension modules here")
    (folder / "helper.c").write_text(PICK_C.format(cell=cell))
    (folder / name).unlink(missing_ok=True)  # the file that is loaded stays what it is
    subprocess.run([compiler, "-shared", "-fPIC", f"-I{include}", "-o", folder / name, folder / "helper.c"], check=True)
    return name


def library(folder: Path, cell: int) -> str:
    return machine_code(folder, cell, f"pick{cell}.so")


ZIP = "sys.path.insert(0, str(Path(__file__).with_name('lib.zip')))"
DLOPEN = "import ctypes\nPICK = ctypes.CDLL(str(next(Path(__file__).parent.glob('*.so'))))"
SOURCELESS = {  # how a helper without source is made, what imports it, at the top and inside, and what it then picks
    "bytecode": (bytecode, "import helper", "pass", "helper.pick()"),
    "bytecode, sibling": (bytecode, "from . import helper", "pass", "helper.pick()"),
    "machine code": (machine_code, "import helper", "pass", "helper.pick()"),
    "machine code, later": (machine_code, "", "from . import helper", "helper.pick()"),
    "library": (library, DLOPEN, "pass", "PICK.cell()"),
    "archive": (archive, ZIP, "import helper", "helper.pick()"),
    "archive, at the top": (archive, f"{ZIP}\nimport helper", "pass", "helper.pick()"),
}


def finished(out: Path, *specs) -> tuple[Plan, list[Runs]]:
    """The runs of a study that was just run, and its plan."""
    plan = resolve(Study(specs, (StudyTask("toy", search="oracle", max_queries=2),), seeds=1))
    execute.run(plan, out)
    return plan, [runs for _, runs in execute.collect(plan, out)]


def reused(plan: Plan, out: Path) -> list[bool]:
    """Whether the runs of each strategy would not be done again."""
    kept = shelf.Shelf(out)
    return [kept.of(group).seeds == [range(1)] for group in plan.groups]


@pytest.mark.parametrize("way", SOURCELESS)
@pytest.mark.usefixtures("own_modules")
def test_what_has_no_source_is_not_reused_and_says_so(way, tmp_path):
    make, top, inside, pick = SOURCELESS[way]
    (tmp_path / "my.py").write_text(STRATEGY.format(top=top, inside=inside, pick=pick))
    name = make(tmp_path, 7)
    plan, (found,) = finished(tmp_path / "out", str(tmp_path / "my.py"))
    assert set(found.columns["arch"]) == {7}
    assert sources.unseen(found.files) == [name]
    assert reused(plan, tmp_path / "out") == [False]
    said = list(replays._said({"unseen": [name]}))
    assert said[-1] == f"no source shows what is in {name}; its runs, which may depend on it, are not reused"


@pytest.mark.parametrize("command", ["-m program", "program.py"])
def test_what_a_program_loads_is_not_seen_and_its_runs_are_not_reused(command, tmp_path, toy, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text(PROGRAM.format())
    spec = f"external:command=({sys.executable} -B {command})"
    for cell in (7, 8):
        write(tmp_path / "helper.py", cell)
        assert compared(spec, out=tmp_path / "out") == {spec: truth(toy, cell)}
    said = json.loads((tmp_path / "out" / "manifest.json").read_text())["notes"]
    assert any("no source shows what is in modules of a program of its own" in note for note in said)


ALIASED = {
    "alias": "from importlib import import_module as load\nhelper = load('helper' + '_a')",
    "attribute": "import importlib\nhelper = getattr(importlib, 'import' + '_module')('helper' + '_a')",
    "sys.modules": "helper = sys.modules.get('helper' + '_a') or __import__('helper' + '_a')",
    "pydoc": "import pydoc\nhelper = pydoc.locate('helper' + '_a')",
}


@pytest.mark.parametrize("way", ALIASED)
@pytest.mark.usefixtures("own_modules")
def test_a_module_found_by_a_computed_name_counts_for_all_who_may_find_it(way, tmp_path):
    folder = tmp_path / "lib"
    folder.mkdir()
    write(folder / "helper_a.py", 7)
    files = [tmp_path / "one.py", tmp_path / "other.py"]
    top = f"sys.path.insert(0, {str(folder)!r})\n{ALIASED[way]}"
    for file in files:
        file.write_text(STRATEGY.format(top=top, inside="pass", pick="helper.pick()"))
    specs = [str(file) for file in files]
    plan, _ = finished(tmp_path / "out", *specs)
    assert reused(plan, tmp_path / "out") == [True, True]
    write(folder / "helper_a.py", 8)
    assert reused(plan, tmp_path / "out") == [False, False]


@pytest.mark.usefixtures("own_modules")
def test_a_strategy_in_an_archive_runs_every_time(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "lib.zip", "w") as made:
        made.writestr("helper.py", STRATEGY.format(top="", inside="pass", pick="7"))
    monkeypatch.syspath_prepend(str(tmp_path / "lib.zip"))
    plan, (found,) = finished(tmp_path / "out", "helper:Mine")
    assert sources.unseen(found.files) == ["helper.py"]
    assert reused(plan, tmp_path / "out") == [False]


def test_the_command_itself_is_no_code_of_the_authors(tmp_path):
    """As its script in the environment, which has no suffix and which workers call `__mp_main__`: runs are kept."""
    script = Path(sys.executable).with_name("nasbench-lab")
    if not script.is_file():
        pytest.skip("the package is not installed in this environment")
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\n\nfrom nasbench_lab import Query, Strategy\n\n\n@dataclass\nclass Mine(Strategy):\n    def propose(self):\n"
        "        return Query(self.design(), self.task.full)\n\n    def observe(self, result):\n        pass\n"
    )
    told = [str(script), "compare", "mine.py", "--table", "toy", "--seeds", "2", "--max-queries", "3", "--out", "out"]
    ended = subprocess.run(told, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
    assert "not reused" not in ended.stderr
