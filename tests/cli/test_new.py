"""`nasbench-lab new`: a file that a newcomer can begin with."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import nasbench_lab
from nasbench_lab import loading


def test_what_it_writes_keeps_the_rules_and_has_a_row(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = lab("new", "hill_climb2.py")
    assert code == 0
    assert "class HillClimb2" in out
    assert "nasbench-lab check hill_climb2.py" in out
    assert loading.load("strategies", "hill_climb2.py").__name__ == "HillClimb2"
    code, out, _ = lab("check", "hill_climb2.py")
    assert code == 0, out
    best = nasbench_lab.search("hill_climb2.py", "digits", max_queries=100)["val"].max()
    assert best > nasbench_lab.search("random_search", "digits", max_queries=3)["val"].max()


def test_a_surrogate_to_begin_with_keeps_the_rules_without_a_private_import(lab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = lab("new", "ridge2.py", "--kind", "surrogate")
    assert code == 0
    assert "nasbench-lab check ridge2.py --kind surrogate" in out
    assert not re.search(r"import .*\b_|from .*\._", (tmp_path / "ridge2.py").read_text())
    code, out, _ = lab("check", "ridge2.py", "--kind", "surrogate")
    assert code == 0, out


def test_what_a_strategy_prints_does_not_hide_what_is_found(lab, tmp_path, monkeypatch):
    """At every query: thousands of lines, of which the number and the first are told."""
    monkeypatch.chdir(tmp_path)
    lab("new", "loud.py")
    text = (tmp_path / "loud.py").read_text()
    (tmp_path / "loud.py").write_text(
        text.replace(
            "self._asked += 1",
            "self._asked += 1\n        print('at', self._asked)\n        sys.stdout.buffer.write(b'as \\xff bytes')"
            "\n        os.write(1, b'past Python\\n')",
        ).replace("from dataclasses import", "import os\nimport sys\nfrom dataclasses import", 1)
    )
    command = [sys.executable, "-m", "nasbench_lab", "check", "loud.py"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert all(line.startswith(("pass  ", "note: it printed ", "all checks")) for line in out.splitlines() if line)
    assert re.search(r"note: it printed [\d,]{3,} lines, the first: 'at 1'", out)


@pytest.mark.parametrize("name", ["mine", "mine.txt", "my search.py", "1st.py", ".py", "class.py"])
def test_what_is_no_name_of_a_module_is_refused(name, lab, tmp_path):
    code, _, error = lab("new", tmp_path / name)
    assert code == 2
    assert "a strategy is a Python file, such as my_search.py" in error
    assert list(tmp_path.iterdir()) == []
