"""Plug-ins of other installed packages: read where they lie; what is wrong with one is one line, and nothing runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from test_loading import FILE

from nasbench_lab import loading
from nasbench_lab.core import LabError
from nasbench_lab.listing import plugins

POINTS = """
[nasbench_lab.strategies]
climber = somebody.search.climber:Mine
exported = somebody:Mine
alone = somebody.search.climber
local_search = somebody.search.climber:Mine
gone = somebody.search.gone:Mine
unwritten = somebody.search.broken:Mine
classless = somebody.search.climber:Nobody
elsewhere = not_installed_at_all.module:Mine
malformed = :
needy = somebody.needy:Needy

[nasbench_lab.surrogates]
guess = somebody.guess:Guess
"""
GUESS = '''"""A guess: the mean."""
from dataclasses import dataclass

@dataclass
class Guess:
    """A guess.

    Attributes:
        value: what is guessed.
    """

    value: float = 50.0
'''
NEEDY = FILE.replace("from typing", "import no_such_package\nimport torch\nfrom typing").replace("Mine", "Needy")


def write(folder: Path, dist: str = "somebody", points: str = POINTS) -> None:
    """An installed distribution: what an installer leaves on `sys.path`."""
    info = folder / f"{dist}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)


@pytest.fixture
def installed(tmp_path, monkeypatch):
    write(tmp_path)
    package = tmp_path / "somebody" / "search"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text('print("ran")\nfrom .search.climber import Mine\n')
    (package / "__init__.py").write_text('print("ran")\n')
    (package / "climber.py").write_text(FILE.replace("@dataclass", 'print("ran")\n\n\n@dataclass'))
    (package / "broken.py").write_text("class Mine(:\n")
    (package.parent / "guess.py").write_text(GUESS)
    (package.parent / "needy.py").write_text(NEEDY)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "somebody"]:
        del sys.modules[name]


def listed(kind: str = "strategies") -> dict[str, plugins.Plugin]:
    """The plug-ins of other packages, by name."""
    return {plugin.name: plugin for plugin in plugins.members(kind) if plugin.where.endswith(("somebody", "another"))}


def test_they_are_read_with_what_they_inherit(installed, capsys):
    found = listed()["climber"]
    assert (found.note, found.family, found.summary) == ("", "other", "Mine: always cell 7.")
    assert found.where == "somebody.search.climber:Mine, of somebody"
    assert [item.name for item in found.parameters] == ["cell", "rate", "name", "mode", "limit", "flag"]
    assert listed()["exported"].parameters == listed()["alone"].parameters == found.parameters
    (guess,) = plugins.find("guess")
    assert (guess.kind, guess.family, guess.parameters[0].meaning) == ("surrogates", "", "what is guessed.")
    assert capsys.readouterr().out == ""
    assert not [name for name in sys.modules if name.startswith("somebody")]


def test_what_is_read_is_what_is_imported(installed, capsys):
    for name in ("climber", "exported", "alone"):
        built = loading.build("strategies", f"{name}:cell=3")
        assert type(built).__name__ == "Mine"
        assert type(built).family == listed()[name].family
    assert capsys.readouterr().out


def test_a_broken_one_is_a_marked_line_and_the_others_stand(installed):
    notes = {name: plugin.note for name, plugin in listed().items()}
    assert notes["climber"] == notes["alone"] == notes["exported"] == ""
    assert "no source file of a module 'somebody.search.gone'" in notes["gone"]
    assert "SyntaxError" in notes["unwritten"]
    assert "has no class 'Nobody'" in notes["classless"]
    assert "not_installed_at_all" in notes["elsewhere"]
    assert notes["malformed"].startswith("cannot be read")
    assert len(plugins.members("strategies")) == len(loading.leaves("strategies")) + 10


@pytest.mark.parametrize("name", ["gone", "unwritten", "classless", "elsewhere", "malformed", "needy"])
def test_a_broken_one_is_refused_when_it_is_used(installed, name):
    with pytest.raises(LabError):
        loading.build("strategies", name)


def test_one_with_the_name_of_ours_is_said_and_ours_is_used(installed):
    ours, theirs = plugins.named("strategies", "local_search")
    assert (ours.note, ours.family) == ("", "local")
    assert theirs.note == "hidden by nasbench_lab's own; it is reached as somebody.search.climber:Mine"
    assert set(plugins.facts_of(["local_search"])["local_search"].values()) >= {"local"}
    with pytest.warns(UserWarning, match=r"'local_search' of somebody is hidden by nasbench_lab's own"):
        assert loading.load("strategies", "local_search").__module__.startswith("nasbench_lab")


def test_one_with_the_name_of_another_is_said_and_the_first_is_used(installed, monkeypatch, tmp_path):
    write(tmp_path / "more", "another", "[nasbench_lab.strategies]\nclimber = another.place:Mine\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path / "more")])
    notes = [plugin.note for plugin in plugins.named("strategies", "climber")]
    assert notes == ["", "hidden by that of somebody; it is reached as another.place:Mine"]
    with pytest.warns(UserWarning, match="'climber' of another is hidden by that of somebody"):
        assert loading.load("strategies", "climber").__module__ == "somebody.search.climber"


def test_what_it_needs_and_is_absent_is_named(installed):
    found = listed()["needy"]
    assert found.needs == ("no_such_package", "torch")
    assert "no_such_package" in found.absent


def test_the_command_lists_them_and_imports_none(installed, lab):
    code, out, err = lab("list")
    assert (code, err) == (0, "")
    assert "ran" not in out.splitlines()
    for words in ("climber", "(cannot be read: ", "(hidden by nasbench_lab's own", "local_search", "guess"):
        assert words in out
    code, out, _ = lab("list", "climber")
    assert code == 0
    assert "somebody.search.climber:Mine, of somebody" in out
    assert "mode=a" in out
    assert "one of a, b" in out
    assert "hidden by nasbench_lab's own" in lab("list", "local_search")[1]


def test_a_command_that_uses_a_hidden_name_says_so(installed, tmp_path):
    code = "from nasbench_lab import loading; loading.build('strategies', 'local_search'); loading.build('strategies', 'local_search')"
    env = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[2]}"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stderr.count("'local_search' of somebody is hidden by nasbench_lab's own") == 1
