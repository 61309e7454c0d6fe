"""A strategy that ends the program is a failed strategy, wherever it does so; the command line says so and exits with 2."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nasbench_lab import errors

STRATEGY = """
import os, sys
from dataclasses import dataclass
from nasbench_lab.strategies.baselines.random_search import RandomSearch
{module}

@dataclass
class Ends(RandomSearch):
    def __post_init__(self):
        {made}

    def setup(self):
        super().setup()
        {setup}

    def observe(self, result):
        {observe}
"""
PLACES = ("module", "made", "setup", "observe")
ENDS = ("sys.exit()", "sys.exit(0)", "os._exit(0)", "raise GeneratorExit")


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("place", PLACES)
def test_the_command_line_exits_with_2_and_a_sentence(lab, tmp_path, place, end):
    path = tmp_path / "ends.py"
    path.write_text(STRATEGY.format(**(dict.fromkeys(PLACES, "pass") | {place: end})))
    out = ("--out", tmp_path / "out", "--seeds", 2, "--max-queries", 5, "--table", "toy")
    code, _, err = lab("compare", path, "random_search", *out)
    assert code == 2
    assert "ends the program instead of returning" in err
    assert "ends.py" in err
    assert "Traceback" not in err


def test_what_is_no_exception_is_contained_and_all_else_passes():
    with pytest.raises(errors.StrategyError, match="X ends the program"), errors.contained("X"):
        raise SystemExit(3)
    with pytest.raises(errors.StrategyError, match="KeyboardInterrupt"), errors.contained("X"):
        raise KeyboardInterrupt
    for kind in (ValueError, errors.Interrupted, errors.LabError):
        with pytest.raises(kind), errors.contained("X"):
            raise kind


def test_outside_of_a_strategy_a_process_may_end_at_once():
    code = "import os; from nasbench_lab import errors\nwith errors.contained('X'): pass\nos._exit(7)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 7


def test_a_process_that_was_forked_off_may_end_at_once():
    with errors.contained("X"):
        child = os.fork()
        if not child:
            os._exit(5)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 5


@pytest.mark.parametrize(
    ("name", "allowed", "listing", "said"),
    [
        ("gb_bo", ["gp_bo", "asha"], "", "; did you mean gp_bo? It has: gp_bo, asha"),
        ("zzz", ["gp_bo", "asha"], "", "; it has: gp_bo, asha"),
        ("zzz", [], "", "; it has: none"),
        ("gini", ["Gini ", "auc"], "", "; did you mean 'Gini '? It has: 'Gini ', auc"),
        ("locl_search", ["local_search", *"abcdefghijklm"], "lab list", "; did you mean local_search? `lab list` lists all 14"),
        ("zzz", list("abcdefghijklm"), "lab list", "; `lab list` lists all 13"),
    ],
)  # fmt: skip
def test_a_name_that_stands_for_nothing_is_told_the_nearest(name, allowed, listing, said):
    """All that there are, if few; of many the command that lists them."""
    assert errors.offered(name, allowed, "it has:", listing) == said
